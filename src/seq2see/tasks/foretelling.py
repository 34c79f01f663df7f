"""From the past of a series to the quantiles of its future, with whatever model.

Linear models have their bands in closed form; networks draw paths. Everything here is a pure function of its
arguments: what stands beside a past in a batch does not matter.

N pasts · S steps of a past · H steps ahead · K paths of a past · Q levels · L layers
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from seq2see.config.forecast import SamplingSettings
from seq2see.data.scaling import Scaling
from seq2see.errors import InputError
from seq2see.evaluation.forecasts import LEVELS
from seq2see.models.forecaster import Forecaster
from seq2see.models.linear_forecaster import LinearForecaster
from seq2see.search.paths import path_noise, sample_paths

_ROWS = 20_000  # paths that go on side by side
_MOST_VALUES = 16_000_000  # of all paths of one past


@dataclass(frozen=True)
class Forecast:
    """The future of one series.

    Attributes:
        series: its name.
        after: the last time that is known.
        times: of the steps ahead, written as the file writes times.
        median, low, high: of each step; ``interval`` per cent lie between low and high.
        quantiles: each step's value at each level, by the level.
    """

    series: str
    after: str
    times: tuple[str, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    interval: int
    quantiles: Mapping[float, tuple[float, ...]]


@dataclass(frozen=True)
class Foreteller:
    """A model with the scaling it was trained in."""

    name: str
    model: Forecaster[Any]
    scaling: Scaling
    sampling: SamplingSettings = field(default_factory=SamplingSettings)

    @property
    def needs(self) -> int:
        """How many values of the past a forecast needs."""
        return self.model.lookback + self.scaling.lost

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def signature(self) -> str:
        """How the quantiles come about, in the style of a score's signature."""
        if isinstance(self.model, LinearForecaster):
            return "bands:exact"
        return f"bands:sampled|paths:{self.sampling.paths}|seed:{self.sampling.seed}"

    def quantiles(
        self,
        pasts: Sequence[Tensor],
        series: Sequence[int],
        steps: int,
        *,
        paths: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Tensor:
        """``[N, H, Q]``, float64: the quantiles at ``LEVELS`` of the steps after each past.

        Args:
            pasts: values of each series, oldest first, at least ``needs`` of them; only that many are looked at.
            series: the number of each past's series.
            paths: instead of as many as the settings say.

        Raises:
            InputError: a past is too short, has a value without a logarithm, or there are too many paths.
        """
        past_NS, series_N = self._together(pasts), torch.tensor(series)
        with torch.inference_mode():
            if isinstance(self.model, LinearForecaster):
                found_NHQ = self._exact(self.model, past_NS, series_N, steps)
            else:
                found_NHQ = self._sampled(past_NS, series_N, steps, paths or self.sampling.paths, check)
        if not bool(found_NHQ.isfinite().all()):
            raise InputError(f"{steps:,} steps ahead, the forecast of {self.name} leaves all bounds; ask for fewer")
        return found_NHQ

    def _together(self, pasts: Sequence[Tensor]) -> Tensor:
        shortest = min(map(len, pasts))
        if shortest < self.needs:
            raise InputError(f"{self.name} looks back on {self.needs} values, but there are only {shortest}")
        return torch.stack([past_S[len(past_S) - self.needs :] for past_S in pasts])

    def _exact(self, model: LinearForecaster, past_NS: Tensor, series_N: Tensor, steps: int) -> Tensor:
        """Normal on the scale of the differences' sums, so the quantiles are those of a normal, carried back."""
        scaling, device = self.scaling, self.device
        scaled_NM, on_device_N = scaling.scaled(past_NS, series_N).to(device), series_N.to(device)
        mean_NH = scaling.changes(model.means(scaled_NM, on_device_N, steps).cpu(), series_N)
        mean_NH = scaling.summed(mean_NH, scaling.level(past_NS))
        spread_N1 = torch.tensor(scaling.deviations, dtype=torch.float64)[series_N].unsqueeze(1)
        nothing_NS = torch.zeros_like(past_NS)
        response_NH = scaling.summed(model.response(on_device_N, steps).cpu() * spread_N1, nothing_NS)
        deviation_NH = response_NH.square().cumsum(1).sqrt()
        normal_Q = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64))
        return scaling.link(mean_NH.unsqueeze(-1) + deviation_NH.unsqueeze(-1) * normal_Q)

    def _sampled(self, past_NS: Tensor, series_N: Tensor, steps: int, paths: int, check: Callable[[], None]) -> Tensor:
        if paths * steps > _MOST_VALUES:
            raise InputError(f"{paths:,} paths of {steps:,} steps are too many at a time; ask for fewer of either")
        noise_KH2 = path_noise(paths, steps, self.sampling.seed)
        levels_Q = torch.tensor(LEVELS, dtype=torch.float64)
        found = []
        together = max(1, min(_ROWS, _MOST_VALUES // steps) // paths)
        for rows_N in torch.split(torch.arange(len(past_NS)), together):
            values_NKH = self._paths(past_NS[rows_N], series_N[rows_N], noise_KH2, check)
            found.append(values_NKH.quantile(levels_Q, dim=1).permute(1, 2, 0))
        return torch.cat(found)

    def _paths(self, past_NS: Tensor, series_N: Tensor, noise_KH2: Tensor, check: Callable[[], None]) -> Tensor:
        """``[N, K, H]`` values of paths; all pasts meet the same noise."""
        model, device, count = self.model, self.device, len(noise_KH2)
        scaled_NS = self.scaling.scaled(past_NS, series_N).float().to(device)
        state = model.start(scaled_NS, series_N.to(device)).repeat(count)
        last_R = scaled_NS[:, -1].repeat_interleave(count)
        noise_RH2 = noise_KH2.to(device).repeat(len(past_NS), 1, 1)
        drawn_RH, _ = sample_paths(model.step, state, last_R, noise_RH2, model.output.draw, check)
        repeated_RS = past_NS[:, past_NS.shape[1] - max(1, self.scaling.lost) :].repeat_interleave(count, dim=0)
        restored_RH = self.scaling.restored(drawn_RH.double().cpu(), repeated_RS, series_N.repeat_interleave(count))
        return restored_RH.view(len(past_NS), count, -1)

    def attention(self, past_S: Tensor, series: int, steps: int) -> Tensor | None:
        """``[L, H, T, S]``: where each of T steps looks among the last ``lookback`` values of the past.

        The medians are fed back for it. Weights on values that the model itself has foretold are left out, so a
        row can sum to less than 1. None for a model without attention.
        """
        past_1S, series_1 = self._together([past_S]), torch.tensor([series])
        with torch.inference_mode():
            scaled_1S = self.scaling.scaled(past_1S, series_1).float().to(self.device)
            state = self.model.start(scaled_1S, series_1.to(self.device))
            _, weights = sample_paths(
                lambda value_N, before: self.model.step(value_N, before, want_weights=True),
                state,
                scaled_1S[:, -1],
                torch.zeros(1, steps, 2),
                lambda raw_NP, _: self.model.output.median(raw_NP),
            )
        if not weights:
            return None
        return torch.stack([row_1LHS[0, :, :, : self.model.lookback] for row_1LHS in weights], dim=2).cpu()
