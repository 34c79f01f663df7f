"""Each rule against its words in plain Python."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_twins import EOS

from seq2see.errors import InputError
from seq2see.search.rules import ForbidTokens, ForbidWords, MinLength, NoRepeat, allowed_tokens

VOCABULARY = 7
token_lists = st.integers(0, 8).flatmap(
    lambda length: st.lists(
        st.lists(st.integers(3, VOCABULARY - 1), min_size=length, max_size=length), min_size=1, max_size=4
    )
)


def mask_of(rule, rows: list[list[int]]) -> list[list[bool]]:
    tokens_NP = torch.tensor(rows, dtype=torch.long).view(len(rows), -1)
    before = tokens_NP.clone()
    mask = rule(tokens_NP, torch.arange(len(rows)), VOCABULARY)
    assert torch.equal(tokens_NP, before)
    if mask is None:
        return [[True] * VOCABULARY for _ in rows]
    return mask.expand(len(rows), VOCABULARY).tolist()


@settings(deadline=None, max_examples=100)
@given(rows=token_lists, size=st.integers(1, 4))
def test_no_repeat(rows, size):
    for tokens, mask in zip(rows, mask_of(NoRepeat(size), rows), strict=True):
        grams = {tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1)}
        for token in range(VOCABULARY):
            last = tuple([*tokens, token][-size:])
            assert mask[token] == (last not in grams)


@settings(deadline=None, max_examples=100)
@given(
    rows=token_lists,
    words=st.lists(st.lists(st.integers(3, VOCABULARY), min_size=1, max_size=3).map(tuple), max_size=5),
)
def test_forbidden_words(rows, words):
    # Token 7 is outside the vocabulary: a word that holds it can never come, and is no error.
    for tokens, mask in zip(rows, mask_of(ForbidWords(tuple(words)), rows), strict=True):
        for token in range(VOCABULARY):
            longer = (*tokens, token)
            assert mask[token] == (not any(longer[-len(word) :] == word for word in words))


def test_min_length_and_forbidden_tokens():
    assert mask_of(MinLength(2), [[5]]) == [[token != EOS for token in range(VOCABULARY)]]
    assert mask_of(MinLength(2), [[5, 5]]) == [[True] * VOCABULARY]
    assert mask_of(ForbidTokens((0, 6, 99)), [[5]]) == [[False, True, True, True, True, True, False]]


def test_rules_hold_together():
    tokens_NP = torch.tensor([[4, 5], [5, 5]])
    rules = [MinLength(3), ForbidTokens((0, 1, 3)), NoRepeat(1), ForbidWords(((5, 6),))]
    allowed = allowed_tokens(rules, tokens_NP, torch.arange(2), VOCABULARY)
    assert [row.nonzero().flatten().tolist() for row in allowed.expand(2, -1)] == [[], [4]]
    assert allowed_tokens([MinLength(1)], tokens_NP, torch.arange(2), VOCABULARY) is None


def test_rules_can_be_compared_and_kept():
    assert ForbidWords(((4, 5),)) == ForbidWords(((4, 5),))
    assert len({NoRepeat(2), NoRepeat(2), NoRepeat(3)}) == 2


def test_senseless_rules_are_refused():
    with pytest.raises(InputError, match="no pieces"):
        ForbidWords(((4,), ()))
    with pytest.raises(InputError, match="at least 1 token"):
        NoRepeat(0)
