"""A recurrent network that writes the target, with or without attention to the memory.

B sentences · T target positions · S source positions · N rows = B·W · W beam · D width · H heads · L layers ·
V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seq2see.config.settings import RecurrentDecoder as RecurrentDecoderSettings
from seq2see.models.bridge import Bridge
from seq2see.models.contracts import Decoder, FinalShape, Memory, MemoryShape, require_fit
from seq2see.models.projected import ProjectedMemory, counts_up, project
from seq2see.nn.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    MultiHeadAttention,
    attend_together,
    linear,
)
from seq2see.nn.cells import Trace
from seq2see.nn.dropout import Dropout
from seq2see.nn.embedding import Embedding, OutputLayer, zero_padding
from seq2see.nn.recurrent import RecurrentStack, RecurrentState, padded


@dataclass(frozen=True)
class RecurrentDecoderState:
    """The cells' states; with input feeding the last attentional state; with attention the memory."""

    recurrent: RecurrentState
    feed_ND: Tensor | None
    memory: ProjectedMemory | None

    def take(self, rows_BW: Tensor) -> "RecurrentDecoderState":
        """See ``State``: two vectors a row are moved, the memory only when a sentence leaves."""
        rows_N = rows_BW.flatten()
        rows_before = self.recurrent.hidden_LND.shape[1]
        if counts_up(rows_N, rows_before):
            return self
        return RecurrentDecoderState(
            self.recurrent.take(rows_N),
            None if self.feed_ND is None else self.feed_ND.index_select(0, rows_N),
            None if self.memory is None else self.memory.take(rows_BW, rows_before),
        )


class RecurrentDecoder(Decoder[RecurrentDecoderState]):
    """Without attention: h_t from h_{t−1} and y_{t−1}; the memory's final state is all it gets
    (Sutskever et al. 2014). With attention (Luong et al. 2015, section 3):

        c_t = attention(h_t, memory)        h̃_t = tanh(W_c [c_t ; h_t])        logits = W_o h̃_t + b

    Input feeding (section 3.3) gives the cell [y_{t−1} ; h̃_{t−1}]; then a target goes position by position.
    Without it, all of a target goes through one call of the fused kernel and one batched attention.
    """

    def __init__(
        self,
        settings: RecurrentDecoderSettings,
        weight_VD: nn.Parameter,
        output: OutputLayer,
        memory: MemoryShape | None,
        dropout: float,
    ) -> None:
        super().__init__()
        width = settings.width
        self.memory = memory
        self.embedding = Embedding(weight_VD, scaled=False)
        self.output = output
        self.dropout = Dropout(dropout)
        self.input_feeding = settings.input_feeding and memory is not None
        inputs = self.embedding.width + (width if self.input_feeding else 0)
        self.stack = RecurrentStack(settings.cell, inputs, width, settings.layers, dropout)
        own_shape = FinalShape(settings.cell, settings.layers, width)
        self.bridge = Bridge(memory.final, own_shape) if memory else None
        self.attention = _attention(settings, memory.width) if memory else None
        if self.attention is not None:
            self.attentional = linear(self.attention.context_width + width, width)

    def start(self, memory: Memory | None, rows: int = 1) -> RecurrentDecoderState:
        """See ``Decoder``."""
        require_fit(self.memory, memory)
        if memory is None or self.bridge is None:
            return RecurrentDecoderState(self.stack.zero_state(rows, self.output.weight_VD), None, None)
        recurrent = self.bridge(memory.final)
        feed_ND = torch.zeros_like(recurrent.hidden_LND[0]) if self.input_feeding else None
        projected = None if self.attention is None else project([self.attention], memory)
        return RecurrentDecoderState(recurrent, feed_ND, projected)

    def step(
        self, tokens_N: Tensor, state: RecurrentDecoderState, want_weights: bool = False
    ) -> tuple[Tensor, RecurrentDecoderState, Tensor | None]:
        """See ``Decoder``."""
        embedded_ND = self.dropout(self.embedding(tokens_N))
        hidden_ND, state, weights_NHS = self._advance(embedded_ND, state, want_weights)
        return self.output(hidden_ND), state, None if weights_NHS is None else weights_NHS.unsqueeze(1)

    def forward(
        self,
        input_BT: Tensor,
        memory: Memory | None,
        input_valid_BT: Tensor | None = None,
        want_weights: bool = False,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Decoder``."""
        embedded_BTD = self.dropout(self.embedding(input_BT))
        state = self.start(memory, rows=len(input_BT))
        run = self._one_by_one if self.input_feeding else self._at_once
        hidden_BTD, weights_BHTS = run(embedded_BTD, state, want_weights)
        if input_valid_BT is not None:
            hidden_BTD = zero_padding(hidden_BTD, input_valid_BT)
        return hidden_BTD, {} if weights_BHTS is None else {"cross": weights_BHTS.unsqueeze(1)}

    def read(
        self, tokens_NT: Tensor, state: RecurrentDecoderState, valid_NT: Tensor | None = None
    ) -> tuple[Tensor, RecurrentDecoderState]:
        """T more tokens of each row at once, as so many steps would: hidden states ``[N, T, D]`` and the new state.

        Padding, False in ``valid_NT`` and at the end of a row, is not read. ``ValueError`` with input feeding.
        """
        if state.feed_ND is not None:
            raise ValueError("with input feeding a position needs the one before: it is read step by step")
        top_NTD, recurrent = self.stack(
            self.dropout(self.embedding(tokens_NT)), state.recurrent, None if valid_NT is None else padded(valid_NT)
        )
        hidden_NTD, _ = self._look(top_NTD, state, want_weights=False)
        return hidden_NTD, RecurrentDecoderState(recurrent, None, state.memory)

    def _at_once(
        self, embedded_BTD: Tensor, state: RecurrentDecoderState, want_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        top_BTD, _ = self.stack(embedded_BTD, state.recurrent)
        return self._look(top_BTD, state, want_weights)

    def _one_by_one(
        self, embedded_BTD: Tensor, state: RecurrentDecoderState, want_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        hidden, weights = [], []
        for embedded_BD in embedded_BTD.unbind(1):
            hidden_BD, state, weights_BHS = self._advance(embedded_BD, state, want_weights)
            hidden.append(hidden_BD)
            if weights_BHS is not None:
                weights.append(weights_BHS)
        return torch.stack(hidden, dim=1), torch.stack(weights, dim=2) if weights else None

    def _advance(
        self, embedded_ND: Tensor, state: RecurrentDecoderState, want_weights: bool
    ) -> tuple[Tensor, RecurrentDecoderState, Tensor | None]:
        """One position of every row: hidden state ``[N, D]``, new state, weights ``[N, H, S]``."""
        feed_ND = state.feed_ND
        input_NE = embedded_ND if feed_ND is None else torch.cat((embedded_ND, feed_ND), dim=-1)
        top_ND, recurrent = self.stack.step(input_NE, state.recurrent)
        hidden_N1D, weights_NH1S = self._look(top_ND.unsqueeze(1), state, want_weights)
        hidden_ND = hidden_N1D.squeeze(1)
        new = RecurrentDecoderState(recurrent, None if feed_ND is None else hidden_ND, state.memory)
        return hidden_ND, new, None if weights_NH1S is None else weights_NH1S.squeeze(2)

    def _look(self, top_NTD: Tensor, state: RecurrentDecoderState, want_weights: bool) -> tuple[Tensor, Tensor | None]:
        """h to h̃, and the weights ``[N, H, T, S]``. Without attention h̃ is h."""
        if self.attention is None or state.memory is None:
            return self.dropout(top_NTD), None
        context_NTM, weights_NHTS = attend_together(
            self.attention, top_NTD, state.memory.layers[0], state.memory.allowed_B1S, want_weights
        )
        attentional_NTD = torch.tanh(self.attentional(torch.cat((context_NTM, top_NTD), dim=-1)))
        return self.dropout(attentional_NTD), weights_NHTS

    def trace(self, input_BT: Tensor, memory: Memory | None) -> list[list[Trace]]:
        """Gates and states while writing: for each layer a list of one trace. For a model in eval mode."""
        input_BTE = self.embedding(input_BT)
        state = self.start(memory, rows=len(input_BT))
        if state.feed_ND is not None:
            hidden_BTD, _ = self(input_BT, memory)
            feed_BTD = torch.cat((state.feed_ND.unsqueeze(1), hidden_BTD[:, :-1]), dim=1)
            input_BTE = torch.cat((input_BTE, feed_BTD), dim=-1)
        return self.stack.trace(input_BTE, state.recurrent)


def _attention(settings: RecurrentDecoderSettings, memory_width: int) -> Attention | None:
    match settings.attention:
        case "none":
            return None
        case "dot":
            return DotAttention(settings.width, memory_width)
        case "general":
            return GeneralAttention(settings.width, memory_width)
        case "additive":
            return AdditiveAttention(settings.width, memory_width)
        case "multihead":
            return MultiHeadAttention(settings.width, memory_width, settings.heads)
