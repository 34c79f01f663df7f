"""Forecasts as a picture: past, bands, median, what came; below, where the model looked, on the same time axis."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from seq2see.viewing.figure import write_figure
from seq2see.viewing.fonts import Lettering, lettering, remarks
from seq2see.viewing.forecast import Plot, percent, plot_of
from seq2see.viewing.palette import LIGHT, SERIES
from seq2see.viewing.record import Record
from seq2see.viewing.series import short_number

_INK, _MUTED, _LINE = "#17202e", "#566175", "#dde2ea"
_RAMP = LinearSegmentedColormap.from_list("seq2see", LIGHT)
_MOST = 12  # series in one picture
_TICKS = 6


def draw_forecasts(
    records: Sequence[Record], path: Path, *, layer: int | None = None, head: int | None = None
) -> tuple[str, ...]:
    """Draw one plot a record below each other; the file's name ends in .png or .svg.

    Returns:
        What the reader should know: letters that no font has, and series that are left out.

    Raises:
        InputError: not records of forecasts, no such layer or head, or another ending.
    """
    plots = [plot_of(record, layer=layer, head=head) for record in records[:_MOST]]
    texts = [text for plot in plots for text in (_title(plot), *plot.every_time, *map(_beside, plot.beside))]
    letters = lettering([*texts, "0123456789%,.–−"])
    heights = [ratio for plot in plots for ratio in _heights(plot)]
    with rc_context({"font.family": list(letters.families)}):
        figure = Figure(figsize=(8.0, 1.1 * sum(heights) + 0.4), layout="constrained")
        axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights).flatten().tolist()
        for plot in plots:
            _lines(axes.pop(0), plot, letters)
            if plot.looked:
                _looked(axes.pop(0), plot, letters)
            if plot.coefficients:
                _coefficients(axes.pop(0), plot)
        write_figure(figure, path)
    said = list(remarks(texts, letters.missing))
    if len(records) > _MOST:
        said.append(f"the picture shows the first {_MOST} of {len(records)} series; the page shows all")
    return tuple(said)


def _title(plot: Plot) -> str:
    return f"{plot.name}: {plot.model}"


def _beside(other: tuple[str, tuple[float, ...]]) -> str:
    return f"median of {other[0]}"


def _heights(plot: Plot) -> list[float]:
    below = [max(0.8, min(2.5, 0.12 * len(plot.times) + 0.6))] if plot.looked else []
    return [3.0, *below, *([1.2] if plot.coefficients else [])]


def _lines(axes: Axes, plot: Plot, letters: Lettering) -> None:
    past, ahead = len(plot.past), len(plot.times)
    places = list(range(past - 1, past + ahead))
    now = plot.past[-1]
    for number, band in enumerate(plot.bands):
        low, high = (now, *band.low), (now, *band.high)
        axes.fill_between(
            places, low, high, color=SERIES[0], alpha=0.15 + 0.1 * number, linewidth=0, label=percent(band)
        )
    axes.plot(range(past), plot.past, color=_INK, linewidth=1.2, label="past")
    axes.plot(places, [now, *plot.median], color=SERIES[0], linewidth=1.6, label="median")
    for number, other in enumerate(plot.beside):
        colour, label = SERIES[(number + 4) % len(SERIES)], letters.drawable(_beside(other))
        axes.plot(places, [now, *other[1]], color=colour, linewidth=1, linestyle="--", label=label)
    if plot.actual:
        came = range(past, past + len(plot.actual))
        axes.plot(came, plot.actual, color=SERIES[1], linewidth=0, marker="o", markersize=3, label="what came")
    axes.axvline(past - 1, color=_MUTED, linewidth=0.8, linestyle=":")
    axes.set_ylim(*_widened(*plot.reach))
    axes.set_title(letters.drawable(_title(plot)), fontsize=9.5, loc="left", color=_INK, parse_math=False)
    _plain(axes)
    _times(axes, plot, letters)
    legend = axes.legend(
        fontsize=7.5, frameon=False, ncols=6, loc="lower right", bbox_to_anchor=(1.0, 1.0), columnspacing=1.2
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _looked(axes: Axes, plot: Plot, letters: Lettering) -> None:
    """A map below the past: a row a step ahead, the darker the more attention."""
    axes.imshow(
        plot.looked,
        cmap=_RAMP,
        vmin=0.0,
        vmax=max(map(max, plot.looked)) or 1.0,
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, len(plot.past) - 0.5, len(plot.times) - 0.5, -0.5),
    )
    axes.set_xlim(*_across(plot))
    axes.set_title("where each step looked", fontsize=8.5, loc="left", color=_MUTED)
    rows = sorted({0, len(plot.times) // 2, len(plot.times) - 1})
    axes.set_yticks(rows, [letters.drawable(plot.times[row]) for row in rows])
    axes.tick_params(labelsize=7, colors=_MUTED, length=0)
    for tick in axes.get_yticklabels():
        tick.set_parse_math(False)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)


def _coefficients(axes: Axes, plot: Plot) -> None:
    """Bars: what each of the last values adds to the next one."""
    axes.bar(range(1, len(plot.coefficients) + 1), plot.coefficients, color=SERIES[0], width=0.7)
    axes.axhline(0, color=_MUTED, linewidth=0.8)
    axes.set_title("weight of the value so many steps before (scaled)", fontsize=8.5, loc="left", color=_MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    _plain(axes)


def _across(plot: Plot) -> tuple[float, float]:
    count = len(plot.past) + len(plot.times)
    return -0.01 * count - 0.5, count - 0.5 + 0.01 * count


def _widened(low: float, high: float) -> tuple[float, float]:
    room = 0.05 * (high - low) or abs(low) * 0.1 or 1.0
    return low - room, high + room


def _times(axes: Axes, plot: Plot, letters: Lettering) -> None:
    every = plot.every_time
    step = max(1, -(-len(every) // _TICKS))
    places = list(range(0, len(every), step))
    axes.set_xlim(*_across(plot))
    axes.set_xticks(places, [letters.drawable(every[place]) for place in places])
    for tick in axes.get_xticklabels():
        tick.set_parse_math(False)


def _plain(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.tick_params(labelsize=8, colors=_MUTED, length=0)
    axes.grid(axis="y", color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_MUTED)
