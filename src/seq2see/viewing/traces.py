"""States and gates over time as rows of little bars under the pieces, for a terminal.

T target pieces · D units of a trace
"""

from collections.abc import Iterator, Sequence
from statistics import pvariance
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from seq2see.viewing.grid import shown_piece
from seq2see.viewing.record import Record, Rows

_BARS, _PLAIN_BARS = "▁▂▃▄▅▆▇█", "01234567"
_UNITS = 6  # of a trace that are drawn
_WIDEST = 8  # cells of a column
_SIDE = 24  # cells of a label


class _Row(NamedTuple):
    """One value for each piece, and what an empty and a full bar stand for."""

    label: str
    values: Sequence[float]
    low: float
    high: float


def trace_lines(record: Record, *, width: int, unicode: bool = True) -> list[str]:
    """Each trace of a record, a bar a piece: what had been read before the piece was foreseen left this behind.

    Of a trace of many units those are drawn that change the most; of shares, which lie between 0 and 1, the mean
    over the units. No line is wider than ``width`` cells (at least 24); where there is no trace, there is no line.
    """
    if not record.traces:
        return []
    rows = [row for name, table in record.traces.items() for row in _rows(name, table)]
    labels = [shown_piece(piece) for piece in record.target.pieces]
    side = min(max(cell_len(row.label) for row in rows), _SIDE, max(6, width // 3))
    cell = min(max(map(cell_len, labels)), _WIDEST)
    stride = cell + (cell > 2)
    most = max(1, (max(width, 24) - side - 1) // stride)
    bars = _BARS if unicode else _PLAIN_BARS
    lines: list[str] = []
    for start in range(0, len(labels), most):
        part = slice(start, start + most)
        lines += [
            _line("", (set_cell_size(label, cell) for label in labels[part]), side, stride),
            *(
                _line(row.label, (_bar(each, row, bars) * cell for each in row.values[part]), side, stride)
                for row in rows
            ),
            "",
        ]
    return [*lines, *_legend(record, bars)]


def _rows(name: str, table: Rows) -> Iterator[_Row]:
    units = list(zip(*table, strict=True))
    values = [value for unit in units for value in unit]
    if not values:
        return
    low, high = min(values), max(values)
    if len(units) == 1:
        yield _Row(name, units[0], min(0.0, low), max(1.0, high))
    elif low >= 0 and high <= 1:
        yield _Row(f"{name}, mean", [sum(row) / len(row) for row in table], 0.0, 1.0)
    else:
        reach = max(-low, high)
        for number in _liveliest(units):
            yield _Row(f"{name} {number + 1}", units[number], -reach, reach)


def _liveliest(units: Sequence[Sequence[float]]) -> list[int]:
    """The numbers of the units that change the most, in their order."""
    order = sorted(range(len(units)), key=lambda number: -pvariance(units[number]))
    return sorted(order[:_UNITS])


def _bar(value: float, row: _Row, bars: str) -> str:
    share = (value - row.low) / (row.high - row.low) if row.high > row.low else 0.0
    return bars[round(share * (len(bars) - 1))]


def _line(label: str, cells: Iterator[str], side: int, stride: int) -> str:
    named = set_cell_size(" " * max(0, side - cell_len(label)) + label, side)
    return (named + " " + "".join(set_cell_size(cell, stride) for cell in cells)).rstrip()


def _legend(record: Record, bars: str) -> Iterator[str]:
    yield f"bars: {bars[0]} lowest, {bars[-1]} highest"
    for name, table in record.traces.items():
        if found := [row for row in _rows(name, table) if row.low < 0]:
            chosen = f"{len(found)} of {len(table[0])} units, the liveliest"
            yield f"{name}: {found[0].low:.2g} to {found[0].high:.2g}; {chosen}"
