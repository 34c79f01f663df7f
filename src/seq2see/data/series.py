"""Series of numbers in time: read from a table, set on regular steps, with every gap, repeat and fault said.

C series · T steps
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path

import torch
from torch import Tensor

from seq2see.config.forecast import ReadingSettings
from seq2see.data.axis import Axis, find_axis, order_axis, row_axis
from seq2see.data.columns import listed
from seq2see.data.series_columns import SeriesLayout, find_series, number, table_rows
from seq2see.data.streams import InputFile, input_file, nothing
from seq2see.data.tables import Row
from seq2see.data.tally import Places
from seq2see.data.times import Times, read_times
from seq2see.errors import InputError

MOST_VALUES = 5_000_000  # numbers of one file, gaps counted
_MOST_MISSING = 0.25  # of the steps of a series


@dataclass(frozen=True, eq=False)
class Series:
    """One or more series on the same steps.

    Attributes:
        columns: the columns of times and values, as ``data.columns`` names them; empty where there are no times.
        values_CT: float64, oldest first; NaN before a series begins and after it ends, nowhere else.
        filled_CT: True where a value was missing and has been filled in.
        notes: what was recognised, guessed, sorted and filled, in sentences.
    """

    name: str
    axis: Axis
    names: tuple[str, ...]
    columns: tuple[str, ...]
    values_CT: Tensor
    filled_CT: Tensor
    notes: tuple[str, ...]

    @property
    def length(self) -> int:
        """T"""
        return self.values_CT.shape[1]

    def span(self) -> str:
        """How many steps of what kind, from when to when."""
        return f"{self.length:,} steps, {self.axis.name}, {self.axis.text(0)} to {self.axis.text(self.length - 1)}"


@dataclass(frozen=True)
class _Entry:
    """A row of the file: its line, its time, and its values (NaN: missing)."""

    line: int
    time: str
    values: tuple[float, ...]


def read_series(place: str | Path | InputFile, rules: ReadingSettings, check: Callable[[], None] = nothing) -> Series:
    """The series of a CSV or TSV file (plain, .gz, .zst; ``-``: standard input).

    Raises:
        InputError: the file cannot be read, or breaks a rule of ``rules``; the message names the line.
    """
    file = place if isinstance(place, InputFile) else input_file(place, check)
    layout = find_series(file, rules.columns, check)
    notes = [layout.said]
    entries = list(_entries(table_rows(file, layout.separator, check), layout, file.name, notes))
    if len(entries) < 2:
        raise InputError(f"{file.name} has {len(entries)} rows of values; a series needs at least two.")
    axis, places = _axis(entries, layout, rules, file.name, notes)
    entries, places = _once(entries, places, rules, file.name, notes)
    values_CT = _on_steps(entries, places, len(layout.values), file.name)
    filled_CT = _fill(values_CT, axis, layout.names, rules, file.name, notes)
    series = Series(file.name, axis, layout.names, layout.columns, values_CT, filled_CT, tuple(notes))
    return replace(series, notes=(*notes, f"{file.name}: {series.span()}."))


def _entries(rows: Iterable[Row], layout: SeriesLayout, name: str, notes: list[str]) -> Iterator[_Entry]:
    """Every row below the header, cell by cell as numbers."""
    infinite = Places()
    needed = max([*layout.values, layout.time or 0])
    for at, (line, cells) in enumerate(row for row in rows if row[0] != layout.header_line):
        if len(cells) <= needed:
            raise InputError(f"{name}, line {line:,}: {len(cells)} columns where {layout.width} are expected.")
        values = tuple(_value(cells[column], layout, column, line, name) for column in layout.values)
        if any(map(math.isinf, values)):
            infinite.add(line)
        time = cells[layout.time] if layout.time is not None else str(at + 1)
        if not time:
            raise InputError(f"{name}, line {line:,}: the time is blank.")
        if (at + 1) * len(values) > MOST_VALUES:
            raise InputError(f"{name} holds more than {MOST_VALUES:,} values; forecast fewer series at a time.")
        yield _Entry(line, time, tuple(math.nan if math.isinf(value) else value for value in values))
    if infinite.count:
        notes.append(f"{name}: infinite values count as missing: {infinite.count:,} ({infinite})")


def _value(cell: str, layout: SeriesLayout, column: int, line: int, name: str) -> float:
    value = number(cell, layout.decimal)
    if value is None:
        column_name = layout.names[layout.values.index(column)]
        raise InputError(
            f'{name}, line {line:,}: "{cell}" in {column_name} is no number. Numbers are written as 1234.5; '
            "a value that is missing is left blank, or NA."
        )
    return value


def _axis(
    entries: list[_Entry], layout: SeriesLayout, rules: ReadingSettings, name: str, notes: list[str]
) -> tuple[Axis, list[int]]:
    """The steps, and the index of each entry; entries are sorted by time in place."""
    if layout.time is None:
        return row_axis(), list(range(len(entries)))
    times = read_times([(entry.line, entry.time) for entry in entries], name)
    order = sorted(range(len(entries)), key=lambda at: times.positions[at])
    if order != list(range(len(entries))):
        late = Places()
        for before, after in pairwise(range(len(entries))):
            if times.positions[after] < times.positions[before]:
                late.add(entries[after].line)
        notes.append(f"{name}: sorted by time; earlier than the row before it: {late}")
        entries[:] = [entries[at] for at in order]
    times = Times(times.base, tuple(times.positions[at] for at in order), times.spelling)
    if rules.irregular == "order":
        notes.append(f"{name}: every row is one step, whatever its time says (data.irregular)")
        return order_axis([entry.time for entry in entries]), list(range(len(entries)))
    if min(times.positions) == max(times.positions):
        raise InputError(f"{name}: all times are the same, {entries[0].time}; a series needs at least two.")
    axis, places = find_axis(times)
    astray = [at for at, place in enumerate(places) if place is None]
    if astray:
        raise _irregular(entries, astray, axis, name)
    return axis, [place for place in places if place is not None]


def _irregular(entries: Sequence[_Entry], astray: Sequence[int], axis: Axis, name: str) -> InputError:
    shown = ", ".join(f"line {entries[at].line:,} ({entries[at].time})" for at in astray[:3])
    more = f" and {len(astray) - 3:,} more" if len(astray) > 3 else ""
    return InputError(
        f"{name}: the steps are irregular: most are {axis.name}, but {shown}{more} lie between them. Bring the series "
        "to equal steps, or take every row as one step: --set data.irregular=order"
    )


def _once(
    entries: list[_Entry], places: list[int], rules: ReadingSettings, name: str, notes: list[str]
) -> tuple[list[_Entry], list[int]]:
    """One entry a step: repeated times refused, averaged, or the last one kept; rows that are alike count once."""
    groups = [list(group) for _, group in groupby(range(len(entries)), key=places.__getitem__)]
    if all(len(group) == 1 for group in groups):
        return entries, places
    repeated = [group for group in groups if len(group) > 1]
    unlike = [group for group in repeated if len({str(entries[at].values) for at in group}) > 1]
    if unlike and rules.repeated == "refuse":
        first, second = (entries[at] for at in unlike[0][:2])
        raise InputError(
            f"{name}: {len(unlike):,} times have several rows with other values, first {first.time} in the lines "
            f"{first.line:,} and {second.line:,}. Series that stand one below the other need a column each; otherwise "
            "choose: --set data.repeated=mean, or last"
        )
    how = "the mean is taken" if unlike and rules.repeated == "mean" else "the last counts"
    lines = Places()
    for group in repeated:
        lines.add(entries[group[1]].line)
    count = "1 time stands there" if len(repeated) == 1 else f"{len(repeated):,} times stand there"
    notes.append(f"{name}: {count} more than once ({lines}); {how}")
    merged = [_merged([entries[at] for at in group], rules) for group in groups]
    return merged, [places[group[0]] for group in groups]


def _merged(group: Sequence[_Entry], rules: ReadingSettings) -> _Entry:
    if rules.repeated != "mean":
        return group[-1]
    columns = [
        [value for value in column if not math.isnan(value)] for column in zip(*(e.values for e in group), strict=True)
    ]
    means = tuple(sum(column) / len(column) if column else math.nan for column in columns)
    return _Entry(group[0].line, group[0].time, means)


def _on_steps(entries: Sequence[_Entry], places: Sequence[int], count: int, name: str) -> Tensor:
    """``[C, T]``: every step from the first to the last, NaN where the file has no value."""
    first, last = places[0], places[-1]
    length = last - first + 1
    if length * count > MOST_VALUES or length * (1 - _MOST_MISSING) > len(entries) + 2:
        raise InputError(
            f"{name}: {length:,} steps from {entries[0].time} to {entries[-1].time}, but only {len(entries):,} rows: "
            "too many are missing to be filled in. Bring the series to wider steps, or take every row as one step: "
            "--set data.irregular=order"
        )
    values_CT = torch.full((count, length), math.nan, dtype=torch.float64)
    values_CT[:, torch.tensor(places) - first] = torch.tensor([e.values for e in entries], dtype=torch.float64).T
    return values_CT


def _fill(
    values_CT: Tensor, axis: Axis, names: Sequence[str], rules: ReadingSettings, name: str, notes: list[str]
) -> Tensor:
    """Fill the gaps inside each series in place; what lies before it begins and after it ends stays NaN."""
    filled_CT = torch.zeros_like(values_CT, dtype=torch.bool)
    for series, values_T in enumerate(values_CT):
        known = (~values_T.isnan()).nonzero().flatten().tolist()
        if len(known) < 2:
            raise InputError(f"{name}: {listed([names[series]])} has {len(known)} values; a series needs at least two.")
        ends = (
            ""
            if known[0] == 0 and known[-1] == len(values_T) - 1
            else f" It is shorter than the file: {_of(axis, known[0], known[-1])}."
        )
        gaps = [(before, after) for before, after in pairwise(known) if after > before + 1]
        missing = sum(after - before - 1 for before, after in gaps)
        if gaps:
            _check_gaps(gaps, missing, known, axis, names[series], rules, name)
        for before, after in gaps:
            filled_CT[series, before + 1 : after] = True
            left, right = float(values_T[before]), float(values_T[after])
            for at in range(before + 1, after):
                share = (at - before) / (after - before) if rules.missing == "linear" else 0.0
                values_T[at] = left + share * (right - left)
        if gaps:
            shown = ", ".join(_of(axis, before + 1, after - 1) for before, after in gaps[:5])
            how = "by the value before" if rules.missing == "last" else "on the straight line between their neighbours"
            more = ", …" if len(gaps) > 5 else ""
            notes.append(f"{name}: {names[series]}: {missing:,} missing values filled in {how}: {shown}{more}.{ends}")
        elif ends:
            notes.append(f"{name}: {names[series]}:{ends}")
    return filled_CT


def _check_gaps(
    gaps: Sequence[tuple[int, int]],
    missing: int,
    known: Sequence[int],
    axis: Axis,
    series: str,
    rules: ReadingSettings,
    name: str,
) -> None:
    before, after = max(gaps, key=lambda gap: gap[1] - gap[0])
    longest = after - before - 1
    where = f"{name}: {listed([series])} lacks {longest:,} steps in a row, {_of(axis, before + 1, after - 1)}"
    if rules.missing == "refuse":
        raise InputError(f"{where}; nothing is filled in (data.missing)")
    if longest > rules.most_missing:
        raise InputError(
            f"{where}; at most {rules.most_missing} are filled in. Cut the file there, or allow more: "
            f"--set data.most_missing={longest}"
        )
    if missing > _MOST_MISSING * (known[-1] - known[0] + 1):
        raise InputError(
            f"{name}: {listed([series])} lacks {missing:,} of {known[-1] - known[0] + 1:,} values: too many."
        )


def _of(axis: Axis, first: int, last: int) -> str:
    return axis.text(first) if first == last else f"{axis.text(first)} to {axis.text(last)}"
