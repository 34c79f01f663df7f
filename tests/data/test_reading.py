import gzip
import io
import json
import os
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq2see.data.reading import open_pairs, read, read_texts
from seq2see.data.tally import Pair, Tally
from seq2see.errors import InputError

ODD = "a b\u2028c\u2029d\x85e\x0bf\x1cg\rh\0i"  # everything that some library takes for the end of a line
PAIRS = [Pair("Go.", "가.", 1), Pair('"Hi," he said', "안녕", 2), Pair(ODD, "x" + ODD, 3), Pair("", "blank", 4)]


def write_tsv(path: Path) -> None:
    path.write_bytes("".join(f"{s}\t{t}\n" for s, t, _ in PAIRS).encode())


def write_csv(path: Path) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    path.write_bytes(("source,target\r\n" + "".join(f"{quoted(s)},{quoted(t)}\r\n" for s, t, _ in PAIRS)).encode())


def write_jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps({"id": i, "source": s, "target": t}) + "\n" for s, t, i in PAIRS))


def write_parquet(path: Path) -> None:
    pq.write_table(
        pa.table({"n": [1, 2, 3, 4], "source": [p[0] for p in PAIRS], "target": [p[1] for p in PAIRS]}), path
    )


WRITERS = {"tsv": write_tsv, "csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_pairs_again_and_again(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"pairs.{kind}"
    WRITERS[kind](path)
    source = open_pairs(path)
    assert source.kind == kind
    shift = 1 if kind == "csv" else 0  # the header is line 1
    expected = [Pair(s, t, line + shift) for s, t, line in PAIRS]
    assert list(source) == expected
    assert list(source) == expected
    tally = Tally()
    assert list(read(source, tally)) == expected
    assert (tally.pairs, tally.rows, tally.sentences()) == (4, 4, [])


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_text_formats_compressed_with_byte_order_mark_and_from_standard_input(
    tmp_path: Path, kind: str, bom: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"pairs.{kind}"
    WRITERS[kind](path)
    plain = list(open_pairs(path))
    packed = gzip.compress(bom + path.read_bytes())
    (tmp_path / f"pairs.{kind}.gz").write_bytes(packed)
    assert list(open_pairs(tmp_path / f"pairs.{kind}.gz")) == plain

    class Stdin:
        buffer = io.BufferedReader(io.BytesIO(packed))  # type: ignore[arg-type]

    monkeypatch.setattr("sys.stdin", Stdin)
    source = open_pairs("-")
    assert source.kind == kind
    assert list(source) == plain
    assert list(source) == plain


def test_line_parallel_files_stay_together_whatever_is_in_a_line(tmp_path: Path) -> None:
    """B9: the number of pairs is the number of newlines."""
    (tmp_path / "s").write_bytes("".join(f"{s}\n" for s, _, _ in PAIRS).encode())
    (tmp_path / "t.gz").write_bytes(gzip.compress("".join(f"{t}\r\n" for _, t, _ in PAIRS).encode()))
    source = open_pairs(source=tmp_path / "s", target=tmp_path / "t.gz")
    assert list(source) == list(source) == PAIRS
    assert source.notes == (f"{tmp_path / 's'} and {tmp_path / 't.gz'}: line-parallel, 4 lines each.",)


def test_where_one_of_two_lines_is_too_long_both_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a\nb\nc\n")
    (tmp_path / "t").write_text("A\n" + "B" * 50 + "\nC\n")
    tally = Tally()
    source = open_pairs(source=tmp_path / "s", target=tmp_path / "t", max_line_bytes=10)
    assert list(read(source, tally)) == [Pair("a", "A", 1), Pair("c", "C", 3)]
    assert tally.sentences() == ["skipped: line longer than 10 bytes: 1 (line 2)"]


def test_rows_of_a_tsv_are_pairs_or_counted_and_listed(tmp_path: Path) -> None:
    """B10."""
    path = tmp_path / "pairs.tsv"
    regular = [f"source {i}\ttarget {i}" for i in range(50)]
    odd = ['"open quote\tstays', "alone", "a\tb\tc", "\tempty source", '"in\tside"\tx', "", "long " * 50 + "\tx"]
    path.write_text("\n".join(regular + odd) + "\n")
    tally = Tally()
    found = list(read(open_pairs(path, max_line_bytes=200), tally))
    assert [pair.line for pair in found] == [*range(1, 52), 54]
    assert found[50:] == [Pair('"open quote', "stays", 51), Pair("", "empty source", 54)]
    assert {reason: places.lines for reason, places in tally.skipped.items()} == {
        "1 cell instead of 2": [52],
        "3 cells instead of 2": [53],
        "a tab inside quotes, which TSV cannot hold (save as CSV)": [55],
        "blank line": [56],
        "line longer than 200 bytes": [57],
    }
    assert tally.rows == 57


def test_columns_by_number_and_by_name(tmp_path: Path) -> None:
    path = tmp_path / "docs"
    path.write_text("".join(f"about.po\tEnglish {i}\t한국어 {i}\n" for i in range(60)))
    guessed = open_pairs(path)
    assert next(iter(guessed)) == Pair("about.po", "English 0", 1)
    assert "source: column 1, target: column 2, a guess. Not read: column 3." in guessed.notes[0]
    assert "column 1 has only 1 different values" in guessed.notes[0]
    asked = open_pairs(path, source_column="2", target_column="3")
    assert next(iter(asked)) == Pair("English 0", "한국어 0", 1)
    assert "as asked" in asked.notes[0]

    named = tmp_path / "named.tsv"
    named.write_text("path\ten\tko\na\tb\tc\n")
    swapped = open_pairs(named, source_column="ko", target_column="EN")
    assert list(swapped) == [Pair("c", "b", 2)]


def test_the_chat_csv_is_read_without_help(tmp_path: Path) -> None:
    path = tmp_path / "chat.csv"
    path.write_text('Q,A,label\n12시 땡!,하루가 또 가네요.,0\n"1, 2",위로해 드립니다.,0\n')
    source = open_pairs(path)
    assert list(source) == [Pair("12시 땡!", "하루가 또 가네요.", 2), Pair("1, 2", "위로해 드립니다.", 3)]
    assert 'source: column 1 ("Q"), target: column 2 ("A"), a guess. Not read: column 3.' in source.notes[0]


def test_csv_without_a_header_and_with_other_separators(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("1;Hallo, Welt;Hello, world\n2;Ja, ja, ja;Yes\n3;Nein;No, no\n")
    source = open_pairs(path)
    assert [pair[:2] for pair in source] == [("Hallo, Welt", "Hello, world"), ("Ja, ja, ja", "Yes"), ("Nein", "No, no")]
    assert "semicolons separate 3 columns, no header" in source.notes[0]


def test_nested_json_and_parquet_by_paths(tmp_path: Path) -> None:
    rows = [
        {"id": "x", "translation": {"de": "Hallo", "en": "Hello"}},
        {"id": "y", "translation": {"de": None, "en": "a"}},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for path in (tmp_path / "a.jsonl", tmp_path / "a.parquet"):
        source, tally = open_pairs(path), Tally()
        assert list(read(source, tally)) == [Pair("Hallo", "Hello", 1)]
        assert tally.sentences() == ['skipped: no text in "translation.de": 1 (line 2)']
        assert next(iter(open_pairs(path, source_column="translation.en", target_column="translation.de"))) == Pair(
            "Hello", "Hallo", 1
        )


def test_rows_of_json_without_text_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"q": "a", "a": "b"}\n\n{"q": "c"}\n{"q": 5, "a": "x"}\n{"q": "\\ud83d", "a": "half"}\n')
    tally = Tally()
    assert list(read(open_pairs(path), tally)) == [Pair("a", "b", 1)]
    assert [places.lines for places in tally.skipped.values()] == [[2], [3], [4], [5]]


FAULTS = {
    "empty.tsv": (b"", "is empty"),
    "bom.tsv": (b"\xef\xbb\xbf", "is empty"),
    "blank.csv": (b"\n \n\r\n", "is empty"),
    "empty.parquet": (b"", "is empty"),
    "empty.gz": (gzip.compress(b""), "is empty"),
    "no-tab.tsv": (b"one\ntwo\n", "no tab in its first line, 'one'"),
    "sentences.txt": (b"Hello, world\nOne, two, three\n", "no tab in its first line"),
    "mac.tsv": (b"one\rtwo\rthree", "carriage returns alone"),
    "one-column.csv": (b"a\nb\nc\n", "no tab"),
    "array.json": (b'[{"a": "b"}]', "jq -c"),
    "pretty.json": (b'{\n "a": "b"\n}\n', r"line 1: not JSON"),
    "number.jsonl": (b'{"a": "b", "c": "d"}\n5\n', "line 2: a number where an object"),
    "deep.jsonl": (b'{"a": ' + b"[" * 200_000 + b"\n", "line 1: JSON that cannot be read|line 1: not JSON"),
    "no-text.jsonl": (b'{"a": 1, "b": 2}\n', "no column of text"),
    "one-text.jsonl": (b'{"a": "x", "b": 2}\n', 'its columns are "a"; which are source and target'),
    "no-parquet.parquet": (b"a\tb\n", "does not begin like a Parquet file"),
    "cut.parquet": (b"PAR1abcdefgh", "damaged or cut off"),
    "picture.tsv": (b"\x89PNG\r\n\x1a\n\0\0", "a PNG picture"),
    "latin.tsv": ("déjà\tvu\n".encode("latin-1"), "line 1, byte 2 .* 0xE9 is not UTF-8 .* ISO-8859-1"),
    "utf16.tsv": ("one\ttwo\n".encode("utf-16"), "is UTF-16"),
    "open.csv": (b'a,b\n"c,d\n', "line 2: the quote"),
    "wide.tsv": (b"a" * 99 + b"\tb\n", "line 1 is longer than 60 bytes and no other has text"),
    "unclear.csv": (b"i,j,k\n1,2,3\n4,5,6\n", "which are source and target is not clear"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_file_that_cannot_be_used_gives_one_clear_error(tmp_path: Path, name: str) -> None:
    content, said = FAULTS[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as error:
        list(open_pairs(path, max_line_bytes=1_000_000 if name == "deep.jsonl" else 60))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_of_bad_rows_only_is_an_error_that_lists_them(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"a": "x", "b": null}\n{"a": null, "b": "x"}\n')
    with pytest.raises(InputError, match=r'no pair that can be used: .*no text in "b": 1 \(line 1\); .*\(line 2\)'):
        list(open_pairs(path))


def test_columns_that_are_not_there_or_contradict_are_said(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet")
    write_tsv(tmp_path / "a.tsv")
    parquet, tsv = tmp_path / "a.parquet", tmp_path / "a.tsv"
    for arguments, columns, said in [
        ((parquet,), ("source", "n"), r'"?n \(int64\)"? does not hold text'),
        ((parquet,), ("source", "x"), 'has no column "x"'),
        ((tsv,), ("1", "x"), "2 columns and no header"),
        ((tsv,), ("1", "1"), "cannot be both source and target"),
        ((tsv,), ("1", None), "Give both columns"),
        ((tsv,), ("", ""), "cannot be both"),
        ((None, tsv, tsv), ("1", "2"), "have none"),
        ((tsv, tsv, tsv), (None, None), "either one file"),
        ((None, tsv), (None, None), "either one file"),
        ((), (None, None), "either one file"),
        ((None, "-", "-"), (None, None), "cannot both be standard input"),
        ((None, parquet, tsv), (None, None), "is Parquet: give it alone"),
    ]:
        with pytest.raises(InputError, match=said):
            open_pairs(*arguments, source_column=columns[0], target_column=columns[1])


def test_check_is_called_while_a_file_is_read(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def check() -> None:
        raise Enough

    for kind, write in WRITERS.items():
        write(tmp_path / f"a.{kind}")
        with pytest.raises(Enough):
            list(read(open_pairs(tmp_path / f"a.{kind}"), Tally(), check))


GOOD = {
    ".tsv": b"one\ttwo\nthree\tfour\n",
    ".csv": b'q,a\n"one, two",three\n',
    ".jsonl": b'{"q": "one", "a": "two"}\n',
    ".tsv.gz": gzip.compress(b"one\ttwo\n", mtime=0),
    "": b"one\ttwo\n",
}


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from(sorted(GOOD)))
def test_any_bytes_give_pairs_or_an_input_error(tmp_path: Path, data: st.DataObject, suffix: str) -> None:
    content = bytearray(GOOD[suffix])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))] + data.draw(st.binary(max_size=8))
    path = tmp_path / f"any{suffix}"
    path.write_bytes(content)
    try:
        found = list(open_pairs(path))
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert all(isinstance(pair, Pair) for pair in found)


@pytest.mark.parametrize("place", [4, 30, 60, -60, -30, -5])
def test_a_damaged_parquet_file_gives_pairs_or_an_input_error(tmp_path: Path, place: int) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path)
    content = bytearray(path.read_bytes())
    content[place] ^= 0x55
    path.write_bytes(content)
    try:
        assert all(isinstance(pair, Pair) for pair in open_pairs(path))
    except InputError as error:
        assert str(path) in str(error)


def test_bad_utf8_in_parquet_names_the_row(tmp_path: Path) -> None:
    bad = pa.array([b"fine", b"d\xe9j\xe0"]).cast(pa.binary()).view(pa.string())
    pq.write_table(pa.table({"source": bad, "target": ["a", "b"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r'row 2, column "source": not UTF-8'):
        list(open_pairs(tmp_path / "a.parquet", source_column="source", target_column="target"))


def test_a_parquet_text_over_the_limit_is_skipped(tmp_path: Path) -> None:
    pq.write_table(pa.table({"source": ["a", "가" * 7], "target": ["b", "c"]}), tmp_path / "a.parquet")
    tally = Tally()
    assert list(read(open_pairs(tmp_path / "a.parquet", max_line_bytes=20), tally)) == [Pair("a", "b", 1)]
    assert tally.skipped["text longer than 20 bytes"].lines == [2]


def test_little_is_held_to_find_the_layout_of_a_file_of_long_rows(tmp_path: Path) -> None:
    for name, row in (("a.tsv", "x" * 900_000 + "\ty\n"), ("a.jsonl", '{"q": "' + "x" * 900_000 + '", "a": "y"}\n')):
        path = tmp_path / name
        path.write_text(row * 60)
        tracemalloc.start()
        source = open_pairs(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 30_000_000  # the file has 54 million bytes
        assert sum(1 for _ in source) == 60


def test_texts_for_prediction_keep_every_line(tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\n  \n" + b"x" * 30 + b"\nlast \xe2\x80\xa8 line")
    tally = Tally()
    found = list(read_texts(path, tally, max_line_bytes=20))
    assert found == [(1, "one"), (2, ""), (3, "  "), (4, ""), (5, "last \u2028 line")]
    assert tally.sentences() == ["skipped: line longer than 20 bytes: 1 (line 4)"]


def test_texts_come_from_standard_input_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as writer:  # noqa: PTH123

        class Stdin:
            buffer = stream

        monkeypatch.setattr("sys.stdin", Stdin)
        texts = read_texts("-", Tally())
        for number in range(1, 4):
            writer.write(f"line {number}\n".encode())
            assert next(texts) == (number, f"line {number}")


def test_empty_standard_input_is_no_text_but_an_empty_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdin:
        buffer = io.BufferedReader(io.BytesIO(b""))  # type: ignore[arg-type]

    monkeypatch.setattr("sys.stdin", Stdin)
    assert list(read_texts("-", Tally())) == []
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(InputError, match="empty is empty"):
        list(read_texts(tmp_path / "empty", Tally()))
