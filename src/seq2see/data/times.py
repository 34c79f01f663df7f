"""Times as people write them in a column: recognised, turned into positions on a line, and written the same way.

A column has one form. Dates become days, dates with a time of day seconds, months and quarters months, numbers
stay numbers. ``3/4/2020`` may be April or March: the whole column decides, and where it cannot, nobody guesses.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Literal, NamedTuple

from seq2see.errors import InputError

Base = Literal["number", "month", "day", "second"]
Cell = tuple[int, str]  # the line it stands on, its text

_RECOGNISED = 20  # cells that a form has to fit before it is chosen
_EPOCH = datetime(1970, 1, 1)
_NAMES = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MONTHS = {name.casefold()[:length]: number for number, name in enumerate(_NAMES, 1) for length in (3, 4, len(name))}
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.(?P<part>\d*))?|\.(?P<rest>\d+))(?:[eE][-+]?\d{1,3})?")


class _Form(NamedTuple):
    """How times may be written. The groups: Y year, M month, B its name, D day, Q quarter, C clock, Z zone."""

    name: str
    base: Base
    pattern: re.Pattern[str]


_Y, _M, _D, _B = r"(?P<Y>\d{4})", r"(?P<M>\d{1,2})", r"(?P<D>\d{1,2})", r"(?P<B>[A-Za-z]{3,9})"
_CLOCK = r"[T ](?P<C>\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?)(?P<Z>Z|[+-]\d\d:?\d\d)?"
_PATTERNS: tuple[tuple[str, Base, str], ...] = (
    ("date and time", "second", rf"{_Y}(?P<gap>[-/.]){_M}(?P=gap){_D}{_CLOCK}"),
    ("date", "day", rf"{_Y}(?P<gap>[-/.]){_M}(?P=gap){_D}"),
    ("date without gaps", "day", r"(?P<Y>[12]\d{3})(?P<M>\d\d)(?P<D>\d\d)"),
    ("date with the month's name", "day", rf"{_B}[-/. ]{_D},?[-/. ]{_Y}"),
    ("date with the month's name", "day", rf"{_D}[-/. ]{_B}[-/., ]{{1,2}}{_Y}"),
    ("day, month, year", "day", rf"{_D}(?P<gap>[-/.]){_M}(?P=gap){_Y}"),
    ("month, day, year", "day", rf"{_M}(?P<gap>[-/.]){_D}(?P=gap){_Y}"),
    ("year and month", "month", rf"{_Y}(?:-|/|M|m|-M){_M}"),
    ("year and month", "month", rf"{_B}[-/. ]{_Y}"),
    ("year and month", "month", rf"{_M}/{_Y}"),
    ("year and quarter", "month", rf"{_Y}[- ]?[Qq](?P<Q>[1-4])"),
    ("year and quarter", "month", rf"[Qq](?P<Q>[1-4])[-/ ]?{_Y}"),
)
_FORMS = tuple(_Form(name, base, re.compile(pattern)) for name, base, pattern in _PATTERNS)
_EITHER_WAY = ("day, month, year", "month, day, year")


@dataclass(frozen=True)
class Spelling:
    """How a column writes its times: a cell of it as a pattern for others.

    ``padded`` names the groups whose numbers below ten begin with a zero; ``decimals`` is for numbers.
    """

    form: str
    example: str
    padded: frozenset[str] = frozenset()
    decimals: int = 0
    even: bool = False  # all numbers have these decimals, be they zeros

    def date(self, year: int, month: int, day: int) -> str:
        """A date, a month or a quarter, as this column writes it."""
        return self._filled({"Y": year, "M": month, "D": day, "Q": (month + 2) // 3})

    def moment(self, seconds: float) -> str:
        """A date with a time of day, ``seconds`` after 1970 (in UTC where the column names zones)."""
        match = _matched(self.form, self.example)
        zone = match["Z"]
        local = _EPOCH + timedelta(seconds=seconds) + (_offset(zone) if zone else timedelta())
        clock = local.strftime("%H:%M:%S") + (f".{local.microsecond:06d}".rstrip("0") if local.microsecond else "")
        clock = clock[:5] if match["C"].count(":") == 1 and clock[5:] == ":00" else clock
        return self._filled({"Y": local.year, "M": local.month, "D": local.day}, clock)

    def number(self, value: float) -> str:
        """A number with the column's decimals; without zeros at the end unless the column has them."""
        text = f"{value:.{self.decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text and not self.even else text

    def _filled(self, numbers: Mapping[str, int], clock: str = "") -> str:
        match = _matched(self.form, self.example)
        spans = {group: match.span(group) for group, text in match.groupdict().items() if text}
        text = self.example
        for group, (start, stop) in sorted(spans.items(), key=lambda entry: -entry[1][0]):
            match group:
                case "gap" | "Z":
                    continue
                case "B":
                    new = _named(numbers["M"], text[start:stop])
                case "C":
                    new = clock
                case "Y":
                    new = f"{numbers[group]:04d}"
                case _:
                    new = f"{numbers[group]:02d}" if group in self.padded else str(numbers[group])
            text = text[:start] + new + text[stop:]
        return text


@dataclass(frozen=True)
class Times:
    """A column of times: a position for each cell, in days, seconds since 1970, months since year 0, or numbers."""

    base: Base
    positions: tuple[float, ...]
    spelling: Spelling


def is_time(cells: Sequence[str]) -> bool:
    """Whether these cells are dates, months or quarters, told by their form alone; numbers are not."""
    return bool(cells) and _form_of(cells) is not None


def is_number(cell: str) -> bool:
    """Whether a cell is a plain number with a decimal point, such as an index or a decimal year."""
    return _NUMBER.fullmatch(cell) is not None


def read_times(cells: Sequence[Cell], name: str) -> Times:
    """The positions of a column's times.

    Args:
        cells: lines and texts without blanks around them; at least one.
        name: of the file, for errors.

    Raises:
        InputError: a cell is no time of the form that the others have (with its line), or a day and a month
            cannot be told apart.
    """
    texts = [text for _, text in cells]
    form = _form_of(texts[:_RECOGNISED])
    if form is None:
        return _numbers(cells, name)
    if form.name in _EITHER_WAY:
        form = _day_or_month_first(cells, form, name)
    positions = tuple(_position(form, line, text, texts[0], name) for line, text in cells)
    example = texts[-1]
    if form.base == "second" and len(zones := {_parts(form, text)["Z"] for text in texts}) > 1:
        if None in zones:
            raise InputError(f"{name}: some times name a zone and some do not; write all in one way, best in UTC.")
        example = example[: _parts(form, example).start("Z")] + "Z"  # offsets change: new times are in UTC
    return Times(form.base, positions, Spelling(form.name, example, _padded(form, texts)))


def _form_of(texts: Sequence[str]) -> _Form | None:
    """The first form that all these cells have."""
    for form in _FORMS:
        if all((match := form.pattern.fullmatch(text)) and _is_possible(match) for text in texts):
            return form
    return None


def _is_possible(match: re.Match[str]) -> bool:
    """Whether the numbers can be those of a month and a day."""
    parts = match.groupdict()
    if parts.get("B") and parts["B"].casefold() not in _MONTHS:
        return False
    return 1 <= int(parts.get("M") or 1) <= 12 and 1 <= int(parts.get("D") or 1) <= 31


def _day_or_month_first(cells: Sequence[Cell], form: _Form, name: str) -> _Form:
    numbers = [re.findall(r"\d+", text)[:2] for _, text in cells]
    first, second = (any(len(each) == 2 and int(each[at]) > 12 for each in numbers) for at in (0, 1))
    if first == second:
        line, text = cells[0]
        why = "both are above 12 somewhere" if first else "neither is above 12 anywhere"
        raise InputError(
            f'{name}, line {line:,}: "{text}": is the day or the month first? {why}. Write dates as 2020-04-03.'
        )
    wanted = _EITHER_WAY[0] if first else _EITHER_WAY[1]
    return next(each for each in _FORMS if each.name == wanted)


def _position(form: _Form, line: int, text: str, like: str, name: str) -> float:
    match = form.pattern.fullmatch(text)
    if match is None or not _is_possible(match):
        raise InputError(f'{name}, line {line:,}: the time "{text}" is not written like the others ("{like}").')
    parts = match.groupdict()
    year, month = int(parts["Y"]), _month(parts)
    try:
        if form.base == "month":
            if year < 1:
                raise ValueError("year 0 is out of range")
            return year * 12 + month - 1
        day = date(year, month, int(parts["D"]))
        return day.toordinal() if form.base == "day" else _seconds(day, parts)
    except (ValueError, OverflowError) as error:
        raise InputError(f'{name}, line {line:,}: the time "{text}" does not exist: {error}.') from None


def _month(parts: Mapping[str, str | None]) -> int:
    if parts.get("Q"):
        return 3 * int(parts["Q"] or 1) - 2
    return _MONTHS[(parts["B"] or "").casefold()] if parts.get("B") else int(parts["M"] or 1)


def _seconds(day: date, parts: Mapping[str, str | None]) -> float:
    clock = [float(part) for part in (parts["C"] or "").split(":")]
    hours, minutes, seconds = [*clock, 0.0][:3]
    if hours > 23 or minutes > 59 or seconds >= 60:
        raise ValueError("a day has 24 hours of 60 minutes of 60 seconds")
    since = datetime(day.year, day.month, day.day) - _EPOCH
    zone = parts["Z"]
    shift = _offset(zone).total_seconds() if zone else 0.0
    return since.days * 86_400 + hours * 3_600 + minutes * 60 + seconds - shift


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    sign = -1 if zone[0] == "-" else 1
    digits = zone[1:].replace(":", "")
    return timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))).utcoffset(None)


def _numbers(cells: Sequence[Cell], name: str) -> Times:
    positions, decimals = [], list[int]()
    for line, text in cells:
        match = _NUMBER.fullmatch(text)
        if match is None:
            raise InputError(
                f'{name}, line {line:,}: "{text}" is no time that is read: dates such as 2020-04-30, with a time of '
                "day 2020-04-30 12:00, months 2020-04, quarters 2020Q2, years, or plain numbers."
            )
        positions.append(float(text))
        decimals.append(len(match["part"] or match["rest"] or ""))
    most = min(max(decimals), 6)
    return Times("number", tuple(positions), Spelling("number", "", decimals=most, even=min(decimals) >= most))


def _matched(name: str, example: str) -> re.Match[str]:
    found = (form.pattern.fullmatch(example) for form in _FORMS if form.name == name)
    return next(match for match in found if match is not None)


def _parts(form: _Form, text: str) -> re.Match[str]:
    match = form.pattern.fullmatch(text)
    assert match is not None, "the column has been read in this form"
    return match


def _padded(form: _Form, texts: Sequence[str]) -> frozenset[str]:
    """The groups that are written with two digits wherever that can be seen; where it cannot, like the other one."""
    seen: dict[str, set[bool]] = {}
    for text in texts:
        for group, part in _parts(form, text).groupdict().items():
            if group in ("M", "D") and part is not None and int(part) < 10:
                seen.setdefault(group, set()).add(len(part) == 2)
    bare = any(False in lengths for lengths in seen.values())
    return frozenset(group for group in ("M", "D") if seen.get(group, {not bare}) == {True})


def _named(month: int, like: str) -> str:
    """The month's name, whole or in three letters, in the letters' case of ``like``; May counts as short."""
    whole = like.casefold() != "may" and like.casefold() in (name.casefold() for name in _NAMES)
    text = _NAMES[month - 1] if whole else _NAMES[month - 1][:3]
    return text.upper() if like.isupper() else text.lower() if like.islower() else text
