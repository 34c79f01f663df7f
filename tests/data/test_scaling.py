"""What models see, and the way back: exact, per series, from the training stretch alone."""

import math
from itertools import product

import pytest
import torch

from seq2see.config.forecast import ScalingSettings
from seq2see.data.scaling import Scaling, fit_scaling, scaled_stretch
from seq2see.errors import InputError

VALUES = torch.tensor([[1.0, 2, 4, 8, 16, 32, 60, 130, 250], [5.0, 3, 6, 4, 7, 5, 8, 6, 9]], dtype=torch.float64)


def test_the_steps_by_hand() -> None:
    scaling = Scaling(log=False, season=2, differences=1, means=(10.0,), deviations=(4.0,))
    # 1 2 4 8 16: over two steps 3 6 12; of these, from each to the next, 3 6; less 10, by 4.
    scaled = scaling.scaled(torch.tensor([[1.0, 2, 4, 8, 16]], dtype=torch.float64), torch.tensor([0]))
    assert scaled.tolist() == [[-1.75, -1.0]] and scaling.lost == 3
    log = Scaling(log=True, season=0, differences=1, means=(0.0,), deviations=(1.0,))
    assert log.scaled(torch.tensor([[1.0, math.e, math.e**3]]), torch.tensor([0]))[0].tolist() == pytest.approx([1, 2])


@pytest.mark.parametrize(
    ("log", "season", "differences", "ahead"), list(product((False, True), (0, 1, 2, 3), (0, 1, 2), (1, 3)))
)
def test_the_way_back_is_exact(log: bool, season: int, differences: int, ahead: int) -> None:
    scaling = Scaling(log, season, differences, (0.3, -2.0), (0.7, 3.0))
    series = torch.tensor([1, 0])
    past, future = VALUES[:, :-ahead], VALUES[:, -ahead:]
    scaled = scaling.scaled(VALUES, series)[:, -ahead:]
    assert torch.allclose(scaling.restored(scaled, past, series), future, rtol=1e-9)


def test_fitting_standardises_each_series_over_what_it_is_given() -> None:
    scaling = fit_scaling(VALUES[:, :7], ScalingSettings(log=True, differences=1), season=4)
    scaled = scaled_stretch(VALUES[:, :7], scaling)
    assert scaled.shape == (2, 6) and scaling.season == 0
    assert torch.allclose(scaled.mean(1), torch.zeros(2, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(scaled.std(1), torch.ones(2, dtype=torch.float64))


def test_empty_ends_stay_empty_and_change_nothing() -> None:
    padded = torch.full((1, 9), torch.nan, dtype=torch.float64)
    padded[0, 2:8] = VALUES[0, :6]
    chosen = ScalingSettings(seasonal_difference=True)
    scaling, alone = fit_scaling(padded, chosen, 2), fit_scaling(VALUES[:1, :6], chosen, 2)
    assert scaling == alone and scaling.season == 2
    scaled = scaled_stretch(padded, scaling)[0]
    assert scaled.isnan().tolist() == [True, True, False, False, False, False, True]
    assert torch.equal(scaled[2:6], scaled_stretch(VALUES[:1, :6], alone)[0])


def test_a_constant_series_has_deviation_one() -> None:
    scaling = fit_scaling(torch.full((1, 10), 0.1, dtype=torch.float64), ScalingSettings(), 1)
    assert scaling.deviations == (1.0,)


def test_what_cannot_be_scaled_is_refused() -> None:
    with pytest.raises(InputError, match="a value of -1 has no logarithm"):
        fit_scaling(torch.tensor([[1.0, -1.0, 2.0, 3.0]], dtype=torch.float64), ScalingSettings(log=True), 1)
    with pytest.raises(InputError, match="too few for differences over 3 steps"):
        fit_scaling(VALUES[:, :4], ScalingSettings(seasonal_difference=True, differences=1), 2)
