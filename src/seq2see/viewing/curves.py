"""Figures of a run: its curves, and its quality against the length of the source, as PNG or SVG."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from seq2see.errors import InputError
from seq2see.text.visible import visible
from seq2see.viewing.charts import MANY, LengthBar
from seq2see.viewing.figure import write_figure
from seq2see.viewing.fonts import Lettering, lettering, remarks
from seq2see.viewing.palette import SERIES
from seq2see.viewing.series import Axis, Panel, Row, panels, running_mean, short_number, thinned

_INK, _MUTED, _LINE, _BAD = "#17202e", "#566175", "#dde2ea", "#c81e1e"


def draw_curves(rows: Sequence[Row], path: Path, *, axis: Axis = "step") -> tuple[str, ...]:
    """Draw loss, dev scores, learning rate and speed over steps or seconds, a panel each; from ``metrics.jsonl`` rows.

    Values that are not finite are short red marks at the top. Returns what the reader should know of the letters.

    Raises:
        InputError: no row has a number to draw, or the file does not end in .png or .svg.
    """
    found = panels(rows, axis)
    if not found:
        raise InputError(f"{path}: nothing to draw: no row of the metrics has a {axis} and a number beside it")
    texts = [panel.title for panel in found] + [curve.name for panel in found for curve in panel.series]
    letters = lettering([*texts, "0123456789"])
    across = min(3, len(found))
    down = -(-len(found) // across)
    with rc_context({"font.family": list(letters.families)}):
        figure = Figure(figsize=(3.6 * across, 2.6 * down), layout="constrained")
        every = figure.subplots(down, across, squeeze=False).flatten().tolist()
        for axes, panel in zip(every, found, strict=False):
            _panel(axes, panel, axis, letters)
        for axes in every[len(found) :]:
            axes.set_axis_off()
        write_figure(figure, path)
    return remarks(texts, letters.missing)


def draw_length_quality(
    series: Mapping[str, Sequence[LengthBar]], path: Path, *, metric: str = "score", unit: str = "pieces"
) -> tuple[str, ...]:
    """Draw scores against source length, systems side by side, with 95 % intervals and the number of sentences.

    Args:
        series: for each system by name: (shortest, longest, sentences, score, low, high), lengths inclusive.
        metric: the name of the score; ``unit``: what lengths count.

    Raises:
        InputError: there is nothing to draw, or the file does not end in .png or .svg.
    """
    shown = {visible(name): [bar for bar in bars if math.isfinite(bar[3])] for name, bars in series.items()}
    spans = sorted({bar[:2] for bars in shown.values() for bar in bars})
    if not spans:
        raise InputError(f"{path}: nothing to draw: no system has a score for any length")
    score_axis, length_axis = visible(metric), f"source length, {visible(unit)}"
    texts = [*shown, score_axis, length_axis]
    letters = lettering([*texts, "0123456789–"])
    with rc_context({"font.family": list(letters.families)}):
        figure = Figure(figsize=(max(4.0, 1.0 + 0.9 * len(spans)), 3.2), layout="constrained")
        axes = figure.subplots()
        for number, (name, bars) in enumerate(shown.items()):
            _bars(axes, letters.drawable(name), bars, spans, number, len(shown))
        axes.set_xticks(range(len(spans)), [_span_label(span, shown) for span in spans], fontsize=8)
        _plain(axes)
        axes.set_ylabel(letters.drawable(score_axis), fontsize=9, color=_INK, parse_math=False)
        axes.set_xlabel(letters.drawable(length_axis), fontsize=9, color=_INK, parse_math=False)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        _legend(axes, len(shown), above=True)
        write_figure(figure, path)
    return remarks(texts, letters.missing)


def _panel(axes: Axes, panel: Panel, axis: Axis, letters: Lettering) -> None:
    for number, curve in enumerate(panel.series):
        colour = SERIES[number % len(SERIES)]
        many = len(curve.points) >= MANY
        name = letters.drawable(curve.name)
        drawn = thinned(curve.points)
        style = {"linewidth": 0.7, "alpha": 0.4} if many else {"linewidth": 1.5, "marker": "o", "markersize": 2.5}
        axes.plot([x for x, _ in drawn], [y for _, y in drawn], color=colour, label=None if many else name, **style)
        if many:
            mean = thinned(running_mean(curve.points))
            axes.plot([x for x, _ in mean], [y for _, y in mean], color=colour, linewidth=1.5, label=name)
        for x in curve.gaps[:: max(1, len(curve.gaps) // 200)]:
            axes.axvline(x, ymin=0.95, color=_BAD, linewidth=1)
    axes.set_title(letters.drawable(panel.title), fontsize=9.5, loc="left", color=_INK, parse_math=False)
    axes.set_xlabel("step" if axis == "step" else "seconds", fontsize=8, color=_MUTED)
    _plain(axes)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    _legend(axes, len(panel.series))


def _bars(
    axes: Axes, name: str, bars: Sequence[LengthBar], spans: Sequence[tuple[int, int]], number: int, systems: int
) -> None:
    wide = 0.8 / systems
    places = [spans.index(bar[:2]) + wide * (number - (systems - 1) / 2) for bar in bars]
    axes.bar(places, [bar[3] for bar in bars], wide * 0.92, color=SERIES[number % len(SERIES)], label=name)
    for place, (_, _, _, score, low, high) in zip(places, bars, strict=True):
        if math.isfinite(low) and math.isfinite(high):
            axes.errorbar(
                place, score, [[max(0.0, score - low)], [max(0.0, high - score)]], color=_INK, linewidth=1, capsize=2.5
            )


def _span_label(span: tuple[int, int], shown: Mapping[str, Sequence[LengthBar]]) -> str:
    sentences = max(bar[2] for bars in shown.values() for bar in bars if bar[:2] == span)
    lengths = str(span[0]) if span[0] == span[1] else f"{span[0]}–{span[1]}"
    return f"{lengths}\nn = {sentences:,}"


def _plain(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.tick_params(labelsize=8, colors=_MUTED, length=0)
    axes.grid(axis="y", color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_MUTED)


def _legend(axes: Axes, count: int, *, above: bool = False) -> None:
    if count < 2:
        return
    legend = axes.legend(fontsize=8, frameon=False, ncols=min(4, count) if above else 1)
    if above:
        legend.set_loc("lower left")
        legend.set_bbox_to_anchor((0.0, 1.0), transform=axes.transAxes)
    for text in legend.get_texts():
        text.set_parse_math(False)
