"""BPE-dropout (Provilkov et al. 2020, algorithm 1): another segmentation of the same text each time.

Written out here because the dropout of ``tokenizers`` draws from a generator that nobody can seed.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from seq2see.text.alphabet import BYTE_CHARACTERS
from seq2see.text.vocabulary import Vocabulary

Merge = tuple[int, int]  # (rank: lower is earlier, id of the piece it makes)
Start = tuple[tuple[int, ...], tuple[Merge | None, ...]]  # symbols, and the merge of each with the next one

_REMEMBERED = 50_000  # runs of text whose first symbols are kept


class MergeTable:
    """The merges of a BPE vocabulary as ids, applied one at a time to one run of text after the other."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        ids = {piece: number for number, piece in enumerate(vocabulary.pieces)}
        self._symbols = {char: ids[char] for char in BYTE_CHARACTERS}
        self._merges: dict[tuple[int, int], Merge] = {
            (ids[left], ids[right]): (rank, ids[left + right]) for rank, (left, right) in enumerate(vocabulary.merges)
        }
        self._start = lru_cache(maxsize=_REMEMBERED)(self._first)

    def encode(self, runs: Iterable[str], dropout: float, draw: Callable[[], float]) -> list[int]:
        """The ids of ``runs`` (text cut by the pre-tokeniser, in the byte alphabet).

        Args:
            dropout: chance that a merge is left out at one place in one pass; 0 gives plain BPE.
            draw: gives numbers evenly distributed in [0, 1).
        """
        ids: list[int] = []
        for run in runs:
            symbols, merges = self._start(run)
            ids.extend(self._merged(list(symbols), list(merges), dropout, draw))
        return ids

    def _first(self, run: str) -> Start:
        symbols = tuple(self._symbols[char] for char in run)
        return symbols, tuple(self._merges.get(pair) for pair in pairwise(symbols))

    def _merged(
        self, symbols: list[int], merges: list[Merge | None], dropout: float, draw: Callable[[], float]
    ) -> Sequence[int]:
        """Apply the best merge (the leftmost of equals) of those not left out, until all are left out."""
        find = self._merges.get
        while True:
            left_in = [(merge, at) for at, merge in enumerate(merges) if merge is not None and draw() >= dropout]
            if not left_in:
                return symbols
            (_, made), at = min(left_in)
            symbols[at : at + 2] = [made]
            del merges[at]
            if at:
                merges[at - 1] = find((symbols[at - 1], made))
            if at < len(merges):
                merges[at] = find((made, symbols[at + 1]))
