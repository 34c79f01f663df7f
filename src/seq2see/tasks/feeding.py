"""Batches for training: made ahead in a thread, and with BPE-dropout cut anew in every epoch."""

import hashlib
from collections.abc import Callable, Iterator
from random import Random

from seq2see.config.settings import Settings
from seq2see.data.ahead import ahead
from seq2see.data.batch import Batch
from seq2see.data.batching import Batches
from seq2see.data.cache import CachedPairs
from seq2see.text.tokeniser import TokeniserPair


class Feed:
    """The batches of a cache as training asks for them; their order is a pure function of seed and epoch."""

    def __init__(self, cached: CachedPairs, tokenisers: TokeniserPair, settings: Settings) -> None:
        self._batches = Batches(
            cached,
            tokens=settings.training.batch_tokens,
            seed=settings.training.seed,
            resegment=_resegmented(cached, tokenisers, settings.training.seed) if settings.text.dropout else None,
        )
        self._counted = (-1, 0)  # epoch, batches: asked for at every update, and a pass over all lengths each time

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number ``start`` on."""
        return ahead(self._batches.epoch(epoch, start))

    def count(self, epoch: int) -> int:
        """How many batches the epoch has."""
        if self._counted[0] != epoch:
            self._counted = (epoch, self._batches.count(epoch))
        return self._counted[1]


def _resegmented(
    cached: CachedPairs, tokenisers: TokeniserPair, seed: int
) -> Callable[[int, int], tuple[list[int], list[int]]]:
    """BPE-dropout (Provilkov et al. 2020): the pieces of a row in an epoch, drawn by seed, epoch and row."""

    def pieces(row: int, epoch: int) -> tuple[list[int], list[int]]:
        name = f"{seed} {epoch} {row}".encode()
        chance = Random(int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big"))
        ((source, target),) = cached.ids([row])
        sides = ((tokenisers.source, source), (tokenisers.target, target))
        # Byte-level pieces give the text back exactly, so that it need not be kept.
        first, second = (side.encode_with_dropout(side.decode(ids), chance) for side, ids in sides)
        return first, second

    return pieces
