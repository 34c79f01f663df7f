import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import EOS, peaked, record, reversal, sentence, side

from seq2see.errors import InputError
from seq2see.viewing.grid import (
    Grid,
    averaged,
    grid,
    merged,
    piece_labels,
    right_to_left,
    shown_piece,
    word_groups,
    word_texts,
)
from seq2see.viewing.record import Record, Rows, Side


def random_rows(rows: int, columns: int, seed: int) -> Rows:
    draw = random.Random(seed)
    matrix = [[draw.random() for _ in range(columns)] for _ in range(rows)]
    return tuple(tuple(weight / sum(row) for weight in row) for row in matrix)


def highest(shown: Grid) -> list[int]:
    return [max(range(len(row)), key=row.__getitem__) for row in shown.weights]


def everything() -> Record:
    """Two layers of three heads of each kind; sub-words of two letters."""
    source, target = side("abcd", "e", "fgh", cut=2), side("ij", "klmno", cut=2)
    sizes = len(source.pieces), len(target.pieces)
    shapes = {"cross": (sizes[1], sizes[0]), "encoder": (sizes[0],) * 2, "decoder": (sizes[1],) * 2}
    attention = {
        kind: tuple(tuple(random_rows(*shape, 7 * layer + head) for head in range(3)) for layer in range(2))
        for kind, shape in shapes.items()
    }
    return record(source, target, attention=attention, log_probs=tuple(-0.1 * (n + 1) for n in range(sizes[1])))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text("abcxyz", min_size=1, max_size=7), min_size=1, max_size=6, unique=True), st.integers(0, 3))
def test_planted_reversal_is_the_anti_diagonal(words: list[str], cut: int) -> None:
    shown = grid(reversal(*words, cut=cut))
    assert highest(shown) == [*reversed(range(len(words))), len(words)]
    assert [label.text for label in shown.rows] == [*reversed(words), EOS]
    assert [label.text for label in shown.columns] == [*words, EOS]


def test_merging_adds_over_what_is_looked_at_and_averages_over_what_looks() -> None:
    # Source ab|c d <eos>, target pq|r <eos>: three pieces each way make two words and an end.
    source, target = side("abc", "d", cut=2), side("pqr", cut=2)
    rows = ((0.1, 0.2, 0.3, 0.4), (0.5, 0.25, 0.125, 0.125), (0.0, 0.0, 0.0, 1.0))
    shown = grid(record(source, target, rows, log_probs=(-1.0, -0.5, -0.25)))
    assert shown.weights[0] == pytest.approx(((0.1 + 0.2 + 0.5 + 0.25) / 2, (0.3 + 0.125) / 2, (0.4 + 0.125) / 2))
    assert shown.weights[1] == (0.0, 0.0, 1.0)
    assert shown.probabilities == pytest.approx((math.exp(-1.5), math.exp(-0.25)))


@pytest.mark.parametrize("kind", ["cross", "encoder", "decoder"])
@pytest.mark.parametrize("words", [True, False])
def test_every_row_still_sums_to_one(kind: str, words: bool) -> None:
    shown = grid(everything(), kind=kind, words=words)
    assert len(shown.weights) == len(shown.rows)
    for row in shown.weights:
        assert len(row) == len(shown.columns)
        assert sum(row) == pytest.approx(1.0)


def test_merged_record_equals_the_merged_grid() -> None:
    whole = everything()
    once = merged(whole)
    assert once.target.pieces == ("ij", "klmno", EOS)
    assert once.log_probs == pytest.approx((-0.1, -0.2 - 0.3 - 0.4, -0.5))
    for kind in ("cross", "encoder", "decoder"):
        for layer, head in ((None, None), (2, None), (1, 3)):
            direct = grid(whole, kind=kind, layer=layer, head=head)
            through = grid(once, kind=kind, layer=layer, head=head, words=False)
            assert list(through.weights) == [pytest.approx(row) for row in direct.weights]
            assert through.rows == direct.rows and through.columns == direct.columns
    assert merged(whole, words=False) is whole
    assert merged(once).attention["cross"] == once.attention["cross"]


def test_runners_up_stay_with_words_of_one_piece() -> None:
    source, target = side("a"), side("bc", "d", cut=1)
    runners = tuple(((name, -3.0),) for name in "wxyz")
    made = merged(record(source, target, peaked([0, 0, 0, 1], 2), runners_up=runners))
    assert made.runners_up == ((), (("y", -3.0),), (("z", -3.0),))


def test_a_target_that_broke_off_within_a_word() -> None:
    source, target = side("a"), side("b", "cd", cut=1, end=False)
    rows = random_rows(3, 3, 1)
    made = record(source, target, attention={"cross": ((random_rows(3, 2, 2),),), "decoder": ((rows,),)})
    shown = grid(made, kind="decoder")
    assert [label.text for label in shown.columns] == ["<sos>", "b", "cd"]
    assert shown.weights[1] == pytest.approx([(rows[1][at] + rows[2][at]) / 2 for at in range(3)])
    assert "decoder" not in merged(made).attention and "cross" in merged(made).attention


def test_decoder_columns_are_what_was_read() -> None:
    shown = grid(everything(), kind="decoder", words=False)
    assert [label.text for label in shown.columns] == ["<sos>", "ij", "kl", "mn", "o"]
    assert [label.special for label in shown.columns] == [True, False, False, False, False]
    assert [label.text for label in shown.rows] == ["ij", "kl", "mn", "o", EOS]


def test_averages_by_plain_loops() -> None:
    whole = everything()
    weights = whole.attention["cross"]
    for layers, heads, layer, head in (
        ([0, 1], [0, 1, 2], None, None),
        ([1], [0, 1, 2], 2, None),
        ([0, 1], [2], None, 3),
    ):
        found = averaged(whole, layer=layer, head=head)
        for t, row in enumerate(found):
            for s, weight in enumerate(row):
                terms = [weights[one][other][t][s] for one in layers for other in heads]
                assert weight == pytest.approx(sum(terms) / len(terms))
    assert averaged(whole, "encoder", layer=2, head=1) == whole.attention["encoder"][1][0]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"layer": 0}, "layer 0 was asked for; this attention has layers 1 to 2"),
        ({"layer": 3}, "layers 1 to 2"),
        ({"head": 4}, "heads 1 to 3"),
        ({"kind": "self"}, "cross, encoder, decoder"),
    ],
)
def test_what_does_not_exist_is_said(choice: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        grid(everything(), **choice)  # type: ignore[arg-type]


def test_a_model_without_attention_says_so() -> None:
    with pytest.raises(InputError, match="without attention"):
        grid(record(side("a"), side("b")))


def test_titles_say_what_was_averaged() -> None:
    whole = everything()
    assert grid(whole).title == "target looks at source, mean of 2 layers, mean of 3 heads"
    assert grid(whole, kind="encoder", layer=2, head=1).title == (
        "source looks at source (encoder), layer 2 of 2, head 1 of 3"
    )
    assert grid(reversal("a", "b")).title == "target looks at source"


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_every_piece_is_in_exactly_one_word(data: st.DataObject) -> None:
    text = data.draw(st.text("ab .,", max_size=15))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)) | {0, len(text)})
    spans = list(itertools.pairwise(cuts))
    special = [False] * len(spans)
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(spans)))
        spans.insert(at, (0, 0))
        special.insert(at, data.draw(st.booleans()))
    words = sentence(text).words
    made = Side(text, ("x",) * len(spans), tuple(spans), words, tuple(special))
    groups = word_groups(made)
    assert [piece for group in groups for piece in group] == list(range(len(spans)))
    for group in groups:
        assert len(group) == 1 or not any(special[piece] for piece in group)
    assert len(word_texts(made, groups)) == len(groups)


def test_white_space_goes_with_the_word_after_it() -> None:
    made = Side(
        "to  be ",
        ("t", "o", " ", " ", "b", "e", " ", EOS),
        ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 7)),
        ((0, 2), (4, 6)),
        (False,) * 7 + (True,),
    )
    assert word_groups(made) == ((0, 1), (2, 3, 4, 5, 6), (7,))
    assert word_texts(made, word_groups(made)) == ("to", "be", EOS)
    assert [label.text for label in piece_labels(made)] == ["t", "o", "␣", "␣", "b", "e", "␣", EOS]


def test_words_that_share_a_piece_are_one() -> None:
    made = Side(
        "a bc d",
        ("a b", "c", " d", EOS),
        ((0, 3), (3, 4), (4, 6), (6, 6)),
        ((0, 1), (2, 4), (5, 6)),
        (False,) * 3 + (True,),
    )
    assert word_groups(made) == ((0, 1), (2,), (3,))
    assert word_texts(made, word_groups(made)) == ("a bc", "d", EOS)


def test_labels_show_what_cannot_be_seen() -> None:
    assert shown_piece(" the") == "␣the"
    assert shown_piece("  ") == "␣␣"
    assert shown_piece("") == "∅"
    assert shown_piece("a b") == "a b"
    assert shown_piece("\u0947\u0915\u0947") == "\u25cc\u0947\u0915\u0947"  # a vowel sign that begins a piece
    assert shown_piece(" \u0301") == "␣\u25cc\u0301"
    assert "\x1b" not in shown_piece("\x1b[31m") and "\u202e" not in shown_piece("\u202eabc")


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("hello", False),
        ("שלום", True),
        ("123, أين", True),
        ("«where»", False),
        ("", False),
        ("?!", False),
        ("日本", False),
    ],
)
def test_direction_is_that_of_the_first_letter(text: str, direction: bool) -> None:
    assert right_to_left(text) is direction
