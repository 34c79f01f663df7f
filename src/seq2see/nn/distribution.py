"""The distribution of a number, made of what a network puts out: Gaussian, Student's t, or some quantiles.

P parameters · any leading dimensions. Drawing is a pure function of parameters and uniform noise from [0, 1),
two numbers a value, so that the same noise gives the same draw whatever stands beside it in a batch.
"""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from seq2see.config.forecast import Output

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)  # of the quantile output
_LEAST_SCALE = 1e-3  # of standardised values: no spread falls to nothing
_ONE = math.log(math.e - 1)  # softplus of this is 1
_LEAST_FREEDOM = 2.0  # degrees from which a t distribution has a variance
_SMALL = 1e-12


class Distribution(ABC):
    """``size`` is P, the numbers that a network has to put out for one value."""

    size: int

    @abstractmethod
    def loss(self, raw_P: Tensor, gold: Tensor) -> Tensor:
        """How bad ``raw`` ``[..., P]`` is for ``gold`` ``[...]``, one number for each value."""

    @abstractmethod
    def draw(self, raw_P: Tensor, noise_2: Tensor) -> Tensor:
        """A value for each ``[..., P]`` from uniform noise ``[..., 2]``."""

    @abstractmethod
    def median(self, raw_P: Tensor) -> Tensor:
        """The middle of each distribution."""


def scale_of(raw: Tensor) -> Tensor:
    """A positive number; 1 for an output of 0."""
    return F.softplus(raw + _ONE) + _LEAST_SCALE


def raw_scale(scale: Tensor) -> Tensor:
    """The output that ``scale_of`` makes this number of; numbers below its least are that."""
    rest = (scale - _LEAST_SCALE).clamp(min=_SMALL)
    return rest + torch.log(-torch.expm1(-rest)) - _ONE


class Gaussian(Distribution):
    """Mean and scale. The loss is −log density, in nats."""

    size = 2

    def loss(self, raw_P: Tensor, gold: Tensor) -> Tensor:
        scale = scale_of(raw_P[..., 1])
        return 0.5 * ((gold - raw_P[..., 0]) / scale).square() + scale.log() + 0.5 * math.log(2 * math.pi)

    def draw(self, raw_P: Tensor, noise_2: Tensor) -> Tensor:
        return raw_P[..., 0] + scale_of(raw_P[..., 1]) * normal(noise_2)

    def median(self, raw_P: Tensor) -> Tensor:
        return raw_P[..., 0]


class StudentT(Distribution):
    """Place, scale and degrees of freedom, more than two. The loss is −log density, in nats."""

    size = 3

    def loss(self, raw_P: Tensor, gold: Tensor) -> Tensor:
        scale, freedom = scale_of(raw_P[..., 1]), self._freedom(raw_P)
        squared = ((gold - raw_P[..., 0]) / scale).square()
        constant = torch.lgamma(freedom / 2) - torch.lgamma((freedom + 1) / 2) + 0.5 * (freedom * math.pi).log()
        return constant + scale.log() + 0.5 * (freedom + 1) * torch.log1p(squared / freedom)

    def draw(self, raw_P: Tensor, noise_2: Tensor) -> Tensor:
        """Bailey (1994), equation 2: √(ν (u^(−2/ν) − 1)) cos 2πv has exactly the t distribution."""
        freedom = self._freedom(raw_P)
        first, second = noise_2.unbind(-1)
        radius = (freedom * torch.expm1(-2 / freedom * (1 - first).clamp(min=_SMALL).log())).sqrt()
        return raw_P[..., 0] + scale_of(raw_P[..., 1]) * radius * torch.cos(2 * math.pi * second)

    def median(self, raw_P: Tensor) -> Tensor:
        return raw_P[..., 0]

    @staticmethod
    def _freedom(raw_P: Tensor) -> Tensor:
        return _LEAST_FREEDOM + F.softplus(raw_P[..., 2] + 5.0)


class Quantiles(Distribution):
    """The lowest of ``LEVELS`` and the distances between them, which are positive: quantiles never cross.

    The loss is the sum of the pinball losses (Koenker and Bassett 1978) over the levels. A draw goes along the
    straight lines between the quantiles; beyond the outer ones it goes on along the last line.
    """

    size = len(LEVELS)

    def loss(self, raw_P: Tensor, gold: Tensor) -> Tensor:
        error_P = gold.unsqueeze(-1) - self.quantiles(raw_P)
        levels_P = torch.tensor(LEVELS, device=raw_P.device, dtype=raw_P.dtype)
        return torch.maximum(levels_P * error_P, (levels_P - 1) * error_P).sum(-1)

    def quantiles(self, raw_P: Tensor) -> Tensor:
        """Rising values ``[..., P]``, those of a standard normal distribution for outputs of 0."""
        start = torch.special.ndtri(torch.tensor(LEVELS, device=raw_P.device, dtype=torch.float64)).to(raw_P.dtype)
        steps = scale_of(raw_P[..., 1:]) * start.diff()
        rising_P: Tensor = torch.cat((raw_P[..., :1], steps), dim=-1).cumsum(-1) + start[0]
        return rising_P

    def draw(self, raw_P: Tensor, noise_2: Tensor) -> Tensor:
        quantiles_P = self.quantiles(raw_P)
        levels_P = torch.tensor(LEVELS, device=raw_P.device, dtype=raw_P.dtype)
        level = noise_2[..., :1].to(raw_P.dtype)
        right = torch.searchsorted(levels_P, level.contiguous()).clamp(1, len(LEVELS) - 1)
        low, high = quantiles_P.gather(-1, right - 1), quantiles_P.gather(-1, right)
        share = (level - levels_P[right - 1]) / (levels_P[right] - levels_P[right - 1])
        drawn: Tensor = (low + share * (high - low)).squeeze(-1)
        return drawn

    def median(self, raw_P: Tensor) -> Tensor:
        return self.quantiles(raw_P)[..., LEVELS.index(0.5)]


def normal(noise_2: Tensor) -> Tensor:
    """Standard normal values from uniform ones (Box and Muller 1958)."""
    first, second = noise_2.unbind(-1)
    return (-2 * (1 - first).clamp(min=_SMALL).log()).sqrt() * torch.cos(2 * math.pi * second)


def distribution(output: Output) -> Distribution:
    """The kind that a setting names."""
    match output:
        case "gaussian":
            return Gaussian()
        case "student-t":
            return StudentT()
        case "quantile":
            return Quantiles()
