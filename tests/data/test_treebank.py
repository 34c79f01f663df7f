"""Labelled sentences out of files in every form, and what is said of lines that are none."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from seq2see.data import treebank
from seq2see.data.tally import Tally
from seq2see.data.treebank import Sentence, open_treebank, read_sentences
from seq2see.errors import InputError

CONLLU = """\
# sent_id = 1
# text = vámonos al mar
1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tvamos\tir\tVERB\tV\tMood=Imp|Number=Plur\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\tP\t_\t1\tobj\t_\t_
2.1\tnada\t_\t_\t_\t_\t_\t_\t_\t_
3-4\tal\t_\t_\t_\t_\t_\t_\t_\t_
3\ta\ta\tADP\tS\t_\t5\tcase\t_\t_
4\tel\tel\tDET\tD\t_\t5\tdet\t_\t_
5\tmar\tmar\tNOUN\tN\t_\t1\tobl\t_\t_

# sent_id = 2
1\t10 000\t10 000\tNUM\tZ\t_\t0\troot\t_\t_
2\t#\t#\tSYM\tF\t_\t1\tpunct\t_\t_

"""


def read(path: Path, columns: tuple[str, str] | None = None) -> tuple[list[Sentence], Tally]:
    tally = Tally()
    return list(read_sentences(open_treebank(path, columns), tally)), tally


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.fixture
def conllu(tmp_path: Path) -> Path:
    return written(tmp_path / "x.conllu", CONLLU)


def test_words_are_tokens_and_nothing_else(conllu: Path) -> None:
    found, tally = read(conllu)
    assert found == [
        Sentence(("vamos", "nos", "a", "el", "mar"), ("VERB", "PRON", "ADP", "DET", "NOUN"), 4),
        Sentence(("10 000", "#"), ("NUM", "SYM"), 13),
    ]
    assert tally.pairs == 2
    assert not tally.skipped


@pytest.mark.parametrize(
    ("columns", "labels"),
    [
        (("form", "xpos"), ("V", "P", "S", "D", "N")),
        (("form", "FEATS"), ("Mood=Imp|Number=Plur", "_", "_", "_", "_")),
        (("2", "4"), ("VERB", "PRON", "ADP", "DET", "NOUN")),
    ],
)
def test_another_column(conllu: Path, columns: tuple[str, str], labels: tuple[str, ...]) -> None:
    assert read(conllu, columns)[0][0].labels == labels


def test_forms_that_say_the_same(tmp_path: Path, conllu: Path) -> None:
    expected = read(conllu)[0]
    text = conllu.read_bytes()
    for name, content in (
        ("x.gz", gzip.compress(text)),
        ("x.zst", pa.compress(text, codec="zstd", asbytes=True)),
        ("crlf", text.replace(b"\n", b"\r\n")),
        ("bom", b"\xef\xbb\xbf" + text),
        ("open end", text.rstrip(b"\n")),
        ("blank lines", b"\n\n" + text.replace(b"\n\n", b"\n \n\n")),
    ):
        (tmp_path / name).write_bytes(content)
        found = read(tmp_path / name)[0]
        assert [(each.tokens, each.labels) for each in found] == [(each.tokens, each.labels) for each in expected], name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The\tDET\ndog\tNOUN\n\nx\tX\n", [(("The", "dog"), ("DET", "NOUN")), (("x",), ("X",))]),
        ("The DET\ndog   NOUN\n", [(("The", "dog"), ("DET", "NOUN"))]),
        (
            "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n",
            [(("EU", "rejects"), ("B-ORG", "O"))],
        ),
        ("# id = 7\nThe DET\n# SYM\n", [(("The", "#"), ("DET", "SYM"))]),
        ("New York\tB\nis\tO\n", [(("New York", "is"), ("B", "O"))]),
        ("a\u2028b\tX\nc\x0bd\tY\n", [(("a\u2028b", "c\x0bd"), ("X", "Y"))]),
    ],
)
def test_columns(tmp_path: Path, text: str, expected: list[tuple[tuple[str, ...], tuple[str, ...]]]) -> None:
    found, tally = read(written(tmp_path / "x.txt", text))
    assert [(each.tokens, each.labels) for each in found] == expected
    assert not tally.skipped


def test_what_was_recognised_is_said(tmp_path: Path, conllu: Path) -> None:
    assert open_treebank(conllu).notes == (f"{conllu}: CoNLL-U; tokens: form, labels: upos.",)
    path = written(tmp_path / "x", "a b c d\n")
    assert "tokens: column 1 of 4, labels: column 4 of 4" in open_treebank(path).notes[0]
    assert "labels: column 2 of 4" in open_treebank(path, ("1", "2")).notes[0]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("1\tx\tx\tX\t_\t_\t0\troot\t_\n", "not 10 columns"),
        ("1\tx\tx\tX\t_\t_\t0\troot\t_\t_\n3\tx\tx\tX\t_\t_\t0\troot\t_\t_\n", "not numbered 1, 2, 3"),
        ("1\tx\tx\t_\t_\t_\t0\troot\t_\t_\n", "without labels"),
        ("1\t \tx\tX\t_\t_\t0\troot\t_\t_\n", "empty token or label"),
        ("1\tx\tx\tX Y\t_\t_\t0\troot\t_\t_\n", "blank inside a label"),
        ("1\tx\tx\tX\t_\t_\t0\troot\t_\t_\n# late\n", "not 10 columns"),
        (f"1\t{'x' * 1_000_001}\tx\tX\t_\t_\t0\troot\t_\t_\n", "more than 1,000,000 bytes"),
    ],
)
def test_a_bad_sentence_is_skipped_and_its_line_named(tmp_path: Path, bad: str, reason: str) -> None:
    good = "1\ta\ta\tX\t_\t_\t0\troot\t_\t_\n\n"
    found, tally = read(written(tmp_path / "x", good + bad + "\n" + good))
    assert [each.tokens for each in found] == [("a",), ("a",)]
    ((told, places),) = tally.skipped.items()
    assert reason in told
    assert places.count == 1
    assert places.lines == [2 + bad.count("\n")]
    assert tally.rows == 3


def test_unequal_lines_of_columns(tmp_path: Path) -> None:
    _, tally = read(written(tmp_path / "x", "a X\nb Y\n\nc\nd Z\n\ne W\n"))
    assert tally.sentences() == ["skipped: a sentence with a line that has not 2 columns: 1 (line 4)"]


def test_a_sentence_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treebank, "MOST_TOKENS", 5)
    path = written(tmp_path / "x", "a X\n" * 5 + "\n" + "a X\n" * 6)
    found, tally = read(path)
    assert [len(each.tokens) for each in found] == [5]
    assert tally.sentences() == ["skipped: a sentence of more than 5 tokens (a blank line ends one): 1 (line 12)"]


@pytest.mark.parametrize(
    ("text", "columns", "words"),
    [
        ("", None, ["x.txt", "empty", "CoNLL-U"]),
        ("\n\n", None, ["x.txt", "empty"]),
        ("The dog\n".replace(" ", ""), None, ["x.txt", "line 1", "one column"]),
        ("a\tX\n", ("1", "3"), ["column", "'3'", "1 to 2"]),
        ("a\tX\n", ("form", "upos"), ["'form'", "1 to 2"]),
        ("a\tX\n", ("1", "1"), ["both"]),
        (CONLLU, ("form", "uppos"), ["'uppos'", "upos"]),
        ("hello world\tguten tag\n", None, ["no sentence", "blank inside a label", "line 1"]),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, text: str, columns: tuple[str, str] | None, words: list[str]
) -> None:
    path = written(tmp_path / "x.txt", text)
    with pytest.raises(InputError) as caught:
        read(path, columns)
    for word in words:
        assert word in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("a\tX\nö\tY\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"line 2.*UTF-8"):
        read(tmp_path / "x")
    (tmp_path / "y.gz").write_bytes(gzip.compress(CONLLU.encode())[:-20])
    with pytest.raises(InputError, match="cut off"):
        read(tmp_path / "y.gz")


def test_check_ends_the_reading(conllu: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(read_sentences(open_treebank(conllu), Tally(), stop))
