"""The rules that look at a training stretch: season, drift, strength of the season, spread against level."""

import math

import pytest
import torch
from torch import Tensor

from seq2see.data.season import (
    autocorrelation,
    drifts,
    grows_with_level,
    guess_season,
    is_seasonal,
    kpss,
    seasonal_strength,
)


def noise(length: int, seed: int = 3) -> Tensor:
    return torch.randn(length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def wave(length: int, season: int) -> Tensor:
    return torch.sin(torch.arange(length, dtype=torch.float64) * 2 * math.pi / season)


def kpss_twin(values: list[float]) -> float:
    """The formula, number by number."""
    length, mean = len(values), sum(values) / len(values)
    residuals = [value - mean for value in values]
    lags = int(4 * (length / 100) ** 0.25)
    variance = sum(e * e for e in residuals) / length
    for lag in range(1, lags + 1):
        covariance = sum(residuals[t] * residuals[t - lag] for t in range(lag, length)) / length
        variance += 2 * (1 - lag / (lags + 1)) * covariance
    sums = [sum(residuals[: t + 1]) for t in range(length)]
    return sum(s * s for s in sums) / length**2 / variance


def test_autocorrelation_by_hand() -> None:
    # Mean 2.5; deviations −1.5 −0.5 0.5 1.5; squares 5; lag 1: 0.75 − 0.25 + 0.75 = 1.25; lag 2: −0.75 − 0.75 = −1.5.
    assert autocorrelation(torch.tensor([1.0, 2, 3, 4]), 2) == pytest.approx([1, 0.25, -0.3])
    assert autocorrelation(torch.ones(5), 2) == [0, 0, 0]


def test_kpss_is_its_formula_and_tells_drift_from_none() -> None:
    for values_T in (noise(57), noise(200).cumsum(0), wave(90, 7)):
        assert kpss(values_T) == pytest.approx(kpss_twin(values_T.tolist()))
    assert not drifts(noise(200)) and drifts(noise(200).cumsum(0)) and drifts(torch.arange(50.0).double())
    assert kpss(torch.ones(20)) == 0


def test_a_planted_season_is_found_and_noise_has_none() -> None:
    planted_1T = (3 * wave(140, 7) + noise(140) * 0.5).unsqueeze(0)
    assert guess_season(planted_1T, 1)[0] == 7
    assert guess_season(planted_1T, 7)[0] == 7  # the calendar's, confirmed
    season, why = guess_season(planted_1T, 5)
    assert season == 1 and "suggests 5 steps" in why and "does not confirm" in why
    assert guess_season(noise(140).unsqueeze(0), 1)[0] == 1
    trend_1T = planted_1T + torch.arange(140.0).unsqueeze(0)
    assert guess_season(trend_1T, 1)[0] == 7  # a trend does not hide it
    assert guess_season(torch.ones(1, 50, dtype=torch.float64), 12)[0] == 1


def test_several_series_decide_by_majority() -> None:
    seasonal, other = 3 * wave(140, 7), noise(140)
    assert guess_season(torch.stack([seasonal, seasonal + 1, other]), 7)[0] == 7
    assert guess_season(torch.stack([seasonal, other, noise(140, 4)]), 7)[0] == 1


def test_strength_of_the_season() -> None:
    line = torch.arange(84.0).double()
    assert seasonal_strength(line + 10 * wave(84, 12), 12) == pytest.approx(1.0)  # nothing but trend and season
    assert seasonal_strength(line + 10 * wave(84, 7), 7) == pytest.approx(1.0)  # an odd one too
    assert seasonal_strength(noise(600), 12) < 0.1
    # Var(S) = 1/2 and Var(R) = 1/2: strength 1/2; three times the wave: 9/10.
    assert seasonal_strength(wave(6_000, 12) + noise(6_000) * 0.5**0.5, 12) == pytest.approx(0.5, abs=0.06)
    assert is_seasonal(3 * wave(6_000, 12) + noise(6_000) * 0.5**0.5, 12)
    assert not is_seasonal(wave(6_000, 12) + noise(6_000) * 0.5**0.5, 12)
    assert seasonal_strength(wave(20, 12), 12) == 0  # too short to tell


def test_logarithms_where_the_spread_grows_with_the_level() -> None:
    level = torch.linspace(1, 20, 240, dtype=torch.float64)
    assert grows_with_level(level * (1 + 0.2 * wave(240, 12)) + noise(240) * 0.01, 12)
    assert not grows_with_level(level + 0.2 * wave(240, 12) + noise(240) * 0.05, 12)
    assert not grows_with_level(level * (1 + 0.2 * wave(240, 12)) - 2, 12)  # not above 0
    assert not grows_with_level(torch.ones(240, dtype=torch.float64), 12)
