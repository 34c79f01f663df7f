import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_samples import SENTENCES, texts

from seq2see.config.settings import TextSettings
from seq2see.errors import InputError
from seq2see.text.dropout import MergeTable
from seq2see.text.normalise import normalise
from seq2see.text.tokeniser import Tokeniser
from seq2see.text.vocabulary import Vocabulary, fixed_pieces, numbered

MERGES = (("a", "b"), ("b", "c"), ("ab", "c"), ("abc", "abc"), ("c", "c"), ("a", "bc"))
TABLE = Vocabulary(numbered(fixed_pieces("bpe"), (left + right for left, right in MERGES)), MERGES)


def with_dropout(chance: float) -> Tokeniser:
    return Tokeniser.train(SENTENCES, TextSettings(kind="bpe", vocabulary=420, dropout=chance))


@settings(deadline=None, max_examples=200)
@given(text=texts())
def test_without_dropout_it_is_plain_bpe(text: str) -> None:
    assert PLAIN.encode_with_dropout(text, random.Random(1)) == list(PLAIN.encode(text).ids)
    assert RARE.encode_with_dropout(text, random.Random(1)) == list(PLAIN.encode(text).ids)


PLAIN, RARE, OFTEN = with_dropout(0.0), with_dropout(1e-12), with_dropout(0.3)


@settings(deadline=None, max_examples=100)
@given(text=texts(), seed=st.integers(0, 2**64))
def test_the_text_comes_back_and_the_draw_repeats(text: str, seed: int) -> None:
    ids = OFTEN.encode_with_dropout(text, random.Random(seed))
    assert OFTEN.decode(ids) == normalise(text, OFTEN.settings)
    assert ids == OFTEN.encode_with_dropout(text, random.Random(seed))


def algorithm_1(word: str, chance: float, draw: random.Random) -> list[str]:
    """Provilkov et al. 2020, algorithm 1, as it stands there."""
    split = list(word)
    while True:
        merges = []
        for at in range(len(split) - 1):
            pair = (split[at], split[at + 1])
            if pair in MERGES and draw.random() >= chance:
                merges.append((MERGES.index(pair), at))
        if not merges:
            return split
        _, at = min(merges)
        split[at : at + 2] = ["".join(split[at : at + 2])]


@settings(deadline=None, max_examples=300)
@given(
    word=st.text(st.sampled_from("abcd"), max_size=12),
    chance=st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    seed=st.integers(0, 1000),
)
def test_each_draw_is_that_of_the_algorithm(word: str, chance: float, seed: int) -> None:
    ids = MergeTable(TABLE).encode([word], chance, random.Random(seed).random)
    assert [TABLE.pieces[number] for number in ids] == algorithm_1(word, chance, random.Random(seed))


def test_how_often_each_segmentation_comes() -> None:
    """ "ab" stays apart with the chance p; "abc" by hand, p = 1/2: the two merges are drawn in each pass.

    First pass: ab chosen 1/2, bc chosen 1/4, none 1/4. Then the second merge is left out with 1/2.
    """
    table, draw = MergeTable(TABLE), random.Random(5).random
    counts = Counter(tuple(table.encode(["abc"], 0.5, draw)) for _ in range(8_000))
    ids = {piece: number for number, piece in enumerate(TABLE.pieces)}
    expected = {
        (ids["a"], ids["b"], ids["c"]): 1 / 4,
        (ids["ab"], ids["c"]): 1 / 4,
        (ids["a"], ids["bc"]): 1 / 8,
        (ids["abc"],): 3 / 8,
    }
    assert set(counts) == set(expected)
    for segmentation, share in expected.items():
        assert counts[segmentation] / 8_000 == pytest.approx(share, abs=0.02)


def test_runs_of_text_are_segmented_apart() -> None:
    ids = MergeTable(TABLE).encode(["a", "bc", "", "abcabc"], 0.0, random.Random(1).random)
    assert [TABLE.pieces[number] for number in ids] == ["a", "bc", "abcabc"]


def test_only_bpe_has_bpe_dropout(reversible: Tokeniser) -> None:
    if reversible.settings.kind != "bpe":
        with pytest.raises(InputError, match=f'"bpe", not "{reversible.settings.kind}"'):
            reversible.encode_with_dropout("text", random.Random(1))


def test_other_pieces_but_not_many_more() -> None:
    tokeniser = with_dropout(0.1)
    plain = sum(map(len, tokeniser.encode_ids(SENTENCES)))
    drawn = [tokeniser.encode_with_dropout(line, random.Random(1)) for line in SENTENCES]
    assert plain < sum(map(len, drawn)) < 1.5 * plain
    assert drawn != [tokeniser.encode_with_dropout(line, random.Random(2)) for line in SENTENCES]
