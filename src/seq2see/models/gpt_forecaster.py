"""A causal Transformer over values: what GPT does with tokens, with numbers in and a distribution out.

B windows · N rows · S steps of the past · T steps of a window · G predicted · D width · P parameters · L layers ·
H heads · F features
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from seq2see.config.forecast import GptModel
from seq2see.models.forecaster import NetworkForecaster, Recent
from seq2see.nn.attention import KeyValue
from seq2see.nn.position import SinusoidalPosition
from seq2see.nn.transformer import DecoderBlock


@dataclass(frozen=True)
class GptState:
    """For each layer the keys and values of what was read (none before the first value), and the last values."""

    past: tuple[KeyValue, ...]
    recent: Recent

    def repeat(self, count: int) -> "GptState":
        """See ``ForecastState``."""
        past = tuple(KeyValue(*(part.repeat_interleave(count, dim=0) for part in layer)) for layer in self.past)
        return GptState(past, self.recent.repeat(count))


class GptForecaster(NetworkForecaster[GptState]):
    """Values projected to the width, positions added, then blocks of masked self-attention (pre-norm)."""

    def __init__(self, settings: GptModel, lookback: int, season: int) -> None:
        super().__init__(settings, lookback, season)
        width = settings.width
        self.heads, self.width = settings.heads, width
        self.embedding = nn.Linear(self.features, width)
        self.position = SinusoidalPosition()
        self.blocks = nn.ModuleList(
            DecoderBlock(width, None, settings.heads, settings.feed_forward, "pre", settings.dropout)
            for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, values_BT: Tensor, series_B: Tensor) -> Tensor:
        """See ``Forecaster``."""
        input_BGF = self.inputs(values_BT[:, :-1])
        hidden_BGD, _, _ = self._run(input_BGF, None, False)
        return self.parameters_of(hidden_BGD, input_BGF)

    def start(self, past_BS: Tensor, series_B: Tensor) -> GptState:
        """See ``Forecaster``."""
        if past_BS.shape[1] > 1:
            _, past, _ = self._run(self.inputs(past_BS[:, :-1]), None, False)
        else:
            nothing = past_BS.new_zeros(len(past_BS), self.heads, 0, self.width // self.heads)
            past = (KeyValue(nothing, nothing),) * len(self.blocks)
        return GptState(past, self.recent(past_BS))

    def step(
        self, value_N: Tensor, state: GptState, want_weights: bool = False
    ) -> tuple[Tensor, GptState, Tensor | None]:
        """See ``Forecaster``."""
        recent = state.recent.read(value_N)
        input_N1F = self.input_of(value_N, recent).unsqueeze(1)
        hidden_N1D, past, own = self._run(input_N1F, state.past, want_weights)
        weights_NLHS = torch.stack(own, dim=1).squeeze(3) if own else None
        raw_NP = self.parameters_of(hidden_N1D.squeeze(1), input_N1F.squeeze(1))
        return raw_NP, GptState(past, recent), weights_NLHS

    def _run(
        self, input_NTF: Tensor, past: tuple[KeyValue, ...] | None, want_weights: bool
    ) -> tuple[Tensor, tuple[KeyValue, ...], list[Tensor]]:
        """Values after those of the past; ``past`` None: from the start, each looking back only."""
        offset = past[0].key_BHSK.shape[2] if past else 0
        x_NTD, _ = self.position(self.embedding(input_NTF), offset)
        x_NTD = self.dropout(x_NTD)
        present, weights = [], []
        for index, block in enumerate(cast(Iterable[DecoderBlock], self.blocks)):
            x_NTD, key_value, own_NHTP, _ = block(
                x_NTD, None, None, past=past[index] if past else None, want_weights=want_weights
            )
            present.append(key_value)
            weights += [] if own_NHTP is None else [own_NHTP]
        return self.norm(x_NTD), tuple(present), weights
