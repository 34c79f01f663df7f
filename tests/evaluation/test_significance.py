"""The paired tests against enumeration, identical systems and planted differences."""

import itertools
import random

import pytest

from seq2see.errors import InputError
from seq2see.evaluation.counts import Counts, count, perplexity_counts
from seq2see.evaluation.significance import (
    bootstrap_differences,
    bootstrap_p,
    compare,
    compare_counts,
    randomisation_p,
)

REFERENCES = [["a b c d e"], ["f g h i"], ["j k l"], ["m n o p q r"], ["s t u v"], ["w x y z a b"], ["c d"]]
FIRST = ["a b c d e", "f g x i", "j k", "m n o p q r", "s u t v", "w x y z a b", "c"]
SECOND = ["a b c x x", "f x x i", "k j", "m n o p q r", "s u v", "w x z y a b", "d c"]


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter", "wer", "exact_match"])
def test_randomisation_estimates_the_enumeration_of_all_swaps(name: str) -> None:
    """Seven sentences can be swapped in 128 ways; each is scored from its text, not from counts."""
    ours, theirs = (count(name, texts, REFERENCES) for texts in (FIRST, SECOND))
    observed = abs(ours.value() - theirs.value())
    as_large = 0
    for swaps in itertools.product([False, True], repeat=len(FIRST)):
        left = [b if swap else a for a, b, swap in zip(FIRST, SECOND, swaps, strict=True)]
        right = [a if swap else b for a, b, swap in zip(FIRST, SECOND, swaps, strict=True)]
        swapped = abs(count(name, left, REFERENCES).value() - count(name, right, REFERENCES).value())
        as_large += swapped >= observed - 1e-9
    exact = as_large / 2 ** len(FIRST)
    estimate = randomisation_p(ours, theirs, trials=5000)
    assert estimate == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 5000) ** 0.5 + 1 / 5000)


def test_bootstrap_estimates_the_enumeration_of_all_samples() -> None:
    """Four sentences have 4⁴ = 256 samples with replacement; the differences' distribution is known."""
    ours, theirs = (count("wer", texts[:4], REFERENCES[:4]) for texts in (FIRST, SECOND))
    observed = theirs.value() - ours.value()
    exact = []
    for drawn in itertools.product(range(4), repeat=4):
        texts = [[system[i] for i in drawn] for system in (FIRST, SECOND)]
        refs = [REFERENCES[i] for i in drawn]
        exact.append(count("wer", texts[1], refs).value() - count("wer", texts[0], refs).value())
    estimated = bootstrap_differences(ours, theirs, resamples=8000)
    assert set(map(round_off, estimated)) == set(map(round_off, exact))
    assert sum(estimated) / 8000 == pytest.approx(sum(exact) / 256, rel=0.05)
    share = sum(abs(d - observed) >= abs(observed) - 1e-9 for d in exact) / 256
    assert bootstrap_p(estimated, observed) == pytest.approx(share, abs=0.025)


def round_off(number: float) -> float:
    return round(number, 6)


def test_identical_systems_are_never_told_apart() -> None:
    for comparison in compare(["bleu", "chrf", "ter", "cer"], FIRST, FIRST, REFERENCES, trials=300):
        assert comparison.difference == comparison.low == comparison.high == 0
        assert comparison.bootstrap_p == comparison.randomisation_p == 1


def planted(share: float, sentences: int, generator: random.Random) -> Counts:
    hypotheses = ["right" if generator.random() < share else "wrong" for _ in range(sentences)]
    return count("exact_match", hypotheses, [["right"]] * sentences)


def test_a_planted_difference_is_found() -> None:
    generator = random.Random(3)
    comparison = compare_counts(planted(0.7, 600, generator), planted(0.85, 600, generator), trials=2000)
    assert comparison.low > 0
    assert comparison.low < comparison.difference < comparison.high
    assert comparison.bootstrap_p < 0.005
    assert comparison.randomisation_p < 0.005
    assert comparison.randomisation_p >= 1 / 2001


def test_equal_systems_are_told_apart_one_time_in_twenty() -> None:
    """Two systems equally good on average: a test at 5 % must reject about 5 % of the time."""
    generator = random.Random(8)
    rejected = {"bootstrap": 0, "randomisation": 0}
    for trial in range(200):
        ours, theirs = planted(0.6, 200, generator), planted(0.6, 200, generator)
        found = compare_counts(ours, theirs, bootstrap=200, trials=200, seed=trial)
        rejected["bootstrap"] += found.bootstrap_p <= 0.05
        rejected["randomisation"] += found.randomisation_p <= 0.05
    assert all(2 <= number <= 20 for number in rejected.values()), rejected


def test_swapping_the_systems_swaps_the_signs_and_keeps_the_ps() -> None:
    forth, back = (compare(["wer"], a, b, REFERENCES)[0] for a, b in ((FIRST, SECOND), (SECOND, FIRST)))
    assert back.difference == pytest.approx(-forth.difference)
    assert (back.low, back.high) == pytest.approx((-forth.high, -forth.low))
    assert back.bootstrap_p == forth.bootstrap_p
    assert back.randomisation_p == pytest.approx(forth.randomisation_p, abs=0.03)


def test_comparisons_are_a_function_of_the_seed() -> None:
    once, again, other = (compare(["chrf"], FIRST, SECOND, REFERENCES, seed=seed)[0] for seed in (1, 1, 2))
    assert once == again
    assert once.low != other.low or once.randomisation_p != other.randomisation_p
    assert once.signature.endswith("|bootstrap:1000|randomisation:10000|seed:1")


def test_perplexities_can_be_compared() -> None:
    generator = random.Random(4)
    losses = [generator.uniform(1, 5) for _ in range(50)]
    worse = [loss * 1.2 for loss in losses]
    ours, theirs = (perplexity_counts([-x for x in given], [3] * 50) for given in (losses, worse))
    comparison = compare_counts(ours, theirs)
    assert comparison.low > 0
    assert comparison.randomisation_p < 0.01


def test_what_cannot_be_compared_is_said() -> None:
    ours = count("wer", FIRST, REFERENCES)
    with pytest.raises(InputError, match="7 sentences of the first system but 6 of the second"):
        compare_counts(ours, count("wer", SECOND[:6], REFERENCES[:6]))
    with pytest.raises(InputError, match="different kinds"):
        compare_counts(ours, count("cer", SECOND, REFERENCES))
    with pytest.raises(InputError, match="6 hypotheses but 7"):
        compare(["wer"], FIRST, SECOND[:6], REFERENCES)
    with pytest.raises(InputError, match="no metric was named"):
        compare([], FIRST, SECOND, REFERENCES)
    with pytest.raises(InputError, match="0 trials"):
        randomisation_p(ours, ours, trials=0)
