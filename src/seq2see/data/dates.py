"""The demo's data: dates as people write them in thirty languages, each with its ISO 8601 date.

    Freitag, den 5. März 2021      2021-03-05
    2021년 3월 5일 (금)            2021-03-05
    ৫ই মার্চ ২০২১                    2021-03-05
    3/25/21                        2021-03-25

No text is ever given two answers: `seq2see.data.date_forms` states the rules for what could be read twice
(03/04/2021 is 3 April, everywhere), and a weekday, where one is written, is the true one.
"""

import datetime
import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from seq2see.data.date_forms import LOCALES, Form, forms_of
from seq2see.data.date_slips import Writing, slips_of, write

Choice = TypeVar("Choice")

FIRST = datetime.date(1900, 1, 1)
LAST = datetime.date(2099, 12, 31)

_NUMBERS_OF_SLIPS = (0, 0, 0, 1, 1, 2)
_ATTEMPTS = 6  # a date without a comma cannot lose one, so another slip is tried
_TEST_DATES = 0.03
_DEV_DATES = 0.015
_HELD_OUT_RENDERINGS = 0.2


@dataclass(frozen=True)
class DatePair:
    """A date as someone wrote it (``source``) and in ISO 8601 (``target``).

    ``form`` is the pattern it was written by, ``slips`` names what changed it after that.
    """

    source: str
    target: str
    locale: str
    form: str
    slips: tuple[str, ...]
    date: datetime.date

    @property
    def rendering(self) -> str:
        """The way of writing, whatever the date: locale, form and slips."""
        return " | ".join((self.locale, self.form, *self.slips))


@dataclass(frozen=True)
class DateSplit:
    """Pairs to learn from, pairs to choose by, pairs to be judged by."""

    train: tuple[DatePair, ...]
    dev: tuple[DatePair, ...]
    test: tuple[DatePair, ...]


def date_pairs(count: int, seed: int) -> Iterator[DatePair]:
    """Yield ``count`` pairs: a pure function of count and seed (and of Babel's edition of CLDR).

    Each locale is as likely as the others, each form as the others of its locale, each day from `FIRST` to
    `LAST` as the others that the form can write. A good half of the dates have no slip, the others one or two.
    """
    generator = random.Random(seed)
    forms = {locale: forms_of(locale) for locale in LOCALES}
    slips = {locale: slips_of(locale) for locale in LOCALES}
    for _ in range(count):
        locale = _pick(LOCALES, generator)
        form = _pick(forms[locale], generator)
        date = _date_for(form, generator)
        writing = _write_with_slips(form, date, slips[locale], generator)
        yield DatePair(writing.text, date.isoformat(), locale, form.name, writing.slips, date)


def split(pairs: Iterable[DatePair], *, dev: int = 1_000, test: int = 2_000) -> DateSplit:
    """Hold out dates and renderings, not just rows.

    *Dates*: three in a hundred are the test's and three in two hundred the dev set's, by their hash. No
    training pair has one of them, in any language or form.

    *Renderings*: one in five of those with a slip is the test's, by the hash of locale, form and slips. No
    training or dev pair is written so. They are new combinations of known parts: forms without a slip are
    never held out, so that each form is learnt plain, and each slip is learnt from the other forms.

    So every test pair has an unseen date, and about one in twelve an unseen rendering as well. The first
    ``dev`` and ``test`` pairs of either kind are kept, and all training pairs, in their order.
    """
    parts: dict[str, list[DatePair]] = {"train": [], "dev": [], "test": [], "unused": []}
    for pair in pairs:
        parts[_part(pair)].append(pair)
    return DateSplit(tuple(parts["train"]), tuple(parts["dev"][:dev]), tuple(parts["test"][:test]))


def has_held_out_rendering(pair: DatePair) -> bool:
    """Say whether the pair's way of writing is kept for the test."""
    return bool(pair.slips) and _hash(pair.rendering) < _HELD_OUT_RENDERINGS


def _part(pair: DatePair) -> str:
    place = _hash(pair.target)
    if place < _TEST_DATES:
        return "test"
    if has_held_out_rendering(pair):
        return "unused"
    return "dev" if place < _TEST_DATES + _DEV_DATES else "train"


def _date_for(form: Form, generator: random.Random) -> datetime.date:
    days = LAST.toordinal() - FIRST.toordinal() + 1
    while True:
        date = datetime.date.fromordinal(FIRST.toordinal() + int(generator.random() * days))
        if form.allows(date):
            return date


def _write_with_slips(
    form: Form, date: datetime.date, groups: Sequence[Sequence[str]], generator: random.Random
) -> Writing:
    """Write with no slip, one, or two of different groups: as chance says, if the text has room for them."""
    number = _pick(_NUMBERS_OF_SLIPS, generator)
    for _ in range(_ATTEMPTS):
        remaining = list(groups)
        chosen = [_pick(remaining.pop(int(generator.random() * len(remaining))), generator) for _ in range(number)]
        writing = write(form, date, frozenset(chosen), generator)
        if len(writing.slips) == number:
            break
    return writing


def _pick(choices: Sequence[Choice], generator: random.Random) -> Choice:
    """Choose one. Only `random` itself is promised to give the same numbers in every version of Python."""
    return choices[int(generator.random() * len(choices))]


def _hash(text: str) -> float:
    """Return a number in [0, 1) that is the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
