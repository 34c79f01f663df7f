"""What holds for every method of search."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_twins import EOS, PAD, SOS, SOURCE, UNK, TableModel

from seq2see.config.settings import SearchSettings
from seq2see.errors import InputError, Seq2seeError, Stopped
from seq2see.search.rules import ForbidTokens
from seq2see.search.search import search

METHODS = {
    "greedy": SearchSettings(method="greedy"),
    "beam": SearchSettings(method="beam", beam=3, nbest=3),
    "beam, one": SearchSettings(method="beam", beam=1),
    "sample": SearchSettings(method="sample", nbest=3),
    "sample, cut": SearchSettings(method="sample", nbest=2, top_k=4, top_p=0.8, temperature=0.7),
}
every_method = pytest.mark.parametrize("method", METHODS)


def run(model: TableModel, sentences: list[int], chosen: SearchSettings, max_lengths=None, **more):
    return search(
        model.step,
        model.start(sentences),
        sentences=len(sentences),
        settings=chosen,
        max_lengths=max_lengths or [6] * len(sentences),
        **more,
    )


def plain(found):
    return [[(one.tokens, one.log_probs, one.score, one.finished) for one in many] for many in found]


@every_method
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), normalised=st.booleans())
def test_a_short_list_is_a_smaller_vocabulary(method, seed, normalised):
    """As if the model had never heard of the other tokens: its distribution is over those on the list."""
    lists = [[EOS, 4, 6], [EOS, 5, 6, 7], [EOS, 4, 5, 6, 7]]
    model = TableModel(8, seed)

    def step(tokens_N, state, only=None):
        logits_NV, state, weights = model.step(tokens_N, state)
        if only is not None:
            logits_NV[:, [token for token in range(8) if token not in only]] = -math.inf
        return (logits_NV.log_softmax(-1) if normalised else logits_NV), state, weights

    def of(sentences, lists, only=None):
        return search(
            lambda tokens_N, state: step(tokens_N, state, only),
            model.start(sentences),
            sentences=len(sentences),
            settings=METHODS[method],
            max_lengths=[6] * len(sentences),
            shortlists=lists,
            sentence_keys=sentences,
            normalised=normalised,
        )

    for name, allowed in enumerate(lists):
        (found,) = of([name], None, allowed)
        for one, other in zip(found, of([0, 1, 2], lists)[name], strict=True):
            assert one.tokens == other.tokens
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-9)


def test_short_lists_that_are_missing_or_too_many():
    model = TableModel(8)
    with pytest.raises(InputError, match=r"search\.shortlist is for translators"):
        run(model, [0], SearchSettings(shortlist=3))
    with pytest.raises(InputError, match="shortlists is for 2 sentences"):
        run(model, [0], SearchSettings(), shortlists=[[EOS], [EOS]])


@every_method
@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    lengths=st.lists(st.integers(1, 7), min_size=2, max_size=5),
    order=st.permutations(range(5)),
    coverage_penalty=st.sampled_from([0.0, 0.4]),
)
def test_neighbours_change_nothing(method, seed, lengths, order, coverage_penalty):
    chosen = METHODS[method].model_copy(update={"coverage_penalty": coverage_penalty})
    model = TableModel(8, seed)
    names = [place for place in order if place < len(lengths)]
    prefixes = [[4] * (lengths[name] // 4) for name in range(len(lengths))]
    valid_BS = torch.ones(len(lengths), SOURCE, dtype=torch.bool)

    def of(sentences: list[int]):
        return run(
            model,
            sentences,
            chosen,
            [lengths[name] for name in sentences],
            prefixes=[prefixes[name] for name in sentences],
            sentence_keys=[100 + name for name in sentences],
            source_valid_BS=valid_BS[: len(sentences)],
            want_weights=True,
        )

    together = of(names)
    for name, found in zip(names, together, strict=True):
        (alone,) = of([name])
        assert plain([found]) == plain([alone])
        for one, other in zip(found, alone, strict=True):
            assert torch.equal(one.weights_TLHS, other.weights_TLHS)


@every_method
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), length_penalty=st.sampled_from([0.0, 0.5, 1.0]))
def test_scores_are_teacher_forced_scores_and_attention_is_that_of_the_path(method, seed, length_penalty):
    chosen = METHODS[method].model_copy(
        update={"length_penalty": length_penalty, "min_length": 2, "no_repeat_ngram": 2}
    )
    model = TableModel(8, seed)
    found = run(model, [7, 3], chosen, [6, 4], rules=[ForbidTokens((5,))], want_weights=True, prefixes=[[5, 6], []])
    for sentence, many in zip([7, 3], found, strict=True):
        for one in many:
            assert 5 not in one.tokens[1:]
            twin = [model.log_probs(sentence, one.tokens[:at])[token] for at, token in enumerate(one.tokens)]
            assert one.log_probs == pytest.approx(twin, abs=1e-9)
            assert one.score == pytest.approx(sum(twin) / len(twin) ** length_penalty, abs=1e-9)
            expected = [model.weights(sentence, one.tokens[:at]) for at in range(len(one.tokens))]
            assert torch.equal(one.weights_TLHS, torch.stack(expected))
            assert (one.tokens[-1] == EOS) == (one.finished == "eos")
            assert EOS not in one.tokens[:-1]
        assert many[0].tokens[:2] == (5, 6) or sentence == 3


@every_method
def test_no_attention_unless_asked_for_and_none_to_give(method):
    found = run(TableModel(8), [0], METHODS[method])
    assert all(one.weights_TLHS is None for one in found[0])
    found = run(TableModel(8, attention=False), [0], METHODS[method], want_weights=True)
    assert all(one.weights_TLHS is None for one in found[0])


@every_method
def test_no_sentences(method):
    def step(tokens_N, state):
        raise AssertionError("the model was asked about nothing")

    model = TableModel(8)
    found = search(step, model.start([]), sentences=0, settings=METHODS[method], max_lengths=[])
    assert found == []


@every_method
def test_one_token_only(method):
    found = run(TableModel(8, spread=0.1), [0, 1], METHODS[method], [1, 1])
    assert all(len(one.tokens) == 1 for many in found for one in many)
    assert all((one.finished == "eos") == (one.tokens == (EOS,)) for many in found for one in many)


@every_method
def test_a_model_that_never_ends_is_cut(method):
    model = TableModel(8, given=lambda sentence, tokens: [-30.0, -30.0, -30.0, -30.0, 9.0, 0.0, 0.0, 0.0])
    found = run(model, [0, 1], METHODS[method], [400, 3])
    for many, length in zip(found, [400, 3], strict=True):
        assert {(one.finished, len(one.tokens)) for one in many} == {("length", length)}
        assert all(math.isfinite(one.score) for one in many)
    assert len(model.rows_asked) == 400


@every_method
def test_a_row_with_nothing_allowed_is_cut_there(method):
    model = TableModel(7)
    chosen = METHODS[method].model_copy(update={"min_length": 9, "no_repeat_ngram": 1})
    # Tokens 4, 5 and 6 once each; then <eos> is too early and every other token is a repetition.
    found = run(model, [0, 1], chosen, [9, 2], want_weights=True)
    for one in found[0]:
        assert sorted(one.tokens) == [4, 5, 6]
        assert (one.finished, len(one.log_probs)) == ("length", 3)
        expected = [model.weights(0, one.tokens[:at]) for at in range(3)]
        assert torch.equal(one.weights_TLHS, torch.stack(expected))
    assert all(len(one.tokens) == 2 for one in found[1])


@every_method
def test_nothing_allowed_from_the_start(method):
    found = run(TableModel(7), [0, 1], METHODS[method], rules=[ForbidTokens(tuple(range(7)))], want_weights=True)
    for many in found:
        assert len(many) == (METHODS[method].nbest if METHODS[method].method == "sample" else 1)
        assert {(one.tokens, one.log_probs, one.score, one.finished) for one in many} == {((), (), 0.0, "length")}
        assert all(one.weights_TLHS.shape == (0, 2, 3, SOURCE) for one in many)


@every_method
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_model_that_gives_no_distribution_is_refused(method, bad):
    def logits(sentence: int, tokens: tuple[int, ...]) -> list[float]:
        if sentence == 1 and len(tokens) == 2:
            return [bad] * 8
        return [0.0, 0.0, -40.0, 0.0, 1.0, 1.0, 1.0, 1.0]

    with pytest.raises(Seq2seeError, match=r"target position 3\b.*finite"):
        run(TableModel(8, given=logits), [0, 1], METHODS[method])


@every_method
def test_tokens_that_the_model_excludes_never_come(method):
    # One finite logit is a distribution; the others are impossible, not an error.
    def logits(sentence: int, tokens: tuple[int, ...]) -> list[float]:
        return [0.0 if token == (4 if len(tokens) < 2 else EOS) else -math.inf for token in range(8)]

    found = run(TableModel(8, given=logits), [0], METHODS[method])
    assert {(one.tokens, one.finished, one.score) for one in found[0]} == {((4, 4, EOS), "eos", 0.0)}


@every_method
def test_special_tokens_never_come(method):
    model = TableModel(8, given=lambda sentence, tokens: [5.0, 5.0, -9.0, 5.0, 0.0, 0.0, 0.0, 0.0])
    found = run(model, [0], METHODS[method])
    assert not {PAD, SOS, UNK} & {token for one in found[0] for token in one.tokens}
    found = run(model, [0], METHODS[method], allow_unknown=True)
    assert UNK in found[0][0].tokens
    assert not {PAD, SOS} & {token for one in found[0] for token in one.tokens}


@every_method
def test_a_prefix_is_forced_whatever_the_rules_say(method):
    chosen = METHODS[method].model_copy(update={"no_repeat_ngram": 1})
    found = run(TableModel(9), [0, 1, 2], chosen, rules=[ForbidTokens((7,))], prefixes=[[7, 7, UNK], [], [5]])
    assert all(one.tokens[:3] == (7, 7, UNK) for one in found[0])
    assert all(len(one.tokens) > 3 for one in found[0])
    assert all(one.tokens[0] == 5 for one in found[2])
    for many in found:
        # Behind the prefix the rules hold again, and they see it.
        behind = [one.tokens[3:] if many is found[0] else one.tokens for one in many]
        assert all(7 not in tokens and len(set(tokens)) == len(tokens) for tokens in behind)


@every_method
def test_a_signal_stops_the_search_between_two_steps(method):
    model = TableModel(8, given=lambda sentence, tokens: [0.0, 0.0, -99.0] + [0.0] * 5)
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 4:
            raise Stopped("SIGINT", 2)

    with pytest.raises(Stopped):
        run(model, [0], METHODS[method], [50], check=check)
    assert len(model.rows_asked) == 3


@every_method
def test_gradients_are_not_kept(method):
    weight_V = torch.nn.Parameter(torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 2.0]))
    seen = []

    def step(tokens_N, state):
        logits_NV = weight_V.expand(len(tokens_N), -1) * 1.0
        seen.append(logits_NV.requires_grad)
        return logits_NV, state, None

    model = TableModel(6)
    search(step, model.start([0]), sentences=1, settings=METHODS[method], max_lengths=[1])
    assert seen == [False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_lengths": [5]}, "max_lengths is for 1 sentences, but there are 2"),
        ({"max_lengths": [5, 0]}, "at least 1 token"),
        ({"prefixes": [[4]]}, "prefixes is for 1 sentences"),
        ({"prefixes": [[4], [5, EOS]]}, r"prefix of sentence 1 holds \[2\]"),
        ({"prefixes": [[4], [-1]]}, r"prefix of sentence 1 holds \[-1\]"),
        ({"prefixes": [[4], [99]]}, "token 99, but the vocabulary ends at 7"),
        ({"prefixes": [[4] * 6, []]}, "max_length of 7 or more"),
        ({"sentence_keys": [1]}, "sentence_keys is for 1 sentences"),
        ({"source_valid_BS": torch.ones(3, SOURCE, dtype=torch.bool)}, "source_valid_BS is for 3 sentences"),
        ({"rules": [lambda tokens_NP, sentence_N, vocabulary: torch.ones(3)]}, "has to be Boolean"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    given_lengths = arguments.pop("max_lengths", None)
    with pytest.raises(InputError, match=message):
        run(TableModel(8), [0, 1], METHODS["beam"], given_lengths, **arguments)


def test_coverage_needs_attention_and_to_know_the_padding():
    chosen = METHODS["beam"].model_copy(update={"coverage_penalty": 0.2})
    with pytest.raises(InputError, match="source_valid_BS"):
        run(TableModel(8), [0], chosen)
    valid_BS = torch.ones(1, SOURCE, dtype=torch.bool)
    with pytest.raises(InputError, match="gives none"):
        run(TableModel(8, attention=False), [0], chosen, source_valid_BS=valid_BS)
    with pytest.raises(InputError, match=f"{SOURCE} source positions"):
        run(TableModel(8), [0], chosen, source_valid_BS=valid_BS[:, 1:])


def test_logits_for_other_rows_than_asked_are_refused():
    with pytest.raises(Seq2seeError, match=r"\[3, 8\] for 2 rows"):
        search(
            lambda tokens_N, state: (torch.zeros(3, 8), state, None),
            TableModel(8).start([0, 1]),
            sentences=2,
            settings=METHODS["greedy"],
            max_lengths=[4, 4],
        )
