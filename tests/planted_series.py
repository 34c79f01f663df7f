"""Series with a planted pattern: a trend, a season of twelve months, and noise."""

import math
import random
from pathlib import Path

TINY = ("--set", "model.width=8", "--set", "sampling.paths=50", "--set", "training.evaluate_every=5")


def months(count: int, first: int = 0) -> list[str]:
    """``2000-01`` and those after it."""
    return [f"{2000 + at // 12}-{at % 12 + 1:02d}" for at in range(first, first + count)]


def seasonal(count: int, noise: float = 0.0, slope: float = 0.5, seed: int = 1) -> list[float]:
    """50, a rise of ``slope`` a step, a wave of ± 8 over twelve steps, and noise of that deviation."""
    chance = random.Random(seed)
    wave = [8 * math.sin(2 * math.pi * at / 12) + (3 if at % 12 == 6 else 0) for at in range(12)]
    return [50 + slope * at + wave[at % 12] + chance.gauss(0, 1) * noise for at in range(count)]


def write_series(path: Path, *columns: list[float], names: tuple[str, ...] = ("sales", "visits", "c")) -> Path:
    """A CSV of months and one or more columns."""
    lines = [",".join(("month", *names[: len(columns)]))]
    rows = zip(months(len(columns[0])), zip(*columns, strict=True), strict=True)
    lines += [",".join((month, *map(repr, values))) for month, values in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
