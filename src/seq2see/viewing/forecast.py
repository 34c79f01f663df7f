"""The numbers of a forecast out of its record: past, bands, what came, and where the model looked.

S steps of the past · T steps ahead · Q levels
"""

from collections.abc import Sequence
from dataclasses import dataclass

from seq2see.errors import InputError
from seq2see.text.visible import visible
from seq2see.viewing.grid import averaged
from seq2see.viewing.record import Record, Rows

# Names of traces: S×1, T×Q, 1×Q, T×1 or less, 1×M (the latest value's first), T×1 with a model's name behind.
PAST, FORECAST, LEVEL, ACTUAL, COEFFICIENTS = "past", "forecast", "levels", "actual", "coefficients"
BESIDE = "median of "


@dataclass(frozen=True)
class Band:
    """What lies between two quantiles that belong together, ``share`` of the future."""

    share: float
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Plot:
    """Everything a drawing of one series needs.

    ``bands`` go from the widest to the narrowest. ``actual`` may be shorter than the future. ``beside`` are
    medians of another model, by its name. ``looked`` has a row a step ahead and a column a step of the past;
    empty for a model without attention. ``coefficients`` are those of a linear model, the latest value's first.
    """

    name: str
    model: str
    past_times: tuple[str, ...]
    times: tuple[str, ...]
    past: tuple[float, ...]
    median: tuple[float, ...]
    bands: tuple[Band, ...]
    actual: tuple[float, ...]
    beside: tuple[tuple[str, tuple[float, ...]], ...]
    looked: Rows
    coefficients: tuple[float, ...]

    @property
    def every_time(self) -> tuple[str, ...]:
        """Past and future."""
        return self.past_times + self.times

    @property
    def reach(self) -> tuple[float, float]:
        """The least and the greatest value that is drawn; bands that are far wider than all else are cut."""
        lines = [*self.past, *self.median, *self.actual, *(value for _, row in self.beside for value in row)]
        low, high = min(lines), max(lines)
        room = 1.5 * (high - low)
        outer = [value for band in self.bands for row in (band.low, band.high) for value in row]
        return max(min([low, *outer]), low - room), min(max([high, *outer]), high + room)


def plot_of(record: Record, *, layer: int | None = None, head: int | None = None) -> Plot:
    """The plot of a record; ``layer`` and ``head`` of its attention count from 1, None is their mean.

    Raises:
        InputError: it is not the record of a forecast, or has no such layer or head.
    """
    traces = record.traces
    missing = [name for name in (PAST, FORECAST, LEVEL) if name not in traces]
    if missing:
        raise InputError(f"this record has no {missing[0]}: it is not that of a forecast")
    levels, rows = traces[LEVEL][0], traces[FORECAST]
    shapes = {len(row) for row in rows} | {len(levels)}
    if len(traces[PAST]) != len(record.source.pieces) or len(rows) != len(record.target.pieces) or len(shapes) > 1:
        raise InputError("the traces of this record do not have the sizes of a forecast")
    columns = [tuple(column) for column in zip(*rows, strict=True)]
    middle = min(range(len(levels)), key=lambda at: abs(levels[at] - 0.5))
    looked: Rows = ()
    if "cross" in record.attention:
        looked = averaged(record, "cross", layer=layer, head=head)
    elif layer is not None or head is not None:
        raise InputError(f"{visible(record.model)} has no attention, so no layer and no head to show")
    return Plot(
        name=visible(_name(record)),
        model=visible(record.model),
        past_times=tuple(map(visible, record.source.pieces)),
        times=tuple(map(visible, record.target.pieces)),
        past=_column(traces[PAST]),
        median=columns[middle],
        bands=tuple(_bands(levels, columns)),
        actual=_column(traces.get(ACTUAL, ()))[: len(rows)],
        beside=tuple(
            (visible(name.removeprefix(BESIDE)), _column(values))
            for name, values in traces.items()
            if name.startswith(BESIDE) and len(values) == len(rows)
        ),
        looked=looked,
        coefficients=tuple(traces[COEFFICIENTS][0]) if traces.get(COEFFICIENTS) else (),
    )


def _name(record: Record) -> str:
    """The text before the first time."""
    start = record.source.spans[0][0] if record.source.spans else 0
    return record.source.text[:start].strip().removesuffix(":") or "series"


def _column(rows: Rows) -> tuple[float, ...]:
    return tuple(row[0] for row in rows if row)


def _bands(levels: Sequence[float], columns: Sequence[tuple[float, ...]]) -> list[Band]:
    """The 95 and the 80 per cent, or what comes next to them."""
    found = []
    for wanted in (0.025, 0.1):
        low = min(range(len(levels)), key=lambda at: abs(levels[at] - wanted))
        high = min(range(len(levels)), key=lambda at: abs(levels[at] - (1 - wanted)))
        if high > low:
            found.append(Band(levels[high] - levels[low], columns[low], columns[high]))
    return found


def percent(band: Band) -> str:
    """``95 %``."""
    return f"{100 * band.share:.0f} %"
