"""IDX files: what a header states is checked before it is believed."""

import gzip
from pathlib import Path

import pytest

from seq2see.data.idx import IdxHeader, idx_header, idx_labels, idx_pictures, picture_header
from seq2see.data.streams import InputFile
from seq2see.errors import InputError
from small_pictures import idx


def stored(path: Path, content: bytes, zipped: bool = False) -> InputFile:
    path.write_bytes(gzip.compress(content) if zipped else content)
    return InputFile(path, path.name)


@pytest.mark.parametrize("zipped", [False, True])
def test_pictures_and_labels_by_hand(tmp_path: Path, zipped: bool) -> None:
    file = stored(tmp_path / "p", bytes.fromhex("00000803 00000002 00000002 00000003") + bytes(range(12)), zipped)
    header = picture_header(file, 100)
    assert header == IdxHeader((2, 2, 3))
    found = list(idx_pictures(file, header))
    assert [(raw.name, raw.data, raw.shape) for raw in found] == [
        ("0", bytes(range(6)), (2, 3, 1)),
        ("1", bytes(range(6, 12)), (2, 3, 1)),
    ]
    assert idx_labels(stored(tmp_path / "l", idx(3, data=bytes([7, 0, 255])), zipped), 100) == [7, 0, 255]


def test_pictures_in_colour(tmp_path: Path) -> None:
    file = stored(tmp_path / "p", idx(1, 2, 1, 3, data=bytes(range(6))))
    (raw,) = idx_pictures(file, picture_header(file, 100))
    assert raw.shape == (2, 1, 3)


def test_entries_across_blocks(tmp_path: Path) -> None:
    """More than a block of a file, of a size that no block is a multiple of."""
    count, data = 3_001, bytes(range(251)) * (3_001 * 28 * 28 // 251 + 1)
    file = stored(tmp_path / "p", idx(count, 28, 28, data=data[: count * 784]))
    found = [raw.data for raw in idx_pictures(file, picture_header(file, 10**8))]
    assert b"".join(found) == data[: count * 784]
    assert {len(each) for each in found} == {784}


WRONG = {
    "text": (b"hello, this is no IDX file", "begins with 68 65 6c 6c"),
    "empty": (b"", "begins with nothing"),
    "numbers of four bytes": (b"\0\0\x0c\x01\0\0\0\1\0\0\0\1", "no IDX file of bytes"),
    "header cut off": (b"\0\0\x08\x03\0\0\0\1", "cut off inside its header"),
    "nothing in it": (idx(0, 2, 2, data=b""), "nothing such a file could hold"),
    "too large": (idx(1000, 1000, 1000, data=b""), "1,000,000,000 bytes; at most 1,000,000"),
    "an entry too large": (idx(1, 60_000, 60_000, data=b""), "at most"),
    "labels": (idx(4, data=b"1234"), "holds labels, not pictures"),
    "five dimensions": (b"\0\0\x08\x05" + b"\0\0\0\1" * 5, "no IDX file"),
    "two dimensions": (idx(2, 2, data=b"1234"), "2 dimensions"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_file_of_pictures_is_refused(tmp_path: Path, name: str) -> None:
    content, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        picture_header(stored(tmp_path / "x", content), 1_000_000)


@pytest.mark.parametrize("zipped", [False, True])
def test_more_or_fewer_than_stated(tmp_path: Path, zipped: bool) -> None:
    for data, message in ((bytes(7), "cut off: it states 2 entries and has 1"), (bytes(9), "more than the 2 entries")):
        file = stored(tmp_path / "x", idx(2, 2, 2, data=data), zipped)
        with pytest.raises(InputError, match=message):
            list(idx_pictures(file, picture_header(file, 100)))


def test_a_compressed_file_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(idx(200, 4, 4, data=bytes(i * 7 % 256 for i in range(3200))))[:-300])
    file = InputFile(path, path.name)
    with pytest.raises(InputError, match=r"x\.gz is cut off"):
        list(idx_pictures(file, picture_header(file, 10_000)))


def test_pictures_where_labels_should_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 3 dimensions; labels have one"):
        idx_labels(stored(tmp_path / "x", idx(1, 2, 2, data=b"1234")), 100)
    assert idx_header(stored(tmp_path / "x", idx(1, 2, 2, data=b"1234")), 100).entry == 4
