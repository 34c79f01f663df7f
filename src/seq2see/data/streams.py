"""Where bytes come from: a plain, gzip or Zstandard file, or standard input.

What a file holds is told by its first bytes, not by its name. Every fault (missing, a folder, not allowed,
cut off, a picture) is one `InputError` that names the file and what would work.
"""

import gzip
import io
import os
import select
import stat
import sys
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from seq2see.errors import InputError, Seq2seeError

BLOCK_BYTES = 1 << 20
STANDARD_INPUT = "standard input"

_PATIENCE = 0.2  # seconds after which a stream that is silent is looked at again for a signal

GZIP = b"\x1f\x8b"
ZSTANDARD = b"\x28\xb5\x2f\xfd"
PARQUET = b"PAR1"

_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG", "a PNG picture", ""),
    (b"\xff\xd8\xff", "a JPEG picture", ""),
    (b"GIF8", "a GIF picture", ""),
    (b"%PDF", "a PDF document", "save its text as TSV, CSV or JSON Lines"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "save the sheet as CSV, or unpack the archive"),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "save the sheet as CSV"),
    (b"BZh", "compressed by bzip2", "only .gz and .zst are read: unpack it first"),
    (b"\xfd7zXZ", "compressed by xz", "only .gz and .zst are read: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (b"ARROW1", "an Arrow file", "save it as Parquet, TSV, CSV or JSON Lines"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"\x7fELF", "a program", ""),
)


def nothing() -> None:
    """The ``check`` of a caller that never stops early."""


@dataclass(frozen=True)
class InputFile:
    """A file that exists and can be read again and again.

    ``name`` is what a person calls it; ``spooled`` keeps a temporary copy for as long as this object lives.
    """

    path: Path
    name: str
    spooled: object = None


class _Spool:
    """Removes the temporary copy of a stream when the last user of it is gone, or when Python ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        weakref.finalize(self, _remove, path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def input_file(path: str | Path, check: Callable[[], None] = nothing) -> InputFile:
    """The file at ``path``; ``-`` and pipes, which can be read once, are copied to a temporary file first.

    Raises:
        InputError: there is no such file, it is a folder, or it may not be read.
        Seq2seeError: there is no room for the copy.
    """
    path = Path(path)
    if str(path) == "-":
        return _spool(standard_input(), STANDARD_INPUT, check)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if stat.S_ISREG(mode):
            with path.open("rb"):
                return InputFile(path, str(path))
        with path.open("rb") as pipe:
            return _spool(pipe, str(path), check)
    except OSError as error:
        raise unreadable(str(path), error) from None
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{str(path)!r} cannot be the name of a file: {error}.") from None


def standard_input() -> io.BufferedReader:
    if sys.stdin is None:
        raise InputError('"-" means standard input, but there is none. Give the path of a file.')
    return cast(io.BufferedReader, sys.stdin.buffer)


def unreadable(name: str, error: OSError) -> InputError:
    """What a person is told when the operating system refuses to read."""
    match error:
        case FileNotFoundError():
            return InputError(f"There is no file {name}. Check the path.")
        case IsADirectoryError():
            return InputError(f"{name} is a folder; give one file: TSV, CSV, JSON Lines, Parquet, or two text files.")
        case PermissionError():
            return InputError(f"{name} may not be read: permission denied.")
        case NotADirectoryError():
            return InputError(f"There is no file {name}: a part of the path is a file, not a folder.")
        case _:
            return InputError(f"{name} cannot be read: {error.strerror or error}.")


def _spool(stream: BinaryIO, name: str, check: Callable[[], None]) -> InputFile:
    with tempfile.NamedTemporaryFile(prefix="seq2see-", suffix=".input", delete=False) as copy:
        spool = _Spool(Path(copy.name))
        while block := _next_block(stream, check):
            check()
            try:
                copy.write(block)
            except OSError as error:
                raise Seq2seeError(
                    f"{name} could not be copied to {copy.name}: {error.strerror}. It is read more than "
                    "once, so a copy is needed; free some room there, or set TMPDIR to a folder with more."
                ) from None
    return InputFile(spool.path, name, spool)


def _next_block(stream: BinaryIO, check: Callable[[], None]) -> bytes:
    """What has come so far; while nothing comes, ``check`` is asked whether to go on waiting."""
    with suppress(io.UnsupportedOperation):  # no stream of the system's
        descriptor = stream.fileno()
        while os.name == "posix" and not select.select([descriptor], [], [], _PATIENCE)[0]:
            check()
    # At most one read of the system, which cannot wait now: nothing is left in the buffer by the one before.
    return cast(io.BufferedReader, stream).read1(BLOCK_BYTES)


def head(file: InputFile, size: int = 8) -> bytes:
    """The first bytes, as stored."""
    try:
        with file.path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise unreadable(file.name, error) from None


def blocks(file: InputFile) -> Iterator[bytes]:
    """The content, decompressed, in blocks of at most `BLOCK_BYTES`.

    Raises:
        InputError: it is no text (a picture, an archive), or its compressed stream is damaged or cut off.
    """
    try:
        with file.path.open("rb") as stream:
            yield from stream_blocks(stream, file.name)
    except OSError as error:
        raise unreadable(file.name, error) from None


def stream_blocks(stream: io.BufferedReader, name: str) -> Iterator[bytes]:
    """Like `blocks`, from an open stream, as soon as something has come; memory is one block."""
    start = stream.peek(16)[:16]
    _refuse_foreign(start, name)
    done = 0
    with _decompressed(stream, start) as read:
        while True:
            try:
                block = read(BLOCK_BYTES)
            except (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowException, OSError) as error:
                if start.startswith((GZIP, ZSTANDARD)):
                    raise _damaged(name, error, done) from None
                raise
            if not block:
                return
            done += len(block)
            yield block


@contextmanager
def _decompressed(stream: io.BufferedReader, start: bytes) -> Iterator[Callable[[int], bytes]]:
    with ExitStack() as stack:
        if start.startswith(GZIP):
            yield stack.enter_context(gzip.GzipFile(fileobj=stream, mode="rb")).read1
        elif start.startswith(ZSTANDARD):
            source = pa.PythonFile(stream, mode="r")
            yield stack.enter_context(pa.CompressedInputStream(source, "zstd")).read
        else:
            yield stream.read1


def _damaged(name: str, error: Exception, done: int) -> InputError:
    cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
    what = "is cut off" if cut else f"is damaged ({error})"
    return InputError(
        f"{name} {what}: its compressed stream cannot be read after {done:,} bytes of text. "
        "Fetch or compress the file again."
    )


def _refuse_foreign(start: bytes, name: str) -> None:
    for magic, what, way_out in _FOREIGN:
        if start.startswith(magic):
            advice = way_out or "give text in TSV, CSV, JSON Lines or Parquet, or two text files"
            raise InputError(f"{name} is {what}, not text; {advice}.")
