"""Sampling: the right distribution, the right cuts, and nobody's neighbours."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_twins import EOS, Limits, TableModel, every_answer

from seq2see.config.settings import SearchSettings
from seq2see.search.sample import draw
from seq2see.search.search import search

# Probabilities of tokens 4 … 8 at the first position.
FIRST = {4: 0.4, 5: 0.3, 6: 0.15, 7: 0.1, 8: 0.05}


def logits_of(probabilities: dict[int, float], vocabulary: int = 9) -> list[float]:
    return [math.log(probabilities[token]) if token in probabilities else -math.inf for token in range(vocabulary)]


def run(model: TableModel, sentences: int, chosen: SearchSettings, max_length: int, keys=None):
    return search(
        model.step,
        model.start([0] * sentences),
        sentences=sentences,
        settings=chosen,
        max_lengths=[max_length] * sentences,
        sentence_keys=keys,
        allow_unknown=True,
    )


def frequencies(chosen: SearchSettings, count: int = 4_000) -> dict[int, float]:
    """How often each token comes first, over ``count`` sentences with the distribution FIRST."""
    model = TableModel(9, given=lambda sentence, tokens: logits_of(FIRST), attention=False)
    found = run(model, count, chosen, 1)
    tokens = [one.tokens[0] for (one,) in found]
    return {token: tokens.count(token) / count for token in FIRST}


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        ({}, FIRST),
        ({"top_k": 2}, {4: 4 / 7, 5: 3 / 7, 6: 0, 7: 0, 8: 0}),
        # 0.4 + 0.3 = 0.7 is less than 0.72, so the third belongs to the nucleus; with 0.69 it does not.
        ({"top_p": 0.72}, {4: 8 / 17, 5: 6 / 17, 6: 3 / 17, 7: 0, 8: 0}),
        ({"top_p": 0.69}, {4: 4 / 7, 5: 3 / 7, 6: 0, 7: 0, 8: 0}),
        ({"top_p": 0.01}, {4: 1, 5: 0, 6: 0, 7: 0, 8: 0}),
        # The nucleus is taken of what top_k has left: of {4/7, 3/7}, 4/7 = 0.571 is enough for 0.57.
        ({"top_k": 2, "top_p": 0.57}, {4: 1, 5: 0, 6: 0, 7: 0, 8: 0}),
        # Temperature 1/2 squares the probabilities: 16, 9, 2.25, 1, 0.25 of 28.5.
        ({"temperature": 0.5}, {4: 16 / 28.5, 5: 9 / 28.5, 6: 2.25 / 28.5, 7: 1 / 28.5, 8: 0.25 / 28.5}),
        # Temperature first: of the squares the largest two hold 25/28.5 = 0.877.
        ({"temperature": 0.5, "top_p": 0.87}, {4: 16 / 25, 5: 9 / 25, 6: 0, 7: 0, 8: 0}),
        ({"temperature": 1e-30}, {4: 1, 5: 0, 6: 0, 7: 0, 8: 0}),
    ],
)
def test_first_tokens_have_their_probabilities(cuts, expected):
    seen = frequencies(SearchSettings(method="sample", **cuts))
    for token, probability in expected.items():
        # Five standard deviations; exactly 0 and 1 have none.
        assert abs(seen[token] - probability) <= 5 * math.sqrt(probability * (1 - probability) / 4_000), token


def test_whole_sequences_have_their_probabilities():
    model = TableModel(6, seed=3, spread=1.0, attention=False)
    chosen = SearchSettings(method="sample", nbest=3, length_penalty=0.0)
    found = [one.tokens for many in run(model, 1_000, chosen, 3) for one in many]
    # <pad> and <sos> are forbidden, so the chances of the others at each place are larger than the model's.
    expected = every_answer(model, 0, Limits(3), chosen)
    chances = []
    for one in expected:
        given_up = 0.0
        for at in range(len(one.tokens)):
            log_probs = model.log_probs(0, one.tokens[:at])
            given_up += math.log1p(-math.exp(log_probs[0]) - math.exp(log_probs[1]))
        chances.append(math.exp(one.score - given_up))
    assert sum(chances) == pytest.approx(1.0)
    squares = sum(
        (found.count(one.tokens) - 3_000 * p) ** 2 / (3_000 * p) for one, p in zip(expected, chances, strict=True)
    )
    freedom = len(expected) - 1
    assert squares < freedom + 5 * math.sqrt(2 * freedom)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**31),
    keys=st.lists(st.integers(0, 10**9), min_size=2, max_size=4, unique=True),
    nbest=st.integers(1, 3),
)
def test_a_key_draws_the_same_wherever_it_stands(seed, keys, nbest):
    model = TableModel(9, spread=0.3)
    chosen = SearchSettings(method="sample", nbest=nbest, seed=seed)
    forward = run(model, len(keys), chosen, 8, keys)
    backward = run(model, len(keys), chosen, 8, keys[::-1])
    for one, other in zip(forward, backward[::-1], strict=True):
        assert [hypothesis.tokens for hypothesis in one] == [hypothesis.tokens for hypothesis in other]
    # One sample more changes none of the others, and a longer limit only what was cut.
    more = run(model, len(keys), chosen.model_copy(update={"nbest": nbest + 1}), 11, keys)
    for few, many in zip(forward, more, strict=True):
        longer = [hypothesis.tokens for hypothesis in many]
        for hypothesis in few:
            assert any(tokens[: len(hypothesis.tokens)] == hypothesis.tokens for tokens in longer)


def test_seeds_keys_and_samples_draw_differently():
    model = TableModel(40, spread=0.1)
    chosen = SearchSettings(method="sample", nbest=4, min_length=8)
    first, second = run(model, 2, chosen, 8)
    other, _ = run(model, 2, chosen.model_copy(update={"seed": 2}), 8)
    tokens = [one.tokens for many in (first, second, other) for one in many]
    assert len(set(tokens)) == 12


def test_samples_are_sorted_by_score():
    found = run(TableModel(9, spread=2.0), 5, SearchSettings(method="sample", nbest=6), 6)
    for many in found:
        scores = [one.score for one in many]
        assert len(scores) == 6
        assert scores == sorted(scores, reverse=True)


def test_rows_shrink_as_samples_end():
    def logits(sentence: int, tokens: tuple[int, ...]) -> list[float]:
        return logits_of({EOS: 0.5, 4: 0.5})

    model = TableModel(9, given=logits)
    found = run(model, 3, SearchSettings(method="sample", nbest=8), 12)
    lengths = [[len(one.tokens) for one in many] for many in found]
    # After t tokens there are as many lines as sentences with a running sample, as wide as the most of them.
    for position, rows in enumerate(model.rows_asked):
        running = [sum(length > position for length in of_sentence) for of_sentence in lengths]
        assert rows == max(running) * sum(count > 0 for count in running)
    assert model.rows_asked[0] == 24 > model.rows_asked[-1]


def test_what_the_model_says_after_the_end_counts_for_nothing():
    # A sample that has ended waits in the batch for the others of its sentence; the model may say anything there.
    def logits(sentence: int, tokens: tuple[int, ...]) -> list[float]:
        return [math.nan] * 9 if EOS in tokens else logits_of({EOS: 0.5, 4: 0.5})

    found = run(TableModel(9, given=logits), 3, SearchSettings(method="sample", nbest=8), 12)
    for many in found:
        assert len(many) == 8
        assert all(one.log_probs == pytest.approx([math.log(0.5)] * len(one.tokens)) for one in many)


@settings(deadline=None, max_examples=100)
@given(
    logits=st.lists(st.floats(-60, 60, width=32) | st.just(-math.inf), min_size=2, max_size=9),
    chance=st.floats(0, 1, exclude_max=True),
    top_k=st.integers(0, 9),
    top_p=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    temperature=st.sampled_from([1e-20, 0.5, 1.0, 30.0]),
)
def test_a_forbidden_token_is_never_drawn(logits, chance, top_k, top_p, temperature):
    logits[0] = 1.0
    chosen = SearchSettings(method="sample", top_k=top_k, top_p=top_p, temperature=temperature)
    logits_NV = torch.tensor([logits])
    (token,) = draw(logits_NV, torch.tensor([chance], dtype=torch.float64), chosen).tolist()
    assert logits[token] > -math.inf
    if top_k:
        assert sum(other > logits[token] for other in logits) < top_k
