"""How well a model foresees a text: the negative log-likelihood of each character, byte and piece.

A text is measured in stretches of about a thousand characters; an interval comes from drawing them again (a block
bootstrap, Künsch 1989, for what stands close together is alike). Every character counts once.

B stretches
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from seq2see.errors import InputError
from seq2see.evaluation.counts import Counts, perplexity_counts
from seq2see.evaluation.metrics import Score, with_intervals
from seq2see.evaluation.significance import Comparison, compare_counts


@dataclass(frozen=True)
class Stretch:
    """A stretch of text: ``nats`` is −log p of its pieces, given all before them (or as many as a model sees)."""

    nats: float
    characters: int
    bytes: int
    pieces: int


def likelihood_scores(stretches: Sequence[Stretch], signature: str, *, reversible: bool) -> list[Score]:
    """Nats and bits a character, bits a byte, and perplexity a piece, with 95 % intervals.

    ``reversible`` False: pieces from which the text cannot be told again (words, some of them unknown) say nothing
    of its characters; then there is the perplexity alone. ``signature`` says how the text was read.
    """
    sums, pieces = [-each.nats for each in stretches], [each.pieces for each in stretches]
    tables = [*(_rates(stretches) if reversible else []), perplexity_counts(sums, pieces)]
    return with_intervals([replace(table, signature=signature) for table in tables])


def compare_likelihoods(
    first: Sequence[Stretch],
    second: Sequence[Stretch],
    *,
    check: Callable[[], None] = lambda: None,
) -> list[Comparison]:
    """Is the second model better in nats a character, on the same stretches of text? Whatever their pieces are.

    Raises:
        InputError: the stretches are not the same.
    """
    if [each.characters for each in first] != [each.characters for each in second]:
        raise InputError("the two runs do not read the text alike (text.normalisation, text.lowercase): no comparison")
    return [compare_counts(_rates(first)[0], _rates(second)[0], check=check)]


def _rates(stretches: Sequence[Stretch]) -> list[Counts]:
    return [
        _rate("nats_per_character", [(each.nats, each.characters) for each in stretches], 1.0),
        _rate("bits_per_character", [(each.nats, each.characters) for each in stretches], math.log(2)),
        _rate("bits_per_byte", [(each.nats, each.bytes) for each in stretches], math.log(2)),
    ]


def _rate(name: str, rows: Sequence[tuple[float, int]], unit: float) -> Counts:
    """Σ nats / Σ what is counted, in a unit of so many nats."""
    if not sum(count for _, count in rows):
        raise InputError("there is nothing to score: the text has no character")

    def finish(total: Sequence[float]) -> float:
        nats, count = total
        return nats / count / unit

    table_BC = torch.tensor([[nats, float(count)] for nats, count in rows], dtype=torch.float64)
    return Counts(name, table_BC, finish, "unit:stretch")
