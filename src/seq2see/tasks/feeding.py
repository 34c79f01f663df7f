"""Batches for training, with BPE-dropout cut anew in every epoch."""

import hashlib
from random import Random

from seq2see.config.settings import TranslateSettings
from seq2see.data.batching import ALONE, Batches, Machine, Resegment
from seq2see.data.cache import CachedPairs
from seq2see.text.tokeniser import TokeniserPair


def training_batches(
    cached: CachedPairs, tokenisers: TokeniserPair, settings: TranslateSettings, machine: Machine = ALONE
) -> Batches:
    """The batches of a cache; their order and content are a pure function of seed and epoch."""
    seed = settings.training.seed
    return Batches(
        cached,
        tokens=settings.training.batch_tokens,
        seed=seed,
        resegment=_resegmented(cached, tokenisers, seed) if settings.text.dropout else None,
        machine=machine,
    )


def _resegmented(cached: CachedPairs, tokenisers: TokeniserPair, seed: int) -> Resegment:
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
