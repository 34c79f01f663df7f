"""Curves out of the rows of ``metrics.jsonl``: which there are, and few enough points to draw."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from seq2see.text.visible import visible

Point = tuple[float, float]
Row = Mapping[str, object]
Axis = Literal["step", "seconds"]

MOST_POINTS = 2_000  # of one curve in a drawing
_TOO_LARGE = 1e100  # to be drawn: ranges and their squares must stay finite
MOST_SCORES = 12  # kinds of score with a panel of their own
_TITLES = {
    "learning_rate": "Learning rate",
    "target_tokens_per_second": "Target tokens per second",
    "gradient_norm": "Gradient norm",
    "padding_share": "Share of padding",
}
_NULL_IS_BAD = ("loss", "dev_loss", "gradient_norm")  # JSON has no NaN: the journal writes null for it


@dataclass(frozen=True)
class Series:
    """One curve in the order of its x; ``gaps`` are the x at which the value was NaN or infinite."""

    name: str
    points: tuple[Point, ...]
    gaps: tuple[float, ...] = ()


@dataclass(frozen=True)
class Panel:
    """Curves that share a scale."""

    title: str
    series: tuple[Series, ...]


def number(value: object) -> float | None:
    """A real number as a float (it may be NaN), None for anything else."""
    if type(value) is float:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def panels(rows: Sequence[Row], axis: Axis = "step") -> tuple[Panel, ...]:
    """Loss, dev scores, learning rate, speed and what else was logged, against steps or seconds.

    Whatever a row lacks is left out; a panel without any value does not appear. Evaluations of averaged weights
    (rows with ``averaged``) are a curve of their own.
    """
    usual, averaged = [row for row in rows if not row.get("averaged")], [row for row in rows if row.get("averaged")]

    def dev(key: str, name: str) -> tuple[Series, ...]:
        return series(usual, axis, key, name), series(averaged, axis, key, f"{name}, averaged weights")

    loss = Panel("Loss", (series(usual, axis, "loss", "training"), *dev("dev_loss", "dev")))
    scores = [Panel(f"Dev {_shown(name)}", dev(name, _shown(name))) for name in score_names(rows)[:MOST_SCORES]]
    others = [Panel(title, (series(rows, axis, key, title.lower()),)) for key, title in _TITLES.items()]
    found = []
    for panel in (loss, *scores, *others):
        curves = tuple(curve for curve in panel.series if curve.points or curve.gaps)
        if curves:
            found.append(Panel(panel.title, curves))
    return tuple(found)


def score_names(rows: Sequence[Row]) -> list[str]:
    """The keys of dev scores: ``dev_`` and the name of the score."""
    names = dict.fromkeys(key for row in rows if "dev_loss" in row for key in row if key.startswith("dev_"))
    return [name for name in names if name not in ("dev_loss", "dev_key")]


def _shown(name: str) -> str:
    return visible(name.removeprefix("dev_"))


def series(rows: Sequence[Row], axis: Axis, key: str, name: str) -> Series:
    """The values under ``key`` of all rows that have it."""
    points, gaps = [], []
    for row in rows:
        if key not in row:
            continue
        x, value = number(row.get(axis)), row[key]
        y = math.nan if value is None and key in _NULL_IS_BAD else number(value)
        if x is None or y is None or not abs(x) < _TOO_LARGE:
            continue
        if abs(y) < _TOO_LARGE:  # which NaN is not either
            points.append((x, y))
        else:
            gaps.append(x)
    points.sort(key=lambda point: point[0])
    return Series(name, tuple(points), tuple(sorted(gaps)))


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> tuple[Point, ...]:
    """At most ``most`` of the points, in order, the first, the last and every extreme among them.

    The points are cut into runs of equal length; of each run the lowest and the highest stay.
    """
    if len(points) <= most:
        return tuple(points)
    runs = max(1, (most - 2) // 2)
    kept = {0, len(points) - 1}
    for run in range(runs):
        start, stop = run * len(points) // runs, (run + 1) * len(points) // runs
        kept.add(min(range(start, stop), key=lambda at: points[at][1]))
        kept.add(max(range(start, stop), key=lambda at: points[at][1]))
    return tuple(points[at] for at in sorted(kept))


def running_mean(points: Sequence[Point], share: float = 0.02) -> tuple[Point, ...]:
    """Each point's mean with its neighbours on both sides, over about ``share`` of all points."""
    reach = round(share * len(points) / 2)
    sums = list(accumulate((y for _, y in points), initial=0.0))
    means = []
    for at, (x, _) in enumerate(points):
        start, stop = max(0, at - reach), min(len(points), at + reach + 1)
        means.append((x, (sums[stop] - sums[start]) / (stop - start)))
    return tuple(means)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from ``low`` to ``high``, at most about ``most``."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [at * step for at in range(first, last + 1)]


def short_number(value: float) -> str:
    """A number as people write it in a figure: ``12,000``, ``3.14``, ``2e-05``."""
    if abs(value) < 1e15 and (value == round(value) or abs(value) >= 1000):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02} min"
