"""Greedy search: the likeliest token each time, and a batch that gets smaller."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_twins import EOS, Limits, TableModel, answer, same

from seq2see.config.settings import SearchSettings
from seq2see.search.search import search

GREEDY = SearchSettings(method="greedy")


def slow_greedy(model: TableModel, sentence: int, limits: Limits, chosen: SearchSettings):
    tokens: tuple[int, ...] = ()
    while len(tokens) < limits.max_length:
        allowed = limits.allowed(tokens, model.vocabulary, chosen)
        if not allowed:
            break
        logits = model.logits(sentence, tokens)
        tokens = (*tokens, max(allowed, key=lambda token: logits[token]))
        if tokens[-1] == EOS:
            return answer(model, sentence, tokens, "eos", chosen)
    return answer(model, sentence, tokens, "length", chosen)


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 10**6),
    vocabulary=st.integers(5, 11),
    length_penalty=st.sampled_from([0.0, 0.6, 1.0]),
    min_length=st.integers(0, 4),
    no_repeat=st.integers(0, 3),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_greedy_is_its_slow_twin(seed, vocabulary, length_penalty, min_length, no_repeat, lengths):
    chosen = SearchSettings(
        method="greedy", length_penalty=length_penalty, min_length=min_length, no_repeat_ngram=no_repeat
    )
    model = TableModel(vocabulary, seed)
    found = search(
        model.step,
        model.start(range(len(lengths))),
        sentences=len(lengths),
        settings=chosen,
        max_lengths=lengths,
        allow_unknown=True,
    )
    for sentence, length in enumerate(lengths):
        same(found[sentence], [slow_greedy(model, sentence, Limits(length), chosen)])


def counting(lengths: list[int]) -> TableModel:
    """Sentence b says 4 until its target has ``lengths[b]`` tokens, the <eos> included."""

    def logits(sentence: int, tokens: tuple[int, ...]) -> list[float]:
        wanted = EOS if len(tokens) + 1 == lengths[sentence] else 4
        return [math.log(0.9) if token == wanted else math.log(0.02) for token in range(6)]

    return TableModel(6, given=logits)


def test_finished_sentences_leave_the_batch():
    model = counting([2, 5, 1, 2])
    found = search(model.step, model.start(range(4)), sentences=4, settings=GREEDY, max_lengths=[9, 9, 9, 9])
    assert [len(one.tokens) for (one,) in found] == [2, 5, 1, 2]
    assert {one.finished for (one,) in found} == {"eos"}
    assert model.rows_asked == [4, 3, 1, 1, 1]
    # The state is touched only when somebody leaves.
    assert model.takes == [(3, 1), (1, 1)]
    assert found[1][0].score == pytest.approx(math.log(0.9))


def test_of_equal_tokens_the_lowest_is_taken():
    model = TableModel(30, given=lambda sentence, tokens: [1.0] * 30)
    ((one,),) = search(
        model.step,
        model.start([0]),
        sentences=1,
        settings=GREEDY.model_copy(update={"min_length": 2}),
        max_lengths=[3],
    )
    # <pad>, <sos> and <unk> never come; <eos> is token 2, the lowest of all, once it is allowed.
    assert one.tokens == (4, 4, EOS)
    assert one.log_probs == pytest.approx([-math.log(30)] * 3)


def test_half_precision_is_summed_in_single():
    model = TableModel(9, 5, dtype=torch.bfloat16, attention=False)
    ((one,),) = search(model.step, model.start([0]), sentences=1, settings=GREEDY, max_lengths=[6])
    tokens: tuple[int, ...] = ()
    for token, log_prob in zip(one.tokens, one.log_probs, strict=True):
        logits = torch.tensor(model.logits(0, tokens), dtype=torch.bfloat16).double()
        assert log_prob == pytest.approx(float(logits.log_softmax(-1)[token]), abs=1e-6)
        tokens = (*tokens, token)
