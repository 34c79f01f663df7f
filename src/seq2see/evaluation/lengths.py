"""Quality against length: the score of short sentences, of longer ones, and of the longest."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from seq2see.errors import InputError
from seq2see.evaluation.counts import Check, Counts, count
from seq2see.evaluation.metrics import with_intervals
from seq2see.evaluation.resampling import SEED

_MOST = 8  # buckets a figure can show well
_LEAST = 30  # sentences that a bucket of its own is worth


@dataclass(frozen=True)
class Bucket:
    """The sentences whose source has ``lower`` to ``upper`` pieces (both included), and their score."""

    lower: int
    upper: int
    sentences: int
    value: float
    low: float
    high: float


def by_length(
    source_lengths: Sequence[int],
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    metric: str,
    edges: Sequence[int] | None = None,
    *,
    tokenize: str = "13a",
    bootstrap: int = 1000,
    seed: int = SEED,
    check: Check = lambda: None,
) -> list[Bucket]:
    """Score sentences of similar source length together, each sentence in exactly one bucket.

    ``edges`` are the greatest lengths of all buckets but the last, rising; None: `round_edges`. Give
    the same edges for systems that are to stand side by side. Buckets without a sentence are left out.
    Raises InputError for lists of unequal lengths, none at all, or edges that do not rise.
    """
    if len(source_lengths) != len(hypotheses):
        raise InputError(
            f"{len(source_lengths)} source lengths but {len(hypotheses)} hypotheses; "
            "give one of each for every sentence"
        )
    table = count(metric, hypotheses, references, tokenize=tokenize, check=check)
    edges = round_edges(source_lengths) if edges is None else list(edges)
    if any(left >= right for left, right in pairwise(edges)):
        raise InputError(f"the edges of the buckets must rise from one to the next; given: {edges}")
    lengths_B = torch.tensor(source_lengths)
    buckets = []
    for lower, upper in _spans(edges, min(source_lengths), max(source_lengths)):
        check()
        members_BC = table.rows_BC[(lengths_B >= lower) & (lengths_B <= upper)]
        if len(members_BC):
            part = Counts(table.name, members_BC, table.finish, table.signature)
            score = with_intervals([part], bootstrap=bootstrap, seed=seed)[0]
            buckets.append(Bucket(lower, upper, len(members_BC), score.value, score.low, score.high))
    return buckets


def round_edges(lengths: Sequence[int]) -> list[int]:
    """Return round edges that cut the lengths into at most eight buckets, no bucket with too few sentences.

    The step is the smallest round number (1, 2, 5, 10, 20 …) that covers the middle nine tenths of the
    sentences in eight steps. Buckets with fewer than thirty sentences (or a twentieth of all, if that is
    less) are joined with their neighbours.
    """
    if not lengths:
        raise InputError("there are no lengths to cut into buckets")
    ordered = sorted(lengths)
    shortest, longest = ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
    step = next(step for step in _round_numbers() if (longest - 1) // step - (shortest - 1) // step < _MOST)
    candidates = range((shortest - 1) // step * step + step, longest, step)
    least = min(_LEAST, -(-len(ordered) // 20))
    return _joined(candidates, Counter(lengths), least)


def _joined(candidates: Sequence[int], sentences: Counter[int], least: int) -> list[int]:
    """Keep the edges that leave at least ``least`` sentences since the edge before and after the last one."""
    edges: list[int] = []
    since, after = 0, sum(sentences.values())
    lengths = sorted(sentences)
    for edge in candidates:
        while lengths and lengths[0] <= edge:
            number = sentences[lengths.pop(0)]
            since, after = since + number, after - number
        if since >= least and after >= least:
            edges.append(edge)
            since = 0
    return edges


def _round_numbers() -> Iterator[int]:
    power = 1
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10


def _spans(edges: Sequence[int], shortest: int, longest: int) -> list[tuple[int, int]]:
    """Return (lower, upper) of each bucket, the first from the shortest, the last to the longest length."""
    inner = [edge for edge in edges if shortest <= edge < longest]
    lowers = [shortest, *(edge + 1 for edge in inner)]
    return list(zip(lowers, [*inner, longest], strict=True))
