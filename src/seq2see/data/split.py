"""How large a share of the sources is held out: as asked, within the most pairs, and at least one source."""

import math

from seq2see.data.pairs import HASH_BITS

BUCKETS = 1 << 16


class SplitCounter:
    """Counts pairs by the hash of their source, in constant memory, to find a share that holds out enough."""

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._least = 1 << HASH_BITS
        self._greatest = -1
        self.pairs = 0

    def add(self, key: int) -> None:
        self.pairs += 1
        self._counts[key >> (HASH_BITS - 16)] += 1
        self._least = min(self._least, key)
        self._greatest = max(self._greatest, key)

    @property
    def several(self) -> bool:
        """Whether there are at least two distinct sources, so that both sides of a split can have one."""
        return self._least < self._greatest

    def share(self, wanted: float, most: int) -> float:
        """The share to hold out: ``wanted`` of the sources, lowered so that about ``most`` pairs at most are.

        When anything is wanted, at least one source is held out and at least one is left; 0.0 where that
        cannot be, because there are no two.
        """
        if not wanted or not self.several:
            return 0.0
        least = math.nextafter(self._least / 2.0**HASH_BITS, 1.0)  # holds out the least hash, no other
        greatest = math.nextafter(self._greatest / 2.0**HASH_BITS, 0.0)  # leaves the greatest
        return min(max(min(wanted, self._share_of(most)), least), greatest)

    def _share_of(self, most: int) -> float:
        """The largest share, in steps of a bucket, that holds out at most so many pairs."""
        held = 0
        for bucket, count in enumerate(self._counts):
            if held + count > most:
                return max(bucket / BUCKETS, min(1 / BUCKETS, most / self.pairs))
            held += count
        return 1.0
