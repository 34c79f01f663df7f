from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_samples import texts

from seq2see.text.tokeniser import Tokeniser
from seq2see.text.words import group_pieces, joined_words, word_spans


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        (" \t\n", []),
        ("The cat sat.", ["The", "cat", "sat", "."]),
        ("  two  blanks ", ["two", "blanks"]),
        ("(foo), \"bar\"!?", ["(", "foo", ")", ",", '"', "bar", '"', "!", "?"]),
        ("wait... what?!!", ["wait", "...", "what", "?", "!!"]),
        ("don't l’homme co-op well--known", ["don't", "l’homme", "co-op", "well", "--", "known"]),
        ("U.S. e.g. end.", ["U.S", ".", "e.g", ".", "end", "."]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("3.14 1,000 12:30 3/4 yes,no 5%", ["3.14", "1,000", "12:30", "3/4", "yes", ",", "no", "5", "%"]),
        ("$5 a=b @x #y snake_case", ["$", "5", "a", "=", "b", "@", "x", "#", "y", "snake_case"]),
        ("나는 학교에 갔다.", ["나는", "학교에", "갔다", "."]),
        ("東京タワーへ行く。", ["東", "京", "タワーへ", "行", "く", "。"]),
        ("我喜欢Python", ["我", "喜", "欢", "Python"]),
        ("ภาษาไทย ดี", ["ภาษาไทย", "ดี"]),
        ("ພາສາລາວ ភាសាខ្មែរ မြန်မာ", ["ພາສາລາວ", "ភាសាខ្មែរ", "မြန်မာ"]),
        ("नमस्ते, दुनिया!", ["नमस्ते", ",", "दुनिया", "!"]),
        ("مرحبا، بالعالم", ["مرحبا", "،", "بالعالم"]),
        ("می‌خواهم", ["می‌خواهم"]),
        ("צה״ל שָׁלוֹם", ["צה״ל", "שָׁלוֹם"]),
        ("hi😀😀there", ["hi", "😀", "😀", "there"]),
        ("👩‍👩‍👧‍👦👍🏽❤️🇰🇷🇩🇪", ["👩‍👩‍👧‍👦", "👍🏽", "❤️", "🇰🇷", "🇩🇪"]),
        ("1️⃣ e\u0301a", ["1️⃣", "e\u0301a"]),
        ("a\u0301 \u0301b", ["a\u0301", "\u0301", "b"]),
        ("a\u200bb\u2028c", ["a", "b", "c"]),
        ("\x00a", ["\x00", "a"]),
    ],
)  # fmt: skip
def test_words_by_hand(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def is_between(char: str) -> bool:
    return char.isspace() or char in "\u200b"


@settings(deadline=None, max_examples=300)
@given(texts())
def test_each_character_but_white_space_is_in_one_word(text: str) -> None:
    spans = word_spans(text)
    assert list(spans) == sorted(spans)
    covered = [at for start, end in spans for at in range(start, end)]
    assert covered == [at for at, char in enumerate(text) if not is_between(char)]
    assert all(start < end for start, end in spans)


@settings(deadline=None, max_examples=200)
@given(texts(6), texts(6))
def test_words_do_not_depend_on_what_is_behind_white_space(left: str, right: str) -> None:
    assert words(left + " " + right) == words(left) + words(right)


def test_a_long_text_takes_little_time() -> None:
    for unit in ("a", "a.", "...", "1,", "\u0301", "👩‍", "漢a", "("):
        assert word_spans(unit * 30_000)


# Pieces


def test_groups_by_hand() -> None:
    text = "the cats, yes"
    spans = [(0, 3), (3, 4), (4, 7), (7, 9), (9, 13), (13, 13)]
    assert group_pieces(spans, word_spans(text)) == ((0,), (1, 2, 3), (), (4,))
    assert joined_words(spans, word_spans(text)) == ((0, 3), (4, 9), (10, 13))
    assert group_pieces(spans, joined_words(spans, word_spans(text))) == ((0,), (1, 2, 3), (4,))


def test_white_space_and_special_pieces() -> None:
    assert group_pieces([(0, 0), (0, 1), (1, 2), (2, 3), (3, 3)], ((1, 2),)) == ((1, 2, 3),)
    assert group_pieces([(0, 2)], ()) == ()
    assert group_pieces([], ((0, 1), (2, 3))) == ((), ())
    assert group_pieces([(0, 1), (1, 1), (0, 1), (1, 3)], ((0, 1), (2, 3))) == ((0, 2), (3,))


def most_shared(span: tuple[int, int], spans: tuple[tuple[int, int], ...]) -> int:
    shared = [len(set(range(*span)) & set(range(*word))) for word in spans]
    if max(shared):
        return shared.index(max(shared))
    return next((number for number, word in enumerate(spans) if word[0] >= span[1]), len(spans) - 1)


cuts = st.lists(st.integers(0, 30), max_size=20).map(lambda places: sorted({0, 30, *places}))
tiles = cuts.map(lambda places: list(pairwise(places)))


@settings(deadline=None, max_examples=300)
@given(tiles, tiles, st.integers(0, 2**32))
def test_groups_as_the_obvious_twin_finds_them(
    spans: list[tuple[int, int]], words: list[tuple[int, int]], kept: int
) -> None:
    some = tuple(word for number, word in enumerate(words) if kept >> number & 1)
    groups = group_pieces(spans, some)
    if some:
        for number, span in enumerate(spans):
            assert [number in group for group in groups].index(True) == most_shared(span, some)
        assert sorted(number for group in groups for number in group) == list(range(len(spans)))
    joined = joined_words(spans, some)
    assert all(group_pieces(spans, joined))
    for start, end in some:
        assert any(first <= start and end <= last for first, last in joined)
    straddled = {
        number
        for number, (left, right) in enumerate(pairwise(some))
        if any(start < left[1] and end > right[0] for start, end in spans)
    }
    assert len(joined) == len(some) - len(straddled)


@settings(deadline=None, max_examples=100)
@given(text=texts())
def test_the_pieces_of_real_tokenisers(reversible: Tokeniser, text: str) -> None:
    encoding = reversible.encode(text)
    found = word_spans(encoding.text)
    joined = joined_words(encoding.spans, found)
    groups = group_pieces(encoding.spans, joined)
    numbers = [number for group in groups for number in group]
    assert len(numbers) == len(set(numbers))
    for (start, end), group in zip(joined, groups, strict=True):
        covered = {at for number in group for at in range(*encoding.spans[number])}
        assert covered >= set(range(start, end))
