"""Forecasts as one HTML page with drawings inside and a table of every number. The page makes no request."""

import html
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from seq2see.errors import InputError
from seq2see.storage.atomic import write_atomic
from seq2see.text.visible import visible
from seq2see.viewing.forecast import Band, Plot, percent, plot_of
from seq2see.viewing.page import filled
from seq2see.viewing.record import Record
from seq2see.viewing.series import short_number, ticks

WIDTH, HEIGHT = 900, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 28
_ROW = 14  # height of a row of the map
_MOST_ROWS = 60  # steps ahead in the map
_MOST_RECORDS = 100
_TICKS = 8

Place = Callable[[float], float]


def write_forecast_page(path: Path, records: Sequence[Record]) -> None:
    """Write the page of some series, whole or not at all.

    Raises:
        InputError: no record, too many, or one that is not of a forecast.
    """
    write_atomic(path, forecast_page(records))


def forecast_page(records: Sequence[Record]) -> str:
    """The page as one string of HTML."""
    if not 1 <= len(records) <= _MOST_RECORDS:
        raise InputError(f"a page shows from 1 to {_MOST_RECORDS} series, not {len(records)}")
    plots = [plot_of(record) for record in records]
    cards = "".join(_card(plot, visible(record.signature)) for plot, record in zip(plots, records, strict=True))
    title = f"Forecast: {', '.join(plot.name for plot in plots)[:80]}"
    return filled(
        "forecast",
        title=title,
        data={},
        parts={"cards": cards},
        styles=("house.css", "forecast.css"),
        scripts=(),
    )


def forecast_notebook(records: Sequence[Record], height: int = 640) -> str:
    """The page inside a frame, for ``_repr_html_`` of a notebook."""
    page = html.escape(forecast_page(records), quote=True)
    return f'<iframe sandbox style="width:100%;height:{height}px;border:0" title="Forecast" srcdoc="{page}"></iframe>'


def _card(plot: Plot, signature: str) -> str:
    name = html.escape(f"{plot.name}: {plot.model}, {len(plot.times)} steps ahead")
    legend = "".join(f'<li><i class="{kind}"></i>{html.escape(text)}</li>' for kind, text in _legend(plot))
    return (
        f'<section class="card"><h2>{name}</h2><ul class="legend">{legend}</ul>{forecast_svg(plot)}{_map(plot)}'
        f"{_coefficients(plot)}<details><summary>The numbers</summary>{_table(plot)}</details>"
        f'<p class="how">{html.escape(signature)}</p></section>'
    )


def _legend(plot: Plot) -> Iterator[tuple[str, str]]:
    yield "past", "past"
    yield "median", "median"
    for number, band in enumerate(plot.bands):
        yield f"band b{number}", percent(band)
    for name, _ in plot.beside:
        yield "beside", f"median of {name}"
    if plot.actual:
        yield "came", "what came"


def forecast_svg(plot: Plot) -> str:
    """The drawing of a series as inline SVG; a pointer on a step tells its numbers."""
    low, high = plot.reach
    room = 0.05 * (high - low) or abs(low) * 0.1 or 1.0
    low, high = low - room, high + room
    place_x = _across(plot)

    def place_y(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    past = len(plot.past)
    ahead = [place_x(past - 1 + step) for step in range(len(plot.times) + 1)]
    parts = [*_axes(plot, low, high, place_x, place_y)]
    for number, band in enumerate(plot.bands):
        parts.append(_band(band, plot.past[-1], ahead, place_y, number))
    parts.append(_line("past", [place_x(at) for at in range(past)], plot.past, place_y))
    for _, values in plot.beside:
        parts.append(_line("beside", ahead, (plot.past[-1], *values), place_y))
    parts.append(_line("median", ahead, (plot.past[-1], *plot.median), place_y))
    for at, value in enumerate(plot.actual):
        parts.append(f'<circle class="came" cx="{place_x(past + at):.1f}" cy="{place_y(value):.1f}" r="3"/>')
    parts += _hits(plot, place_x)
    label = html.escape(
        f"{plot.name}: {past} values of the past, then the median of {len(plot.times)} steps from "
        f"{short_number(plot.median[0])} to {short_number(plot.median[-1])}"
    )
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _across(plot: Plot) -> Place:
    count = max(1, len(plot.past) + len(plot.times) - 1)
    return lambda step: LEFT + (WIDTH - LEFT - RIGHT) * step / count


def _axes(plot: Plot, low: float, high: float, place_x: Place, place_y: Place) -> Iterator[str]:
    for tick in ticks(low, high):
        y = place_y(tick)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield _text(LEFT - 6, y + 4, short_number(tick), "end")
    every = plot.every_time
    step = max(1, -(-len(every) // _TICKS))
    for at in range(0, len(every), step):
        yield _text(place_x(at), HEIGHT - BOTTOM + 16, every[at], "middle" if at else "start")
    now = place_x(len(plot.past) - 1)
    yield f'<path class="now" d="M{now:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'


def _band(band: Band, now: float, ahead: Sequence[float], place_y: Place, number: int) -> str:
    upper = [f"{x:.1f} {place_y(value):.1f}" for x, value in zip(ahead, (now, *band.high), strict=True)]
    lower = [f"{x:.1f} {place_y(value):.1f}" for x, value in zip(ahead, (now, *band.low), strict=True)]
    return f'<path class="band b{number}" d="M{"L".join([*upper, *reversed(lower)])}Z"/>'


def _line(kind: str, xs: Sequence[float], values: Sequence[float], place_y: Place) -> str:
    points = "L".join(f"{x:.1f} {place_y(value):.1f}" for x, value in zip(xs, values, strict=True))
    return f'<path class="line {kind}" d="M{points}"/>'


def _hits(plot: Plot, place_x: Place) -> Iterator[str]:
    """An invisible strip for each step, whose title a pointer shows."""
    wide = place_x(1) - place_x(0)
    past = len(plot.past)
    for at, time in enumerate(plot.every_time):
        if at < past:
            said = f"{time}: {short_number(plot.past[at])}"
        else:
            ranges = [
                f"{percent(band)}: {short_number(band.low[at - past])} to {short_number(band.high[at - past])}"
                for band in plot.bands
            ]
            said = "; ".join([f"{time}: {short_number(plot.median[at - past])}", *ranges])
        yield (
            f'<rect class="hit" x="{place_x(at) - wide / 2:.1f}" y="{TOP}" width="{wide:.1f}" '
            f'height="{HEIGHT - TOP - BOTTOM}"><title>{html.escape(said)}</title></rect>'
        )


def _map(plot: Plot) -> str:
    """Where each step looked: a row a step ahead, columns below the steps of the drawing above."""
    if not plot.looked:
        return ""
    place_x = _across(plot)
    wide = place_x(1) - place_x(0)
    rows = plot.looked[:_MOST_ROWS]
    full = max(map(max, rows)) or 1.0
    parts = []
    for number, (row, time) in enumerate(zip(rows, plot.times, strict=False)):
        y = number * _ROW
        parts.append(_text(WIDTH - RIGHT, y + 11, time, "end") if number % 2 == 0 else "")
        for at, weight in enumerate(row):
            if weight >= 0.005 * full:
                said = html.escape(f"{time} looks at {plot.past_times[at]}: {100 * weight:.1f} %")
                parts.append(
                    f'<rect class="cell" x="{place_x(at) - wide / 2:.1f}" y="{y}" width="{wide:.1f}" '
                    f'height="{_ROW - 1}" opacity="{weight / full:.3f}"><title>{said}</title></rect>'
                )
    more = f"; the first {_MOST_ROWS} of {len(plot.looked)} steps" if len(plot.looked) > _MOST_ROWS else ""
    frame = f'<svg viewBox="0 0 {WIDTH} {len(rows) * _ROW}" role="img" aria-label="attention over the past">'
    return (
        f"<h3>Where each step looked (darkest: {100 * full:.0f} %{more})</h3>{frame}{''.join(parts)}</svg>"
        '<p class="how">Attention shows where the model looked, not why it answered as it did.</p>'
    )


def _coefficients(plot: Plot) -> str:
    """What each value before adds to the next one."""
    if not plot.coefficients:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{at} back</th><td>{value:+.4f}</td></tr>' for at, value in enumerate(plot.coefficients, 1)
    )
    return f"<details><summary>The weight of each value before (scaled)</summary><table>{rows}</table></details>"


def _table(plot: Plot) -> str:
    heads = ["time", "median", *(f"{percent(band)} {end}" for band in plot.bands for end in ("low", "high"))]
    heads += ["what came"] if plot.actual else []
    heads += [f"median of {name}" for name, _ in plot.beside]
    lines = []
    for at, time in enumerate(plot.times):
        numbers = [plot.median[at], *(value for band in plot.bands for value in (band.low[at], band.high[at]))]
        cells = [f"{number:.6g}" for number in numbers]
        if plot.actual:
            cells.append(f"{plot.actual[at]:.6g}" if at < len(plot.actual) else "")
        cells += [f"{values[at]:.6g}" for _, values in plot.beside]
        inside = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{html.escape(time)}</th>{inside}</tr>')
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'
