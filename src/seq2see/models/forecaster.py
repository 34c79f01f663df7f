"""What every forecaster promises: values in, the distribution of the next value out, step by step or at once.

B windows · N rows = B · paths · S steps of the past · T steps of a window · G of them predicted · D width ·
P parameters of a distribution · M values kept · L layers · H heads · F features of a value.
Values are scaled (see data/scaling.py). ``series`` holds each row's number among the series of the run.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from seq2see.config.forecast import Network
from seq2see.nn.attention import linear
from seq2see.nn.distribution import Distribution, distribution
from seq2see.nn.dropout import Dropout


class ForecastState(Protocol):
    """What a forecaster knows after some values: one row for each of B pasts, or several side by side."""

    def repeat(self, count: int) -> Self:
        """``count`` rows in place of each one, side by side: the paths that start here."""
        ...


StateT = TypeVar("StateT", bound=ForecastState)


class Forecaster(nn.Module, ABC, Generic[StateT]):
    """Foretells the next value from ``lookback`` values before it.

    ``forward`` of a window and ``start`` with ``step`` through the same values give the same numbers. Nothing
    depends on later values. ``output`` says what the parameters mean.
    """

    lookback: int
    output: Distribution

    @abstractmethod
    def forward(self, values_BT: Tensor, series_B: Tensor) -> Tensor:
        """The parameters ``[B, G, P]`` for the last G values of a window; those before are only read."""

    @abstractmethod
    def start(self, past_BS: Tensor, series_B: Tensor) -> StateT:
        """The state from which ``step`` reads the last value of the past; the values before have been read."""

    @abstractmethod
    def step(self, value_N: Tensor, state: StateT, want_weights: bool = False) -> tuple[Tensor, StateT, Tensor | None]:
        """One more value a row: the parameters ``[N, P]`` of the one after it, the new state, and, if wanted and
        there is attention to the past, its weights ``[N, L, H, S]``, the last column for the value just read."""


@dataclass(frozen=True)
class Recent:
    """The last M values of each row, zeros where there are none."""

    values_NM: Tensor

    @staticmethod
    def of(past_BS: Tensor, count: int) -> "Recent":
        """The end of a past, without its last value, which is yet to be read."""
        padded_BT = torch.cat((past_BS.new_zeros(len(past_BS), count), past_BS[:, :-1]), dim=1)
        return Recent(padded_BT[:, padded_BT.shape[1] - count :])

    def read(self, value_N: Tensor) -> "Recent":
        """One more value."""
        return Recent(torch.cat((self.values_NM, value_N.unsqueeze(1)), dim=1)[:, 1:])

    def repeat(self, count: int) -> "Recent":
        """See ``ForecastState``."""
        return Recent(self.values_NM.repeat_interleave(count, dim=0))


class NetworkForecaster(Forecaster[StateT]):
    """What the networks share: the features of a value, and the layer that makes parameters of a state.

    A value is read as itself and, with a ``season`` above 0, the value one season before the one to be
    foretold (the lagged inputs of Salinas et al. 2020), 0 where a window does not reach back so far.
    """

    def __init__(self, settings: Network, lookback: int, season: int) -> None:
        super().__init__()
        self.lookback = lookback
        self.season = season if settings.seasonal_input else 0
        self.noise = settings.noise
        self.features = 2 if self.season else 1
        self.output = distribution(settings.output)
        self.dropout = Dropout(settings.dropout)
        # Both small: training begins at a standard distribution.
        self.head = linear(settings.width, self.output.size, gain=0.1)
        self.direct = linear(self.features, self.output.size, gain=0.1)
        self.head_bias = nn.Parameter(torch.zeros(self.output.size))

    def parameters_of(self, hidden: Tensor, inputs: Tensor) -> Tensor:
        """States ``[..., D]`` and what was read ``[..., F]`` to parameters ``[..., P]``.

        Direct connections from the input (Bengio et al. 2003, equation 1): states are bounded, and without them a
        model could not go beyond the values that it has seen.
        """
        raw: Tensor = self.head(self.dropout(hidden)) + self.direct(inputs) + self.head_bias
        return raw

    def inputs(self, values_BT: Tensor) -> Tensor:
        """``[B, T, F]``: what is read at each step of a window; while training, with noise.

        The noise keeps a small model from learning single values by heart (Bishop 1995), and prepares it for what it
        reads later: its own forecasts, which are never quite right.
        """
        if self.training and self.noise:
            values_BT = values_BT + self.noise * torch.randn_like(values_BT)
        if not self.season:
            return values_BT.unsqueeze(-1)
        zeros = values_BT.new_zeros(len(values_BT), self.season - 1)
        lagged_BT = torch.cat((zeros, values_BT), dim=1)[:, : values_BT.shape[1]]
        return torch.stack((values_BT, lagged_BT), dim=-1)

    def recent(self, past_BS: Tensor) -> Recent:
        """What ``inputs_of`` needs of a past whose last value is still to be read."""
        return Recent.of(past_BS, self.season)

    def input_of(self, value_N: Tensor, recent: Recent) -> Tensor:
        """``[N, F]``: what is read of one value, given those up to it."""
        if not self.season:
            return value_N.unsqueeze(-1)
        return torch.stack((value_N, recent.values_NM[:, 0]), dim=-1)
