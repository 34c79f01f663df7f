"""Is one system better than another, or was it luck? Two paired tests over the same sentences.

Both are two-sided and estimate p as (k + 1) / (n + 1), so that it is never 0 and never rejects too often
(Phipson and Smyth 2010).

R resamples · C counts kept of one sentence
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seq2see.errors import InputError
from seq2see.evaluation.counts import METRICS, Check, Counts, count
from seq2see.evaluation.resampling import SEED, bootstrap_totals, interval, swapped_totals

_EQUAL = 1e-9  # score points; below this two differences differ by rounding alone


@dataclass(frozen=True)
class Comparison:
    """Two systems under one metric.

    ``difference`` is second − first, ``low`` and ``high`` end its 95 % bootstrap interval. ``bootstrap_p``
    and ``randomisation_p``: the chance of at least so large a difference between equal systems.
    """

    name: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    bootstrap_p: float
    randomisation_p: float
    signature: str


def compare(
    names: Sequence[str],
    first: Sequence[str],
    second: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenize: str = "13a",
    bootstrap: int = 1000,
    trials: int = 10_000,
    seed: int = SEED,
    check: Check = lambda: None,
) -> list[Comparison]:
    """Compare two systems' hypotheses for the same references under each of the named metrics.

    Raises InputError for what cannot be scored, such as lists of unequal lengths.
    """
    if not names:
        raise InputError(f"no metric was named; there are {', '.join(METRICS)}")
    comparisons = []
    for name in names:
        counted = [count(name, texts, references, tokenize=tokenize, check=check) for texts in (first, second)]
        comparisons.append(compare_counts(*counted, bootstrap=bootstrap, trials=trials, seed=seed, check=check))
    return comparisons


def compare_counts(
    first: Counts,
    second: Counts,
    *,
    bootstrap: int = 1000,
    trials: int = 10_000,
    seed: int = SEED,
    check: Check = lambda: None,
) -> Comparison:
    """Compare two systems from their counts: any metric that has them, perplexity included."""
    ours, theirs = first.value(), second.value()
    differences = bootstrap_differences(first, second, resamples=bootstrap, seed=seed, check=check)
    low, high = interval(differences)
    return Comparison(
        name=first.name,
        first=ours,
        second=theirs,
        difference=theirs - ours,
        low=low,
        high=high,
        bootstrap_p=bootstrap_p(differences, theirs - ours),
        randomisation_p=randomisation_p(first, second, trials=trials, seed=seed, check=check),
        signature=f"{first.signature}|bootstrap:{bootstrap}|randomisation:{trials}|seed:{seed}",
    )


def bootstrap_differences(
    first: Counts, second: Counts, *, resamples: int = 1000, seed: int = SEED, check: Check = lambda: None
) -> list[float]:
    """Return second − first on each of ``resamples`` corpora, the same sentences drawn for both (Koehn 2004).

    The share of them above 0 is Koehn's own figure: how often the second system wins.
    """
    _check_pair(first, second)
    width = first.rows_BC.shape[1]
    rows_BC = torch.cat([first.rows_BC, second.rows_BC], dim=1)
    totals_RC = bootstrap_totals(rows_BC, resamples, seed, check)
    ours = first.values(totals_RC[:, :width])
    theirs = second.values(totals_RC[:, width:])
    return [b - a for a, b in zip(ours, theirs, strict=True)]


def bootstrap_p(differences: Sequence[float], observed: float) -> float:
    """Return the paired bootstrap's p: how often a resample strays from the observed difference by its size.

    The resamples show how the difference scatters; moved to 0 they are its scatter between equal systems
    (Hall and Wilson 1991, guideline 1). For equal outputs nothing scatters and p is 1.
    """
    strays = sum(abs(difference - observed) >= abs(observed) - _EQUAL for difference in differences)
    return (strays + 1) / (len(differences) + 1)


def randomisation_p(
    first: Counts, second: Counts, *, trials: int = 10_000, seed: int = SEED, check: Check = lambda: None
) -> float:
    """Return the p of approximate randomisation (Noreen 1989; Riezler and Maxwell 2005, figure 1).

    Between equal systems nobody would notice if they swapped outputs for some sentences: p is how often
    swapping each sentence by the toss of a coin gives at least the difference that was observed.
    """
    _check_pair(first, second)
    if trials < 1:
        raise InputError(f"{trials} trials tell nothing; ask for at least 1 (10000 is usual)")
    observed = abs(second.value() - first.value())
    ours_RC, theirs_RC = swapped_totals(first.rows_BC, second.rows_BC, trials, seed, check)
    pairs = zip(first.values(ours_RC), second.values(theirs_RC), strict=True)
    as_large = sum(abs(b - a) >= observed - _EQUAL for a, b in pairs)
    return (as_large + 1) / (trials + 1)


def _check_pair(first: Counts, second: Counts) -> None:
    if first.signature != second.signature or first.name != second.name:
        raise InputError(
            f"two scores of different kinds cannot be compared: {first.name} {first.signature} "
            f"and {second.name} {second.signature}"
        )
    if len(first.rows_BC) != len(second.rows_BC):
        raise InputError(
            f"{len(first.rows_BC)} sentences of the first system but {len(second.rows_BC)} of the second; "
            "a paired test needs the same sentences"
        )
