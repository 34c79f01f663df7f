"""Translations learned from pairs, beside the same written out with dictionaries."""

import random
from collections import defaultdict
from collections.abc import Sequence

import pytest

from seq2see.text import lexicon
from seq2see.text.lexicon import TRANSLATIONS, learn

Pairs = list[tuple[list[int], list[int]]]


def nothing() -> None:
    pass


def written_out(pairs: Sequence[tuple[list[int], list[int]]], rounds: int) -> dict[int, dict[int, float]]:
    """p(target | source) by IBM Model 1."""
    chance: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(lambda: 1.0))
    for _ in range(rounds):
        count: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for source, target in pairs:
            for piece in target:
                total = sum(chance[each][piece] for each in source)
                for each in source:
                    count[each][piece] += chance[each][piece] / total
        for each, found in count.items():
            whole = sum(found.values())
            chance[each] = defaultdict(float, {piece: value / whole for piece, value in found.items()})
    return chance


def random_pairs(seed: int, count: int = 60) -> Pairs:
    draw = random.Random(seed)
    return [
        (
            [draw.randrange(4, 20) for _ in range(draw.randint(1, 6))],
            [draw.randrange(4, 30) for _ in range(draw.randint(1, 5))],
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_translations_are_those_of_the_formulas(seed: int) -> None:
    pairs = random_pairs(seed)
    found = learn(pairs, 20, 30, nothing)
    expected = written_out(pairs, lexicon._ROUNDS)
    assert found.best_SK.shape == (20, TRANSLATIONS)
    for piece in range(20):
        likely = [each for each in found.best_SK[piece].tolist() if each >= 0]
        assert set(likely) == {each for each, value in expected[piece].items() if value > 0}
        values = [expected[piece][each] for each in likely]
        assert values == pytest.approx(sorted(values, reverse=True), abs=1e-12)


def test_what_stands_together_translates_each_other() -> None:
    draw = random.Random(3)
    pairs = []
    for _ in range(400):
        source = draw.sample(range(4, 40), 5)
        pairs.append((source, [piece + 100 for piece in reversed(source)]))
    found = learn(pairs, 40, 140, nothing)
    assert all(int(found.best_SK[piece, 0]) == piece + 100 for piece in range(4, 40))
    assert found.shortlist([4, 9], 1) >= {104, 109}
    assert found.shortlist([], 1) == set(found.frequent_F.tolist())


def test_frequent_pieces_are_on_every_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "_EVERYWHERE", 2)
    found = learn([([5], [7, 7, 8]), ([6], [9, 8, 7])], 10, 10, nothing)
    assert found.frequent_F.tolist() == [7, 8]
    assert found.shortlist([6], 1) == {7, 8, 9} or found.shortlist([6], 1) == {7, 8}


def test_of_very_many_pairs_the_first_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "_PLACES", 4)
    found = learn([([5], [7, 8]), ([5], [8, 9]), ([5], [4])], 10, 10, nothing)
    assert set(found.best_SK[5].tolist()) - {-1} == {7, 8, 9}


def test_nothing_to_learn_from() -> None:
    found = learn([], 10, 10, nothing)
    assert found.shortlist([5, 6], 10) == set()
