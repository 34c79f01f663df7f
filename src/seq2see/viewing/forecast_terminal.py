"""A forecast as lines of text: the past, the bands, the median, what came, and where the model looked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from seq2see.text.visible import visible
from seq2see.viewing.forecast import Plot, percent, plot_of
from seq2see.viewing.record import Record
from seq2see.viewing.series import short_number

_HEIGHT = 12  # lines of the plot
_LEAST_WIDTH, _MOST_WIDTH = 40, 240
_LEAST_LABEL, _MOST_LABEL = 8, 14  # cells for numbers and times left of the plot
_LISTED = 12  # steps ahead in the table and in the map
_WEIGHTS = 6  # coefficients that are named
_LEVELS = (0.05, 0.25, 0.5, 0.75)  # of the largest weight, from which a shade is darker


@dataclass(frozen=True)
class _Marks:
    """The characters of a plot; ``bands`` from the widest to the narrowest."""

    past: str
    median: str
    actual: str
    bands: Sequence[str]
    shades: Sequence[str]
    line: str
    cut: str
    times: str


_UNICODE = _Marks("•", "━", "○", ("░", "▒"), (" ", "·", "░", "▒", "█"), "│", "…", "×")
_ASCII = _Marks("*", "=", "o", (".", ":"), (" ", ".", ":", "%", "#"), "|", "~", "x")


def forecast_text(
    record: Record,
    *,
    width: int = 80,
    colour: bool = False,
    unicode: bool = True,
    layer: int | None = None,
    head: int | None = None,
) -> str:
    """A plot with its table, and the attention below; no line wider than ``width`` cells (at least 40).

    Raises:
        InputError: it is not the record of a forecast, or has no such layer or head.
    """
    plot = plot_of(record, layer=layer, head=head)
    marks = _UNICODE if unicode else _ASCII
    width = max(_LEAST_WIDTH, min(width, _MOST_WIDTH))
    places = _Places.of(plot, width)
    lines = [
        _fitted(f"{plot.name}: {plot.model}, {len(plot.times)} steps ahead", width, marks),
        "",
        *_drawing(plot, places, marks, colour),
        _time_line(plot, places),
        "",
        _legend(plot, marks),
        "",
        *_table(plot, marks),
    ]
    if plot.looked:
        lines += ["", *_map(plot, places, marks)]
    if plot.coefficients:
        lines += ["", _weights(plot, marks)]
    lines += ["", visible(record.signature)]
    return "\n".join(_fitted(line, width, marks) if not colour else line.rstrip() for line in lines)


@dataclass(frozen=True)
class _Places:
    """Which steps are drawn: from ``first`` of the past on, ``count`` in all, over ``room`` columns behind a label."""

    first: int
    count: int
    room: int
    label: int

    @staticmethod
    def of(plot: Plot, width: int) -> "_Places":
        label = max(_LEAST_LABEL, min(_MOST_LABEL, max(map(cell_len, plot.times))))
        room = width - label - 2
        kept = min(len(plot.past), max(room - len(plot.times), room // 3))
        return _Places(len(plot.past) - kept, kept + len(plot.times), room, label)

    def column(self, step: int) -> int:
        """The column of a step of past and future together."""
        return round((step - self.first) * (self.room - 1) / max(1, self.count - 1))

    def step(self, column: int) -> float:
        """Where a column lies between the steps."""
        return self.first + column * (self.count - 1) / max(1, self.room - 1)


def _drawing(plot: Plot, places: _Places, marks: _Marks, colour: bool) -> Iterator[str]:
    low, high = plot.reach
    span = (high - low) or 1.0
    canvas = [[" "] * places.room for _ in range(_HEIGHT)]

    def line(value: float) -> int:
        return max(0, min(_HEIGHT - 1, round((high - value) / span * (_HEIGHT - 1))))

    past = len(plot.past)
    for column in range(places.room):
        place = places.step(column)
        if place > past - 1:
            for band, mark in zip(plot.bands, marks.bands, strict=False):
                ends = [_between((plot.past[-1], *values), place - past + 1) for values in (band.low, band.high)]
                for at in range(line(ends[1]), line(ends[0]) + 1):
                    canvas[at][column] = mark
            canvas[line(_between((plot.past[-1], *plot.median), place - past + 1))][column] = marks.median
        else:
            canvas[line(_between(plot.past, place))][column] = marks.past
    for at, value in enumerate(plot.actual):
        canvas[line(value)][places.column(past + at)] = marks.actual
    for at, row in enumerate(canvas):
        label = short_number(_rounded(high - span * at / (_HEIGHT - 1))) if at in (0, _HEIGHT // 2, _HEIGHT - 1) else ""
        drawn = "".join(row).rstrip()
        yield f"{_label(label, places)} {marks.line}" + (_coloured(drawn, marks) if colour else drawn)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _coloured(text: str, marks: _Marks) -> str:
    """Bands faint, median and what came bold."""
    return "".join(
        f"\x1b[2m{mark}\x1b[22m"
        if mark in marks.bands
        else f"\x1b[1m{mark}\x1b[22m"
        if mark in (marks.median, marks.actual)
        else mark
        for mark in text
    )


def _between(values: Sequence[float], place: float) -> float:
    """A value between two steps, on the straight line."""
    left = max(0, min(int(place), len(values) - 1))
    right = min(left + 1, len(values) - 1)
    share = max(0.0, min(1.0, place - left))
    return values[left] + share * (values[right] - values[left])


def _time_line(plot: Plot, places: _Places) -> str:
    """The first and the last time that are drawn, and the last one that is known."""
    first, now, last = plot.past_times[places.first], plot.past_times[-1], plot.times[-1]
    text, at = first, places.column(len(plot.past) - 1) - len(now) // 2
    if at > len(text) + 1:
        text = text.ljust(at) + now
    if places.room - len(last) > len(text) + 1:
        text = text.ljust(places.room - len(last)) + last
    return " " * (places.label + 2) + text


def _legend(plot: Plot, marks: _Marks) -> str:
    parts = [f"{marks.past} past", f"{marks.median} median"]
    parts += [f"{mark} {percent(band)}" for band, mark in zip(plot.bands, marks.bands, strict=False)]
    if plot.actual:
        parts.append(f"{marks.actual} what came")
    return "   ".join(parts)


def _table(plot: Plot, marks: _Marks) -> Iterator[str]:
    """Each step's median and narrowest band, what came, and another model's median."""
    heads = ["time", "median", *(percent(band) for band in plot.bands[-1:])]
    heads += ["came"] if plot.actual else []
    heads += [name for name, _ in plot.beside]
    rows = [heads]
    for at, time in enumerate(plot.times[:_LISTED]):
        row = [time, short_number(plot.median[at])]
        row += [f"{short_number(band.low[at])} to {short_number(band.high[at])}" for band in plot.bands[-1:]]
        if plot.actual:
            row.append(short_number(plot.actual[at]) if at < len(plot.actual) else "")
        rows.append(row + [short_number(values[at]) for _, values in plot.beside])
    widths = [max(cell_len(row[at]) for row in rows) for at in range(len(heads))]
    for row in rows:
        yield "  ".join(" " * (wide - cell_len(cell)) + cell for cell, wide in zip(row, widths, strict=True))
    if len(plot.times) > _LISTED:
        yield f"{marks.cut} and {len(plot.times) - _LISTED:,} more"


def _map(plot: Plot, places: _Places, marks: _Marks) -> Iterator[str]:
    """A line a step ahead: the darker a column, the more of the attention went to the past above it."""
    yield f"where each step looked (columns as above; darkest: {100 * max(map(max, plot.looked)):.0f} %)"
    rows = plot.looked[:_LISTED]
    full = max(map(max, rows)) or 1.0
    columns = [round(places.step(column)) for column in range(places.room)]
    for time, row in zip(plot.times, rows, strict=False):
        weights = [row[step] if step < len(row) else 0.0 for step in columns]
        shades = "".join(marks.shades[sum(weight >= level * full for level in _LEVELS)] for weight in weights)
        yield f"{_label(time, places)} {marks.line}{shades.rstrip()}"
    if len(plot.times) > _LISTED:
        yield f"{marks.cut} and {len(plot.times) - _LISTED:,} more"


def _label(text: str, places: _Places) -> str:
    return f"{text[-places.label :]:>{places.label}}"


def _weights(plot: Plot, marks: _Marks) -> str:
    """The largest coefficients of a linear model."""
    ranked = sorted(range(len(plot.coefficients)), key=lambda at: -abs(plot.coefficients[at]))[:_WEIGHTS]
    named = ", ".join(f"{plot.coefficients[at]:+.2f} {marks.times} {at + 1} back" for at in sorted(ranked))
    more = len(plot.coefficients) - len(ranked)
    return f"each value is (scaled): {named}" + (f", and {more} smaller ones" if more else "")


def _fitted(text: str, width: int, marks: _Marks) -> str:
    text = text.rstrip()
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + marks.cut
