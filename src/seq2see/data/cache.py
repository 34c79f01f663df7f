"""Token ids of a corpus in one memory-mapped Arrow file, so that a corpus may be larger than the memory.

A cache is a folder: ``pairs.arrow`` (columns ``source`` and ``target``: lists of piece numbers, without the
special ones; ``line``: where the pair stood in its file) and a manifest with size, hash and key. All record
batches but the last have `BLOCK_ROWS` rows, so that a row's number tells its place.

Shapes: N rows of the corpus; I ids, those of all rows end to end.
"""

import hashlib
import json
import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from seq2see.config.settings import DataSettings
from seq2see.data.cache_writer import (
    ARROW_FILE,
    BLOCK_ROWS,
    FORMAT,
    CacheReport,
    batch_of,
    schema,
    write_arrow,
)
from seq2see.data.reading import PairSource
from seq2see.data.streams import BLOCK_BYTES, nothing, unreadable
from seq2see.data.tally import Pair
from seq2see.errors import InputError
from seq2see.storage.atomic import AtomicFolder, disk_errors
from seq2see.storage.manifest import verify_manifest, write_manifest
from seq2see.text.tokeniser import TokeniserPair

KIND = "cache"

# The settings that decide which pairs are in; where the files lie and how they are read is in the content's hash.
_RULES = {"held_out", "held_out_most", "drop_empty", "drop_duplicates", "max_pieces", "max_ratio"}
_READS_KEPT = 64  # blocks read between two times that mapped pages are let go of


@dataclass(frozen=True)
class Ragged:
    """Sequences end to end. ``ids_I``, uint16 or int32, is a view of the file: it is only for reading."""

    ids_I: Tensor
    lengths_N: Tensor  # int64


class CachedPairs:
    """The rows of a cache, numbered from 0, read where they lie; only a table of contents is held."""

    def __init__(self, read_block: Callable[[int], pa.RecordBatch], rows: int, report: CacheReport) -> None:
        self._read_block = read_block
        self._rows = rows
        self.report = report

    @staticmethod
    def from_lists(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> "CachedPairs":
        """Rows from memory, in the same form. Lines are numbered from 1.

        Raises:
            InputError: not as many sources as targets.
        """
        if len(sources) != len(targets):
            raise InputError(f"{len(sources):,} sources and {len(targets):,} targets are no pairs.")
        rows = [(list(s), list(t), i + 1) for i, (s, t) in enumerate(zip(sources, targets, strict=True))]
        blocks = [
            batch_of(rows[start : start + BLOCK_ROWS], schema(1 << 31, 1 << 31))
            for start in range(0, len(rows), BLOCK_ROWS)
        ]
        return CachedPairs(blocks.__getitem__, len(rows), CacheReport.of(rows))

    def __len__(self) -> int:
        return self._rows

    @property
    def blocks(self) -> int:
        """How many blocks of `BLOCK_ROWS` rows there are; the last may have fewer."""
        return -(-self._rows // BLOCK_ROWS)

    def block(self, number: int, start: int = 0, stop: int | None = None) -> tuple[Ragged, Ragged]:
        """Sources and targets of one block, or of some of its rows, without copying their ids or looking at others."""
        batch = self._read_block(number)
        batch = batch.slice(start, None if stop is None else stop - start)
        return _ragged(batch.column("source")), _ragged(batch.column("target"))

    def source_lengths(self, start: int, stop: int) -> Tensor:
        """Pieces of each source of the rows from ``start`` to before ``stop``, int64; reads no ids."""
        return self._lengths("source", start, stop)

    def target_lengths(self, start: int, stop: int) -> Tensor:
        """Pieces of each target, as `source_lengths`."""
        return self._lengths("target", start, stop)

    def _lengths(self, column: str, start: int, stop: int) -> Tensor:
        first, last = start // BLOCK_ROWS, -(-stop // BLOCK_ROWS)
        found = [_lengths_of(self._read_block(number).column(column)) for number in range(first, last)]
        return torch.cat(found)[start - first * BLOCK_ROWS :][: stop - start] if found else torch.empty(0).long()

    def ids(self, rows: Iterable[int]) -> list[tuple[list[int], list[int]]]:
        """The pieces of some rows, (source, target), without special ones; for looking, not for training."""
        return [
            (batch.column("source")[place].as_py(), batch.column("target")[place].as_py())
            for batch, place in self._places(rows)
        ]

    def lines(self, rows: Iterable[int]) -> list[int]:
        """Where the pairs of these rows stood in the file they were read from."""
        return [batch.column("line")[place].as_py() for batch, place in self._places(rows)]

    def _places(self, rows: Iterable[int]) -> Iterator[tuple[pa.RecordBatch, int]]:
        number, batch = -1, None
        for row in rows:
            if row // BLOCK_ROWS != number:
                number = row // BLOCK_ROWS
                batch = self._read_block(number)
            yield batch, row % BLOCK_ROWS


class MappedBlocks:
    """The record batches of a mapped file. What was looked at is let go of again and again.

    The system counts the mapped pages that were touched as memory of the process; over an epoch that would be
    the whole file. Dropping them costs nothing: they stay in the system's own cache while there is room.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._reader = pa.ipc.open_file(pa.py_buffer(self._map))
        self._reads = 0

    def __len__(self) -> int:
        return int(self._reader.num_record_batches)

    def read(self, number: int) -> pa.RecordBatch:
        self._reads += 1
        if self._reads % _READS_KEPT == 0 and hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)
        return self._reader.get_batch(number)


def _ragged(column: pa.ListArray) -> Ragged:
    return Ragged(from_dlpack(column.flatten()), _lengths_of(column))


def _lengths_of(column: pa.ListArray) -> Tensor:
    return from_dlpack(column.offsets).diff().long()


def build_cache(
    pairs: Iterable[Pair],
    tokenisers: TokeniserPair,
    rules: DataSettings,
    path: Path,
    key: str,
    check: Callable[[], None] = nothing,
    *,
    cut: bool = False,
) -> CacheReport:
    """Write the cache folder ``path``: whole, or not at all. An older one is replaced.

    Pairs longer than ``rules.max_pieces`` or more unequal than ``rules.max_ratio`` are dropped and counted. With
    ``cut``, of a side that is too long the first pieces are kept, and the pair counts as too long all the same.
    Memory is a block of pairs. Whatever ``check`` raises ends the work and leaves nothing behind.

    Raises:
        InputError: no pair is left, or the folder cannot be written.
        Seq2seeError: the disk is full.
    """
    with disk_errors(path, 0):
        path.parent.mkdir(parents=True, exist_ok=True)
    with AtomicFolder(path) as folder:
        try:
            report = write_arrow(pairs, tokenisers, rules, folder / ARROW_FILE, check, cut=cut)
        except OSError as error:
            # How much is needed in all is not known; it is more than what is there by now.
            with disk_errors(path, 2 * (folder / ARROW_FILE).stat().st_size):
                raise error from None
        if not report.kept:
            raise InputError(
                f"No pair is left of {report.read:,}: {'; '.join(report.sentences())}. "
                "Raise data.max_pieces or data.max_ratio."
            )
        write_manifest(folder, kind=KIND, extra={"key": key, "report": report.to_json()})
    return report


def open_cache(path: Path, key: str) -> CachedPairs:
    """Map a cache into memory after checking that every byte is as it was written.

    Raises:
        InputError: there is none, it belongs to other data or settings, or it is damaged.
    """
    extra = verify_manifest(path, kind=KIND)
    if extra.get("key") != key:
        raise InputError(f"{path} was made from other data, settings or tokenisers")
    try:
        report = CacheReport.from_json(extra["report"])
        blocks = MappedBlocks(path / ARROW_FILE)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}") from None
    if len(blocks) != -(-report.kept // BLOCK_ROWS):
        raise InputError(f"{path} is damaged: it does not have the {report.kept:,} rows that its manifest names")
    return CachedPairs(blocks.read, report.kept, report)


def open_or_build(
    pairs: Iterable[Pair],
    tokenisers: TokeniserPair,
    rules: DataSettings,
    path: Path,
    key: str,
    say: Callable[[str], None],
    check: Callable[[], None] = nothing,
    *,
    cut: bool = False,
) -> CachedPairs:
    """The cache at ``path``, used again when it fits and is sound; else built, and ``say`` is told why.

    ``cut`` as in `build_cache`; ``key`` has to tell the two apart.
    """
    if path.exists():
        try:
            return open_cache(path, key)
        except InputError as error:
            say(f"The cache is built anew: {error}")
    build_cache(pairs, tokenisers, rules, path, key, check, cut=cut)
    return open_cache(path, key)


def content_hash(source: PairSource, check: Callable[[], None] = nothing) -> str:
    """SHA-256 over the bytes of the files and how they are read (kind, columns, longest line).

    Raises:
        InputError: a file is not there any more.
    """
    digest = hashlib.sha256(f"{source.kind} {source.layout!r} {source.max_line_bytes}".encode())
    for file in source.files:
        part = hashlib.sha256()
        try:
            with file.path.open("rb") as stream:
                while block := stream.read(BLOCK_BYTES):
                    check()
                    part.update(block)
        except OSError as error:
            raise unreadable(file.name, error) from None
        digest.update(part.digest())
    return digest.hexdigest()


def cache_key(content: str, rules: DataSettings, tokenisers: TokeniserPair, part: str) -> str:
    """What a cache depends on, as one SHA-256: content, rules, tokenisers, and which ``part`` of the content.

    ``content`` is a `content_hash`; ``part`` names the part so that equal text means equal pairs, for example
    ``"train without 0.05"``.
    """
    described = {
        "format": FORMAT,
        "content": content,
        "rules": rules.model_dump(mode="json", include=_RULES),
        "source": tokenisers.source.to_json(),
        "target": tokenisers.target.to_json(),
        "part": part,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
