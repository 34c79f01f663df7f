"""How good labels of tokens are: of tokens, of whole sentences, of unseen words, of spans; and label by label.

B sentences · C counts kept of one sentence
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

import torch

from seq2see.data.label_scheme import Scheme
from seq2see.errors import InputError
from seq2see.evaluation.counts import Counts, token_accuracy_counts
from seq2see.evaluation.lengths import Bucket, round_edges
from seq2see.evaluation.metrics import with_intervals
from seq2see.evaluation.spans import spans_of

_CONFUSIONS = 20  # of the most frequent ones that are kept


@dataclass(frozen=True)
class Labelled:
    """One sentence: its labels, what a model said, and which of its words the model had seen in training."""

    gold: Sequence[str]
    predicted: Sequence[str]
    seen: Sequence[bool]


def tag_counts(sentences: Sequence[Labelled], scheme: Scheme) -> list[Counts]:
    """The counts of every score there is: spans only where labels mark some, unseen words only where there are any.

    Raises:
        InputError: no sentence, or one without as many predicted labels as labels.
    """
    _check(sentences)
    right = [[a == b for a, b in zip(each.gold, each.predicted, strict=True)] for each in sentences]
    hits = [[float(all(row)), 1.0] for row in right]
    tables = [
        token_accuracy_counts([sum(row) for row in right], [len(row) for row in right]),
        _counts("sentence_accuracy", hits, _percentage, "unit:sentence"),
    ]
    unseen = [
        [hit for hit, seen in zip(row, each.seen, strict=True) if not seen]
        for row, each in zip(right, sentences, strict=True)
    ]
    if any(unseen):
        table = token_accuracy_counts([sum(row) for row in unseen], [len(row) for row in unseen])
        signature = f"words:unseen-in-training|{table.signature}"
        tables.append(replace(table, name="unseen_accuracy", signature=signature))
    if scheme != "none":
        rows = [_span_row(each) for each in sentences]
        rules = f"unit:span|rules:conlleval|scheme:{scheme}"
        tables += [
            _counts("span_f1", rows, _f1, rules),
            _counts("span_precision", rows, _precision, rules),
            _counts("span_recall", rows, _recall, rules),
        ]
    return tables


def _check(sentences: Sequence[Labelled]) -> None:
    if not sentences:
        raise InputError("there is nothing to score: no sentence was given")
    for number, each in enumerate(sentences, start=1):
        if not len(each.gold) == len(each.predicted) == len(each.seen):
            raise InputError(
                f"sentence {number} has {len(each.gold)} labels, {len(each.predicted)} predicted ones and "
                f"{len(each.seen)} words; scoring needs as many of each"
            )


def _span_row(sentence: Labelled) -> list[float]:
    """[right, predicted, gold] spans."""
    gold, predicted = set(spans_of(sentence.gold)), set(spans_of(sentence.predicted))
    return [float(len(gold & predicted)), float(len(predicted)), float(len(gold))]


def _counts(name: str, rows: list[list[float]], finish: Callable[[Sequence[float]], float], signature: str) -> Counts:
    return Counts(name, torch.tensor(rows, dtype=torch.float64), finish, f"{signature}|{_version()}")


def _percentage(total: Sequence[float]) -> float:
    part, whole = total
    return 100.0 * part / whole if whole else 0.0


def _precision(total: Sequence[float]) -> float:
    return _percentage((total[0], total[1]))


def _recall(total: Sequence[float]) -> float:
    return _percentage((total[0], total[2]))


def _f1(total: Sequence[float]) -> float:
    """The harmonic mean of precision and recall: 2 · right / (predicted + gold)."""
    return _percentage((2 * total[0], total[1] + total[2]))


@dataclass(frozen=True)
class LabelScore:
    """One label, or one type of span: in per cent, and how often it was right, predicted, and there."""

    name: str
    precision: float
    recall: float
    f1: float
    right: int
    predicted: int
    gold: int


def by_label(sentences: Sequence[Labelled]) -> list[LabelScore]:
    """Each label by its tokens, the most frequent first."""
    return _each(
        (label for each in sentences for label in each.gold),
        (label for each in sentences for label in each.predicted),
        (a for each in sentences for a, b in zip(each.gold, each.predicted, strict=True) if a == b),
    )


def by_span_type(sentences: Sequence[Labelled]) -> list[LabelScore]:
    """Each type of span by its spans, the most frequent first."""
    gold = [set(spans_of(each.gold)) for each in sentences]
    predicted = [set(spans_of(each.predicted)) for each in sentences]
    return _each(
        (span.type for spans in gold for span in spans),
        (span.type for spans in predicted for span in spans),
        (span.type for ours, theirs in zip(gold, predicted, strict=True) for span in ours & theirs),
    )


def _each(gold: Iterable[str], predicted: Iterable[str], right: Iterable[str]) -> list[LabelScore]:
    golds, guesses, hits = Counter(gold), Counter(predicted), Counter(right)
    scores = []
    for name in sorted(golds | guesses, key=lambda name: (-golds[name], name)):
        total = [float(counter[name]) for counter in (hits, guesses, golds)]
        figures = (_precision(total), _recall(total), _f1(total))
        scores.append(LabelScore(name, *figures, hits[name], guesses[name], golds[name]))
    return scores


def confusions(sentences: Sequence[Labelled]) -> list[tuple[str, str, int]]:
    """What was most often taken for what: (label, predicted label, how often)."""
    pairs = Counter((a, b) for each in sentences for a, b in zip(each.gold, each.predicted, strict=True) if a != b)
    ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    return [(gold, guess, times) for (gold, guess), times in ordered[:_CONFUSIONS]]


def by_tokens(sentences: Sequence[Labelled], table: Counts, check: Callable[[], None] = lambda: None) -> list[Bucket]:
    """A score by the number of tokens in a sentence; ``table`` has a row for each of them."""
    lengths = [len(each.gold) for each in sentences]
    lengths_B = torch.tensor(lengths)
    edges = [edge for edge in round_edges(lengths) if min(lengths) <= edge < max(lengths)]
    buckets = []
    for lower, upper in zip([min(lengths), *(edge + 1 for edge in edges)], [*edges, max(lengths)], strict=True):
        check()
        rows_BC = table.rows_BC[(lengths_B >= lower) & (lengths_B <= upper)]
        if len(rows_BC):
            score = with_intervals([replace(table, rows_BC=rows_BC)])[0]
            buckets.append(Bucket(lower, upper, len(rows_BC), score.value, score.low, score.high))
    return buckets


def _version() -> str:
    try:
        return f"version:{version('seq2see')}"
    except PackageNotFoundError:
        return "version:source"
