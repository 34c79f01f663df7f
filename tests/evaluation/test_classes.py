"""Scores of classes against slow twins and numbers worked out by hand."""

import random
from itertools import product
from statistics import mean

import pytest
import torch

from seq2see.errors import InputError
from seq2see.evaluation.classes import (
    NOTHING,
    accuracy_counts,
    class_scores,
    compare_classes,
    confusions,
    macro_f1,
    score_classes,
)
from seq2see.evaluation.resampling import SEED, bootstrap_totals, drawn_kinds, interval

# gold 0: three examples, answered 0, 0, 1; gold 1: two, answered 1 and nothing; gold 3: one, answered 2.
GOLD = [0, 0, 0, 1, 1, 3]
SAID = [0, 0, 1, 1, NOTHING, 2]


def slow_f1(answers: list[int], gold: list[int]) -> float:
    classes = sorted({*gold, *answers} - {NOTHING})
    each = []
    for one in classes:
        right = sum(g == a == one for g, a in zip(gold, answers, strict=True))
        said, there = answers.count(one), gold.count(one)
        precision, recall = right / said if said else 0.0, right / there if there else 0.0
        each.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return 100 * mean(each)


def some(seed: int, classes: int = 4, count: int = 60) -> tuple[list[int], list[int], list[int]]:
    chance = random.Random(seed)
    gold = [chance.randrange(classes) for _ in range(count)]
    first = [g if chance.random() < 0.6 else chance.randrange(-1, classes + 1) for g in gold]
    second = [g if chance.random() < 0.8 else chance.randrange(-1, classes + 1) for g in gold]
    return gold, first, second


def test_by_hand() -> None:
    assert accuracy_counts(SAID, GOLD).value() == 50.0
    # F1: class 0: 2·2/(3+2), 1: 2·1/(2+2), 2: 0 (answered, never right), 3: 0 (never answered)
    assert macro_f1(SAID, GOLD) == pytest.approx(100 * (0.8 + 0.5) / 4)
    found = class_scores(SAID, GOLD, ["a", "b", "c", "d", "never"])
    assert [each.label for each in found] == ["a", "b", "c", "d"]
    assert (found[0].examples, found[0].precision, found[0].recall) == (3, 100.0, pytest.approx(200 / 3))
    assert (found[1].precision, found[1].recall, found[1].f1) == (50.0, 50.0, 50.0)
    assert (found[2].examples, found[2].precision, found[2].recall) == (0, 0.0, 0.0)


def test_macro_f1_is_the_mean_of_the_slow_twin() -> None:
    for seed in range(20):
        gold, first, _ = some(seed)
        assert macro_f1(first, gold) == pytest.approx(slow_f1(first, gold))


def test_confusions() -> None:
    found = confusions(SAID, GOLD, ["a", "b", "c", "d"])
    assert found["confusion_matrix"] == {
        "labels": ["a", "b", "c", "d"],
        "counts": [[2, 1, 0, 0, 0], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]],
    }
    assert found["confusions"] == [
        {"label": "a", "answer": "b", "examples": 1},
        {"label": "b", "answer": "", "examples": 1},
        {"label": "d", "answer": "c", "examples": 1},
    ]
    assert "confusion_matrix" not in confusions([0], [1], [str(number) for number in range(101)])


def test_intervals_are_those_of_resampled_examples() -> None:
    gold, answers, _ = some(3, count=25)
    drawn = torch.cat(list(drawn_kinds(torch.arange(25), 60, SEED))).tolist()
    assert drawn == bootstrap_totals(torch.eye(25, dtype=torch.float64), 60, SEED).long().tolist()
    slow = []
    for times in drawn:
        rows = [row for row, count in enumerate(times) for _ in range(count)]
        slow.append(slow_f1([answers[row] for row in rows], [gold[row] for row in rows]))
    accuracy, f1 = score_classes(["accuracy", "macro_f1"], answers, gold, bootstrap=60)
    assert (f1.low, f1.high) == pytest.approx(interval(slow))
    hits = [100 * mean(gold[r] == answers[r] for r, n in enumerate(times) for _ in range(n)) for times in drawn]
    assert (accuracy.low, accuracy.high) == pytest.approx(interval(hits))
    assert accuracy.low < accuracy.value < accuracy.high
    assert "bootstrap:60" in f1.signature and "average:macro" in f1.signature
    assert accuracy.signature != f1.signature


def test_a_planted_difference_is_found_and_none_is_not() -> None:
    gold, first, second = some(5, count=400)
    for one in compare_classes(["accuracy", "macro_f1"], first, second, gold, trials=500):
        assert one.low > 0
        assert one.difference == pytest.approx(one.second - one.first)
        assert max(one.bootstrap_p, one.randomisation_p) < 0.01
    for one in compare_classes(["accuracy", "macro_f1"], first, first, gold, trials=100):
        assert (one.difference, one.low, one.high) == (0, 0, 0)
        assert one.bootstrap_p == one.randomisation_p == 1.0


def test_swapping_tells_what_all_swaps_tell() -> None:
    """Against every one of the 2^8 ways to swap eight examples."""
    gold, first, second = [0, 0, 1, 1, 2, 2, 0, 1], [0, 1, 1, 0, 2, 1, 2, 1], [0, 0, 1, 1, 2, 0, 0, NOTHING]
    observed = abs(slow_f1(second, gold) - slow_f1(first, gold))
    as_large = 0
    for swaps in product((False, True), repeat=8):
        ours = [b if swap else a for a, b, swap in zip(first, second, swaps, strict=True)]
        theirs = [a if swap else b for a, b, swap in zip(first, second, swaps, strict=True)]
        as_large += abs(slow_f1(theirs, gold) - slow_f1(ours, gold)) >= observed - 1e-9
    (found,) = compare_classes(["macro_f1"], first, second, gold, trials=20_000)
    assert found.randomisation_p == pytest.approx(as_large / 256, abs=0.02)


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(InputError, match="no metric 'bleu' for classes"):
        score_classes(["bleu"], [1], [1])
    with pytest.raises(InputError, match="no metric 'bleu' for classes"):
        compare_classes(["bleu"], [1], [1], [1])
    with pytest.raises(InputError, match="2 answers but 1 references"):
        score_classes(["accuracy"], [1, 2], [1])
    with pytest.raises(InputError, match="nothing to score"):
        macro_f1([], [])
    with pytest.raises(InputError, match="below 0"):
        macro_f1([1], [NOTHING])
