"""A text file that grows part by part over hours, and goes on behind its last whole part after a kill.

Beside ``NAME`` stand ``NAME.part``, the text so far, and ``NAME.part.index``: in its first line what the text is,
then a line for each part, with the place in bytes where the part ends. A part counts once its line is whole.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from seq2see.errors import InputError
from seq2see.storage.atomic import disk_errors, sync_folder
from seq2see.storage.lock import FileLock

_LONGEST = 1 << 16  # bytes of an index's first line
_END = b"end\n"


class GrowingFile:
    """``with GrowingFile(path, what) as file:`` then ``file.append(part)``, and ``file.finish()`` at the end.

    ``parts`` is how many there are already; ``what`` says in one line what the text is, and has to be the same
    when the work goes on.

    Raises:
        InputError: there is a part of something else, another process is writing it, or the place cannot be written.
        Seq2seeError: the disk is full.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = Path(os.path.realpath(path)), what
        self.text = self.path.with_name(self.path.name + ".part")
        self.index = self.path.with_name(self.path.name + ".part.index")
        self.parts = 0
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), self.text)
        self._files: tuple[BinaryIO, BinaryIO] | None = None

    @property
    def complete(self) -> bool:
        """Whether the last part is there and was said to be the last."""
        if not self.index.is_file() or self.index.stat().st_size < len(_END):
            return False
        with self.index.open("rb") as file:
            file.seek(-len(_END), os.SEEK_END)
            return file.read() == _END

    def __enter__(self) -> Self:
        with ExitStack() as until_failure:
            until_failure.enter_context(self._lock)
            self._open()
            until_failure.pop_all()
        return self

    def _open(self) -> None:
        with disk_errors(self.path, 0):
            header = self.what.encode() + b"\n"
            self.parts, end, known = 0, 0, 0
            if self.index.exists():
                for end in self._ends(header):
                    self.parts += 1
                    known += len(b"%d\n" % end)
            elif self.text.exists() and self.text.stat().st_size:
                raise InputError(f"{self.text} is there, and no part of this work; move it away, or give another name")
            if end and (not self.text.exists() or self.text.stat().st_size < end):
                raise InputError(f"{self.text} is shorter than {self.index} says; remove both to begin anew")
            text, index = (path.open("r+b" if path.exists() else "x+b") for path in (self.text, self.index))
            self._files = text, index
            text.truncate(end)
            text.seek(end)
            if index.seek(0, os.SEEK_END) < len(header):
                index.truncate(0)
                index.seek(0)
                index.write(header)
            else:
                index.truncate(len(header) + known)
                index.seek(0, os.SEEK_END)
            self._flush()

    def append(self, part: str) -> None:
        """One more part. When this returns, it survives a loss of power."""
        assert self._files is not None
        text, index = self._files
        with disk_errors(self.path, len(part)):
            text.write(part.encode())
            text.flush()
            os.fsync(text.fileno())
            index.write(b"%d\n" % text.tell())
            self._flush()
        self.parts += 1

    def close(self) -> None:
        """No more parts will come: the text is complete, under its temporary name."""
        assert self._files is not None
        with disk_errors(self.path, 0):
            self._files[1].write(_END)
            self._flush()
            for file in self._files:
                file.close()

    def finish(self) -> None:
        """The text is complete: it appears under its name."""
        self.close()
        with disk_errors(self.path, 0):
            self.text.replace(self.path)
            self.remove()
            sync_folder(self.path.parent)

    def remove(self) -> None:
        """Take away what stands beside the file."""
        for path in (self.text, self.index):
            with suppress(FileNotFoundError):
                path.unlink()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            for file in self._files or ():
                with suppress(OSError) if error is not None else nullcontext():  # the disk may still be full
                    file.close()
            if error is not None and not self.parts:
                self.remove()  # there is nothing to go on with
        finally:
            self._lock.__exit__(kind, error, traceback)

    def read(self) -> Iterator[bytes]:
        """The parts of a complete text, one after the other."""
        start = 0
        with self.text.open("rb") as text:
            for end in self._ends(self.what.encode() + b"\n"):
                yield text.read(end - start)
                start = end

    def _ends(self, header: bytes) -> Iterator[int]:
        """Where the parts end; a last line that was cut off does not count."""
        with self.index.open("rb") as file:
            found = file.readline(_LONGEST)
            if found != header and found.endswith(b"\n"):
                raise InputError(
                    f"{self.text} holds the beginning of other answers (another run, input or way of answering); "
                    f"remove it and {self.index.name}, or give another name for the output"
                )
            last = 0
            for line in file:
                if not line.endswith(b"\n") or not line[:-1].isdigit() or int(line) < last:
                    return
                last = int(line)
                yield last

    def _flush(self) -> None:
        assert self._files is not None
        self._files[1].flush()
        os.fsync(self._files[1].fileno())
