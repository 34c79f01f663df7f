"""Buckets of source length: each sentence in exactly one, each score that of its sentences."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.errors import InputError
from seq2see.evaluation.lengths import by_length, round_edges
from seq2see.evaluation.metrics import score, value


def test_a_bucket_has_the_score_of_its_sentences() -> None:
    generator = random.Random(1)
    lengths = [generator.randint(1, 40) for _ in range(400)]
    references = [[" ".join(generator.choices("abcdef", k=length))] for length in lengths]
    hypotheses = [r[0] if len(r[0]) < 20 else r[0][::-1] for r in references]
    buckets = by_length(lengths, hypotheses, references, "bleu", [5, 10, 20], bootstrap=50)
    assert [(b.lower, b.upper) for b in buckets] == [(1, 5), (6, 10), (11, 20), (21, 40)]
    for bucket in buckets:
        members = [i for i, length in enumerate(lengths) if bucket.lower <= length <= bucket.upper]
        alone = score(["bleu"], [hypotheses[i] for i in members], [references[i] for i in members], bootstrap=50)
        assert bucket.sentences == len(members)
        assert (bucket.value, bucket.low, bucket.high) == (alone[0].value, alone[0].low, alone[0].high)


def test_a_planted_bottleneck_is_seen() -> None:
    lengths = [length for length in range(1, 41) for _ in range(20)]
    references = [["right"]] * len(lengths)
    hypotheses = ["right" if length <= 20 else "wrong" for length in lengths]
    buckets = by_length(lengths, hypotheses, references, "exact_match")
    assert len(buckets) > 3
    for bucket in buckets:
        assert bucket.value == (100 if bucket.upper <= 20 else 0)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=80),
    st.lists(st.integers(0, 310), max_size=5, unique=True),
)
def test_every_sentence_is_in_exactly_one_bucket(lengths: list[int], edges: list[int]) -> None:
    texts = ["x"] * len(lengths)
    for given_edges in (None, sorted(edges)):
        buckets = by_length(lengths, texts, [["x"]] * len(lengths), "exact_match", given_edges, bootstrap=40)
        assert sum(bucket.sentences for bucket in buckets) == len(lengths)
        for length in lengths:
            assert sum(bucket.lower <= length <= bucket.upper for bucket in buckets) == 1


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=300))
def test_edges_leave_no_bucket_with_too_few(lengths: list[int]) -> None:
    edges = round_edges(lengths)
    assert len(edges) < 10
    assert edges == sorted(set(edges))
    limits = [-1, *edges, 10_000]
    sizes = [sum(a < length <= b for length in lengths) for a, b in pairwise(limits)]
    assert min(sizes) >= min(30, len(lengths) / 20, len(lengths))


def test_edges_are_round() -> None:
    """Lengths like those of captions (about 6 to 25 words) are cut in steps that a reader counts in."""
    generator = random.Random(2)
    lengths = [max(3, round(generator.gauss(13, 4))) for _ in range(1000)]
    assert round_edges(lengths) in (
        [8, 10, 12, 14, 16, 18],
        [6, 8, 10, 12, 14, 16, 18],
        [8, 10, 12, 14, 16, 18, 20],
    )
    assert round_edges([7] * 500) == []


def test_only_one_length_is_one_bucket() -> None:
    buckets = by_length([7] * 3, ["a", "b", "c"], [["a"]] * 3, "exact_match")
    assert [(b.lower, b.upper, b.sentences) for b in buckets] == [(7, 7, 3)]
    assert buckets[0].value == value("exact_match", ["a", "b", "c"], [["a"]] * 3)


def test_what_cannot_be_cut_is_said() -> None:
    with pytest.raises(InputError, match="2 source lengths but 1 hypotheses"):
        by_length([1, 2], ["a"], [["a"]], "bleu")
    with pytest.raises(InputError, match="must rise"):
        by_length([1, 2], ["a", "b"], [["a"], ["b"]], "bleu", [10, 10])
    with pytest.raises(InputError, match="nothing to score"):
        by_length([], [], [], "bleu")
    with pytest.raises(InputError, match="no lengths"):
        round_edges([])
