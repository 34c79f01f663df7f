"""From pairs of text to the Arrow file of a cache, block by block."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from seq2see.config.settings import DataSettings
from seq2see.data.streams import nothing
from seq2see.data.tally import Pair, Places
from seq2see.text.tokeniser import TokeniserPair

FORMAT = 1
ARROW_FILE = "pairs.arrow"
BLOCK_ROWS = 4_096
CHUNK_CHARACTERS = 1 << 22  # encoded at once, so that a few enormous texts do not fill the memory

Row = tuple[list[int], list[int], int]  # source, target, line


@dataclass
class CacheReport:
    """What became of the pairs. Pieces are counted without the special ones."""

    read: int = 0
    kept: int = 0
    too_long: Places = field(default_factory=Places)  # a side over ``max_pieces``
    unequal: Places = field(default_factory=Places)  # sides over ``max_ratio`` apart
    source_pieces: int = 0
    target_pieces: int = 0
    longest_source: int = 0
    longest_target: int = 0

    @staticmethod
    def of(rows: Sequence[Row]) -> "CacheReport":
        report = CacheReport(read=len(rows))
        report.keep(rows)
        return report

    def keep(self, rows: Sequence[Row]) -> None:
        self.kept += len(rows)
        for source, target, _ in rows:
            self.source_pieces += len(source)
            self.target_pieces += len(target)
            self.longest_source = max(self.longest_source, len(source))
            self.longest_target = max(self.longest_target, len(target))

    def sentences(self) -> list[str]:
        """What was dropped; empty when nothing was."""
        told = []
        if self.too_long.count:
            told.append(f"dropped: longer than data.max_pieces: {self.too_long.count:,} ({self.too_long})")
        if self.unequal.count:
            told.append(f"dropped: sides differ by over data.max_ratio: {self.unequal.count:,} ({self.unequal})")
        return told

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> "CacheReport":
        places = {name: Places(**data[name]) for name in ("too_long", "unequal")}
        return CacheReport(**{**data, **places})


def schema(source_vocabulary: int, target_vocabulary: int) -> pa.Schema:
    """16 bits an id where the vocabulary allows it."""
    kinds = [pa.uint16() if size <= 1 << 16 else pa.int32() for size in (source_vocabulary, target_vocabulary)]
    return pa.schema(
        [("source", pa.list_(kinds[0])), ("target", pa.list_(kinds[1])), ("line", pa.int64())],
        metadata={"format": str(FORMAT)},
    )


def batch_of(rows: Sequence[Row], columns: pa.Schema) -> pa.RecordBatch:
    arrays = [
        _list_array([row[0] for row in rows], columns.field("source").type),
        _list_array([row[1] for row in rows], columns.field("target").type),
        pa.array([row[2] for row in rows], pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=columns)


def _list_array(sequences: list[list[int]], kind: pa.ListType) -> pa.ListArray:
    flat = array("H" if kind.value_type == pa.uint16() else "i", chain.from_iterable(sequences))
    offsets = array("i", accumulate(map(len, sequences), initial=0))
    values = pa.Array.from_buffers(kind.value_type, len(flat), [None, pa.py_buffer(flat)])
    places = pa.Array.from_buffers(pa.int32(), len(offsets), [None, pa.py_buffer(offsets)])
    return pa.ListArray.from_arrays(places, values)


def write_arrow(
    pairs: Iterable[Pair],
    tokenisers: TokeniserPair,
    rules: DataSettings,
    path: Path,
    check: Callable[[], None] = nothing,
    *,
    cut: bool = False,
) -> CacheReport:
    """Encode and write; memory is a block of rows and a chunk of texts. ``cut``: see `build_cache`."""
    report = CacheReport()
    columns = schema(tokenisers.source.size, tokenisers.target.size)
    waiting: list[Row] = []
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, columns) as writer:
        for chunk in _chunks(pairs):
            check()
            rows = list(_fitting(chunk, tokenisers, rules, report, cut))
            report.keep(rows)
            waiting += rows
            while len(waiting) >= BLOCK_ROWS:
                writer.write_batch(batch_of(waiting[:BLOCK_ROWS], columns))
                del waiting[:BLOCK_ROWS]
        if waiting:
            writer.write_batch(batch_of(waiting, columns))
    return report


def usable_rows(
    pairs: Iterable[Pair], tokenisers: TokeniserPair, rules: DataSettings, check: Callable[[], None] = nothing
) -> Iterator[tuple[list[int], list[int]]]:
    """What a cache of the pairs would hold, without writing it."""
    report = CacheReport()
    for chunk in _chunks(pairs):
        check()
        yield from ((source, target) for source, target, _ in _fitting(chunk, tokenisers, rules, report, False))


def _chunks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    chunk: list[Pair] = []
    characters = 0
    for pair in pairs:
        chunk.append(pair)
        characters += len(pair.source) + len(pair.target)
        if len(chunk) == BLOCK_ROWS or characters >= CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _fitting(
    chunk: list[Pair], tokenisers: TokeniserPair, rules: DataSettings, report: CacheReport, cut: bool
) -> Iterator[Row]:
    report.read += len(chunk)
    sources = tokenisers.source.encode_ids([pair.source for pair in chunk])
    targets = tokenisers.target.encode_ids([pair.target for pair in chunk])
    for pair, source, target in zip(chunk, sources, targets, strict=True):
        shorter, longer = sorted((len(source), len(target)))
        if longer > rules.max_pieces:
            report.too_long.add(pair.line)
            if cut:
                yield source[: rules.max_pieces], target[: rules.max_pieces], pair.line
        elif rules.max_ratio and longer > rules.max_ratio * shorter:
            report.unequal.add(pair.line)
        else:
            yield source, target, pair.line
