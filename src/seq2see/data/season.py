"""What repeats in a series, and what drifts: the rules by which a season, differences and logarithms are chosen.

Every rule reads the training stretch alone. Several series decide together, by the majority of them.

C series · T steps
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_MOST = 20_000  # last values of a series that the rules look at
_LONGEST = 400  # steps of a season that is looked for
_SURE = 1.645  # standard errors; one-sided 95 %
_KPSS = 0.463  # 5 % level of the statistic for a stationary level (Kwiatkowski et al. 1992, table 1)
_STRONG = 0.64  # seasonal strength from which the season is differenced (Wang, Smith and Hyndman 2006; R's nsdiffs)
_CLEAR = 0.25  # least autocorrelation at the peak of a season that no calendar suggests


def each_series(values_CT: Tensor) -> list[Tensor]:
    """Every series without the NaN at its ends, its last values where it is very long."""
    return [values_T[~values_T.isnan()][-_MOST:] for values_T in values_CT]


def most_say(question: Callable[[Tensor], bool], series: Sequence[Tensor]) -> bool:
    """Whether the answer is yes for more than half of the series."""
    return sum(map(question, series)) * 2 > len(series)


def guess_season(values_CT: Tensor, calendar: int) -> tuple[int, str]:
    """The season in steps, 1 for none, and a sentence with the reason.

    Where the calendar suggests a period (``calendar`` > 1), it is taken if the autocorrelation at that lag is
    above 0 by the test of the M4 competition (Makridakis et al. 2020, its benchmarks). Otherwise the highest
    peak of the autocorrelation is, if it is clear. A series that is not stationary is differenced before.
    """
    series = [steadied(values_T) for values_T in each_series(values_CT)]
    if calendar > 1:
        found = most_say(lambda values_T: len(values_T) >= 3 * calendar and repeats(values_T, calendar), series)
        why = "the calendar suggests it, and the autocorrelation confirms it"
        no = f"no season: the calendar suggests {calendar} steps, but the autocorrelation does not confirm them"
        return (calendar, f"season: {calendar} steps ({why})") if found else (1, no)
    peaks = [peak for values_T in series if (peak := _peak(values_T)) > 1]
    if len(peaks) * 2 <= len(series):
        return 1, "no season: no period stands out of the autocorrelation"
    season = max(peaks, key=lambda peak: (peaks.count(peak), -peak))
    return season, f"season: {season} steps (the highest peak of the autocorrelation)"


def autocorrelation(values_T: Tensor, most: int) -> list[float]:
    """The sample autocorrelation at the lags 0 to ``most``; zeros for a constant series."""
    centred_T = values_T - values_T.mean()
    total = float(centred_T @ centred_T)
    if total <= 0:
        return [0.0] * (most + 1)
    return [float(centred_T[lag:] @ centred_T[: len(centred_T) - lag]) / total for lag in range(most + 1)]


def repeats(values_T: Tensor, season: int) -> bool:
    """Whether the autocorrelation at the season is above 0, against Bartlett's standard error."""
    correlations = autocorrelation(values_T, season)
    return correlations[season] > _SURE * _bartlett(correlations, season, len(values_T))


def _bartlett(correlations: Sequence[float], lag: int, length: int) -> float:
    return math.sqrt((1 + 2 * sum(each**2 for each in correlations[1:lag])) / length)


def _peak(values_T: Tensor) -> int:
    """The lag of the highest peak of the autocorrelation behind its first fall below 0; 1 where none is clear."""
    most = min(_LONGEST, len(values_T) // 3)
    if most < 3:
        return 1
    correlations = autocorrelation(values_T, most)
    fall = next((lag for lag in range(1, most) if correlations[lag] < 0), most)
    peaks = [
        lag
        for lag in range(max(2, fall), most)
        if correlations[lag] >= max(correlations[lag - 1], correlations[lag + 1], _CLEAR)
        and correlations[lag] > _SURE * _bartlett(correlations, lag, len(values_T))
    ]
    return max(peaks, key=correlations.__getitem__, default=1)


def kpss(values_T: Tensor) -> float:
    """The statistic of Kwiatkowski, Phillips, Schmidt and Shin (1992, equation 13): large for a drifting level.

    Σ S_t² / (T² s²), S_t the sums of the residuals of the mean, s² their long-run variance with Bartlett's
    weights up to lag ⌊4 (T/100)^¼⌋. 0 for a constant series.
    """
    length = len(values_T)
    if length < 3:
        return 0.0
    residual_T = values_T - values_T.mean()
    lags = min(length - 1, int(4 * (length / 100) ** 0.25))
    variance = float(residual_T @ residual_T)
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(residual_T[lag:] @ residual_T[:-lag])
    sums_T = residual_T.cumsum(0)
    return float(sums_T @ sums_T) / (length * variance) if variance > 0 else 0.0


def drifts(values_T: Tensor) -> bool:
    """Whether the level is not stationary at the 5 % level."""
    return kpss(values_T) > _KPSS


def steadied(values_T: Tensor) -> Tensor:
    """The series, or its differences where its level drifts."""
    return values_T.diff() if drifts(values_T) else values_T


def seasonal_strength(values_T: Tensor, season: int) -> float:
    """max(0, 1 − Var(R) / Var(S + R)) for values = trend + S + R (Wang, Smith and Hyndman 2006, section 3.1.1).

    The trend is the centred moving average over a season, S the mean of each phase of the rest. 0 for fewer
    than three seasons.
    """
    if season < 2 or len(values_T) < 3 * season:
        return 0.0
    half = season // 2
    kernel = [1.0] * season if season % 2 else [0.5, *[1.0] * (season - 1), 0.5]
    weights_11K = torch.tensor(kernel, dtype=values_T.dtype)[None, None] / season
    trend_T = torch.nn.functional.conv1d(values_T[None, None], weights_11K)[0, 0]
    rest_T = values_T[half : half + len(trend_T)] - trend_T
    phases = torch.arange(len(rest_T)) % season
    means = torch.stack([rest_T[phases == phase].mean() for phase in range(season)])
    whole = float(rest_T.var())
    return max(0.0, 1 - float((rest_T - means[phases]).var()) / whole) if whole > 0 else 0.0


def is_seasonal(values_T: Tensor, season: int) -> bool:
    """Whether the season is strong enough to be differenced."""
    return seasonal_strength(values_T, season) >= _STRONG


def grows_with_level(values_T: Tensor, season: int) -> bool:
    """Whether the spread goes with the level: then logarithms steady it. Values must be above 0.

    Tukey's (1977, chapter 3) spread-against-level plot: over blocks of a season (or ten steps), log spread
    rises with log level by a slope nearer to 1 (logarithms) than to 0 (nothing), and surely not by chance.
    """
    size = season if season > 3 else 10
    count = len(values_T) // size
    if count < 4 or float(values_T.min()) <= 0:
        return False
    blocks_NB = values_T[len(values_T) - count * size :].view(count, size)
    spread_N = blocks_NB.std(1)
    if float(spread_N.min()) <= 0:
        return False
    slope, error = _slope(blocks_NB.mean(1).log(), spread_N.log())
    return slope > 0.5 and slope > _SURE * error


def _slope(x_N: Tensor, y_N: Tensor) -> tuple[float, float]:
    """The slope of a straight line by least squares, and its standard error."""
    x_N, y_N = x_N - x_N.mean(), y_N - y_N.mean()
    squares = float(x_N @ x_N)
    if squares <= 0:
        return 0.0, math.inf
    slope = float(x_N @ y_N) / squares
    residual_N = y_N - slope * x_N
    return slope, math.sqrt(float(residual_N @ residual_N) / (len(x_N) - 2) / squares)
