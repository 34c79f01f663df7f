"""Dropout has the right distribution, at every place, and follows torch's generator."""

import math

import pytest
import torch

from seq2see.nn.dropout import Dropout, drop


def within(successes: float, trials: int, share: float) -> bool:
    """Whether a count lies within five standard deviations of a binomial's mean."""
    return abs(successes - trials * share) <= 5 * math.sqrt(trials * share * (1 - share))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_each_place_is_dropped_with_the_given_probability(share: float) -> None:
    torch.manual_seed(11)
    dropped = drop(torch.ones(50_000, 4), share) == 0
    for lane in range(4):  # four elements come from one 64-bit draw: each must be right by itself
        assert within(int(dropped[:, lane].sum()), 50_000, share)


@pytest.mark.parametrize("distance", [1, 2, 3, 4])
def test_places_are_independent(distance: int) -> None:
    torch.manual_seed(13)
    dropped = drop(torch.ones(200_000), 0.3) == 0
    both = int((dropped[distance:] & dropped[:-distance]).sum())
    assert within(both, len(dropped) - distance, 0.09)


def test_what_is_kept_grows_so_that_the_mean_stays_exactly() -> None:
    share = 0.1
    rounded = round(share * 65_536) / 65_536
    values = torch.arange(1.0, 1_002.0, dtype=torch.float64).view(7, 143)
    result = drop(values, share)
    kept = result != 0
    torch.testing.assert_close(result[kept], values[kept] / (1 - rounded), rtol=1e-12, atol=0)
    assert 0 < int(kept.sum()) < kept.numel()


def test_the_gradient_passes_where_the_value_passed() -> None:
    values = torch.ones(1_001, requires_grad=True)
    result = drop(values, 0.4)
    result.sum().backward()
    assert torch.equal(values.grad, result.detach())


def test_a_saved_generator_state_gives_the_same_draws() -> None:
    values = torch.ones(37, 11)
    drop(values, 0.5)
    state = torch.get_rng_state()
    first, second = drop(values, 0.5), drop(values, 0.5)
    torch.set_rng_state(state)
    assert torch.equal(drop(values, 0.5), first)
    assert torch.equal(drop(values, 0.5), second)
    assert not torch.equal(first, second)


def test_only_while_training() -> None:
    dropout, values = Dropout(0.5), torch.randn(5, 7)
    assert (dropout(values) == 0).any()
    assert dropout.eval()(values) is values
    assert Dropout(0.0)(values) is values


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_keeps_the_type(dtype: torch.dtype) -> None:
    assert drop(torch.ones(3, 5, dtype=dtype), 0.5).dtype is dtype
    assert drop(torch.ones(0, 5, dtype=dtype), 0.5).shape == (0, 5)
