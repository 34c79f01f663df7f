"""Files and folders that are there whole or not at all, whatever ends the process or the power.

New content gets a temporary name in the same folder, is flushed to the disk, and is renamed into place; then
the folder itself is flushed, so that the new name survives too. Every write goes through ``os.write``,
``os.fsync`` and a rename: the tests kill the process at each of them.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

from seq2see.errors import InputError, Seq2seeError

TEMPORARY = ".tmp-"  # being written: worthless after a crash
REPLACED = ".old-"  # a folder moved out of its successor's way: moved back if the successor never came

_BINARY: int = getattr(os, "O_BINARY", 0)  # Windows only
_CHUNK = 1 << 24  # bytes given to one write; some systems refuse more than 2^31
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EACCES, errno.EPERM, errno.EBADF, errno.EOPNOTSUPP, errno.EISDIR}


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace the content of ``path``: a reader sees the old content or the new, never a part. Text is UTF-8.

    What is not a plain file (a terminal, a pipe, a device) is written to directly: renaming over it would
    destroy it. A symbolic link stays, and its target is replaced.

    Raises:
        Seq2seeError: the disk is full, or the folder is gone.
        InputError: the folder is read-only or not a folder.
    """
    content = data.encode() if isinstance(data, str) else data
    write_parts_atomic(path, [memoryview(content)], len(content))


def write_parts_atomic(path: Path, parts: Iterable[memoryview], need: int) -> None:
    """:func:`write_atomic` for content that comes in parts, ``need`` bytes together."""
    with disk_errors(path, need):
        target = Path(os.path.realpath(path))
        if is_stream(path):
            _write_through(path, parts)
            return
        temporary = target.with_name(_temporary_name(TEMPORARY, target.name))
        try:
            _write_synced(temporary, parts)
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(target.parent)


@contextmanager
def atomic_text(path: Path) -> Iterator[TextIO]:
    """A text file to write line by line, which appears under its name only when the block has ended without error.

    UTF-8, lines end in a line feed. What is not a plain file is written to directly, and a symbolic link stays,
    as with :func:`write_atomic`; the same errors are raised.
    """
    target = Path(os.path.realpath(path))
    direct = is_stream(path)
    written = path if direct else target.with_name(_temporary_name(TEMPORARY, target.name))
    with disk_errors(path, 0):
        try:
            with written.open("a" if direct else "x", encoding="utf-8", newline="\n") as file:
                yield file
                file.flush()
                if not direct:
                    os.fsync(file.fileno())
            if not direct:
                written.replace(target)
        except BaseException:
            if not direct:
                with suppress(OSError):
                    written.unlink()
            raise
        if not direct:
            sync_folder(target.parent)


def is_stream(path: Path) -> bool:
    """Whether to write into it as it is: ``/dev/stdout`` may lead to a plain file that others are writing to."""
    target = Path(os.path.realpath(path))
    return (target.exists() and not target.is_file()) or path.absolute().parts[:2] in (("/", "dev"), ("/", "proc"))


def check_place(path: Path, inputs: Iterable[str | Path | None] = (), endings: Sequence[str] = ()) -> None:
    """Refuse a file that could not be written, before the work whose outcome should go there.

    Args:
        inputs: what is read; none of these files is written over.
        endings: those that the name may have; empty: any.

    Raises:
        InputError: it is a folder, its folder is not there, one may not write there, it is an input, or its name
            has another ending.
    """
    if endings and path.suffix.lower() not in endings:
        raise InputError(
            f"{path}: a drawing is written as {' or '.join(endings)}, not as {path.suffix or 'a name without ending'}"
        )
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
    if is_stream(path):
        return
    for each in inputs:
        if each is not None and _is_same(target, Path(each)):
            raise InputError(f"{path} is what is to be read, and would be written over; give another name")
    if not target.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {target.parent}; make it first")
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"cannot write {path}: permission denied; give a folder that can be written")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # one of them is not there, or no path at all
        return False


def _write_synced(path: Path, parts: Iterable[memoryview]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    try:
        for part in parts:
            _write_all(descriptor, part)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, view: memoryview) -> None:
    while view:
        view = view[os.write(descriptor, view[:_CHUNK]) :]


def _write_through(target: Path, parts: Iterable[memoryview]) -> None:
    if target.is_dir():
        raise InputError(f"{target} is a folder; give the name of a file")
    descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | _BINARY)
    try:
        for part in parts:
            _write_all(descriptor, part)
    finally:
        os.close(descriptor)


class AtomicFolder:
    """A folder that appears under its name only when all of it is on the disk.

    ``with AtomicFolder(final) as temporary:`` fills ``temporary``, a new folder beside ``final``. Leaving the
    block without an error flushes every file and renames the folder; leaving it with one removes it. An older
    ``final`` is replaced; should a crash come between the two renames, :func:`clean_leftovers` puts it back.

    Raises:
        Seq2seeError: the disk is full, or the parent folder is gone.
        InputError: the parent folder is read-only.
    """

    def __init__(self, final: Path) -> None:
        self.final = final
        self.temporary = final.with_name(_temporary_name(TEMPORARY, final.name))

    def __enter__(self) -> Path:
        with disk_errors(self.final, 0):
            self.temporary.mkdir()
        return self.temporary

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            shutil.rmtree(self.temporary, ignore_errors=True)
            return
        try:
            with disk_errors(self.final, _tree_size(self.temporary)):
                self._publish()
        except BaseException:
            shutil.rmtree(self.temporary, ignore_errors=True)
            raise

    def _publish(self) -> None:
        _sync_tree(self.temporary)
        replaced = self.final.with_name(_temporary_name(REPLACED, self.final.name))
        if self.final.exists():
            self.final.rename(replaced)
        try:
            self.temporary.rename(self.final)
        except OSError:
            if replaced.exists():
                replaced.rename(self.final)
            raise
        sync_folder(self.final.parent)
        if replaced.exists():
            shutil.rmtree(replaced, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that a crash half-way leaves a leftover, never a folder that lacks some files."""
    doomed = folder.with_name(_temporary_name(TEMPORARY, folder.name))
    with disk_errors(folder, 0):
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def clean_leftovers(folder: Path) -> list[Path]:
    """Tidy up in ``folder`` after a crash; returns what was removed or put back.

    Nobody else may be writing there meanwhile.
    """
    found: list[Path] = []
    if not folder.is_dir():
        return found
    with disk_errors(folder, 0):
        for path in sorted(folder.iterdir()):
            if path.name.startswith(TEMPORARY):
                _remove(path)
            elif path.name.startswith(REPLACED):
                final = folder / path.name.removeprefix(REPLACED).rpartition("-")[0]
                if final.exists():
                    _remove(path)
                else:
                    path.rename(final)
            else:
                continue
            found.append(path)
    return found


@contextmanager
def disk_errors(path: Path, need: int) -> Iterator[None]:
    """Turn the system's errors while ``path`` is written (``need`` bytes) into sentences for people."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            needed = f"need {_size(need)}" if need else "need more"
            message = f"disk full: {needed}, have {_size(_free(path))} at {path}; make room, then go on"
            raise Seq2seeError(message) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise InputError(f"cannot write {path}: {error.strerror}; give a folder that can be written") from error
        if error.errno in {errno.ENOENT, errno.ESTALE} and not _exists(path.parent):
            raise Seq2seeError(f"cannot write {path}: the folder {path.parent} is not there (any more)") from error
        if error.errno in {errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG}:
            raise InputError(f"cannot write {path}: {error.strerror}; give another name") from error
        raise Seq2seeError(f"cannot write {path}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to the disk, where the system can (Windows and some network disks cannot)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno in _NO_FOLDER_SYNC:
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            # Windows flushes only what is open for writing.
            descriptor = os.open(path, os.O_RDWR | _BINARY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        elif path.is_dir():
            sync_folder(path)
    sync_folder(folder)


def _temporary_name(prefix: str, name: str) -> str:
    return f"{prefix}{name}-{secrets.token_hex(4)}"


def _remove(path: Path) -> None:
    if stat.S_ISDIR(path.lstat().st_mode):
        shutil.rmtree(path)
    else:
        path.unlink()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _free(path: Path) -> int:
    for place in (path, *path.parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return 0


def _tree_size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _size(count: int) -> str:
    """Bytes in words: 512 bytes, 1.5 kB, 3.2 MB."""
    if count < 1_000:
        return f"{count} bytes"
    value, units = float(count), iter(["kB", "MB", "GB", "TB"])
    unit = "bytes"
    while value >= 1_000 and (larger := next(units, None)):
        value, unit = value / 1_000, larger
    return f"{value:.1f} {unit}"
