"""Distributions of a number: losses against torch's densities, draws against their own quantiles."""

import math

import pytest
import torch
from torch import Tensor

from seq2see.nn.distribution import LEVELS, Gaussian, Quantiles, StudentT, distribution, normal, raw_scale, scale_of

RAW = torch.tensor([[0.3, -0.4, 0.7], [-1.0, 0.5, -4.5]], dtype=torch.float64)
GOLD = torch.tensor([1.4, -3.0], dtype=torch.float64)


def uniform(count: int) -> Tensor:
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def freedom(raw: Tensor) -> Tensor:
    return 2 + torch.nn.functional.softplus(raw[..., 2] + 5)


def test_losses_are_the_densities_of_torch() -> None:
    gaussian = torch.distributions.Normal(RAW[:, 0], scale_of(RAW[:, 1]))
    assert torch.allclose(Gaussian().loss(RAW[:, :2], GOLD), -gaussian.log_prob(GOLD))
    student = torch.distributions.StudentT(freedom(RAW), RAW[:, 0], scale_of(RAW[:, 1]))
    assert torch.allclose(StudentT().loss(RAW, GOLD), -student.log_prob(GOLD))


def test_the_pinball_loss_level_by_level() -> None:
    raw = torch.linspace(-1, 1, len(LEVELS), dtype=torch.float64).unsqueeze(0)
    quantiles = Quantiles().quantiles(raw)[0].tolist()
    wanted = sum(
        level * (0.2 - q) if q <= 0.2 else (1 - level) * (q - 0.2) for level, q in zip(LEVELS, quantiles, strict=True)
    )
    assert float(Quantiles().loss(raw, torch.tensor([0.2], dtype=torch.float64))) == pytest.approx(wanted)


def test_quantiles_never_cross_and_begin_as_a_standard_normal() -> None:
    raw = torch.randn(50, len(LEVELS), generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 5
    assert bool((Quantiles().quantiles(raw).diff(dim=-1) > 0).all())
    start = Quantiles().quantiles(torch.zeros(1, len(LEVELS), dtype=torch.float64))[0]
    assert torch.allclose(start, torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64)), atol=0.01)


def share_below(kind: StudentT | Gaussian, raw: Tensor, value: float) -> float:
    """The distribution function from the density, summed up in small steps."""
    points = torch.linspace(-200, value, 50_001, dtype=torch.float64)
    return float(torch.trapezoid((-kind.loss(raw.expand(len(points), -1), points)).exp(), points))


@pytest.mark.parametrize(("kind", "width"), [(Gaussian(), 2), (StudentT(), 3)])
def test_draws_fall_as_the_density_says(kind: Gaussian | StudentT, width: int) -> None:
    raw = torch.tensor([0.4, -0.2, -4.0], dtype=torch.float64)[:width]
    draws = kind.draw(raw.expand(60_000, -1), uniform(60_000))
    for value in (-1.5, 0.0, 0.4, 2.0):
        assert float((draws <= value).double().mean()) == pytest.approx(share_below(kind, raw, value), abs=0.008)
    assert float(draws.median()) == pytest.approx(float(kind.median(raw)), abs=0.02)


def test_quantile_draws_go_along_the_quantiles() -> None:
    raw = torch.tensor([[0.5, 0.1, -0.3, 0.2, 0.4, 0.0, -0.1]], dtype=torch.float64)
    quantiles = Quantiles().quantiles(raw)[0]

    def drawn(level: float) -> float:
        return float(Quantiles().draw(raw, torch.tensor([[level, 0.9]], dtype=torch.float64)))

    for level, quantile in zip(LEVELS, quantiles.tolist(), strict=True):
        assert drawn(level) == pytest.approx(quantile)
    assert drawn(0.175) == pytest.approx(float(quantiles[1] + quantiles[2]) / 2)  # half way from 0.1 to 0.25
    assert drawn(0.0) < float(quantiles[0]) and drawn(0.999) > float(quantiles[-1])
    assert float(Quantiles().median(raw)) == pytest.approx(float(quantiles[3]))


def test_normal_values_have_the_moments_of_a_normal() -> None:
    values = normal(uniform(60_000))
    assert float(values.mean()) == pytest.approx(0, abs=0.02) and float(values.std()) == pytest.approx(1, abs=0.02)
    assert bool(normal(torch.tensor([[0.0, 0.0], [1 - 1e-16, 0.5]], dtype=torch.float64)).isfinite().all())


def test_every_output_is_drawn_alone_as_in_a_batch() -> None:
    for output in ("gaussian", "student-t", "quantile"):
        kind = distribution(output)
        raw = torch.randn(5, kind.size, generator=torch.Generator().manual_seed(2))
        noise = uniform(5).float()
        together = kind.draw(raw, noise)
        assert together.tolist() == [float(kind.draw(raw[[at]], noise[[at]])) for at in range(5)]


def test_scales_and_their_inverse() -> None:
    assert float(scale_of(torch.zeros(()))) == pytest.approx(1.001)
    for scale in (0.002, 0.5, 1.0, 40.0):
        assert float(scale_of(raw_scale(torch.tensor(scale, dtype=torch.float64)))) == pytest.approx(scale)
    assert math.isfinite(float(raw_scale(torch.tensor(0.0))))
