"""Piece numbers of one long text in a memory-mapped Arrow file, so that a text may be larger than the memory.

A cache is a folder: ``text.arrow`` (one column, ``piece``; all record batches but the last have `BLOCK_PIECES`
rows, so that a piece's number tells its place) and a manifest with size, hash and key.

I pieces of the text, or of a part of it · V vocabulary
"""

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from seq2see.data.cache import KIND, MappedBlocks
from seq2see.data.streams import nothing
from seq2see.errors import InputError
from seq2see.storage.atomic import AtomicFolder, disk_errors
from seq2see.storage.manifest import verify_manifest, write_manifest
from seq2see.text.subwords import has_prefix
from seq2see.text.tokeniser import Tokeniser

FORMAT = 1
ARROW_FILE = "text.arrow"
BLOCK_PIECES = 1 << 20

_AT_ONCE = 64  # parts of text encoded together
# No piece joins a digit with what follows it: behind one, a text is cut as in the middle of a longer text.
_BEFORE = "0"


class CachedStream:
    """The pieces of a text, numbered from 0, read where they lie."""

    def __init__(self, read_block: Callable[[int], Tensor], length: int) -> None:
        self._read_block = read_block
        self._length = length

    @staticmethod
    def from_ids(ids: Sequence[int]) -> "CachedStream":
        """Pieces from memory, in the same form."""
        ids_I = torch.tensor(list(ids), dtype=torch.long)
        blocks = torch.split(ids_I, BLOCK_PIECES)
        return CachedStream(blocks.__getitem__, len(ids_I))

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int) -> Tensor:
        """The pieces from number ``start`` to before number ``stop``, int64; a copy."""
        found, at = [], start
        while at < stop:
            number, place = divmod(at, BLOCK_PIECES)
            taken = min(stop - at, BLOCK_PIECES - place)
            found.append(self._read_block(number)[place : place + taken].long())
            at += taken
        return torch.cat(found) if found else torch.empty(0, dtype=torch.long)

    def blocks(self, before: int = 0, check: Callable[[], None] = nothing) -> Iterator[tuple[Tensor, int]]:
        """All pieces, a block at a time, each with up to ``before`` pieces that stand in front of it.

        With each comes the number of those pieces; in front of the text there are none.
        """
        for start in range(0, self._length, BLOCK_PIECES):
            check()
            first = max(0, start - before)
            yield self.read(first, min(start + BLOCK_PIECES, self._length)), start - first

    def counts(self, vocabulary: int, check: Callable[[], None] = nothing) -> Tensor:
        """How often each piece occurs, ``[V]`` in int64."""
        counts_V = torch.zeros(vocabulary, dtype=torch.long)
        for ids_I, _ in self.blocks(check=check):
            counts_V += ids_I.bincount(minlength=vocabulary)
        return counts_V


def encoded(
    tokeniser: Tokeniser, parts: Iterable[str], check: Callable[[], None] = nothing, *, begins: bool = True
) -> Iterator[list[int]]:
    """The pieces of each part of one text: put end to end and decoded, they are the text.

    Sub-words put a blank before a text, so that its first word has the same pieces as inside it. Only the
    first part of a text that ``begins`` here gets it.
    """
    remaining = iter(parts)
    hidden = len(tokeniser.encode(_BEFORE).ids) if has_prefix(tokeniser.settings.kind) else 0
    while several := list(islice(remaining, _AT_ONCE)):
        check()
        if not hidden:
            yield from tokeniser.encode_ids(several)
            continue
        if begins:
            yield from tokeniser.encode_ids(several[:1])
            several, begins = several[1:], False
        yield from (ids[hidden:] for ids in tokeniser.encode_ids([_BEFORE + part for part in several]))


def build_stream(parts: Iterable[list[int]], vocabulary: int, path: Path, key: str) -> None:
    """Write the cache folder ``path``: whole, or not at all. An older one is replaced. Memory is a block.

    Raises:
        InputError: there is no piece at all, or the folder cannot be written.
        Seq2seeError: the disk is full.
    """
    with disk_errors(path, 0):
        path.parent.mkdir(parents=True, exist_ok=True)
    with AtomicFolder(path) as folder:
        try:
            length = _write(parts, vocabulary, folder / ARROW_FILE)
        except OSError as error:
            with disk_errors(path, 2 * (folder / ARROW_FILE).stat().st_size):
                raise error from None
        if not length:
            raise InputError("the text has no piece to train on: it is blank")
        write_manifest(folder, kind=KIND, extra={"key": key, "length": length})


def _write(parts: Iterable[list[int]], vocabulary: int, path: Path) -> int:
    kind, code = (pa.uint16(), "H") if vocabulary <= 1 << 16 else (pa.int32(), "i")
    schema = pa.schema([("piece", kind)], metadata={"format": str(FORMAT)})
    pieces, length = chain.from_iterable(parts), 0
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        while block := array(code, islice(pieces, BLOCK_PIECES)):
            column = pa.Array.from_buffers(kind, len(block), [None, pa.py_buffer(block)])
            writer.write_batch(pa.RecordBatch.from_arrays([column], schema=schema))
            length += len(block)
    return length


def open_stream(path: Path, key: str) -> CachedStream:
    """Map a cache into memory after checking that every byte is as it was written.

    Raises:
        InputError: there is none, it belongs to other data or settings, or it is damaged.
    """
    extra = verify_manifest(path, kind=KIND)
    if extra.get("key") != key:
        raise InputError(f"{path} was made from another text, other settings or another tokeniser")
    try:
        length, blocks = int(extra["length"]), MappedBlocks(path / ARROW_FILE)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}") from None
    if len(blocks) != -(-length // BLOCK_PIECES):
        raise InputError(f"{path} is damaged: it does not have the {length:,} pieces that its manifest names")
    return CachedStream(lambda number: from_dlpack(blocks.read(number).column("piece")), length)


def open_or_build_stream(
    parts: Iterable[list[int]], vocabulary: int, path: Path, key: str, say: Callable[[str], None]
) -> CachedStream:
    """The cache at ``path``, used again when it fits and is sound; else built, and ``say`` is told why."""
    if path.exists():
        try:
            return open_stream(path, key)
        except InputError as error:
            say(f"The cache is built anew: {error}")
    build_stream(parts, vocabulary, path, key)
    return open_stream(path, key)


def stream_key(sha256: str, tokeniser: Tokeniser, start: int, stop: int) -> str:
    """What a cache depends on, as one SHA-256: the text, which characters of it, and the tokeniser."""
    described = {"format": FORMAT, "text": sha256, "part": [start, stop], "tokeniser": tokeniser.to_json()}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
