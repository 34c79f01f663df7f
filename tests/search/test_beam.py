"""Beam search against enumeration of every sequence, and against a slow twin that never stops early."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_twins import EOS, SOURCE, Limits, TableModel, every_answer, same, slow_beam

from seq2see.config.settings import SearchSettings
from seq2see.search.rules import ForbidWords
from seq2see.search.search import search

EVERYTHING = 400  # wider than the number of sequences of any model here

penalties = st.sampled_from([0.0, 0.3, 1.0, 1.7])
orders = st.sampled_from([1, 2, None])
prefixes = st.lists(st.sampled_from([3, 4]), max_size=2).map(tuple)
words = st.lists(st.lists(st.sampled_from([3, 4]), min_size=1, max_size=3).map(tuple), max_size=2).map(tuple)


def run(model: TableModel, limits: list[Limits], settings: SearchSettings, **more):
    return search(
        model.step,
        model.start(range(len(limits))),
        sentences=len(limits),
        settings=settings,
        max_lengths=[limit.max_length for limit in limits],
        rules=[ForbidWords(limits[0].words)] if limits[0].words else [],
        prefixes=[limit.prefix for limit in limits],
        allow_unknown=limits[0].allow_unknown,
        **more,
    )


@st.composite
def tasks(draw, longest: int):
    """Limits for one to three sentences that share their rules and differ in length and prefix."""
    shared = draw(words)
    unknown = draw(st.booleans())
    limits = []
    for _ in range(draw(st.integers(1, 3))):
        prefix = draw(prefixes)
        max_length = draw(st.integers(len(prefix) + 1, max(longest, len(prefix) + 1)))
        limits.append(Limits(max_length, prefix, shared, unknown))
    return limits


@settings(deadline=None, max_examples=150)
@given(
    task=tasks(longest=4),
    vocabulary=st.integers(5, 6),
    seed=st.integers(0, 10**6),
    order=orders,
    length_penalty=penalties,
    coverage_penalty=st.sampled_from([0.0, 0.0, 0.4]),
    min_length=st.integers(0, 3),
    no_repeat=st.integers(0, 3),
    nbest=st.sampled_from([1, 2, 5, EVERYTHING]),
)
def test_wide_beam_is_enumeration(
    task, vocabulary, seed, order, length_penalty, coverage_penalty, min_length, no_repeat, nbest
):
    model = TableModel(vocabulary, seed, order)
    chosen = SearchSettings(
        beam=EVERYTHING,
        nbest=nbest,
        length_penalty=length_penalty,
        coverage_penalty=coverage_penalty,
        min_length=min_length,
        no_repeat_ngram=no_repeat,
    )
    valid_BS = torch.arange(SOURCE) < torch.tensor([[SOURCE - sentence] for sentence in range(len(task))])
    found = run(model, task, chosen, source_valid_BS=valid_BS)
    # The model's attention is float32, and so is what the coverage penalty sums.
    tolerance = 1e-5 if coverage_penalty else 1e-9
    for sentence, limits in enumerate(task):
        expected = every_answer(model, sentence, limits, chosen, valid_BS[sentence].tolist())
        same(found[sentence], expected[:nbest], tolerance)


@settings(deadline=None, max_examples=150)
@given(
    task=tasks(longest=7),
    vocabulary=st.integers(5, 9),
    seed=st.integers(0, 10**6),
    order=orders,
    length_penalty=penalties,
    min_length=st.integers(0, 3),
    no_repeat=st.integers(0, 3),
    beam=st.integers(2, 5),
    nbest=st.integers(1, 5),
    patience=st.sampled_from([1.0, 1.5, 2.0]),
)
def test_narrow_beam_is_its_slow_twin(
    task, vocabulary, seed, order, length_penalty, min_length, no_repeat, beam, nbest, patience
):
    model = TableModel(vocabulary, seed, order)
    chosen = SearchSettings(
        beam=beam,
        nbest=min(nbest, beam),
        length_penalty=length_penalty,
        min_length=min_length,
        no_repeat_ngram=no_repeat,
        patience=patience,
    )
    found = run(model, task, chosen)
    for sentence, limits in enumerate(task):
        same(found[sentence], slow_beam(model, sentence, limits, chosen))
        assert len({one.tokens for one in found[sentence]}) == len(found[sentence])


def by_hand(**probabilities_after: dict[int, float]):
    """Logits from probabilities: ``start`` at first, else by the last token (``after_5``)."""

    def logits(sentence: int, tokens: tuple[int, ...]) -> list[float]:
        given = probabilities_after["start"] if not tokens else probabilities_after[f"after_{tokens[-1]}"]
        return [math.log(given[token]) if token in given else -math.inf for token in range(6)]

    return TableModel(6, given=logits)


def test_a_longer_hypothesis_may_still_win():
    # <eos> at once: log 0.5 / 1 = -0.69. "4 4 4 4 <eos>": (log 0.4 + 4 log 1) / 5 = -0.18; with 5 first -0.46.
    def logits(sentence: int, tokens: tuple[int, ...]) -> list[float]:
        after = {EOS: 0.5, 4: 0.4, 5: 0.1} if not tokens else {4: 1.0} if len(tokens) < 4 else {EOS: 1.0}
        return [math.log(after[token]) if token in after else -math.inf for token in range(6)]

    model = TableModel(6, given=logits)
    (best, second), *_ = run(model, [Limits(9)], SearchSettings(beam=2, nbest=2, length_penalty=1.0))
    assert best.tokens == (4, 4, 4, 4, EOS)
    assert best.score == pytest.approx(math.log(0.4) / 5)
    assert second.tokens == (5, 4, 4, 4, EOS)
    assert second.score == pytest.approx(math.log(0.1) / 5)
    (first, *_), *_ = run(model, [Limits(9)], SearchSettings(beam=2, nbest=2, length_penalty=0.0))
    assert first.tokens == (EOS,)


def test_a_length_penalty_without_bounds_is_no_accident():
    # 50 ** 1000 is no float; every score is then 0, and the lists are still full.
    ((first, second),) = run(TableModel(7), [Limits(50)], SearchSettings(beam=2, nbest=2, length_penalty=1000.0))
    assert first.tokens != second.tokens
    assert all(-math.inf < one.score <= 0 for one in (first, second))


@pytest.mark.parametrize(
    ("length_penalty", "max_length", "steps"),
    [
        # One token in, "4" has the sum s = log 0.1 = -2.303 and each further one adds log 0.5 = -0.693; the
        # finished <eos> has log 0.9 = -0.105. The search stops at the first step after which s <= -0.105 · M^α.
        (0.0, 50, 1),  # -2.303 <= -0.105
        (1.0, 20, 1),  # -2.303 <= -2.107
        (1.0, 30, 3),  # -2.996 > -3.161 >= -3.689
        (1.0, 50, 6),  # -5.075 > -5.268 >= -5.768
    ],
)
def test_stops_when_nothing_can_win_any_more(length_penalty, max_length, steps):
    # After "4" and "5" two others are always better than <eos>, so no second hypothesis ends.
    later = {4: 0.5, 5: 0.3, EOS: 0.2}
    model = by_hand(start={EOS: 0.9, 4: 0.1}, after_4=later, after_5=later)
    chosen = SearchSettings(beam=2, nbest=1, length_penalty=length_penalty)
    ((best,),) = run(model, [Limits(max_length)], chosen)
    assert best.tokens == (EOS,)
    assert len(model.rows_asked) == steps


@pytest.mark.parametrize(("beam", "patience", "steps"), [(2, 1, 2), (3, 1, 3), (2, 2, 4), (2, 1.5, 3)])
def test_stops_when_as_many_have_ended_as_patience_allows(beam, patience, steps):
    model = by_hand(start={EOS: 0.9, 4: 0.1}, after_4={4: 0.5, EOS: 0.5})
    run(model, [Limits(50)], SearchSettings(beam=beam, patience=patience))
    assert len(model.rows_asked) == steps


def test_endings_do_not_shrink_the_beam():
    # At the first step the two best are <eos> and 4; with a beam of 2, 5 has to go on as well.
    model = by_hand(start={EOS: 0.5, 4: 0.3, 5: 0.2}, after_4={4: 1.0}, after_5={EOS: 1.0})
    chosen = SearchSettings(beam=2, nbest=2, length_penalty=0.0)
    (found,) = run(model, [Limits(6)], chosen)
    assert [one.tokens for one in found] == [(EOS,), (5, EOS)]
    assert [one.score for one in found] == pytest.approx([math.log(0.5), math.log(0.2)])


def test_cut_hypotheses_come_after_those_that_ended():
    # "4 4 4" has probability 0.9 and is cut; "<eos>" has 0.1 and ended.
    model = by_hand(start={EOS: 0.1, 4: 0.9}, after_4={4: 1.0})
    (found,) = run(model, [Limits(3)], SearchSettings(beam=2, nbest=2))
    assert [(one.tokens, one.finished) for one in found] == [((EOS,), "eos"), ((4, 4, 4), "length")]
    assert found[1].score > found[0].score


def test_the_model_never_reads_what_may_not_be_written():
    # The first sentence has one beginning until its prefix is over, the second has four: places stay empty.
    asked = []

    def logits(sentence: int, tokens: tuple[int, ...]) -> list[float]:
        asked.append(tokens)
        return [0.3 * token for token in range(7)]

    model = TableModel(7, given=logits)
    chosen = SearchSettings(beam=4, nbest=4, min_length=4)
    run(model, [Limits(5, (4, 5, 6), allow_unknown=False), Limits(5, allow_unknown=False)], chosen)
    assert max(map(len, asked)) == 4
    assert {token for tokens in asked for token in tokens} == {4, 5, 6}


def test_fewer_hypotheses_than_asked_for_where_there_are_no_more():
    model = by_hand(start={EOS: 0.1, 4: 0.9}, after_4={EOS: 1.0})
    (found,) = run(model, [Limits(9)], SearchSettings(beam=7, nbest=7))
    assert sorted(one.tokens for one in found) == [(EOS,), (4, EOS)]


def test_ties_go_to_the_better_row_then_to_the_lower_token():
    model = TableModel(40, given=lambda sentence, tokens: [0.0] * 40)
    chosen = SearchSettings(beam=3, nbest=3, min_length=2)
    (found,) = run(model, [Limits(2, allow_unknown=False)], chosen)
    assert [one.tokens for one in found] == [(4, 4), (4, 5), (4, 6)]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    order=orders,
    length_penalty=penalties,
    coverage_penalty=st.sampled_from([0.0, 0.3]),
    min_length=st.integers(0, 3),
    no_repeat=st.integers(0, 2),
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
)
def test_beam_of_one_is_greedy(seed, order, length_penalty, coverage_penalty, min_length, no_repeat, lengths, dtype):
    chosen = SearchSettings(
        method="beam",
        beam=1,
        length_penalty=length_penalty,
        coverage_penalty=coverage_penalty,
        min_length=min_length,
        no_repeat_ngram=no_repeat,
    )
    model = TableModel(7, seed, order, dtype=dtype)
    valid_BS = torch.ones(len(lengths), SOURCE, dtype=torch.bool)
    task = [Limits(length) for length in lengths]
    by_beam = run(model, task, chosen, want_weights=True, source_valid_BS=valid_BS)
    greedy = chosen.model_copy(update={"method": "greedy"})
    by_greedy = run(model, task, greedy, want_weights=True, source_valid_BS=valid_BS)
    for (one,), (other,) in zip(by_beam, by_greedy, strict=True):
        assert (one.tokens, one.log_probs, one.score, one.finished) == (
            other.tokens,
            other.log_probs,
            other.score,
            other.finished,
        )
        assert torch.equal(one.weights_TLHS, other.weights_TLHS)
