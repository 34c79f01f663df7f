"""A latent autoregression: a recurrent state carries the past, and every step foretells the next value from it.

B windows · N rows · S steps of the past · T steps of a window · G predicted · D width · P parameters · F features
"""

from dataclasses import dataclass

from torch import Tensor

from seq2see.config.forecast import RecurrentModel
from seq2see.models.forecaster import NetworkForecaster, Recent
from seq2see.nn.recurrent import RecurrentStack, RecurrentState


@dataclass(frozen=True)
class LatentState:
    """The cells' states and the last values of each row."""

    recurrent: RecurrentState
    recent: Recent

    def repeat(self, count: int) -> "LatentState":
        """See ``ForecastState``."""
        return LatentState(repeated(self.recurrent, count), self.recent.repeat(count))


def repeated(state: RecurrentState, count: int) -> RecurrentState:
    """``count`` rows in place of each one."""
    cell_LND = None if state.cell_LND is None else state.cell_LND.repeat_interleave(count, dim=1)
    return RecurrentState(state.hidden_LND.repeat_interleave(count, dim=1), cell_LND)


class LatentForecaster(NetworkForecaster[LatentState]):
    """h_t from h_{t−1} and y_t; the distribution of y_{t+1} from h_t (Salinas et al. 2020, equation 1).

    Trained by teacher forcing on every value of a window but the first; used by feeding back what was drawn.
    """

    def __init__(self, settings: RecurrentModel, lookback: int, season: int) -> None:
        super().__init__(settings, lookback, season)
        self.stack = RecurrentStack(settings.name, self.features, settings.width, settings.layers, settings.dropout)

    def forward(self, values_BT: Tensor, series_B: Tensor) -> Tensor:
        """See ``Forecaster``."""
        input_BGF = self.inputs(values_BT[:, :-1])
        hidden_BGD, _ = self.stack(input_BGF)
        return self.parameters_of(hidden_BGD, input_BGF)

    def start(self, past_BS: Tensor, series_B: Tensor) -> LatentState:
        """See ``Forecaster``."""
        recurrent = self.stack.zero_state(len(past_BS), self.head.weight)
        if past_BS.shape[1] > 1:
            _, recurrent = self.stack(self.inputs(past_BS[:, :-1]))
        return LatentState(recurrent, self.recent(past_BS))

    def step(self, value_N: Tensor, state: LatentState, want_weights: bool = False) -> tuple[Tensor, LatentState, None]:
        """See ``Forecaster``. There are no weights of attention to want."""
        recent = state.recent.read(value_N)
        input_NF = self.input_of(value_N, recent)
        hidden_ND, recurrent = self.stack.step(input_NF, state.recurrent)
        return self.parameters_of(hidden_ND, input_NF), LatentState(recurrent, recent), None
