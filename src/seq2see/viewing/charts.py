"""Charts as inline SVG text: lines with the places of bad values, bars with intervals. No request, no style inside.

Colours come from the page by class names (``s0`` … ``s5``), so that light and dark both read well.
"""

import html
import math
from collections.abc import Callable, Mapping, Sequence

from seq2see.viewing.series import Panel, Series, running_mean, short_number, thinned, ticks

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 54, 24, 12, 30  # of the area that holds the curves
COLOURS = 6
MANY = 100  # points from which a curve is drawn with its running mean
_MOST_GAPS = 200

LengthBar = tuple[int, int, int, float, float, float]  # shortest, longest, sentences, score, low, high


def line_chart(panel: Panel, *, seconds: bool, most: int) -> tuple[str, dict[str, object]]:
    """The drawing of a panel, and what a pointer needs to read it: the ranges and the points of each curve."""
    drawn = [(curve, thinned(curve.points, most)) for curve in panel.series]
    every = [point for _, points in drawn for point in points]
    xs = [x for x, _ in every] + [x for curve in panel.series for x in curve.gaps]
    x_low, x_high = widened(min(xs, default=0.0), max(xs, default=1.0), 0.0)
    y_low, y_high = widened(min((y for _, y in every), default=0.0), max((y for _, y in every), default=1.0), 0.05)
    place_x, place_y = _scale(x_low, x_high, LEFT, WIDTH - RIGHT), _scale(y_low, y_high, HEIGHT - BOTTOM, TOP)
    parts = [*_y_axis(y_low, y_high, place_y), *_x_axis(x_low, x_high, place_x, seconds)]
    for number, (curve, points) in enumerate(drawn):
        parts += _curve(curve, points, number % COLOURS, place_x, place_y, most)
    label = f"{panel.title} against {'time' if seconds else 'steps'}: " + ", ".join(map(_spoken, panel.series))
    curves = [{"name": curve.name, "points": [_short(point) for point in points]} for curve, points in drawn]
    return svg(label, parts), {"x": [x_low, x_high], "y": [y_low, y_high], "seconds": seconds, "curves": curves}


def bar_chart(groups: Mapping[str, Sequence[LengthBar]], unit: str) -> str:
    """Scores against source length: a group of bars for each span, the 95 % intervals, the counts below."""
    spans = sorted({(bar[0], bar[1]) for bars in groups.values() for bar in bars})
    finite = [value for bars in groups.values() for bar in bars for value in bar[3:6] if math.isfinite(value)]
    y_low, y_high = min(0.0, *finite, 0.0), max([0.0, *finite]) * 1.05 or 1.0
    place_y = _scale(y_low, y_high, HEIGHT - BOTTOM - 14, TOP)
    parts = [*_y_axis(y_low, y_high, place_y)]
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(spans))
    wide = min(46.0, slot * 0.8 / max(1, len(groups)))
    for number, bars in enumerate(groups.values()):
        for bar in bars:
            start = LEFT + slot * (spans.index((bar[0], bar[1])) + 0.5) + wide * (number - len(groups) / 2)
            parts += _bar(bar, start, wide * 0.9, number % COLOURS, place_y)
    for at, (shortest, longest) in enumerate(spans):
        middle = LEFT + slot * (at + 0.5)
        counts = [bar[2] for bars in groups.values() for bar in bars if (bar[0], bar[1]) == (shortest, longest)]
        name = str(shortest) if shortest == longest else f"{shortest}–{longest}"
        parts.append(_text(middle, HEIGHT - BOTTOM + 2, name, "middle"))
        parts.append(_text(middle, HEIGHT - BOTTOM + 16, f"n = {max(counts):,}", "middle", "faint"))
    return svg(f"{unit} against the length of the source, in pieces", parts)


def svg(label: str, parts: Sequence[str]) -> str:
    """A drawing that fits its place, with words for those who cannot see it."""
    inside = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(label)}">{inside}</svg>'


def widened(low: float, high: float, share: float) -> tuple[float, float]:
    """A range with ``share`` of itself more at both ends, and never empty."""
    if high > low:
        return low - share * (high - low), high + share * (high - low)
    reach = abs(low) * 0.1 or 1.0
    return low - reach, high + reach


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _y_axis(low: float, high: float, place: Callable[[float], float]) -> list[str]:
    parts = []
    for tick in ticks(low, high):
        y = place(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 6, y + 4, short_number(tick), "end"))
    return parts


def _x_axis(low: float, high: float, place: Callable[[float], float], seconds: bool) -> list[str]:
    unit = 1 if not seconds or high < 120 else 60 if high < 7200 else 3600
    name = "step" if not seconds else {1: "seconds", 60: "minutes", 3600: "hours"}[unit]
    parts = [f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>']
    parts += [
        _text(place(tick * unit), HEIGHT - BOTTOM + 15, short_number(tick), "middle")
        for tick in ticks(low / unit, high / unit)
    ]
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 3, name, "end", "faint"))
    return parts


def _curve(
    curve: Series,
    points: Sequence[tuple[float, float]],
    colour: int,
    place_x: Callable[[float], float],
    place_y: Callable[[float], float],
    most: int,
) -> list[str]:
    parts = []
    many = len(curve.points) >= MANY
    if points:
        parts.append(_path(points, f"line s{colour}{' raw' if many else ''}", place_x, place_y))
    if many:
        parts.append(_path(thinned(running_mean(curve.points), most // 4), f"line s{colour}", place_x, place_y))
    elif len(points) <= 40:
        parts += [
            f'<circle class="dot s{colour}" cx="{place_x(x):.1f}" cy="{place_y(y):.1f}" r="2.6"/>' for x, y in points
        ]
    for x in curve.gaps[:: max(1, len(curve.gaps) // _MOST_GAPS)]:
        parts.append(f'<path class="gap" d="M{place_x(x):.1f} {TOP}V{TOP + 9}"/>')
    return parts


def _path(
    points: Sequence[tuple[float, float]],
    classes: str,
    place_x: Callable[[float], float],
    place_y: Callable[[float], float],
) -> str:
    places = "L".join(f"{place_x(x):.1f} {place_y(y):.1f}" for x, y in points)
    return f'<path class="{classes}" d="M{places}"/>'


def _bar(bar: LengthBar, start: float, wide: float, colour: int, place: Callable[[float], float]) -> list[str]:
    shortest, longest, sentences, score, low, high = bar
    if not math.isfinite(score):
        return []
    top, base = min(place(score), place(0.0)), max(place(score), place(0.0))
    title = f"{shortest} to {longest} pieces: {short_number(score)}"
    parts = []
    middle = start + wide / 2
    if math.isfinite(low) and math.isfinite(high):
        title += f", 95 % interval {short_number(low)} to {short_number(high)}"
        ends = f"M{middle:.1f} {place(low):.1f}V{place(high):.1f}"
        caps = "".join(f"M{middle - 3:.1f} {place(end):.1f}h6" for end in (low, high))
        parts.append(f'<path class="interval" d="{ends}{caps}"/>')
    title += f"; {sentences:,} sentences"
    shape = f'x="{start:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{base - top:.1f}"'
    return [f'<rect class="bar s{colour}" {shape} rx="2"><title>{html.escape(title)}</title></rect>', *parts]


def _text(x: float, y: float, text: str, anchor: str, classes: str = "tick") -> str:
    return f'<text class="{classes}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _spoken(curve: Series) -> str:
    if not curve.points:
        return f"{curve.name} never finite"
    last = curve.points[-1]
    return f"{curve.name} from {short_number(curve.points[0][1])} to {short_number(last[1])}"


def _short(point: tuple[float, float]) -> list[float]:
    return [float(f"{value:.6g}") for value in point]
