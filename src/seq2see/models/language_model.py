"""Language models: which piece comes next, given all pieces before it (Bengio et al. 2003, Mikolov et al. 2010,
Radford et al. 2018). A neural one is a decoder without a memory.

Its weights are named ``decoder.…``, as in every model with such a decoder: they can be loaded by name into a
model for another task.

B windows · T positions · P positions in front of a window, or read before · N rows · W rows of one text ·
D width · V vocabulary
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic

import torch
from torch import Tensor, nn

from seq2see.config import lm as config
from seq2see.config.settings import RecurrentDecoder as RecurrentDecoderSettings
from seq2see.config.settings import TransformerDecoder as TransformerDecoderSettings
from seq2see.models.contracts import Decoder, StateT
from seq2see.models.recurrent_decoder import RecurrentDecoder, RecurrentDecoderState
from seq2see.models.transformer_decoder import TransformerDecoder, TransformerDecoderState
from seq2see.nn.embedding import OutputLayer, token_weights

_AT_ONCE = 4_096  # pieces of a long prompt that a recurrent model reads in one call


class LanguageModel(nn.Module, ABC, Generic[StateT]):
    """Says which piece comes next: from the beginning of a text, which is ``<sos>``, or behind a prompt."""

    @abstractmethod
    def start(self, rows: int) -> StateT:
        """The state of so many rows before anything has been read."""

    @abstractmethod
    def read(self, tokens_NT: Tensor, state: StateT) -> StateT:
        """The state after T more pieces of each row; T may be 0."""

    @abstractmethod
    def step(self, tokens_N: Tensor, state: StateT) -> tuple[Tensor, StateT, None]:
        """One more piece a row: logits of the next one ``[N, V]`` and the new state, as search takes them."""


class NeuralLanguageModel(LanguageModel[StateT]):
    """A decoder without a memory."""

    decoder: Decoder[Any]

    @abstractmethod
    def forward(
        self, input_BT: Tensor, before_BP: Tensor | None = None, before_valid_BP: Tensor | None = None
    ) -> Tensor:
        """Hidden states ``[B, T, D]``, for ``decoder.output`` to make logits of.

        What is read before has no gradient.
        """

    def expect(self, counts_V: Tensor) -> None:
        """Begin with pieces as likely as they are in the text; see ``OutputLayer.expect``."""
        self.decoder.output.expect(counts_V)


class RecurrentLanguageModel(NeuralLanguageModel[RecurrentDecoderState]):
    """The state carries all that was read, however long it is."""

    def __init__(self, settings: config.RecurrentModel, weight_VD: nn.Parameter, output: OutputLayer, dropout: float):
        super().__init__()
        own = RecurrentDecoderSettings(
            cell=settings.cell, layers=settings.layers, width=settings.width, attention="none"
        )
        self.decoder: RecurrentDecoder = RecurrentDecoder(own, weight_VD, output, None, dropout)

    def forward(
        self, input_BT: Tensor, before_BP: Tensor | None = None, before_valid_BP: Tensor | None = None
    ) -> Tensor:
        """See ``NeuralLanguageModel``: from the state that ``before_BP`` leaves, or from nothing where it is empty."""
        state = self.decoder.start(None, rows=len(input_BT))
        if before_BP is not None and before_BP.shape[1]:
            with torch.no_grad():
                _, state = self.decoder.read(before_BP, state, before_valid_BP)
        hidden_BTD, _ = self.decoder.read(input_BT, state)
        return hidden_BTD

    def start(self, rows: int) -> RecurrentDecoderState:
        """See ``LanguageModel``."""
        return self.decoder.start(None, rows=rows)

    def read(self, tokens_NT: Tensor, state: RecurrentDecoderState) -> RecurrentDecoderState:
        """See ``LanguageModel``."""
        for tokens_Nt in torch.split(tokens_NT, _AT_ONCE, dim=1):
            if tokens_Nt.shape[1]:
                _, state = self.decoder.read(tokens_Nt, state)
        return state

    def step(self, tokens_N: Tensor, state: RecurrentDecoderState) -> tuple[Tensor, RecurrentDecoderState, None]:
        """See ``LanguageModel``."""
        logits_NV, state, _ = self.decoder.step(tokens_N, state)
        return logits_NV, state, None


@dataclass(frozen=True)
class SlidingState:
    """Keys and values of the pieces that are looked back to, and these pieces."""

    cache: TransformerDecoderState
    tokens_NP: Tensor

    def take(self, rows_BW: Tensor) -> "SlidingState":
        """See ``State``."""
        return SlidingState(self.cache.take(rows_BW), self.tokens_NP.index_select(0, rows_BW.flatten()))


class TransformerLanguageModel(NeuralLanguageModel[SlidingState]):
    """A GPT: it looks back to at most ``context`` pieces.

    When so many have been read, the older half is forgotten: the newer half is read again, as if the text began
    with it. So each piece is foreseen from more than half of the context, and a step costs little more than one.
    """

    def __init__(
        self,
        settings: TransformerDecoderSettings,
        weight_VD: nn.Parameter,
        output: OutputLayer,
        dropout: float,
        context: int,
    ) -> None:
        super().__init__()
        self.decoder: TransformerDecoder = TransformerDecoder(settings, weight_VD, output, None, dropout)
        self.context = context

    def forward(
        self, input_BT: Tensor, before_BP: Tensor | None = None, before_valid_BP: Tensor | None = None
    ) -> Tensor:
        """See ``NeuralLanguageModel``; nothing can be read before."""
        if before_BP is not None and before_BP.shape[1]:
            raise ValueError("a Transformer looks back inside its window; it reads nothing before it")
        hidden_BTD: Tensor
        hidden_BTD, _ = self.decoder(input_BT, None)
        return hidden_BTD

    def start(self, rows: int) -> SlidingState:
        """See ``LanguageModel``."""
        weight_VD = self.decoder.output.weight_VD
        return SlidingState(
            self.decoder.start(None, rows=rows), torch.empty(rows, 0, dtype=torch.long, device=weight_VD.device)
        )

    def read(self, tokens_NT: Tensor, state: SlidingState) -> SlidingState:
        """See ``LanguageModel``."""
        tokens_NP = torch.cat((state.tokens_NP, tokens_NT), dim=1)
        over = tokens_NP.shape[1] - self.context
        # As steps would: at the first piece too many, and at each half of the context from there on, it slides.
        half = self.context - self._kept
        dropped = half * (-(-over // half)) if over > 0 else 0
        return self._begun(tokens_NP[:, dropped:])

    def step(self, tokens_N: Tensor, state: SlidingState) -> tuple[Tensor, SlidingState, None]:
        """See ``LanguageModel``."""
        if state.tokens_NP.shape[1] == self.context:
            state = self._begun(state.tokens_NP[:, self.context - self._kept :])
        logits_NV, cache, _ = self.decoder.step(tokens_N, state.cache)
        return logits_NV, SlidingState(cache, torch.cat((state.tokens_NP, tokens_N.unsqueeze(1)), dim=1)), None

    @property
    def _kept(self) -> int:
        """How many pieces are read again when the context is full."""
        return self.context // 2

    def _begun(self, tokens_NP: Tensor) -> SlidingState:
        state = self.start(len(tokens_NP))
        if not tokens_NP.shape[1]:
            return state
        _, cache = self.decoder.read(tokens_NP, state.cache)
        return SlidingState(cache, tokens_NP)


def build_neural(
    settings: config.LanguageModelSettings, vocabulary: int, context: int
) -> RecurrentLanguageModel | TransformerLanguageModel:
    """A fresh model, its weights drawn from torch's generator; a Transformer looks back to ``context`` pieces.

    ``ValueError`` for a model of counts, which has no weights.
    """
    decoder = settings.decoder
    if isinstance(decoder, config.MarkovModel):
        raise ValueError("a model of counts has no weights")
    output = OutputLayer(token_weights(vocabulary, decoder.width))
    weight_VD = output.weight_VD if settings.tie == "output" else token_weights(vocabulary, decoder.width)
    match decoder:
        case config.RecurrentModel():
            return RecurrentLanguageModel(decoder, weight_VD, output, settings.dropout)
        case TransformerDecoderSettings():
            return TransformerLanguageModel(decoder, weight_VD, output, settings.dropout, context)
