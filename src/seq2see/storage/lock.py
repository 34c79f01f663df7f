"""One process at a time in a folder, or at a file.

The lock is the operating system's lock on a small file, which it drops when the process ends in whatever way;
the file says who holds it. Where the system has no such locks (some network disks), the file itself is the
lock, and one whose process is dead is taken over.
"""

import errno
import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from seq2see.errors import InputError
from seq2see.storage.atomic import disk_errors

LOCK = ".lock"

_ATTEMPTS = 20  # each loses only to a process that let go of the file in between


class FileLock:
    """``with FileLock(path, held):`` – nobody else holds ``held`` while the block runs; ``path`` is the lock.

    Raises:
        InputError: another process holds it (the message says which), or the lock cannot be written.
    """

    def __init__(self, path: Path, held: Path) -> None:
        self.path, self.held = path, held
        self._descriptor = -1

    def __enter__(self) -> Self:
        for _ in range(_ATTEMPTS):
            with disk_errors(self.path, 0):
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if not _hold(descriptor, self.path):
                    raise InputError(_taken(self.path, self.held))
                if _is_still(descriptor, self.path):
                    self._write_holder(descriptor)
                    self._descriptor = descriptor
                    return self
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
        raise InputError(f"{self.path} keeps changing hands: other processes use {self.held}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Unlinked while held, so that a process that opened the old file sees in _is_still that it is gone.
        with suppress(OSError):
            self.path.unlink()
        os.close(self._descriptor)
        with suppress(OSError):
            if os.name == "nt":
                self.path.unlink(missing_ok=True)

    def _write_holder(self, descriptor: int) -> None:
        holder = json.dumps({"host": socket.gethostname(), "pid": os.getpid()})
        with disk_errors(self.path, len(holder)):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, holder.encode())


class FolderLock(FileLock):
    """``with FolderLock(folder):`` – nobody else holds this folder while the block runs. See :class:`FileLock`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / LOCK, folder)


def _hold(descriptor: int, path: Path) -> bool:
    """Try to take the lock without waiting."""
    try:
        _system_lock(descriptor)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}:
            return False
        if error.errno in {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}:
            return not _holder_lives(path)
        raise
    return True


if sys.platform == "win32":
    import msvcrt

    def _system_lock(descriptor: int) -> None:
        # Far behind the content, because Windows also forbids reading what is locked.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _system_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether ``path`` is the file that was locked: its last holder may have removed it in between."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _holder(path: Path) -> tuple[str, int]:
    """Host and process number in the file; an empty host and 0 if it does not say."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        fields = json.loads(path.read_bytes()[:1_000])
        return str(fields["host"])[:100], int(fields["pid"])
    return "", 0


def _holder_lives(path: Path) -> bool:
    host, process = _holder(path)
    if host != socket.gethostname():
        return bool(host)  # on another machine nobody can tell from here
    return _is_alive(process)


def _is_alive(process: int) -> bool:
    if process <= 0:
        return False
    if os.name == "nt":
        return True  # os.kill would end the process there instead of asking
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _taken(path: Path, held: Path) -> str:
    host, process = _holder(path)
    who = f"process {process} on {host}" if host else "another process"
    return (
        f"{held} is in use by {who}: wait until it ends, or give another name (if that process is gone, remove {path})"
    )
