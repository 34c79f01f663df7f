"""One label for each example: accuracy, macro F1, and which classes are taken for which.

Class numbers are from 0 on; ``NOTHING`` stands for no answer, which is never right.

B examples · C classes · K kinds of examples: those with the same reference and the same answers · R resamples
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import Tensor

from seq2see.errors import InputError
from seq2see.evaluation.counts import Check, Counts
from seq2see.evaluation.metrics import Score, with_intervals
from seq2see.evaluation.resampling import SEED, drawn_kinds, interval
from seq2see.evaluation.significance import Comparison, bootstrap_p, compare_counts

METRICS = ("accuracy", "macro_f1")
NOTHING = -1

_EQUAL = 1e-9  # score points; below this two differences differ by rounding alone
_MOST_SHOWN = 100  # classes of a confusion matrix that is given whole
_MOST_CONFUSIONS = 20


@dataclass(frozen=True)
class ClassScore:
    """How well one class is found, in per cent; 0 where there is nothing to divide by."""

    label: str
    examples: int
    precision: float
    recall: float
    f1: float


def score_classes(
    names: Sequence[str],
    answers: Sequence[int],
    references: Sequence[int],
    *,
    bootstrap: int = 1000,
    seed: int = SEED,
    check: Check = lambda: None,
) -> list[Score]:
    """Return the named metrics (of ``METRICS``) with 95 % intervals from the same resamples.

    Raises InputError for an unknown metric and for lists that do not fit each other.
    """
    answer_B, gold_B = _numbers(answers, references)
    scores = []
    for name in names:
        if name == "accuracy":
            scores += with_intervals(
                [accuracy_counts(answers, references)], bootstrap=bootstrap, seed=seed, check=check
            )
        elif name == "macro_f1":
            kinds = _Kinds.of(gold_B, answer_B)
            drawn = drawn_kinds(kinds.kind_B, bootstrap, seed, check)
            low, high = interval([value for count_RK in drawn for value in kinds.macro_f1(count_RK, 0).tolist()])
            signature = f"{_signature()}|bootstrap:{bootstrap}|seed:{seed}"
            scores.append(Score(name, macro_f1(answers, references), low, high, signature))
        else:
            raise InputError(f"there is no metric {name!r} for classes; there are {', '.join(METRICS)}")
    return scores


def accuracy_counts(answers: Sequence[int], references: Sequence[int]) -> Counts:
    """Return the counts behind accuracy: the percentage of examples that are answered right."""
    answer_B, gold_B = _numbers(answers, references)
    rows_BC = torch.stack(((answer_B == gold_B).double(), torch.ones(len(gold_B), dtype=torch.float64)), dim=1)
    return Counts("accuracy", rows_BC, lambda total: 100.0 * total[0] / total[1], f"unit:example|{_version()}")


def macro_f1(answers: Sequence[int], references: Sequence[int]) -> float:
    """Return the mean of the classes' F1 in per cent, over those that occur in references or answers."""
    kinds = _Kinds.of(*reversed(_numbers(answers, references)))
    return float(kinds.macro_f1(kinds.count_K[None], 0))


def compare_classes(
    names: Sequence[str],
    first: Sequence[int],
    second: Sequence[int],
    references: Sequence[int],
    *,
    bootstrap: int = 1000,
    trials: int = 10_000,
    seed: int = SEED,
    check: Check = lambda: None,
) -> list[Comparison]:
    """Compare two systems' answers to the same examples under each of the named metrics; see `significance`."""
    comparisons = []
    for name in names:
        if name == "accuracy":
            counted = [accuracy_counts(answers, references) for answers in (first, second)]
            comparisons.append(compare_counts(*counted, bootstrap=bootstrap, trials=trials, seed=seed, check=check))
        elif name == "macro_f1":
            comparisons.append(_compare_macro_f1(first, second, references, bootstrap, trials, seed, check))
        else:
            raise InputError(f"there is no metric {name!r} for classes; there are {', '.join(METRICS)}")
    return comparisons


def _compare_macro_f1(
    first: Sequence[int],
    second: Sequence[int],
    references: Sequence[int],
    bootstrap: int,
    trials: int,
    seed: int,
    check: Check,
) -> Comparison:
    first_B, gold_B = _numbers(first, references)
    second_B, _ = _numbers(second, references)
    kinds = _Kinds.of(gold_B, first_B, second_B)
    ours, theirs = macro_f1(first, references), macro_f1(second, references)
    differences: list[float] = []
    for count_RK in drawn_kinds(kinds.kind_B, bootstrap, seed, check):
        differences += (kinds.macro_f1(count_RK, 1) - kinds.macro_f1(count_RK, 0)).tolist()
    low, high = interval(differences)
    check()
    swapped = kinds.swapped_differences(trials, seed)
    as_large = int((swapped.abs() >= abs(theirs - ours) - _EQUAL).sum())
    return Comparison(
        name="macro_f1",
        first=ours,
        second=theirs,
        difference=theirs - ours,
        low=low,
        high=high,
        bootstrap_p=bootstrap_p(differences, theirs - ours),
        randomisation_p=(as_large + 1) / (trials + 1),
        signature=f"{_signature()}|bootstrap:{bootstrap}|randomisation:{trials}|seed:{seed}",
    )


@dataclass(frozen=True)
class _Kinds:
    """Examples that nothing tells apart, counted. ``answers_XK`` has a row for each of X systems."""

    kind_B: Tensor
    gold_K: Tensor
    answers_XK: Tensor
    count_K: Tensor
    classes: int

    @staticmethod
    def of(gold_B: Tensor, *answers: Tensor) -> "_Kinds":
        table_BX = torch.stack((gold_B, *answers), dim=1)
        kinds_KX, kind_B, count_K = torch.unique(table_BX, dim=0, return_inverse=True, return_counts=True)
        return _Kinds(kind_B, kinds_KX[:, 0], kinds_KX[:, 1:].T, count_K.double(), int(table_BX.max()) + 1)

    def macro_f1(self, count_RK: Tensor, system: int) -> Tensor:
        """Macro F1 of one system, ``[R]``, for so many examples of each kind."""
        return self._macro_f1(count_RK.double(), torch.zeros_like(count_RK, dtype=torch.float64), system)

    def swapped_differences(self, trials: int, seed: int) -> Tensor:
        """Second minus first system, ``[R]``, after each example's answers changed sides with probability 1/2."""
        generator = torch.Generator().manual_seed(seed)
        parts = []
        rows = max(1, 4_000_000 // max(len(self.gold_K), self.classes))
        for start in range(0, trials, rows):
            count_RK = self.count_K.expand(min(rows, trials - start), -1)
            swapped_RK = torch.binomial(count_RK, torch.full_like(count_RK, 0.5), generator=generator)
            kept_RK = count_RK - swapped_RK
            parts.append(self._macro_f1(kept_RK, swapped_RK, 1) - self._macro_f1(kept_RK, swapped_RK, 0))
        return torch.cat(parts)

    def _macro_f1(self, own_RK: Tensor, other_RK: Tensor, system: int) -> Tensor:
        """With the answers of ``system`` for some examples of each kind, and of the other one for ``other_RK``."""
        both_RK = own_RK + other_RK
        right_RC = torch.zeros(len(own_RK), self.classes, dtype=torch.float64)
        sizes_RC = right_RC.index_add(1, self.gold_K, both_RK)
        for count_RK, answer_K in ((own_RK, self.answers_XK[system]), (other_RK, self.answers_XK[system - 1])):
            right_K, said_K = answer_K == self.gold_K, answer_K != NOTHING
            right_RC = right_RC.index_add(1, self.gold_K[right_K], count_RK[:, right_K])
            sizes_RC = sizes_RC.index_add(1, answer_K[said_K], count_RK[:, said_K])
        f1_RC = 2 * right_RC / sizes_RC.clamp(min=1.0)
        return 100.0 * f1_RC.sum(1) / (sizes_RC > 0).sum(1)


def class_scores(answers: Sequence[int], references: Sequence[int], labels: Sequence[str]) -> list[ClassScore]:
    """Return precision, recall and F1 of every class that occurs; ``labels`` are their names."""
    answer_B, gold_B = _numbers(answers, references)
    classes = len(labels)
    right_C = torch.bincount(gold_B[answer_B == gold_B], minlength=classes).tolist()
    gold_C = torch.bincount(gold_B, minlength=classes).tolist()
    said_C = torch.bincount(answer_B[answer_B != NOTHING], minlength=classes).tolist()
    return [
        ClassScore(label, gold, _share(right, said), _share(right, gold), _share(2 * right, said + gold))
        for label, right, gold, said in zip(labels, right_C, gold_C, said_C, strict=True)
        if gold or said
    ]


def confusions(answers: Sequence[int], references: Sequence[int], labels: Sequence[str]) -> dict[str, object]:
    """Return the most frequent confusions and, of up to a hundred classes, the whole matrix, as JSON values.

    Row g, column a of the matrix: how many examples of class g were answered a; the last column: not answered.
    """
    cells: dict[tuple[int, int], int] = {}
    for cell in zip(references, answers, strict=True):
        cells[cell] = cells.get(cell, 0) + 1
    wrong = sorted(
        ((count, cell) for cell, count in cells.items() if cell[0] != cell[1]), key=lambda each: (-each[0], each[1])
    )
    names = [*labels, ""]  # NOTHING is the last place
    found: dict[str, object] = {
        "confusions": [
            {"label": names[gold], "answer": names[answer], "examples": count}
            for count, (gold, answer) in wrong[:_MOST_CONFUSIONS]
        ]
    }
    if len(labels) <= _MOST_SHOWN:
        columns = [*range(len(labels)), NOTHING]
        counts = [[cells.get((gold, answer), 0) for answer in columns] for gold in range(len(labels))]
        found["confusion_matrix"] = {"labels": list(labels), "counts": counts}
    return found


def _share(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0


def _numbers(answers: Sequence[int], references: Sequence[int]) -> tuple[Tensor, Tensor]:
    if len(answers) != len(references):
        raise InputError(f"{len(answers)} answers but {len(references)} references; scoring needs as many of both")
    if not answers:
        raise InputError("there is nothing to score: no answers and no references were given")
    if min(references) < 0 or min(answers) < NOTHING:
        raise InputError("a class number below 0: references are from 0 on, answers from -1 (no answer) on")
    return torch.tensor(answers), torch.tensor(references)


def _signature() -> str:
    return f"average:macro|classes:occurring|{_version()}"


def _version() -> str:
    try:
        return f"version:{version('seq2see')}"
    except PackageNotFoundError:
        return "version:source"
