import gzip
import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2see.data import streams
from seq2see.data.plain_text import characters, held_out_from, parts, span, survey_text
from seq2see.data.streams import input_file
from seq2see.errors import InputError

TEXT = "one\r\ntwo\rthree\n\r\n\r\r\nżółć 한국 🙂\u2028\x00\ufeff\n\nend"
BLOCKS = [1, 2, 3, 5, 1 << 20]


def written(path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    return list(characters(input_file(path)))


@pytest.mark.parametrize("size", BLOCKS)
@pytest.mark.parametrize("ending", ["", "\r", "\r\n"])
def test_the_stream_is_the_text_however_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, ending: str
) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", size)
    text = TEXT + ending
    wanted = text.replace("\r\n", "\n")
    assert "".join(written(tmp_path / "a.txt", text.encode())) == wanted
    assert "".join(written(tmp_path / "b.txt", b"\xef\xbb\xbf" + text.encode())) == wanted
    assert "".join(written(tmp_path / "a.txt.gz", gzip.compress(text.encode()))) == wanted
    assert "".join(written(tmp_path / "a.zst", pa.compress(text.encode(), "zstd", asbytes=True))) == wanted


@pytest.mark.parametrize("size", BLOCKS)
def test_a_wrong_byte_is_named_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", size)
    lines = ["first é", "second 한", "third "]
    good = "\n".join(lines).encode()
    with pytest.raises(InputError, match=r"line 3, byte 7 of the line \(byte 27 of the text\): 0xFF is not UTF-8"):
        written(tmp_path / "a.txt", good + b"\xff\n")
    with pytest.raises(InputError, match=r"line 3, byte 7 of the line \(byte 27 of the text\): 0xED .*unexpected end"):
        written(tmp_path / "b.txt", good + "한".encode()[:2])
    with pytest.raises(InputError, match=r"line 1, byte 1 of the line \(byte 1 of the text\): 0xE9"):
        written(tmp_path / "c.txt", "été, un peu de français écrit comme autrefois".encode("latin-1"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text".encode("utf-16"), "UTF-16"),
        (b"PAR1 and more", "Parquet"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (gzip.compress(b"text" * 1000)[:-9], "cut off"),
        (b"", ""),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    if not message:
        assert "".join(written(tmp_path / "a.txt", content)) == ""
        return
    with pytest.raises(InputError, match=message):
        written(tmp_path / "a.txt", content)


LETTERS = st.text(st.sampled_from("ab \n한é́"), max_size=60)


@given(LETTERS, st.integers(1, 12), st.integers(1, 9))
def test_parts_are_the_text_and_depend_on_nothing_else(text: str, most: int, size: int) -> None:
    blocks = [text[start : start + size] for start in range(0, len(text), size)]
    cut = list(parts(blocks, most))
    assert "".join(cut) == text
    assert cut == list(parts([text], most))
    assert all(0 < len(part) <= most for part in cut)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ab\ncd\nefgh", ["ab\ncd\n", "efgh"]),  # behind the last line break that fits
        ("ab cd ef gh", ["ab cd", " ef gh"]),  # else before the last blank
        ("abcdefghij", ["abcdefg", "hij"]),  # else anywhere
        ("abcdefé\u0301gh", ["abcdef", "e\u0301\u0301gh"]),  # but not before a mark
    ],
)
def test_where_a_part_ends(text: str, wanted: list[str]) -> None:
    text = unicodedata.normalize("NFD", text)
    assert list(parts([text], 7)) == wanted


@given(LETTERS, st.integers(0, 70), st.integers(0, 70))
def test_a_span_is_a_slice(text: str, start: int, stop: int) -> None:
    assert "".join(span([text[:5], "", text[5:6], text[6:]], start, stop)) == text[start:stop]


@pytest.mark.parametrize(
    ("length", "share", "most", "first"),
    [
        (1_115_394, 0.1, 5_000_000, 1_003_854),  # as nanoGPT cuts the same text
        (100, 0.1, 4, 96),
        (100, 0.0, 50, 100),
        (3, 0.1, 50, 2),  # at least one character
        (2, 0.99, 50, 1),  # and one is left
        (1, 0.5, 50, 1),
    ],
)
def test_the_last_share_is_held_out(length: int, share: float, most: int, first: int) -> None:
    assert held_out_from(length, share, most) == first


def test_a_survey_counts() -> None:
    found = survey_text(["one two\n", "", "tw", "é 한\n"])
    assert (found.characters, found.bytes, found.lines, found.distinct) == (14, 17, 2, 9)
    assert found.sha256 == survey_text(["one two\ntwé 한\n"]).sha256
    assert found.sentence("x").startswith("x: 14 characters (9 different ones), 2 lines")
