"""B8 to B11: corpora as they come, through ``train``: counts are said, lines are named, pairs stay pairs."""

import gzip
import json
from pathlib import Path

import pytest
from tiny_runs import SETTINGS

from small_task import Answer, Command, reversed_pairs, write_pairs

FEW = (*SETTINGS, "--set", "training.evaluate_every=100", "--steps", 1)


def _train(seq2see: Command, folder: Path, *what: object) -> Answer:
    return seq2see("train", *what, "--out", folder / "run", *FEW)


def _lines(count: int) -> list[str]:
    return [f"{source} {number}" for number, (source, _) in enumerate(reversed_pairs(count))]


def test_b8_unequal_line_counts(seq2see: Command, tmp_path: Path) -> None:
    """Both counts, and where to look: line 13 was put in."""
    source, target = tmp_path / "a.txt", tmp_path / "b.txt"
    lines = [f"{'one ' * (number * 7 % 11 + 1)}end" for number in range(60)]
    source.write_text("".join(f"{line}\n" for line in lines))
    target.write_text("".join(f"{line}\n" for line in [*lines[:12], "two " * 30, *lines[12:]]))
    answer = _train(seq2see, tmp_path, "--source", source, "--target", target)
    assert answer.code == 2
    for words in ("a.txt has 60 lines", "b.txt has 61", "they part near line 13"):
        assert words in answer.err
    answer = seq2see("evaluate", tmp_path, "--source", source, "--target", target)
    assert answer.code == 2


def test_b9_only_line_feeds_end_a_line(seq2see: Command, tmp_path: Path) -> None:
    odd = ["one\u2028two", "one\u0085two", "one\x0btwo", "one\x1ctwo", "one\rtwo", "one\x00two", "one\ufefftwo", "one"]
    lines = odd * 8
    for name, end in (("a.txt", "\n"), ("b.txt", "\r\n")):
        content = "\ufeff" + "".join(f"{line} {number}{end}" for number, line in enumerate(lines))
        (tmp_path / name).write_bytes(content.encode())
    answer = _train(seq2see, tmp_path, "--source", tmp_path / "a.txt", "--target", tmp_path / "b.txt")
    assert answer.code == 0, answer.err
    assert "line-parallel, 64 lines each" in answer.out
    assert "64 pairs, 64 different sources" in answer.out
    assert "source equals target in 64 pairs" in answer.out  # so the alignment was kept, and no end of line is left


def test_b9_predict_keeps_the_count_of_lines(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    lines = ["one\u2028two", "\u0085", "one\x0btwo", "\x1c", "one\rtwo", "\x00", "", "\ufeff", "one two\r"]
    path = tmp_path / "in.txt"
    path.write_bytes("\n".join(lines).encode() + b"\n")
    answer = seq2see("predict", trained, "--input", path, "--output", tmp_path / "out.txt")
    assert answer.code == 0, answer.err
    assert (tmp_path / "out.txt").read_bytes().count(b"\n") == len(lines)
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").split("\n")[-2] == "two one"


def test_b10_rows_of_a_tsv_are_lines(seq2see: Command, tmp_path: Path) -> None:
    """A quote at the start of a field swallows nothing; rows that are no pairs are counted and listed."""
    good = [f"{line}\t{line} x" for line in _lines(40)]
    bad = ["only one column", "a\tb\tc", "\tempty source", '"quoted\ttab"\tx']
    rows = ['"open quote one\ttwo', *good[:20], *bad, *good[20:], 'three "inner" quote\tfour']
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    answer = _train(seq2see, tmp_path, path)
    assert answer.code == 0, answer.err
    assert "43 pairs" in answer.out  # 40 good ones, two with a lone quote, one with an empty side
    for words in ("1 cell instead of 2: 1 (line 22)", "3 cells instead of 2: 1 (line 23)", "1 (line 25)"):
        assert words in answer.out
    assert "dropped: 1 with a blank side" in answer.out


def _bytes(kind: str) -> bytes:
    text = "".join(f"{line}\t{line}\n" for line in _lines(30))
    return {
        "invalid UTF-8": (text + "schön\tnice\n").encode().replace(b"\xc3\xb6", b"\xff"),
        "Latin-1": (text + "schön\tnice\n").encode("latin-1"),
        "UTF-16": text.encode("utf-16"),
        "cut off": gzip.compress(text.encode())[:-40],
        "empty": b"",
        "empty gzip": gzip.compress(b""),
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "one pair": b"one\ttwo\n",
        "all the same": b"one\ttwo\n" * 100,
        "blank": b" \t \n" * 50,
        "no tab": b"one two\n" * 50,
        "zeros": bytes(5_000),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("invalid UTF-8", ["line 31", "byte"]),
        ("Latin-1", ["line 31", "byte", "ISO-8859-1"]),
        ("UTF-16", ["UTF-16"]),
        ("cut off", ["cut off"]),
        ("empty", ["empty"]),
        ("empty gzip", ["empty"]),
        ("picture", ["PNG"]),
        ("one pair", ["1 pair", "dev file"]),
        ("all the same", ["100 pairs", "dev file"]),
        ("blank", ["empty"]),
        ("no tab", ["no tab"]),
        ("zeros", ["no tab"]),
    ],
)
def test_b11_a_file_that_cannot_be_trained_on(seq2see: Command, tmp_path: Path, kind: str, words: list[str]) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes(_bytes(kind))
    answer = _train(seq2see, tmp_path, path)
    assert answer.code == 2, answer.out + answer.err
    assert "pairs.tsv" in answer.err
    for word in words:
        assert word in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_b11_overlong_lines_are_left_out_and_said(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    """A line of 10 MB, one of a million words, and the pairs around them."""
    path = tmp_path / "pairs.tsv"
    with path.open("w", encoding="utf-8") as file:
        for number, line in enumerate(_lines(40)):
            file.write(f"{line}\t{line} x\n")
            if number == 10:
                file.write("a" * 10_000_000 + "\tb\n")
            if number == 20:
                file.write("one " * 200_000 + "\tb\n")
    answer = _train(seq2see, tmp_path, path)
    assert answer.code == 0, answer.err
    assert "line 12" in answer.out
    assert "41 pairs" in answer.out
    assert "data.max_pieces" in answer.out
    (tmp_path / "in.txt").write_text("one two\n" + "a" * 10_000_000 + "\none two\n")
    answer = seq2see("predict", trained, "--input", tmp_path / "in.txt")
    assert answer.code == 0
    assert answer.out == "two one\n\ntwo one\n"
    assert "line 2" in answer.err


def test_b11_equal_sides_and_repetitions_are_counted(seq2see: Command, tmp_path: Path) -> None:
    pairs = [(line, line) for line in _lines(40)]
    answer = _train(seq2see, tmp_path, write_pairs(tmp_path / "pairs.tsv", pairs * 2))
    assert answer.code == 0, answer.err
    for words in ("80 pairs, 40 different sources", "40 exact repetitions", "source equals target in 80 pairs"):
        assert words in answer.out


def test_b11_json_lines_with_rows_that_are_none(seq2see: Command, tmp_path: Path) -> None:
    """Objects without both texts are counted; what is no JSON at all is an error with its line."""
    rows = [json.dumps({"source": line, "target": line}) for line in _lines(40)]
    rows[5:5] = ['{"source": 5, "target": "x"}', '{"source": "x", "target": null}']
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    answer = _train(seq2see, tmp_path, path)
    assert answer.code == 0, answer.err
    assert "40 pairs" in answer.out
    assert "line 6" in answer.out
    path.write_text("".join(f"{row}\n" for row in [*rows, '{"source": "x"']), encoding="utf-8")
    answer = seq2see("train", path, "--out", tmp_path / "other")
    assert answer.code == 2
    assert "line 43: not JSON" in answer.err
