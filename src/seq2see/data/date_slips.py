"""What happens to a date as people write it: other digits, capitals, lost accents, dots and blanks.

A slip changes how a date looks and never which date it is: nothing vanishes from between two digits, so
that no number ever runs into the next.
"""

import datetime
import random
import re
import unicodedata
from dataclasses import dataclass

from seq2see.data.date_forms import Form

# Every slip, under what it touches; they happen in this order, at most one of each line.
SLIPS = {
    "zeros": ("zeros",),
    "digits": ("native", "latin", "wide", "kanji"),
    "case": ("lower", "upper", "capital"),
    "accents": ("unaccented",),
    "marks": ("no commas", "no dots", "slashes", "points", "dashes", "spread"),
    "blanks": ("doubled", "joined", "hard"),
}

_DIGITS = {  # the usual digits first
    "ar": ("latin", "native"),
    "fa": ("native", "latin"),
    "hi": ("latin", "native"),
    "bn": ("native", "latin"),
    "th": ("latin", "native"),
    "ja": ("latin", "wide", "kanji"),
    "zh": ("latin", "wide", "kanji"),
}
_ZERO = {"ar": "٠", "fa": "۰", "hi": "०", "bn": "০", "th": "๐", "ja": "０", "zh": "０"}
_KANJI_DIGITS = str.maketrans("0123456789", "〇一二三四五六七八九")
_KANJI_ONES = ("", "一", "二", "三", "四", "五", "六", "七", "八", "九")
_KANJI_TENS = ("", "十", "二十", "三十")
_WITHOUT_CAPITALS = frozenset(("ko", "ar", "fa", "he", "hi", "bn", "th", "ja", "zh"))
_WITHOUT_ACCENTS = _WITHOUT_CAPITALS | {"ru", "uk", "en_US", "en_GB", "id"}

_BETWEEN_NUMBERS = re.compile(r"(?<=\d)(?:\. ?|[/-])(?=\d)")
_DOT = re.compile(r"(?<!\d)[.॰׳]|\.(?!\s*\d)")
_COMMA = re.compile(r"[,،]")
_BLANK = re.compile(r" ")
_BLANK_BESIDE_TEXT = re.compile(r"(?<!\d) | (?!\d)")
_WORD = re.compile(r"[^\W\d_]{3,}")
_ACCENT = re.compile("[\u0300-\u036f]")
_NUMBER = re.compile(r"\d+")
_ACUTE = "\u0301"


@dataclass(frozen=True)
class Writing:
    """A written date and the names of the slips that really changed it."""

    text: str
    slips: tuple[str, ...]


def slips_of(locale: str) -> tuple[tuple[str, ...], ...]:
    """Return the slips that can happen in a locale, in groups of which a date gets one at most."""
    possible = dict(SLIPS)
    possible["digits"] = _DIGITS.get(locale, ("latin",))[1:]
    if locale in _WITHOUT_CAPITALS:
        del possible["case"]
    if locale in _WITHOUT_ACCENTS:
        del possible["accents"]
    return tuple(names for names in possible.values() if names)


def write(form: Form, date: datetime.date, slips: frozenset[str], generator: random.Random) -> Writing:
    """Write a date in a form with the given slips; where a slip has a choice of place, chance decides.

    The text is NFC. Slips that have nothing to change (no comma, no accent) do not count.
    """
    happened = []
    text = form.write(date, change_zeros="zeros" in slips)
    if "zeros" in slips and text != form.write(date):
        happened.append("zeros")
    usual, *others = _DIGITS.get(form.locale, ("latin",))
    wanted = next((style for style in others if style in slips), usual)
    text, before = _in_digits(text, form.locale, wanted), _in_digits(text, form.locale, usual)
    if text != before:
        happened.append(wanted)
    for name in (*SLIPS["case"], *SLIPS["accents"], *SLIPS["marks"], *SLIPS["blanks"]):
        if name in slips:
            changed = _slip(name, text, form.locale, generator)
            if changed != text:
                happened.append(name)
            text = changed
    return Writing(unicodedata.normalize("NFC", text), tuple(happened))


def _slip(name: str, text: str, locale: str, generator: random.Random) -> str:
    match name:
        case "lower":
            return text.lower()
        case "upper":
            return _upper(text, locale)
        case "capital":
            return _WORD.sub(lambda word: _upper(word[0][0], locale) + word[0][1:], text)
        case "unaccented":
            return _ACCENT.sub("", unicodedata.normalize("NFD", text))
        case "no commas":
            return _COMMA.sub("", text)
        case "no dots":
            return _DOT.sub("", text)
        case "slashes" | "points" | "dashes" | "spread":
            separator = {"slashes": "/", "points": ".", "dashes": "-", "spread": " "}[name]
            return _BETWEEN_NUMBERS.sub(separator, text)
        case "doubled":
            return _replace_one(_BLANK, "  ", text, generator)
        case "joined":
            return _replace_one(_BLANK_BESIDE_TEXT, "", text, generator)
        case "hard":
            return text.replace(" ", "\u00a0")
    raise ValueError(f"there is no slip {name!r}")


def _replace_one(pattern: re.Pattern[str], new: str, text: str, generator: random.Random) -> str:
    places = [match.span() for match in pattern.finditer(text)]
    if not places:
        return text
    start, end = places[int(generator.random() * len(places))]
    return text[:start] + new + text[end:]


def _upper(text: str, locale: str) -> str:
    """Write capitals as each language does: Turkish keeps the dot of its i, Greek drops the acute accent."""
    if locale == "tr":
        text = text.replace("i", "İ")
    if locale == "el":
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).replace(_ACUTE, ""))
    return text.upper()


def _in_digits(text: str, locale: str, style: str) -> str:
    """Write Latin digits another way; numbers in kanji need the signs of year, month and day beside them."""
    match style:
        case "native" | "wide":
            zero = ord(_ZERO[locale])
            return text.translate({ord("0") + digit: zero + digit for digit in range(10)})
        case "kanji" if "年" in text:
            year, rest = text.split("年")
            return year.translate(_KANJI_DIGITS) + "年" + _NUMBER.sub(lambda number: _kanji(number[0]), rest)
    return text


def _kanji(number: str) -> str:
    """Write a number below forty in words: 二十三 for 23."""
    tens, ones = divmod(int(number), 10)
    return _KANJI_TENS[tens] + _KANJI_ONES[ones]
