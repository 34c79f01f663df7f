"""Edit distance against the textbook's table of distances."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.evaluation.edits import edit_distance


def table_of_distances(first: Sequence[object], second: Sequence[object]) -> int:
    """The slow, obvious twin: Wagner and Fischer (1974), cell by cell."""
    above = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        row = [i]
        for j, b in enumerate(second, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b)))
        above = row
    return above[-1]


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ("kitten", "sitting", 3),
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("flaw", "lawn", 2),
        ("ab", "ba", 2),
    ],
)
def test_distances_known_by_hand(first: str, second: str, distance: int) -> None:
    assert edit_distance(first, second) == distance


@settings(deadline=None, max_examples=300)
@given(st.text("abc", max_size=40), st.text("abc", max_size=40))
def test_equals_the_table_of_distances(first: str, second: str) -> None:
    assert edit_distance(first, second) == table_of_distances(first, second)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=9),
    st.lists(st.sampled_from(["a", "bb"]), max_size=9),
)
def test_words_are_units_too(first: list[str], second: list[str]) -> None:
    assert edit_distance(first, second) == table_of_distances(first, second)


def test_long_sequences_cost_bits_not_cells() -> None:
    """20 000 × 20 000 cells would take minutes; the answer is planted."""
    first = "ab" * 10_000
    assert edit_distance("x" + first, first + "yz") == 3
