import gc
import gzip
import io
import os
import threading
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest

from seq2see.data.streams import BLOCK_BYTES, blocks, input_file, stream_blocks
from seq2see.errors import InputError, Seq2seeError

TEXT = b"".join(b"line %d\n" % number for number in range(50_000))


def zstandard(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


class _Stdin:
    """Standard input with these bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self.buffer = io.BufferedReader(stream)  # type: ignore[type-var]


@pytest.mark.parametrize("name", ["a.txt", "a.gz", "a.zst", "no-suffix"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress, zstandard])
def test_content_is_told_by_its_first_bytes_not_by_its_name(tmp_path: Path, name: str, packed) -> None:
    path = tmp_path / name
    path.write_bytes(packed(TEXT))
    found = list(blocks(input_file(path)))
    assert b"".join(found) == TEXT
    assert max(map(len, found)) <= BLOCK_BYTES


@pytest.mark.parametrize("packed", [gzip.compress, zstandard])
def test_streams_written_one_behind_the_other_are_one(tmp_path: Path, packed) -> None:
    path = tmp_path / "two"
    path.write_bytes(packed(b"one\n") + packed(b"two\n"))
    assert b"".join(blocks(input_file(path))) == b"one\ntwo\n"


@pytest.mark.parametrize("packed", [gzip.compress, zstandard])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_compressed_stream_that_is_cut_off_is_said(tmp_path: Path, packed, share: float) -> None:
    path = tmp_path / "cut"
    whole = packed(TEXT)
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"cut is cut off: .* Fetch or compress the file again"):
        list(blocks(input_file(path)))


@pytest.mark.parametrize("place", [20, -6])
def test_a_damaged_gzip_stream_is_said(tmp_path: Path, place: int) -> None:
    path = tmp_path / "flipped.gz"
    content = bytearray(gzip.compress(TEXT))
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"flipped\.gz is damaged"):
        list(blocks(input_file(path)))


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"PK\x03\x04", "save the sheet as CSV"),
        (b"%PDF-1.7", "a PDF document"),
        (b"BZh91AY", r"only \.gz and \.zst are read"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, start: bytes, said: str) -> None:
    path = tmp_path / "renamed.tsv"
    path.write_bytes(start + b"\0\1\2\3")
    with pytest.raises(InputError, match=rf"renamed\.tsv is .*{said}"):
        list(blocks(input_file(path)))


def test_missing_folder_and_impossible_names_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, said in [
        (tmp_path / "none", "There is no file"),
        (tmp_path, "is a folder"),
        (tmp_path / "file" / "inside", "There is no file"),
        ("a\0b", "cannot be the name of a file"),
    ]:
        with pytest.raises(InputError, match=said):
            input_file(path)


def test_a_file_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.tsv"
    path.write_text("a\tb\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, whom nothing is refused
    with pytest.raises(InputError, match=r"secret\.tsv may not be read: permission denied"):
        input_file(path)


def test_standard_input_is_kept_for_reading_twice_and_then_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", _Stdin(io.BytesIO(gzip.compress(TEXT))))
    file = input_file("-")
    assert file.name == "standard input"
    assert b"".join(blocks(file)) == b"".join(blocks(file)) == TEXT
    path = file.path
    assert path.exists()
    del file
    gc.collect()
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_kept_for_reading_twice(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(TEXT,))
    writer.start()
    file = input_file(pipe)
    writer.join()
    assert b"".join(blocks(file)) == b"".join(blocks(file)) == TEXT
    assert file.name == str(pipe)


def test_no_room_for_the_copy_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.stdin", _Stdin(io.BytesIO(TEXT)))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    class Full(io.BytesIO):
        name = str(tmp_path / "copy")

        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", lambda **_: Full())
    with pytest.raises(Seq2seeError, match=r"No space left on device.*TMPDIR") as error:
        input_file("-")
    assert error.value.exit_code == 1


def test_no_standard_input_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="there is none"):
        input_file("-")


def test_a_stream_gives_what_has_come_before_the_rest_is_there() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as writer:  # noqa: PTH123
        writer.write(b"first\n")
        content = stream_blocks(stream, "the pipe")
        assert next(content) == b"first\n"  # would block for ever if it waited for a whole block
        writer.write(b"second\n")
        assert next(content) == b"second\n"


@pytest.mark.parametrize("packed", [bytes, gzip.compress, zstandard])
def test_an_unseekable_stream_is_read_compressed_or_not(packed) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise OSError(29, "Illegal seek")

        def tell(self) -> int:
            raise OSError(29, "Illegal seek")

    assert b"".join(stream_blocks(io.BufferedReader(Pipe(packed(TEXT))), "the pipe")) == TEXT  # type: ignore[type-var]
