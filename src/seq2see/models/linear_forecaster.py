"""Autoregression: the next value is a weighted sum of the last ones. Naive forecasts are the same with given weights.

C series · B windows · N rows · T steps of a window · M values looked back on · R rows of a regression
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seq2see.models.forecaster import Forecaster, Recent
from seq2see.nn.distribution import Gaussian, raw_scale

LEAST_DEVIATION = 1e-6  # of ε, in standard deviations of the series


@dataclass(frozen=True)
class LinearState:
    """The last values of each row and its series."""

    recent: Recent
    series_N: Tensor

    def repeat(self, count: int) -> "LinearState":
        """See ``ForecastState``."""
        return LinearState(self.recent.repeat(count), self.series_N.repeat_interleave(count))


class LinearForecaster(Forecaster[LinearState]):
    """y_{t+1} = b + Σ_k w_k y_{t−k} + ε, ε normal: each series has its own weights, found in closed form.

    ``weights_CM`` hold the oldest value's weight first. Order 1 is a Markov chain of numbers.
    """

    def __init__(self, series: int, order: int) -> None:
        super().__init__()
        self.lookback = order
        self.output = Gaussian()
        self.weights_CM = nn.Parameter(torch.zeros(series, order))
        self.bias_C = nn.Parameter(torch.zeros(series))
        self.deviation_C = nn.Parameter(torch.ones(series))  # of ε

    def forward(self, values_BT: Tensor, series_B: Tensor) -> Tensor:
        """See ``Forecaster``: every value with the whole order before it is foretold."""
        pasts_BGM = values_BT[:, :-1].unfold(1, self.lookback, 1)
        mean_BG = (pasts_BGM * self.weights_CM[series_B].unsqueeze(1)).sum(-1) + self.bias_C[series_B].unsqueeze(1)
        return self._raw(mean_BG, self.deviation_C[series_B].unsqueeze(1).expand_as(mean_BG))

    def start(self, past_BS: Tensor, series_B: Tensor) -> LinearState:
        """See ``Forecaster``."""
        return LinearState(Recent.of(past_BS, self.lookback), series_B)

    def step(self, value_N: Tensor, state: LinearState, want_weights: bool = False) -> tuple[Tensor, LinearState, None]:
        """See ``Forecaster``. There are no weights of attention to want."""
        recent = state.recent.read(value_N)
        mean_N = (recent.values_NM * self.weights_CM[state.series_N]).sum(-1) + self.bias_C[state.series_N]
        return self._raw(mean_N, self.deviation_C[state.series_N]), LinearState(recent, state.series_N), None

    def means(self, past_NS: Tensor, series_N: Tensor, steps: int) -> Tensor:
        """``[N, steps]``: the mean of each future step, which is what feeding back the means gives."""
        weights_NM, bias_N = self.weights_CM[series_N].to(past_NS.dtype), self.bias_C[series_N].to(past_NS.dtype)
        known = list(past_NS.unbind(1))
        for _ in range(steps):
            last_NM = torch.stack(known[len(known) - self.lookback :], dim=1)
            known.append((last_NM * weights_NM).sum(-1) + bias_N)
        return torch.stack(known[past_NS.shape[1] :], dim=1)

    def response(self, series_N: Tensor, steps: int) -> Tensor:
        """``[N, steps]``: what one standard deviation of ε in the first step adds to each step from there on."""
        weights_NM = self.weights_CM[series_N].double()
        zeros = [weights_NM.new_zeros(len(series_N))] * (self.lookback - 1)
        known = [*zeros, self.deviation_C[series_N].double()]
        for _ in range(steps - 1):
            last_NM = torch.stack(known[len(known) - self.lookback :], dim=1)
            known.append((last_NM * weights_NM).sum(-1))
        return torch.stack(known[self.lookback - 1 :], dim=1)

    @staticmethod
    def _raw(mean: Tensor, deviation: Tensor) -> Tensor:
        return torch.stack((mean, raw_scale(deviation)), dim=-1)

    @torch.no_grad()
    def fit(self, scaled_CT: Tensor, ridge: float) -> None:
        """Ridge least squares (Hoerl and Kennard 1970, equation 2.1); NaN at the ends of a series is left out.

        The bias is not penalised. ε's deviation is that of the residuals, corrected for the numbers learned.
        """
        for series, values_T in enumerate(scaled_CT):
            known_T = values_T[~values_T.isnan()].double()
            weights_M, bias, deviation = ridge_regression(known_T, self.lookback, ridge)
            self.weights_CM[series] = weights_M.to(self.weights_CM.dtype)
            self.bias_C[series], self.deviation_C[series] = bias, deviation

    @torch.no_grad()
    def fit_naive(self, scaled_CT: Tensor) -> None:
        """The value ``lookback`` steps before the next one, again; ε's deviation is that of its errors around 0.

        The spread grows with the square root of the periods (Hyndman and Athanasopoulos 2021, section 5.5).
        """
        self.weights_CM.zero_()
        self.weights_CM[:, 0] = 1.0
        self.bias_C.zero_()
        for series, values_T in enumerate(scaled_CT):
            known_T = values_T[~values_T.isnan()]
            error_T = known_T[self.lookback :] - known_T[: -self.lookback]
            self.deviation_C[series] = max(float(error_T.square().mean().sqrt()), LEAST_DEVIATION)


def ridge_regression(values_T: Tensor, order: int, ridge: float) -> tuple[Tensor, float, float]:
    """Weights (the oldest value's first), bias, and the deviation of the residuals of one series."""
    pasts_RM, next_R = values_T[:-1].unfold(0, order, 1), values_T[order:]
    mean_M, mean = pasts_RM.mean(0), next_R.mean()
    centred_RM = pasts_RM - mean_M
    gram_MM = centred_RM.T @ centred_RM + ridge * torch.eye(order, dtype=values_T.dtype)
    # The least-norm solution: without a ridge, a constant or short series has many.
    weights_M = torch.linalg.lstsq(gram_MM, centred_RM.T @ (next_R - mean), driver="gelsd").solution
    residual_R = next_R - mean - centred_RM @ weights_M
    left = max(1, len(next_R) - order - 1)
    deviation = float((residual_R.square().sum() / left).sqrt())
    return weights_M, float(mean - mean_M @ weights_M), max(deviation, LEAST_DEVIATION)


def best_order(scaled_CT: Tensor, most: int, ridge: float) -> int:
    """The order from 1 to ``most`` with the least AIC (Akaike 1974), corrected for short series (Hurvich, Tsai 1989).

    All orders are judged by the same values, those after the first ``most``.
    """
    known = [values_T[~values_T.isnan()].double() for values_T in scaled_CT]
    return min(range(1, most + 1), key=lambda order: sum(_aic(values_T, order, most, ridge) for values_T in known))


def _aic(values_T: Tensor, order: int, most: int, ridge: float) -> float:
    weights_M, bias, _ = ridge_regression(values_T, order, ridge)
    residual_R = (values_T[order:] - bias - values_T[:-1].unfold(0, order, 1) @ weights_M)[most - order :]
    count, learned = len(residual_R), order + 2
    variance = max(float(residual_R.square().mean()), LEAST_DEVIATION**2)
    correction = 2 * learned * (learned + 1) / max(1, count - learned - 1)
    return float(count * torch.tensor(variance).log()) + 2 * learned + correction


def coefficients(model: LinearForecaster, series: int) -> Sequence[float]:
    """The weights of one series, the latest value's first, as people read them."""
    weights: list[float] = model.weights_CM[series].flip(0).tolist()
    return weights
