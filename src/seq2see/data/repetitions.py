"""Finding the exact repetitions in a corpus of any size."""

import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import torch

from seq2see.data.pairs import pair_key
from seq2see.data.streams import nothing
from seq2see.data.tally import Pair
from seq2see.storage.atomic import disk_errors

PARTS = 32  # a 32nd of the keys is in memory at once

_ENTRY = struct.Struct("=Qq")  # key, place in the corpus


class Repetitions:
    """For each place in a corpus, from 0, whether the same pair stands at an earlier one. One bit each."""

    def __init__(self, length: int, places: Iterable[int]) -> None:
        self._bits = bytearray(length // 8 + 1)
        self.count = 0
        for place in places:
            self._bits[place >> 3] |= 1 << (place & 7)
            self.count += 1

    def __contains__(self, place: object) -> bool:
        return isinstance(place, int) and bool(self._bits[place >> 3] & (1 << (place & 7)))


def find_repetitions(pairs: Iterable[Pair], check: Callable[[], None] = nothing) -> Repetitions:
    """Look for exact repetitions in a corpus of any size: keys go to temporary files, 16 bytes a pair.

    Raises:
        Seq2seeError: no room for them in the temporary folder.
    """
    with tempfile.TemporaryDirectory(prefix="seq2see-") as folder:
        paths = [Path(folder) / str(part) for part in range(PARTS)]
        length = _write_parts(pairs, paths, check)
        return Repetitions(length, _repeated_places(paths, check))


def _write_parts(pairs: Iterable[Pair], paths: list[Path], check: Callable[[], None]) -> int:
    place = -1
    with disk_errors(paths[0], 0), ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for place, pair in enumerate(pairs):
            if place % 4_096 == 0:
                check()
            key = pair_key(pair)
            files[key % PARTS].write(_ENTRY.pack(key, place))
    return place + 1


def _repeated_places(paths: list[Path], check: Callable[[], None]) -> Iterator[int]:
    for path in paths:
        check()
        content = bytearray(path.read_bytes())
        if content:
            entries = torch.frombuffer(content, dtype=torch.int64).view(-1, 2)
            keys, order = torch.sort(entries[:, 0], stable=True)  # stable: the earliest place comes first
            yield from entries[order[1:][keys[1:] == keys[:-1]], 1].tolist()
