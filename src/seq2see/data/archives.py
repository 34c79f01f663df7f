"""Files of a folder, a tar or a zip, read one by one where they lie; nothing is ever unpacked onto the disk.

An archive from a stranger can name places outside its folder, hold links and devices, state or hold more than any
disk has, or name a file twice. Whatever is not a plain file under a plain name ends the reading with its name;
sizes are checked before they are allocated, what is really read is counted, and nothing is skipped in silence.
"""

import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

from seq2see.data.streams import GZIP, InputFile, head, nothing, unreadable
from seq2see.errors import InputError

Kind = Literal["folder", "tar", "zip"]

MOST_MEMBERS = 2_000_000
MOST_MEMBER_BYTES = 1 << 27  # of one file in it, which is held in memory
ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_TAR_MAGIC_AT = 257
_MOST_DIRECTORY = 1 << 28  # bytes of the table of contents of a zip file
_END_OF_ZIP = 22 + 65_535  # a zip file's last record, and the longest comment behind it
_STEP = 1 << 20
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, OSError, ValueError, OverflowError)
_ODD = (NotImplementedError, RuntimeError, RecursionError, LookupError, TypeError)  # … and what bad headers lead to


@dataclass(frozen=True)
class Member:
    """A file of a folder or an archive. ``name`` is its path below it, with slashes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Archive:
    """A folder, or a file that holds files. ``most_bytes`` bounds what is read of it in one pass."""

    file: InputFile
    kind: Kind
    most_bytes: int

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.file.name

    def members(
        self, wanted: Callable[[str], bool] = lambda name: True, check: Callable[[], None] = nothing
    ) -> Iterator[Member]:
        """The files whose names are wanted, in the order in which they are stored (of a folder: by name).

        The names of the others are checked all the same.

        Raises:
            InputError: a name leads outside, occurs twice, or is a link's or a device's; there are too many files
                or bytes; or the archive is damaged.
        """
        match self.kind:
            case "folder":
                return _of_folder(self, wanted, check)
            case "tar":
                return _of_tar(self, wanted, check)
            case "zip":
                return _of_zip(self, wanted, check)


def archive_kind(path: Path) -> Kind | None:
    """What lies at ``path``, by its first bytes and not by its name; None for any other file.

    Raises:
        InputError: it is not there, or may not be read.
    """
    if path.is_dir():
        return "folder"
    start = head(InputFile(path, str(path)), 512)
    if start.startswith((ZIP, _EMPTY_ZIP)):
        return "zip"
    if start.startswith(GZIP):
        try:
            with gzip.open(path) as unpacked:
                start = unpacked.read(512)
        except (OSError, EOFError, zlib.error):
            return None
    return "tar" if start[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar" else None


def safe_name(name: str, where: str) -> str:
    """A member's name as a plain path below the archive.

    Raises:
        InputError: it is absolute, has a drive or leads upwards.
    """
    parts = PurePosixPath(name).parts
    bad = not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or ":" in parts[0]
    if bad:
        raise InputError(f"{where} holds a file named {name!r:.120}, which would lie outside its folder: it is refused")
    return "/".join(parts)


class _Names:
    """The names met so far: not too many, none twice."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._known: set[str] = set()

    def add(self, name: str) -> str:
        plain = safe_name(name, self._where)
        if plain in self._known:
            raise InputError(f"{self._where} holds two files named {plain!r:.120}; which is meant is not clear")
        if len(self._known) == MOST_MEMBERS:
            raise InputError(f"{self._where} holds more than {MOST_MEMBERS:,} files; pack them into several")
        self._known.add(plain)
        return plain


class _Room:
    """How many bytes may still come out of an archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._left = archive.most_bytes

    def take(self, count: int, name: str) -> None:
        """Raise if a file of that size may not be read any more."""
        if not 0 <= count <= MOST_MEMBER_BYTES:
            raise InputError(
                f"{self._archive.name}: the file {name!r:.120} unpacks to {count:,} bytes; at most "
                f"{MOST_MEMBER_BYTES:,} are read"
            )
        self._left -= count
        if self._left < 0:
            raise InputError(
                f"{self._archive.name} unpacks to more than {self._archive.most_bytes:,} bytes "
                "(data.max_unpacked_bytes); it is refused"
            )


@contextmanager
def _whole(archive: Archive) -> Iterator[None]:
    """Whatever the readers of the standard library find wrong is one error that names the archive."""
    try:
        yield
    except (*_BROKEN, *_ODD) as error:
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"{archive.name} cannot be read as a {archive.kind} file: it is damaged or cut off ({said}). Fetch it again"
        ) from None


def _of_folder(archive: Archive, wanted: Callable[[str], bool], check: Callable[[], None]) -> Iterator[Member]:
    room, root = _Room(archive), archive.file.path
    for number, path in enumerate(_files_below(root)):
        if number == MOST_MEMBERS:
            raise InputError(f"{archive.name} holds more than {MOST_MEMBERS:,} files; give a smaller folder")
        check()
        name = path.relative_to(root).as_posix()
        if not wanted(name):
            continue
        try:
            room.take(path.stat().st_size, name)
            yield Member(name, path.read_bytes())
        except OSError as error:
            raise unreadable(str(path), error) from None


def _files_below(root: Path) -> Iterator[Path]:
    """Plain files, folder by folder in the order of their names; links to folders are not followed."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())


def _of_tar(archive: Archive, wanted: Callable[[str], bool], check: Callable[[], None]) -> Iterator[Member]:
    names, room = _Names(archive.name), _Room(archive)
    with _whole(archive), archive.file.path.open("rb") as file:
        content: io.BufferedIOBase = gzip.GzipFile(fileobj=file) if head(archive.file).startswith(GZIP) else file
        stream = _Forward(content, archive)
        with tarfile.TarFile(fileobj=stream, errorlevel=2) as tar:
            for entry in tar:
                check()
                if entry.isdir():
                    safe_name(entry.name, archive.name)
                    continue
                if not entry.isreg() or entry.sparse is not None:
                    raise InputError(
                        f"{archive.name}: {entry.name!r:.120} is a link, a device or the like; "
                        "an archive of pictures holds plain files only"
                    )
                name = names.add(entry.name)
                room.take(entry.size, name)
                data = tar.extractfile(entry)
                if wanted(name) and data is not None:
                    yield Member(name, _exactly(data.read(), entry.size, name))
                cast(Any, tar).members.clear()  # it would keep a description of every file
            if stream.last.count(0) != tarfile.BLOCKSIZE:
                raise EOFError("the mark at its end is missing")


def _exactly(data: bytes, size: int, name: str) -> bytes:
    if len(data) != size:
        raise EOFError(f"{name} has {len(data):,} of {size:,} bytes")
    return data


class _Forward(io.RawIOBase):
    """A stream that ``tarfile`` may only read forwards, in moderate bites, and not without end."""

    def __init__(self, content: io.BufferedIOBase, archive: Archive) -> None:
        self._content = content
        self._at = 0
        self._archive = archive
        self.last = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._at:
            raise tarfile.ReadError("a header points backwards")
        while self._at < offset and self.read(min(_STEP, offset - self._at)):
            pass
        return self._at

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_MEMBER_BYTES:
            raise tarfile.ReadError(f"a header states {size:,} bytes")
        data = self._content.read(size)
        self._at += len(data)
        self.last = data
        # Headers and padding are small beside what they stand for, unless somebody means harm.
        if self._at > 2 * self._archive.most_bytes + (1 << 24):
            raise tarfile.ReadError(f"more than {2 * self._archive.most_bytes:,} bytes come out of it")
        return data


def _of_zip(archive: Archive, wanted: Callable[[str], bool], check: Callable[[], None]) -> Iterator[Member]:
    names, room = _Names(archive.name), _Room(archive)
    with _whole(archive):
        _check_directory(archive)
        with zipfile.ZipFile(archive.file.path) as packed:
            for entry in packed.infolist():
                check()
                if entry.is_dir():
                    safe_name(entry.filename, archive.name)
                    continue
                _check_plain(entry, archive)
                name = names.add(entry.filename)
                room.take(entry.file_size, name)
                if wanted(name):
                    with packed.open(entry) as content:
                        yield Member(name, _exactly(content.read(entry.file_size + 1), entry.file_size, name))


def _check_plain(entry: zipfile.ZipInfo, archive: Archive) -> None:
    mode = entry.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise InputError(
            f"{archive.name}: {entry.filename!r:.120} is a link, a device or the like; "
            "an archive of pictures holds plain files only"
        )
    if entry.flag_bits & 0x1:
        raise InputError(f"{archive.name}: {entry.filename!r:.120} is encrypted; pack it without a password")


def _check_directory(archive: Archive) -> None:
    """Refuse a zip file whose table of contents would fill the memory before its entries could be counted."""
    with archive.file.path.open("rb") as file:
        file.seek(0, io.SEEK_END)
        file.seek(max(0, file.tell() - _END_OF_ZIP))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    size = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    wide = tail.rfind(b"PK\x06\x06")  # the record of zip64, should it be there
    if wide >= 0:
        size = max(size if size < 0xFFFFFFFF else 0, int.from_bytes(tail[wide + 40 : wide + 48], "little"))
    if size > _MOST_DIRECTORY:
        raise InputError(
            f"{archive.name} has a table of contents of {size:,} bytes; pack the files into several archives"
        )


def read_member(archive: Archive, name: str) -> bytes | None:
    """One file of an archive, or None where there is none of that name."""
    found = (member.data for member in archive.members(lambda each: each == name))
    return next(found, None)
