"""Pictures of one size in one memory-mapped file, so that there may be more of them than memory.

A cache is a folder: ``pictures.bytes`` (all pictures end to end), ``entries.arrow`` (of each its name, a 64-bit hash
of its bytes, and its texts) and a manifest with size, hash and key.

Shapes: N pictures, B of them, C colour channels, H height, W width.
"""

import ctypes
import hashlib
import json
import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor

from seq2see.config.images import PictureSize
from seq2see.data.images import Named, PictureSet
from seq2see.data.pictures import Raw, fitted
from seq2see.data.streams import nothing
from seq2see.errors import InputError
from seq2see.storage.atomic import AtomicFolder, disk_errors
from seq2see.storage.manifest import verify_manifest, write_manifest

KIND = "pictures"
FORMAT = 1
_PIXELS, _ENTRIES = "pictures.bytes", "entries.arrow"
_ROWS = 4_096  # entries written at once
_READS_KEPT = 64  # readings between two times that mapped pages are let go of
_SCHEMA = pa.schema([("name", pa.string()), ("key", pa.uint64()), ("texts", pa.list_(pa.string()))])


@dataclass(frozen=True)
class Entry:
    """What is known of a picture beside its pixels; ``key`` is a hash of its bytes."""

    name: str
    key: int
    texts: tuple[str, ...]


class CachedPictures:
    """The pictures of a cache, numbered from 0, read where they lie."""

    def __init__(self, folder: Path, size: PictureSize, rows: int, damaged: Named) -> None:
        with (folder / _PIXELS).open("rb") as file:
            # Private and never written to: torch would warn of memory that it may not write.
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._pixels_NCHW = torch.frombuffer(self._map, dtype=torch.uint8).view(
            rows, size.channels, size.height, size.width
        )
        self._entries = pa.ipc.open_file(pa.memory_map(str(folder / _ENTRIES)))
        self._reads = 0
        self.damaged = damaged

    def __len__(self) -> int:
        return len(self._pixels_NCHW)

    def pictures(self, rows_B: Tensor) -> Tensor:
        """``[B, C, H, W]`` of these rows, uint8, a copy.

        The system counts the mapped pages that were touched as memory of the process; they are let go of again and
        again, which costs nothing: they stay in the system's own cache while there is room.
        """
        found_BCHW = self._pixels_NCHW[rows_B]
        self._reads += 1
        if self._reads % _READS_KEPT == 0 and hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)
        return found_BCHW

    def entries(self) -> Iterator[Entry]:
        """Of each picture in order what is known."""
        for number in range(self._entries.num_record_batches):
            for row in self._entries.get_batch(number).to_pylist():
                yield Entry(row["name"], row["key"], tuple(row["texts"]))


def picture_key(raw: Raw) -> int:
    """A stable 64-bit hash of a picture's bytes: it decides on which side of a split all its copies are."""
    digest = hashlib.blake2b(repr(raw.shape).encode(), digest_size=8)
    digest.update(raw.data)
    return int.from_bytes(digest.digest(), "big")


def cached_pictures(
    pictures: PictureSet,
    size: PictureSize,
    max_pixels: int,
    content: str,
    path: Path,
    say: Callable[[str], None],
    check: Callable[[], None] = nothing,
) -> CachedPictures:
    """The cache at ``path``, used again when it fits and is sound; else built, and ``say`` is told why.

    ``content`` is the hash of a survey. Whatever ``check`` raises ends the work and leaves nothing behind.

    Raises:
        InputError: not one picture can be decoded, or the folder cannot be written.
        Seq2seeError: the disk is full.
    """
    described = {"format": FORMAT, "content": content, "size": size.model_dump(), "max_pixels": max_pixels}
    key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    if path.exists():
        try:
            return _open(path, size, key)
        except InputError as error:
            say(f"The cache is built anew: {error}")
    with disk_errors(path, 0):
        path.parent.mkdir(parents=True, exist_ok=True)
    with AtomicFolder(path) as folder, disk_errors(path, 0):
        rows, damaged = _write(pictures, size, max_pixels, folder, check)
        if not rows:
            raise InputError(f"{pictures.name} has no picture that can be decoded: {damaged}")
        write_manifest(folder, kind=KIND, extra={"key": key, "rows": rows, "damaged": asdict(damaged)})
    return _open(path, size, key)


def _open(path: Path, size: PictureSize, key: str) -> CachedPictures:
    extra = verify_manifest(path, kind=KIND)
    if extra.get("key") != key:
        raise InputError(f"{path} was made from other pictures or settings")
    try:
        return CachedPictures(path, size, int(extra["rows"]), Named(**extra["damaged"]))
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is damaged: {error}") from None


def _write(
    pictures: PictureSet, size: PictureSize, max_pixels: int, folder: Path, check: Callable[[], None]
) -> tuple[int, Named]:
    """Decode and write; memory is a picture and some thousand names. How many there are, and what was left out."""
    rows, damaged, waiting = 0, Named(), list[Entry]()
    with (
        (folder / _PIXELS).open("wb") as pixels,
        pa.OSFile(str(folder / _ENTRIES), "wb") as file,
        pa.ipc.new_file(file, _SCHEMA) as entries,
    ):
        for raw in pictures.raws(check):
            try:
                picture_CHW = fitted(raw, size, max_pixels)
            except InputError as error:
                damaged.add(str(error))
                continue
            pixels.write(as_bytes(picture_CHW))
            waiting.append(Entry(raw.name, picture_key(raw), pictures.texts[raw.name]))
            rows += 1
            if len(waiting) == _ROWS:
                entries.write_batch(_batch(waiting))
                waiting.clear()
        if waiting:
            entries.write_batch(_batch(waiting))
    return rows, damaged


def _batch(entries: Sequence[Entry]) -> pa.RecordBatch:
    columns = [[each.name for each in entries], [each.key for each in entries], [list(each.texts) for each in entries]]
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, _SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)


def as_bytes(numbers: Tensor) -> bytes:
    """The bytes of a tensor of bytes, in its order."""
    whole = numbers.contiguous()
    return ctypes.string_at(whole.data_ptr(), whole.nbytes)
