"""How good forecasts are: errors of their medians, and how much their bands hold, by rolling origin.

A forecast is given as quantiles at ``LEVELS``; its median is the point forecast. The unit that is counted, and
drawn again for the intervals, is the origin: all series and all steps foretold from one moment.

O origins · C series · H steps ahead · Q levels · T steps of a training stretch
"""

import math
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

import torch
from torch import Tensor

from seq2see.errors import InputError
from seq2see.evaluation.counts import Counts
from seq2see.evaluation.resampling import interval
from seq2see.evaluation.significance import bootstrap_differences

LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
MEDIAN = LEVELS.index(0.5)
BANDS = {80: (LEVELS.index(0.1), LEVELS.index(0.9)), 95: (LEVELS.index(0.025), LEVELS.index(0.975))}
METRICS = ("rmse", "mae", "mase", "pinball", "coverage_80", "coverage_95")
FEW = 10  # origins below which an interval says little
_CHANCE = ": it may be chance"


def naive_error(train_T: Tensor, season: int) -> float:
    """The mean absolute error of the (seasonal) naive forecast within a training stretch: the unit of MASE.

    Hyndman and Koehler 2006, section 3. NaN where the stretch is too short or the forecast never errs.
    """
    error_T = (train_T[season:] - train_T[:-season]).abs()
    error = float(error_T.mean()) if len(error_T) else math.nan
    return error if error > 0 else math.nan


def forecast_counts(quantiles_OCHQ: Tensor, actual_OCH: Tensor, units: Sequence[float], season: int) -> list[Counts]:
    """What each of ``METRICS`` needs, a row an origin.

    ``actual_OCH`` is NaN where nothing is to be scored. ``units`` are the naive errors of the series; MASE and
    the pinball loss leave out a series whose unit is NaN. The pinball loss is the mean over ``LEVELS``, doubled,
    in that unit: about the continuous ranked probability score (Gneiting and Raftery 2007, section 4.2).

    Raises:
        InputError: there is nothing to score.
    """
    known_OCH = ~actual_OCH.isnan()
    if not bool(known_OCH.any()):
        raise InputError("there is no actual value to compare the forecasts with")
    actual_OCH = actual_OCH.nan_to_num()
    error_OCH = (quantiles_OCHQ[..., MEDIAN] - actual_OCH).abs()
    units_C11 = torch.tensor(units, dtype=torch.float64)[:, None]
    scored_OCH = known_OCH & ~units_C11.isnan()
    difference_OCHQ = actual_OCH.unsqueeze(-1) - quantiles_OCHQ
    levels_Q = torch.tensor(LEVELS, dtype=torch.float64)
    pinball_OCH = 2 * torch.maximum(levels_Q * difference_OCHQ, (levels_Q - 1) * difference_OCHQ).mean(-1)
    tables = {
        "rmse": (error_OCH.square(), known_OCH),
        "mae": (error_OCH, known_OCH),
        "mase": (error_OCH / units_C11, scored_OCH),
        "pinball": (pinball_OCH / units_C11, scored_OCH),
        **{f"coverage_{share}": (_inside(quantiles_OCHQ, actual_OCH, share), known_OCH) for share in BANDS},
    }
    steps = f"unit:origin|steps:{actual_OCH.shape[-1]}|version:{version('seq2see')}"
    scaled = {"mase": f"naive:{season}|", "pinball": f"naive:{season}|levels:{len(LEVELS)}|"}
    return [
        Counts(name, _rows(values_OCH, counts_OCH), _finish(name), scaled.get(name, "") + steps)
        for name, (values_OCH, counts_OCH) in tables.items()
        if bool(counts_OCH.any())
    ]


def _inside(quantiles_OCHQ: Tensor, actual_OCH: Tensor, share: int) -> Tensor:
    low, high = BANDS[share]
    return ((quantiles_OCHQ[..., low] <= actual_OCH) & (actual_OCH <= quantiles_OCHQ[..., high])).double()


def _rows(values_OCH: Tensor, counted_OCH: Tensor) -> Tensor:
    """``[O, 2]``: the sum over what is counted of each origin, and how much that is."""
    values_OCH = torch.where(counted_OCH, values_OCH.double(), 0.0)
    return torch.stack((values_OCH.sum((1, 2)), counted_OCH.double().sum((1, 2))), dim=1)


def _finish(name: str) -> Callable[[Sequence[float]], float]:
    def mean(total: Sequence[float]) -> float:
        return total[0] / total[1] if total[1] else math.nan

    if name == "rmse":
        return lambda total: math.sqrt(mean(total))
    if name.startswith("coverage"):
        return lambda total: 100 * mean(total)
    return mean


def verdict(name: str, others: Mapping[str, Counts], own: Counts) -> str:
    """One honest sentence: whether the best of the simple models is better than ``name``, and whether it is sure.

    ``others`` and ``own`` are counts of one metric that is an error, of the same origins.
    """
    best = min(others, key=lambda other: (others[other].value(), other))
    difference = own.value() - others[best].value()
    low, high = interval(bootstrap_differences(others[best], own))
    surely = f" (difference {difference:+.3f}, 95 %: {low:+.3f} to {high:+.3f}{'' if low > 0 or high < 0 else _CHANCE})"
    figures = f"{own.name.upper()} {own.value():.3f} against {others[best].value():.3f} of {best}"
    if difference > 0:
        return f"{best} wins here: {name} has {figures}{surely}"
    if difference < 0:
        return f"{name} is better than every simple model here: {figures}{surely}"
    return f"{name} is as good as {best} here: {figures}"


def caveat(origins: int, steps: int, stride: int) -> str:
    """What the intervals do not say, where that has to be told; empty otherwise."""
    said = []
    if origins < FEW:
        said.append(f"there {'is' if origins == 1 else 'are'} only {origins} origin{'s' * (origins > 1)}")
    if origins > 1 and stride < steps:
        said.append(f"forecasts of {steps} steps from origins {stride} apart share most of their values")
    return f"intervals resample the origins and are too narrow: {', and '.join(said)}" if said else ""
