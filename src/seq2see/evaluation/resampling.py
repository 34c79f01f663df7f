"""New corpora from one: sentences drawn again with replacement, or swapped between two systems.

B sentences · C counts kept of one sentence · R resamples
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from seq2see.errors import InputError

SEED = 12345  # sacrebleu's own default
_AT_ONCE = 4_000_000  # draws held in memory together: 32 MB


def bootstrap_totals(rows_BC: Tensor, resamples: int, seed: int, check: Callable[[], None] = lambda: None) -> Tensor:
    """Return totals_RC: the sums of rows over ``resamples`` samples of B sentences, drawn with replacement.

    Bootstrap resampling after Efron (1979), for translation after Koehn (2004). How often each sentence was
    drawn is counted, and one matrix product adds up all samples. A pure function of its arguments.
    """
    each = torch.arange(len(rows_BC))
    totals = [times_RB.to(rows_BC.dtype) @ rows_BC for times_RB in drawn_kinds(each, resamples, seed, check)]
    return torch.cat(totals)


def drawn_kinds(
    kind_B: Tensor, resamples: int, seed: int, check: Callable[[], None] = lambda: None
) -> Iterator[Tensor]:
    """Yield counts_RK, portion by portion: how often each kind of sentence is in the samples of `bootstrap_totals`.

    For figures that are no function of a few sums. ``kind_B`` numbers the kinds from 0; K of them there are.
    """
    if resamples < 40:
        raise InputError(
            f"{resamples} resamples have no 2.5 % at either end, so no 95 % interval; "
            "ask for at least 40 (1000 is usual)"
        )
    sentences, kinds = len(kind_B), int(kind_B.max()) + 1
    generator = torch.Generator().manual_seed(seed)
    for size in _portions(resamples, sentences):
        check()
        drawn_RB = kind_B[torch.randint(sentences, (size, sentences), generator=generator)]
        drawn_RB += torch.arange(size).unsqueeze(1) * kinds
        yield torch.bincount(drawn_RB.flatten(), minlength=size * kinds).view(size, kinds)


def swapped_totals(
    first_BC: Tensor, second_BC: Tensor, trials: int, seed: int, check: Callable[[], None] = lambda: None
) -> tuple[Tensor, Tensor]:
    """Return both systems' totals_RC after their outputs changed sides for a random half of the sentences.

    Each sentence changes sides with probability 1/2, on its own, in each of the ``trials``. A pure function
    of its arguments.
    """
    sentences = len(first_BC)
    difference_BC = second_BC - first_BC
    generator = torch.Generator().manual_seed(seed)
    moved: list[Tensor] = []
    for size in _portions(trials, sentences):
        check()
        swapped_RB = torch.randint(2, (size, sentences), generator=generator)
        moved.append(swapped_RB.to(first_BC.dtype) @ difference_BC)
    moved_RC = torch.cat(moved)
    return first_BC.sum(0) + moved_RC, second_BC.sum(0) - moved_RC


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % percentile interval: what is left without 2.5 % of the values at either end."""
    ordered = sorted(values)
    tail = len(ordered) // 40
    return ordered[tail], ordered[-1 - tail]


def _portions(resamples: int, sentences: int) -> list[int]:
    """Cut ``resamples`` into portions that fit into memory."""
    size = max(1, _AT_ONCE // sentences)
    whole, rest = divmod(resamples, size)
    return [size] * whole + [rest] * (rest > 0)
