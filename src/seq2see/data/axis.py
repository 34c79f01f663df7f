"""The regular steps on which a series stands: found from its times, and carried on into the future."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Literal

from seq2see.data.times import Spelling, Times
from seq2see.errors import InputError

# What a position counts. working day: Monday to Friday; order: rows, whatever their times say.
Base = Literal["number", "month", "day", "working day", "second", "order"]

_NEAR = 0.1  # of a step, between numbers, which are rounded; whole units have to meet it exactly
_MONTH_NEAR = 0.05  # of a month; a decimal year of two digits is off by less
_LIKE = 0.1  # distances that differ by less, as a share, are one step with rounding errors
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_YEAR_DECIMALS = 4  # of a month as a decimal year
_LAST_DAY = 31  # of a month, whichever that is


@dataclass(frozen=True)
class Axis:
    """Equal steps: index i stands at position ``start + i · step`` of ``base``.

    ``day`` is the day of the month that a file with a date for each month writes (31: the last one), else 0.
    ``texts`` are the times of an axis that is only an order, as the file has them.
    """

    base: Base
    step: float
    start: float
    spelling: Spelling
    day: int = 0
    texts: tuple[str, ...] = ()

    def position(self, index: int) -> float:
        """Where an index stands."""
        return self.start + index * self.step

    def index(self, position: float) -> int:
        """The index nearest to a position."""
        return round((position - self.start) / self.step)

    def text(self, index: int) -> str:
        """The time of an index as the file writes times; of an order, steps after its end as ``+1``, ``+2`` …

        Raises:
            InputError: the calendar ends before that.
        """
        if self.base == "order":
            ahead = index - len(self.texts) + 1
            return self.texts[index] if ahead <= 0 else f"+{ahead}"
        try:
            return self._text(self.position(index))
        except (ValueError, OverflowError):
            raise InputError(f"step {index:,} of the series lies beyond the year 9999; ask for fewer steps") from None

    def _text(self, position: float) -> str:
        match self.base:
            case "number" | "order":
                return self.spelling.number(position)
            case "month" if self.spelling.form == "number":
                return replace(self.spelling, decimals=_YEAR_DECIMALS, even=False).number(position / 12)
            case "month":
                year, month = divmod(round(position), 12)
                return self.spelling.date(year, month + 1, self._day(year, month + 1))
            case "second":
                return self.spelling.moment(position)
            case "day" | "working day":
                number = round(position) if self.base == "day" else _from_working_day(round(position))
                day = date.fromordinal(number)
                return self.spelling.date(day.year, day.month, day.day)

    def _day(self, year: int, month: int) -> int:
        if not 1 <= year <= 9999:
            raise ValueError("no such year")
        return _days_in(year, month) if self.day == _LAST_DAY else self.day

    @property
    def name(self) -> str:
        """The step in words: ``monthly``, ``every 2 weeks``, ``step 0.5``."""
        match self.base:
            case "month":
                return {1: "monthly", 3: "quarterly", 12: "yearly"}.get(int(self.step), f"every {self.step:g} months")
            case "day" | "second":
                seconds = self.step * (86_400 if self.base == "day" else 1)
                if seconds == 7 * 86_400:
                    return "weekly"
                size, unit = next(((s, u) for s, u in _UNITS if seconds % s == 0), (1, "second"))
                names = {"day": "daily", "hour": "hourly"}
                return names.get(unit, f"every {unit}") if seconds == size else f"every {seconds / size:g} {unit}s"
            case "working day":
                return "every working day"
            case "number":
                is_year = self.step == 1 and 1000 <= self.start < 3000
                return "yearly" if is_year else f"step {self.step:g}"
            case "order":
                return "every row"

    def season(self) -> int:
        """The period that the calendar suggests, in steps; 1: it suggests none."""
        match self.base:
            case "month":
                return 12 // int(self.step) if 12 % int(self.step) == 0 else 1
            case "working day":
                return 5
            case "day":
                return {1: 7, 7: 52}.get(int(self.step), 1)
            case "second":
                whole = [size / self.step for size in (86_400, 3_600) if size % self.step == 0]
                return int(next((steps for steps in whole if 2 <= steps <= 200), 1))
            case "number" | "order":
                return 1


def find_axis(times: Times) -> tuple[Axis, list[int | None]]:
    """The step that most neighbours keep, and the index of each time; None for a time that is not on a step.

    There must be two times that differ. The indices count from the first time that is on a step.
    """
    base, positions, day = _counted(times)
    ordered = sorted(set(positions))
    step = _usual_step(ordered)
    start = _start(ordered, step)
    axis = Axis(base, step, start, times.spelling, day)
    near = _NEAR if base == "number" else 1e-6
    return axis, [_on_step((position - start) / step, near) for position in positions]


def order_axis(texts: Sequence[str]) -> Axis:
    """An axis on which every row is one step."""
    return Axis("order", 1.0, 0.0, Spelling("number", ""), texts=tuple(texts))


def row_axis() -> Axis:
    """An axis for a file without times: rows counted from 1."""
    return Axis("number", 1.0, 1.0, Spelling("number", ""))


def _counted(times: Times) -> tuple[Base, list[float], int]:
    """What the positions count best, the positions, and the day of the month where months are counted by dates."""
    positions = list(times.positions)
    match times.base:
        case "number":
            months = [position * 12 for position in positions]
            # 1949.0833 is a month of 1949; whole numbers are years as well as anything else that is counted.
            is_year = all(1000 <= position < 3000 for position in positions)
            if is_year and any(p % 1 for p in positions) and all(abs(m - round(m)) < _MONTH_NEAR for m in months):
                return "month", [float(round(month)) for month in months], 0
            return "number", positions, 0
        case "day":
            return _days(positions)
        case "month" | "second":
            return times.base, positions, 0


def _days(positions: list[float]) -> tuple[Base, list[float], int]:
    """Dates as months (one day in each), as working days (never a weekend), or as days."""
    days = [date.fromordinal(int(position)) for position in positions]
    months = [day.year * 12 + day.month - 1.0 for day in days]
    on_last = all(day.day == _days_in(day.year, day.month) for day in days)
    if len(set(months)) > 1 and (on_last or len({day.day for day in days}) == 1):
        return "month", months, _LAST_DAY if on_last else days[0].day
    steps = Counter(after - before for before, after in pairwise(sorted(set(positions))))
    weekdays = {day.weekday() for day in days}
    passed = bool(steps) and max(steps) > 2  # a weekend, without a value in it
    if weekdays <= set(range(5)) and passed and steps[1] * 2 > sum(steps.values()):
        return "working day", [float(_working_day(day.toordinal())) for day in days], 0
    return "day", positions, 0


def _days_in(year: int, month: int) -> int:
    after = date(year + month // 12, month % 12 + 1, 1) if (year, month) != (9999, 12) else None
    return after.toordinal() - date(year, month, 1).toordinal() if after else 31


def _working_day(ordinal: int) -> int:
    """Days from Monday to Friday are counted on; ordinal 1 is a Monday."""
    weeks, weekday = divmod(ordinal - 1, 7)
    return weeks * 5 + weekday


def _from_working_day(number: int) -> int:
    weeks, weekday = divmod(number, 5)
    return weeks * 7 + weekday + 1


def _usual_step(ordered: Sequence[float]) -> float:
    """The most frequent distance of neighbours, the smallest of several; of rounded numbers, the mean of it."""
    distances = [after - before for before, after in pairwise(ordered)]
    rounded = Counter(float(f"{distance:.3g}") for distance in distances)
    usual = min(rounded, key=lambda distance: (-rounded[distance], distance))
    close = [distance for distance in distances if abs(distance - usual) <= _LIKE * usual]
    if all(position % 1 == 0 for position in ordered):
        counts = Counter(close)
        return min(counts, key=lambda distance: (-counts[distance], distance))
    return sum(close) / len(close)


def _start(ordered: Sequence[float], step: float) -> float:
    """The earliest time that is on the steps most others are on, moved down to the first time."""
    phases = Counter(round((position - ordered[0]) / step % 1.0, 1) % 1.0 for position in ordered)
    phase = max(phases, key=lambda share: (phases[share], -share))
    return next(p for p in ordered if round((p - ordered[0]) / step % 1.0, 1) % 1.0 == phase)


def _on_step(place: float, near: float) -> int | None:
    return round(place) if abs(place - round(place)) <= near else None
