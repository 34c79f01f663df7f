"""Scores: a number with its 95 % interval and its signature, or it is not a score.

BLEU (Papineni et al. 2002), chrF (Popović 2015) and TER (Snover et al. 2006) are sacrebleu's (Post 2018);
exact match, character and word error rate, perplexity and token accuracy are ours. All but perplexity are
percentages. Everything but the perplexity and the token accuracy reads text as it is: no case folding, no
normalisation; words are what stands between blanks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seq2see.errors import InputError
from seq2see.evaluation.counts import (
    METRICS,
    Check,
    Counts,
    count,
    perplexity_counts,
    token_accuracy_counts,
)
from seq2see.evaluation.resampling import SEED, bootstrap_totals, interval


@dataclass(frozen=True)
class Score:
    """One metric's value of a corpus, the ends of its 95 % bootstrap interval, and its signature.

    The signature of BLEU, chrF and TER is sacrebleu's own, word for word, followed like every other by how
    the interval was found: ``…|bootstrap:1000|seed:12345``.
    """

    name: str
    value: float
    low: float
    high: float
    signature: str


def score(
    names: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenize: str = "13a",
    bootstrap: int = 1000,
    seed: int = SEED,
    check: Check = lambda: None,
) -> list[Score]:
    """Score hypotheses against references with each of the named metrics (any of ``METRICS``).

    ``references`` lists the one or more references of each sentence. ``tokenize`` is BLEU's: "13a" for plain
    text, "none" for files that are tokenised already (the protocol of much of the literature), "intl",
    "char", "zh", "ja-mecab", "ko-mecab". The intervals come from ``bootstrap`` resamples (Koehn 2004), the
    same ones for all metrics. Raises InputError for what cannot be scored; a blank hypothesis can.
    """
    tables = [count(name, hypotheses, references, tokenize=tokenize, check=check) for name in names]
    return with_intervals(tables, bootstrap=bootstrap, seed=seed, check=check)


def value(
    name: str,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenize: str = "13a",
    check: Check = lambda: None,
) -> float:
    """Return one metric's value alone: what choosing a checkpoint needs, many times over."""
    return count(name, hypotheses, references, tokenize=tokenize, check=check).value()


def perplexity(log_probs: Sequence[float], tokens: Sequence[int], *, bootstrap: int = 1000, seed: int = SEED) -> Score:
    """Return exp(−Σ log-probabilities / Σ tokens) from each sentence's summed log-probability and tokens.

    Natural logarithms; ``<eos>`` counts as a token. Sentences are resampled, not tokens. Infinite where a
    token had no probability at all.
    """
    return with_intervals([perplexity_counts(log_probs, tokens)], bootstrap=bootstrap, seed=seed)[0]


def token_accuracy(correct: Sequence[int], tokens: Sequence[int], *, bootstrap: int = 1000, seed: int = SEED) -> Score:
    """Return the percentage of tokens that were the likeliest, given all gold tokens before them."""
    return with_intervals([token_accuracy_counts(correct, tokens)], bootstrap=bootstrap, seed=seed)[0]


def with_intervals(
    tables: Sequence[Counts], *, bootstrap: int = 1000, seed: int = SEED, check: Check = lambda: None
) -> list[Score]:
    """Turn counts of the same sentences into scores, all with the same resamples."""
    if not tables:
        raise InputError(f"no metric was named; there are {', '.join(METRICS)}")
    rows_BC = torch.cat([table.rows_BC for table in tables], dim=1)
    totals_RC = bootstrap_totals(rows_BC, bootstrap, seed, check)
    widths = [table.rows_BC.shape[1] for table in tables]
    scores = []
    for table, own_RC in zip(tables, torch.split(totals_RC, widths, dim=1), strict=True):
        low, high = interval(table.values(own_RC))
        signature = f"{table.signature}|bootstrap:{bootstrap}|seed:{seed}"
        scores.append(Score(table.name, table.value(), low, high, signature))
    return scores


def higher_is_better(name: str) -> bool:
    """Say which way a metric points: True for BLEU, chrF and what is right, False for errors."""
    match name:
        case "bleu" | "bleu1" | "bleu2" | "bleu3" | "chrf" | "exact_match" | "token_accuracy":
            return True
        case "ter" | "cer" | "wer" | "perplexity":
            return False
    raise InputError(f"there is no metric {name!r}; there are {', '.join(METRICS)}, perplexity, token_accuracy")


def decimals(name: str) -> int:
    """How many decimals of a metric are worth showing: a hundredth of a nat is much, one of a per cent is not."""
    return 4 if name.startswith(("nats_per_", "bits_per_")) else 2


def best_of(name: str, values: Sequence[float]) -> int:
    """Return the index of the best value, the first among equals; one that is not a number is never best.

    Raises InputError when there is none to choose.
    """
    sign = 1.0 if higher_is_better(name) else -1.0
    numbers = [index for index, number in enumerate(values) if not math.isnan(number)]
    if not numbers:
        raise InputError(f"no {name} to choose the best of: {list(values)}")
    return max(numbers, key=lambda index: sign * values[index])
