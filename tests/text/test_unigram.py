import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.errors import Stopped
from seq2see.text.unigram import _next_best, _seeds, learn_pieces


def nothing() -> None:
    pass


words = st.dictionaries(st.text(st.sampled_from("abc가"), min_size=1, max_size=8), st.integers(1, 9), max_size=12)


@settings(deadline=None, max_examples=60)
@given(words, st.integers(0, 40))
def test_pieces_are_few_and_write_every_frequent_character(counts: dict[str, int], room: int) -> None:
    pieces = learn_pieces(counts, room, nothing, free="xab")
    characters = set("".join(counts))
    assert characters & {"a", "b"} <= set(pieces)
    assert len(set(pieces) - {"a", "b"}) <= room
    assert all(score <= 0 for score in pieces.values())
    if len(characters - {"a", "b"}) <= room // 2:
        assert characters <= set(pieces)
    if pieces:
        assert sum(map(math.exp, pieces.values())) == pytest.approx(1.0)


@settings(deadline=None, max_examples=30)
@given(words, st.randoms(use_true_random=False))
def test_the_order_of_the_words_does_not_matter(counts: dict[str, int], draw: random.Random) -> None:
    shuffled = list(counts.items())
    draw.shuffle(shuffled)
    assert list(learn_pieces(counts, 12, nothing).items()) == list(learn_pieces(dict(shuffled), 12, nothing).items())


def test_planted_words_are_found() -> None:
    """Text made of four words in random order, written without blanks, is taken apart into those words."""
    draw = random.Random(1)
    planted = ["kato", "hundo", "ruga", "bela"]
    counts: dict[str, int] = {}
    for _ in range(400):
        text = "".join(draw.choice(planted) for _ in range(3))
        counts[text] = counts.get(text, 0) + 1
    pieces = learn_pieces(counts, 4, nothing, free=set("".join(planted)))
    assert sorted(list(pieces)[:4]) == sorted(planted)
    assert pieces["kato"] == pytest.approx(math.log(1 / 4), abs=0.1)
    assert max(pieces.values()) == next(iter(pieces.values())) and len(pieces) == 4 + 13


@settings(deadline=None, max_examples=100)
@given(words, st.integers(1, 60))
def test_seeds_are_the_repeated_substrings(counts: dict[str, int], most: int) -> None:
    twin: dict[str, int] = {}
    for word, count in counts.items():
        for start, end in itertools.combinations(range(len(word) + 1), 2):
            if end - start > 1:
                twin[word[start:end]] = twin.get(word[start:end], 0) + count
    twin = {piece: count for piece, count in twin.items() if count > 1}
    saved = sorted(twin.items(), key=lambda item: (-item[1] * len(item[0]), item[0]))
    characters = dict.fromkeys("abc가", 1)
    assert list(_seeds(list(counts), list(counts.values()), characters, most, nothing).items()) == saved[:most]


@settings(deadline=None, max_examples=100)
@given(
    st.text(st.sampled_from("ab"), min_size=2, max_size=7),
    st.dictionaries(st.text(st.sampled_from("ab"), min_size=2, max_size=4), st.floats(-9, -1)),
)
def test_the_next_best_segmentation(piece: str, scores: dict[str, float]) -> None:
    scores |= {"a": -3.0, "b": -4.0}
    candidates = []
    for cuts in itertools.product([False, True], repeat=len(piece) - 1):
        places = [0, *(at for at, cut in enumerate(cuts, 1) if cut), len(piece)]
        parts = [piece[start:end] for start, end in itertools.pairwise(places)]
        if len(parts) > 1 and all(part in scores for part in parts):
            candidates.append(sum(scores[part] for part in parts))
    found = _next_best(piece, scores)
    assert "".join(found) == piece and len(found) > 1
    assert sum(scores[part] for part in found) == pytest.approx(max(candidates))


def test_a_signal_stops_it() -> None:
    def stop() -> None:
        raise Stopped("a signal", 15)

    with pytest.raises(Stopped):
        learn_pieces({"abab": 3}, 10, stop)
