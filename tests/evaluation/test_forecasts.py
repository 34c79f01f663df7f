"""Metrics of forecasts, on numbers that can be followed by hand."""

import math

import pytest
import torch
from torch import Tensor

from seq2see.errors import InputError
from seq2see.evaluation.forecasts import LEVELS, METRICS, caveat, forecast_counts, naive_error, verdict


def forecast(medians: list[list[float]], spread: float = 1.0) -> Tensor:
    """[O, 1, H, Q]: quantiles that lie ``spread`` times their distance from the middle level around the medians."""
    offsets = torch.tensor([level - 0.5 for level in LEVELS], dtype=torch.float64) * spread
    return torch.tensor(medians, dtype=torch.float64)[:, None, :, None] + offsets


def values(quantiles: Tensor, actual: list[list[float]], units: list[float]) -> dict[str, float]:
    actual_OCH = torch.tensor(actual, dtype=torch.float64)[:, None]
    return {counts.name: counts.value() for counts in forecast_counts(quantiles, actual_OCH, units, 1)}


def test_errors_by_hand() -> None:
    found = values(forecast([[1, 2], [3, 4]]), [[1, 4], [3, 7]], units=[0.5])
    # Errors 0 2 0 3: squares 13, so √(13/4); mean 5/4; in units of one half 5/2.
    assert found["rmse"] == pytest.approx(math.sqrt(13 / 4))
    assert found["mae"] == pytest.approx(1.25) and found["mase"] == pytest.approx(2.5)
    assert list(found) == list(METRICS)


def test_the_unit_of_mase_is_the_naive_error_while_training() -> None:
    train = torch.tensor([1.0, 3, 2, 6, 5, 7])
    assert naive_error(train, 1) == pytest.approx((2 + 1 + 4 + 1 + 2) / 5)
    assert naive_error(train, 2) == pytest.approx((1 + 3 + 3 + 1) / 4)
    assert math.isnan(naive_error(torch.ones(5), 1)) and math.isnan(naive_error(train, 6))


def test_coverage_counts_what_lies_between() -> None:
    # With spread 1 the 80 % band is ± 0.4 around the median, the 95 % band ± 0.475.
    found = values(forecast([[0, 0, 0, 0]]), [[0.39, -0.41, 0.47, 2.0]], units=[1.0])
    assert found["coverage_80"] == pytest.approx(25) and found["coverage_95"] == pytest.approx(75)


def test_pinball_loss_is_twice_the_mean_over_the_levels() -> None:
    found = values(forecast([[0.0]]), [[0.3]], units=[2.0])
    wanted = 0.0
    for level in LEVELS:
        quantile = level - 0.5
        wanted += level * (0.3 - quantile) if quantile <= 0.3 else (1 - level) * (quantile - 0.3)
    assert found["pinball"] == pytest.approx(2 * wanted / len(LEVELS) / 2.0)


def test_a_sharp_band_in_the_right_place_has_the_least_pinball_loss() -> None:
    actual = torch.linspace(-0.5, 0.5, 201).tolist()
    losses = {s: values(forecast([[0.0] * 201], s), [actual], [1.0])["pinball"] for s in (0.3, 1.0, 3.0)}
    assert losses[1.0] < losses[0.3] and losses[1.0] < losses[3.0]


def test_what_is_not_known_is_not_scored() -> None:
    found = values(forecast([[1, 2]]), [[math.nan, 4]], units=[1.0])
    assert found["mae"] == 2
    with pytest.raises(InputError, match="no actual value"):
        values(forecast([[1.0]]), [[math.nan]], [1.0])
    assert "mase" not in values(forecast([[1.0]]), [[2.0]], [math.nan])
    two = torch.cat([forecast([[1.0]]), forecast([[1.0]])], dim=1)  # a series without a unit beside one with
    actual = torch.tensor([[[2.0], [4.0]]], dtype=torch.float64)
    counted = {each.name: each.value() for each in forecast_counts(two, actual, [math.nan, 2.0], 1)}
    assert counted["mae"] == 2 and counted["mase"] == 1.5


def mase(medians: list[list[float]], actual: list[list[float]]) -> object:
    actual_OCH = torch.tensor(actual, dtype=torch.float64)[:, None]
    return next(each for each in forecast_counts(forecast(medians), actual_OCH, [1.0], 1) if each.name == "mase")


def test_the_verdict_is_honest_both_ways() -> None:
    actual = [[float(at)] for at in range(12)]
    good, bad = mase([[a[0] + 0.1] for a in actual], actual), mase([[a[0] + 2] for a in actual], actual)
    wavering = mase([[a[0] + 2 + (3 if at % 2 else -3)] for at, a in enumerate(actual)], actual)
    said = verdict("gru", {"naive": good, "linear": bad}, bad)
    assert said.startswith("naive wins here: gru has MASE 2.000 against 0.100 of naive") and "chance" not in said
    assert verdict("gru", {"naive": bad}, good).startswith("gru is better than every simple model here: MASE 0.100")
    assert "it may be chance" in verdict("gru", {"naive": bad}, wavering)
    assert verdict("gru", {"naive": good}, good).startswith("gru is as good as naive")


def test_the_caveat_names_what_is_wrong_with_the_interval() -> None:
    assert caveat(40, 5, 5) == ""
    assert "there are only 4 origins" in caveat(4, 5, 5) and "share most" not in caveat(4, 5, 5)
    assert "share most of their values" in caveat(40, 5, 1)
    assert "is only 1 origin" in caveat(1, 5, 1)
