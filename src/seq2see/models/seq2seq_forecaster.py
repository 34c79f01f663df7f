"""An encoder reads the past from both sides; a decoder with attention to it writes the future, value by value.

B windows · N rows = B · paths · S steps of the past · T steps of a window · G predicted · D width ·
P parameters · F features · H heads
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seq2see.config.forecast import Seq2SeqModel
from seq2see.models.bridge import Bridge
from seq2see.models.contracts import FinalShape
from seq2see.models.forecaster import NetworkForecaster, Recent
from seq2see.models.latent_forecaster import repeated
from seq2see.nn.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    KeyValue,
    attend_together,
    linear,
)
from seq2see.nn.recurrent import RecurrentStack, RecurrentState


@dataclass(frozen=True)
class Seq2SeqState:
    """The decoder's states, the last values, and the memory of each past, which its paths share."""

    recurrent: RecurrentState
    recent: Recent
    memory: KeyValue

    def repeat(self, count: int) -> "Seq2SeqState":
        """See ``ForecastState``."""
        return Seq2SeqState(repeated(self.recurrent, count), self.recent.repeat(count), self.memory)


class Seq2SeqForecaster(NetworkForecaster[Seq2SeqState]):
    """The decoder begins with the encoder's final state and the last value of the past (Bahdanau et al. 2015 and
    Luong et al. 2015, with numbers for words):

        h_t from h_{t−1} and y_t        c_t = attention(h_t, memory)        h̃_t = tanh(W [c_t ; h_t])

    and h̃_t gives the distribution of y_{t+1}.
    """

    def __init__(self, settings: Seq2SeqModel, lookback: int, season: int) -> None:
        super().__init__(settings, lookback, season)
        width, shape = settings.width, FinalShape(settings.cell, settings.layers, settings.width)
        self.encoder = RecurrentStack(
            settings.cell, self.features, width, settings.layers, settings.dropout, bidirectional=True
        )
        self.decoder = RecurrentStack(settings.cell, self.features, width, settings.layers, settings.dropout)
        self.bridge = Bridge(shape, shape)
        self.attention = _attention(settings)
        self.attentional = linear(self.attention.context_width + width, width)

    def forward(self, values_BT: Tensor, series_B: Tensor) -> Tensor:
        """See ``Forecaster``: the first ``lookback`` values are the past, all others are foretold."""
        input_BTF = self.inputs(values_BT)
        recurrent, memory = self._read(input_BTF[:, : self.lookback])
        input_BGF = input_BTF[:, self.lookback - 1 : -1]
        hidden_BGD, _ = self.decoder(input_BGF, recurrent)
        return self._look(hidden_BGD, input_BGF, memory, False)[0]

    def start(self, past_BS: Tensor, series_B: Tensor) -> Seq2SeqState:
        """See ``Forecaster``."""
        recurrent, memory = self._read(self.inputs(past_BS))
        return Seq2SeqState(recurrent, self.recent(past_BS), memory)

    def step(
        self, value_N: Tensor, state: Seq2SeqState, want_weights: bool = False
    ) -> tuple[Tensor, Seq2SeqState, Tensor | None]:
        """See ``Forecaster``. The columns of the weights are the values of the past, never those after it."""
        recent = state.recent.read(value_N)
        input_NF = self.input_of(value_N, recent)
        hidden_ND, recurrent = self.decoder.step(input_NF, state.recurrent)
        raw_N1P, weights_NH1S = self._look(hidden_ND.unsqueeze(1), input_NF.unsqueeze(1), state.memory, want_weights)
        weights_NLHS = None if weights_NH1S is None else weights_NH1S.squeeze(2).unsqueeze(1)
        return raw_N1P.squeeze(1), Seq2SeqState(recurrent, recent, state.memory), weights_NLHS

    def _read(self, input_BSF: Tensor) -> tuple[RecurrentState, KeyValue]:
        """The decoder's first state and the memory. The last value is in the memory and read by the decoder too."""
        states_BSD, final = self.encoder(input_BSF)
        return self.bridge(final), self.attention.project(self.dropout(states_BSD))

    def _look(
        self, hidden_NTD: Tensor, input_NTF: Tensor, memory: KeyValue, want_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The parameters ``[N, T, P]`` and, if wanted, the weights ``[N, H, T, S]``."""
        context_NTM, weights_NHTS = attend_together(self.attention, hidden_NTD, memory, None, want_weights)
        attentional_NTD = torch.tanh(self.attentional(torch.cat((context_NTM, hidden_NTD), dim=-1)))
        return self.parameters_of(attentional_NTD, input_NTF), weights_NHTS


def _attention(settings: Seq2SeqModel) -> Attention:
    match settings.attention:
        case "dot":
            return DotAttention(settings.width, settings.width)
        case "general":
            return GeneralAttention(settings.width, settings.width)
        case "additive":
            return AdditiveAttention(settings.width, settings.width)
