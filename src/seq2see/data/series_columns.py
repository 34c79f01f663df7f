"""Which column of a table holds the times and which the values: given, or guessed and said; and cells as numbers."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from seq2see.data.columns import find_column, listed
from seq2see.data.lines import MAX_LINE_BYTES, lines
from seq2see.data.streams import InputFile, nothing
from seq2see.data.tables import Row, csv_rows
from seq2see.data.tally import Tally
from seq2see.data.times import is_number, is_time
from seq2see.errors import InputError

_SAMPLED = 200  # rows looked at
_MOSTLY = 0.9  # share of a column that makes it what it is
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_CALENDAR = ("year", "years", "quarter", "month", "week", "day", "hour")
_TIME_NAMES = frozenset(("time", "times", "date", "dates", "datetime", "timestamp", "period", "ds", "t", *_CALENDAR))
_INDEX_NAMES = frozenset(("", "rownames", "index", "id", "no", "nr", "n", "row", "obs", "unnamed: 0", "step"))
_MISSING = frozenset(("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "-", "--", ".", "?"))
_INFINITE = re.compile(r"[-+]?inf(inity)?", re.IGNORECASE)
_POINT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_COMMA = re.compile(r"[-+]?(\d+,?\d*|,\d+)([eE][-+]?\d{1,3})?")


@dataclass(frozen=True)
class SeriesLayout:
    """How a table of series is laid out. Columns count from 0; ``time`` None: rows are steps.

    ``names`` are those of the value columns; ``decimal`` is what stands before a number's decimals.
    """

    separator: str
    header_line: int  # 0: there is none
    header: tuple[str, ...]
    width: int
    time: int | None
    values: tuple[int, ...]
    names: tuple[str, ...]
    decimal: str
    said: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns as they can be asked for in another file like this one; empty where there is no time."""
        if self.time is None:
            return ()
        places = (self.time, *self.values)
        unique = self.header and all(self.header.count(self.header[at]) == 1 for at in places)
        return tuple(self.header[at] if unique else str(at + 1) for at in places)


def table_rows(file: InputFile, separator: str, check: Callable[[], None] = nothing) -> Iterator[Row]:
    """Every row that is not blank, with its line; no blanks around its cells.

    Raises:
        InputError: a row cannot be read: leaving it out would leave a hole in every series.
    """
    tally = Tally()
    for line, cells in csv_rows(lines(file, MAX_LINE_BYTES, check), separator, file.name, MAX_LINE_BYTES, tally):
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield line, stripped
    if tally.skipped:
        raise InputError(f"{file.name} has rows that cannot be read: {'; '.join(tally.sentences())}.")


def find_series(file: InputFile, asked: Sequence[str], check: Callable[[], None] = nothing) -> SeriesLayout:
    """The layout of a file of series.

    Args:
        asked: the time column and the value columns by name, or by number from 1; empty to guess.

    Raises:
        InputError: the file is empty or no table, or no column of times or of values can be made out.
    """
    separator, rows = _separated(file, check)
    cells = [row for _, row in rows]
    width = max(len(row) for row in cells)
    body = cells[1:] if _has_header(cells, asked) else cells
    names = cells[0] + [""] * (width - len(cells[0])) if len(body) < len(cells) else None
    if not body:
        raise InputError(f"{file.name} has a line of names and nothing below it.")
    comma = separator != "," and _has_decimal_commas(body)
    time, values = _asked(asked, names, width, file.name) if asked else _guessed(body, names, width, comma, file.name)
    return SeriesLayout(
        separator=separator,
        header_line=rows[0][0] if names else 0,
        header=tuple(names or ()),
        width=width,
        time=time,
        values=tuple(values),
        names=tuple(_name(names, column) for column in values),
        decimal="," if comma else ".",
        said=_said(file.name, separator, width, names, time, values, asked=bool(asked), comma=comma),
    )


def number(cell: str, decimal: str = ".") -> float | None:
    """A cell as a number: NaN for one that is missing, an infinity as it is, None for what is no number."""
    if cell.casefold() in _MISSING:
        return math.nan
    if _INFINITE.fullmatch(cell):
        return math.inf
    pattern = _COMMA if decimal == "," else _POINT
    return float(cell.replace(",", ".")) if pattern.fullmatch(cell) else None


def _separated(file: InputFile, check: Callable[[], None]) -> tuple[str, list[Row]]:
    """The separator that gives most rows the same number of cells, more than one if possible, and the first rows."""
    best: tuple[float, str, list[Row]] | None = None
    fault: InputError | None = None
    for separator in _SEPARATORS:
        try:
            rows = list(islice(table_rows(file, separator, check), _SAMPLED))
        except InputError as error:
            fault = fault or error
            continue
        if not rows:
            raise InputError(f"{file.name} is empty. Each of its lines should be a time and one or more values.")
        width = len(rows[0][1])
        score = sum(len(row) == width for _, row in rows) / len(rows) if width > 1 else 0.0
        if best is None or score > best[0]:
            best = score, separator, rows
    if fault and (best is None or best[0] == 0.0):
        raise fault
    assert best is not None
    return best[1], best[2]


def _has_header(cells: Sequence[Sequence[str]], asked: Sequence[str]) -> bool:
    """Whether the first row names the columns: a text in it stands above numbers, or it is a name asked for."""
    first, rest = cells[0], cells[1:]
    if any(not name.isdecimal() and name.casefold() in (cell.casefold() for cell in first) for name in asked):
        return True
    if not rest:
        return all(number(cell) is None and not is_time([cell]) for cell in first)
    for column, cell in enumerate(first):
        below = [row[column] for row in rest if column < len(row) and row[column]]
        numbers = sum(number(each, ".") is not None or number(each, ",") is not None for each in below)
        is_text = number(cell) is None and number(cell, ",") is None
        if is_text and below and numbers * 2 > len(below) and not is_time([cell]):
            return True
    return False


def _has_decimal_commas(body: Sequence[Sequence[str]]) -> bool:
    cells = [cell for row in body for cell in row if number(cell, ".") is None]
    return any(number(cell, ",") is not None for cell in cells)


def _asked(asked: Sequence[str], names: Sequence[str] | None, width: int, where: str) -> tuple[int | None, list[int]]:
    if len(asked) < 2:
        raise InputError(f"columns {listed(asked)}: name the time column and at least one column of values")
    time, *values = (find_column(each, names, width, where) for each in asked)
    if len({time, *values}) < len(asked):
        raise InputError(f"columns {listed(asked)}: each column can be named once")
    return time, values


def _guessed(
    body: Sequence[Sequence[str]], names: Sequence[str] | None, width: int, comma: bool, where: str
) -> tuple[int | None, list[int]]:
    columns = [[row[column] if column < len(row) else "" for row in body] for column in range(width)]
    time = _guessed_time(columns, names)
    if time is None and width > 1:
        raise InputError(
            f"{where}: no column of times can be made out; name them: --columns TIME,VALUE. "
            f"Its columns are {listed(names or [str(each) for each in range(1, width + 1)])}."
        )
    decimal = "," if comma else "."
    numeric = [column for column, cells in enumerate(columns) if column != time and _is_numeric(cells, decimal)]
    counts = _INDEX_NAMES | _TIME_NAMES
    values = [column for column in numeric if not names or names[column].casefold() not in counts] or numeric
    if not values:
        raise InputError(
            f"{where}: no column of numbers beside the times can be made out; name it: --columns TIME,VALUE"
        )
    return time, values


def _guessed_time(columns: Sequence[Sequence[str]], names: Sequence[str] | None) -> int | None:
    """A column named after time, one of dates, one named like an index, or else numbers that go up evenly."""
    filled = [[cell for cell in cells if cell] for cells in columns]
    words = [name.casefold() for name in names] if names else [None] * len(columns)
    dated = [is_time(cells) for cells in filled]
    timed = [dated[at] or (bool(cells) and all(map(is_number, cells))) for at, cells in enumerate(filled)]
    by_name = [at for at, word in enumerate(words) if word in _TIME_NAMES and timed[at]]
    by_form = [at for at, is_date in enumerate(dated) if is_date]
    by_index = [at for at, word in enumerate(words) if word in _INDEX_NAMES and timed[at] and len(columns) > 1]
    by_rise = [at for at, cells in enumerate(filled) if timed[at] and not dated[at] and _rises(cells)]
    # A column with a cell or two that are no times is one all the same: reading it says which they are.
    mostly = [at for at, cells in enumerate(filled) if sum(is_time([cell]) for cell in cells) > _MOSTLY * len(cells)]
    return next(iter([*by_name, *by_form, *by_index, *(by_rise if len(columns) > 1 else []), *mostly]), None)


def _rises(cells: Sequence[str]) -> bool:
    numbers = [float(cell) for cell in cells]
    steps = [after - before for before, after in pairwise(numbers)]
    return len(steps) > 1 and min(steps) > 0 and max(steps) <= 1.5 * min(steps)


def _is_numeric(cells: Sequence[str], decimal: str) -> bool:
    """Whether hardly a cell is anything but a number or missing, and not all are missing."""
    numbers = [number(cell, decimal) for cell in cells]
    known = sum(each is not None and not math.isnan(each) for each in numbers)
    return known > 0 and sum(each is None for each in numbers) * 10 <= len(numbers)


def _name(names: Sequence[str] | None, column: int) -> str:
    return (names[column] if names else "") or f"column {column + 1}"


def _said(
    name: str,
    separator: str,
    width: int,
    names: Sequence[str] | None,
    time: int | None,
    values: Sequence[int],
    *,
    asked: bool,
    comma: bool,
) -> str:
    def column(at: int) -> str:
        return f"column {at + 1}" + (f" ({listed([names[at]])})" if names else "")

    others = [column(at) for at in range(width) if at != time and at not in values]
    shown = ", ".join(map(column, values[:8])) + (f" and {len(values) - 8} more" if len(values) > 8 else "")
    parts = f"{_SEPARATORS[separator]} separate {width} columns" if width > 1 else "one column"
    return (
        f"{name}: {parts}{', named in the first line' if names else ', no header'}; "
        f"time: {column(time) if time is not None else 'none, rows are steps'}, values: {shown}, "
        f"{'as asked' if asked else 'a guess'}{'; decimal commas' if comma else ''}."
        + (f" Not read: {', '.join(others)}." if others else "")
    )
