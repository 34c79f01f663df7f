"""The decoder of the Transformer (Vaswani et al. 2017, section 3.1); without a memory, a GPT.

B sentences · T target positions · S source positions · P positions read · N rows = B·W · W beam ·
D width · H heads · L layers · V vocabulary.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from seq2see.config.settings import TransformerDecoder as TransformerDecoderSettings
from seq2see.models.contracts import Decoder, Memory, MemoryShape, require_fit
from seq2see.models.projected import ProjectedMemory, counts_up, project
from seq2see.nn.attention import KeyValue
from seq2see.nn.dropout import Dropout
from seq2see.nn.embedding import Embedding, OutputLayer, zero_padding
from seq2see.nn.position import position
from seq2see.nn.transformer import DecoderBlock


@dataclass(frozen=True)
class TransformerDecoderState:
    """For each layer the keys and values of the P positions read, one row each; the memory, per sentence."""

    past: tuple[KeyValue, ...]
    memory: ProjectedMemory | None

    def take(self, rows_BW: Tensor) -> "TransformerDecoderState":
        """See ``State``."""
        rows_N = rows_BW.flatten()
        rows_before = len(self.past[0].key_BHSK)
        if counts_up(rows_N, rows_before):
            return self
        return TransformerDecoderState(
            tuple(KeyValue(*(part.index_select(0, rows_N) for part in layer)) for layer in self.past),
            None if self.memory is None else self.memory.take(rows_BW, rows_before),
        )


class _Run(NamedTuple):
    """What a passage through all blocks gives; weights, a tensor a layer, only if they were wanted."""

    hidden_NTD: Tensor
    present: tuple[KeyValue, ...]
    own: list[Tensor]
    cross: list[Tensor]


class TransformerDecoder(Decoder[TransformerDecoderState]):
    """Embedding and position, then blocks; pre-norm ends with one more norm."""

    def __init__(
        self,
        settings: TransformerDecoderSettings,
        weight_VD: nn.Parameter,
        output: OutputLayer,
        memory: MemoryShape | None,
        dropout: float,
    ) -> None:
        super().__init__()
        width = settings.width
        self.memory = memory
        self.heads = settings.heads
        self.embedding = Embedding(weight_VD, scaled=True)
        self.output = output
        self.position = position(settings.position, width, settings.heads)
        self.dropout = Dropout(dropout)
        memory_width = memory.width if memory else None
        self.blocks = nn.ModuleList(
            DecoderBlock(width, memory_width, settings.heads, settings.feed_forward, settings.norm, dropout)
            for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(width) if settings.norm == "pre" else nn.Identity()

    def start(self, memory: Memory | None, rows: int = 1) -> TransformerDecoderState:
        """See ``Decoder``."""
        require_fit(self.memory, memory)
        projected = None if memory is None else project([block.cross for block in self._upwards()], memory)
        N = rows if memory is None else len(memory.valid_BS)
        nothing = self.output.weight_VD.new_zeros(N, self.heads, 0, self.output.width // self.heads)
        return TransformerDecoderState((KeyValue(nothing, nothing),) * len(self.blocks), projected)

    def step(
        self, tokens_N: Tensor, state: TransformerDecoderState, want_weights: bool = False
    ) -> tuple[Tensor, TransformerDecoderState, Tensor | None]:
        """See ``Decoder``."""
        run = self._run(tokens_N.unsqueeze(1), state.past, state.memory, want_weights)
        state = TransformerDecoderState(run.present, state.memory)
        weights_NLHS = torch.stack(run.cross, dim=1).squeeze(3) if run.cross else None
        return self.output(run.hidden_NTD.squeeze(1)), state, weights_NLHS

    def forward(
        self,
        input_BT: Tensor,
        memory: Memory | None,
        input_valid_BT: Tensor | None = None,
        want_weights: bool = False,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Decoder``."""
        state = self.start(memory, rows=len(input_BT))
        run = self._run(input_BT, None, state.memory, want_weights)
        hidden_BTD = run.hidden_NTD
        if input_valid_BT is not None:
            hidden_BTD = zero_padding(hidden_BTD, input_valid_BT)
        layers = {"cross": run.cross, "decoder": run.own}
        return hidden_BTD, {name: torch.stack(weights, dim=1) for name, weights in layers.items() if weights}

    def read(self, tokens_NT: Tensor, state: TransformerDecoderState) -> tuple[Tensor, TransformerDecoderState]:
        """T more tokens of each row, as so many steps would: hidden states ``[N, T, D]`` and the new state.

        They go through the blocks at once where they are the first; behind others, one after the other.
        """
        if not state.past[0].key_BHSK.shape[2]:
            run = self._run(tokens_NT, None, state.memory, want_weights=False)
            return run.hidden_NTD, TransformerDecoderState(run.present, state.memory)
        hidden = []
        for tokens_N1 in torch.split(tokens_NT, 1, dim=1):
            run = self._run(tokens_N1, state.past, state.memory, want_weights=False)
            hidden.append(run.hidden_NTD)
            state = TransformerDecoderState(run.present, state.memory)
        return torch.cat(hidden, dim=1), state

    def _run(
        self,
        tokens_NT: Tensor,
        past: tuple[KeyValue, ...] | None,
        memory: ProjectedMemory | None,
        want_weights: bool,
    ) -> _Run:
        """T tokens after those of the past; ``past`` None: from the start, each looking back only."""
        offset = past[0].key_BHSK.shape[2] if past else 0
        x_NTD, rotation = self.position(self.embedding(tokens_NT), offset)
        x_NTD = self.dropout(x_NTD)
        present, own, cross = [], [], []
        for index, block in enumerate(self._upwards()):
            x_NTD, key_value, own_NHTP, cross_NHTS = block(
                x_NTD,
                memory.layers[index] if memory else None,
                memory.allowed_B1S if memory else None,
                rotation=rotation,
                past=past[index] if past else None,
                want_weights=want_weights,
            )
            present.append(key_value)
            own += [] if own_NHTP is None else [own_NHTP]
            cross += [] if cross_NHTS is None else [cross_NHTS]
        return _Run(self.norm(x_NTD), tuple(present), own, cross)

    def _upwards(self) -> Iterable[DecoderBlock]:
        return cast(Iterable[DecoderBlock], self.blocks)
