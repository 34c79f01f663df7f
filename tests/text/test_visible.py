import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_samples import NASTY, SENTENCES, texts

from seq2see.text.visible import MOST_MARKS, visible

SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
some = texts() | st.text(st.characters(), max_size=20) | st.text(
    st.sampled_from("aऀक्ی\u200c\u200d\u0301\u0323\ufe0f👩❤🏴\U000e0067\U000e0062\U000e007f\u202e\ud800‹›"), max_size=30
)  # fmt: skip


@settings(deadline=None, max_examples=500)
@given(some)
def test_idempotent(text: str) -> None:
    once = visible(text)
    assert visible(once) == once


@settings(deadline=None, max_examples=300)
@given(some)
def test_nothing_is_left_that_steers_or_hides(text: str) -> None:
    shown = visible(text)
    shown.encode()
    for char in shown:
        assert unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(char) not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        assert char not in "\u200b\u200e\u200f\u061c\u2060\ufeff\u00ad\u034f\u3164\u2061"
    stacked = 0
    for char in shown:
        stacked = stacked + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        assert stacked <= MOST_MARKS


@pytest.mark.parametrize(
    "text, expected",
    [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x9b31m", "‹U+009B›31m"),
        ("a\x00b\x07\x08\x7f", "a␀b␇␈␡"),
        ("a\tb\nc\rd\r\n", "a␉b␊c␍d␍␊"),
        ("\u0085\u2028\u2029", "‹U+0085›‹LS›‹PS›"),
        ("user\u202egnp.exe", "user‹RLO›gnp.exe"),
        ("\u202a\u202b\u202c\u202d\u2066\u2067\u2068\u2069", "‹LRE›‹RLE›‹PDF›‹LRO›‹LRI›‹RLI›‹FSI›‹PDI›"),
        ("\u200e\u200f\u061c", "‹LRM›‹RLM›‹ALM›"),
        ("zero\u200bwidth\ufeff\u2060\u00ad", "zero‹ZWSP›width‹ZWNBSP›‹WJ›‹SHY›"),
        ("pass\u200dword\u200c", "pass‹ZWJ›word‹ZWNJ›"),
        ("\u200d", "‹ZWJ›"),
        ("\ud83d", "‹U+D83D›"),
        ("\u2061\ufff9\u3164\u115f", "‹U+2061›‹U+FFF9›‹U+3164›‹U+115F›"),
        ("hi\U000e0068\U000e0069", "hi‹U+E0068›‹U+E0069›"),
        ("🏴" + "\U000e0061" * 9 + "\U000e007f", "🏴" + "‹U+E0061›" * 9 + "‹U+E007F›"),
        ("e" + "\u0301" * 1_000 + "x", "e" + "\u0301" * 8 + "‹+992 marks›x"),
        ("e" + "\u0301" * 9, "e" + "\u0301" * 8 + "‹+1 marks›"),
        ("क" + ("\u0901" * 8 + "\u200d") * 3, "क" + "\u0901" * 8 + "\u200d‹+18 marks›"),
        ("e" + ("\u0301" * 8 + "\u200d") * 2, "e" + ("\u0301" * 8 + "‹ZWJ›") * 2),
        ("\u0301" * 9 + "\ufe0f" * 2, "\u0301" * 8 + "‹+3 marks›"),
    ],
)
def test_shown_by_hand(text: str, expected: str) -> None:
    assert visible(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *SENTENCES,
        "", " ", "plain ASCII ~", "naïve Ünïcode ÿ", "e\u0301", "e" + "\u0301" * 8,
        "👩‍👩‍👧‍👦", "❤️‍🔥", "🏳️‍🌈", "👩🏽‍🚒", "🇰🇷", SCOTLAND, "1️⃣", "🏴‍☠️",
        "می‌خواهم", "क्‍ष", "ക്‍", "শ্‌", "ᠮᠣᠩ\u180bᠭᠣᠯ", "مرحبا بالعالم", "שָׁלוֹם", "漢字かなカナ한글", "ภาษาไทยน้ำ", "བོད་སྐད",
        "𝐀𝛃", "‹RLO›", "\u00a0\u3000", "\u0600\u0661", "葛󠄀", "\U0010fffd", "</script>{{7*7}}=cmd()",
    ],
)  # fmt: skip
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_letters_of_every_script_stay_as_they_are() -> None:
    shapeless = "\u115f\u1160\u3164\uffa0"
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if unicodedata.category(char)[0] in "LNPS" and char not in shapeless:
            assert visible(char) == char, hex(code)


def test_the_fast_way_is_the_same() -> None:
    """What is taken as plain at once would stay the same one by one beside a control as well."""
    for text in (*NASTY, *SENTENCES):
        assert visible(text + "\x00") == visible(text) + "␀"
    for code in range(0x3200):
        char = chr(code)
        assert visible("a" + char + "\x00") == visible("a" + char) + "␀"
