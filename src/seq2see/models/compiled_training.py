"""Models in training, computed by kernels in C (``nn/native``): a model's twin with the same weights.

B sentences · S source positions · T target positions · R rows, the positions of all sentences one after the other ·
D width
"""

import copy
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from seq2see.models.bridge import mean_state
from seq2see.models.compiled_blocks import beginnings
from seq2see.models.contracts import Decoder, Encoder, Memory, require_fit
from seq2see.models.transformer_decoder import TransformerDecoder, TransformerDecoderState
from seq2see.models.transformer_encoder import TransformerEncoder
from seq2see.nn.cells import CellState
from seq2see.nn.embedding import OutputLayer
from seq2see.nn.native.prediction import predictor
from seq2see.nn.native.recurrence import Recurrence, recurrence
from seq2see.nn.native.training import Stack, stack
from seq2see.nn.recurrent import Recurrent
from seq2see.nn.transformer import DecoderBlock, EncoderBlock

LONGEST = 512  # positions of a sentence; beyond, attention is PyTorch's business


def trained_in_kernels(model: nn.Module) -> nn.Module | None:
    """The same model with the same parameters, to compute a loss and its gradients with, in bfloat16 on a processor.

    None where the kernels can compute no part of it, or cannot be had. The twin is for training alone: it knows the
    structure that the model has now.
    """
    twin = _twin(model)
    return None if twin is model else twin


def _twin(module: nn.Module) -> nn.Module:
    if isinstance(module, TransformerEncoder):
        blocks = list(cast(Iterable[EncoderBlock], module.blocks))
        found = stack(blocks, module.norm, module.causal, 0)
        return module if found is None else _TrainedEncoder(module, found)
    if isinstance(module, TransformerDecoder):
        return _decoder(module)
    if isinstance(module, OutputLayer):
        return _output(module)
    if isinstance(module, Recurrent):
        layer = recurrence(module)
        return module if layer is None else _TrainedRecurrent(module, layer)
    children = {name: child if child is None else _twin(child) for name, child in module._modules.items()}
    if all(child is module._modules[name] for name, child in children.items()):
        return module
    twin = copy.copy(module)
    twin._modules = children
    return twin


def _decoder(decoder: TransformerDecoder) -> nn.Module:
    blocks = list(cast(Iterable[DecoderBlock], decoder.blocks))
    found = stack(blocks, decoder.norm, True, decoder.memory.width if decoder.memory else 0)
    return decoder if found is None else _TrainedDecoder(decoder, found)


def _output(output: OutputLayer) -> OutputLayer:
    found = predictor(output.weight_VD)
    if found is None:
        return output
    twin = copy.copy(output)
    twin.predictor = found
    return twin


class _TrainedEncoder(Encoder):
    """The twin of a :class:`TransformerEncoder`."""

    def __init__(self, encoder: TransformerEncoder, blocks: Stack) -> None:
        super().__init__()
        self.encoder, self.compiled = encoder, blocks
        self.shape = encoder.shape

    def forward(self, source_BS: Tensor, valid_BS: Tensor, want_weights: bool = False) -> Memory:
        """See ``Encoder``."""
        encoder = self.encoder
        if want_weights or source_BS.shape[1] > LONGEST:
            return cast(Memory, encoder(source_BS, valid_BS, want_weights))
        x_BSD, rotation = encoder.position(encoder.embedding(source_BS))
        rows_R = valid_BS.flatten().nonzero().squeeze(1)
        x_RD = encoder.dropout(x_BSD.flatten(0, 1).index_select(0, rows_R))
        states_RD = self.compiled(x_RD, beginnings(valid_BS.sum(1)), rotation=rotation)
        states_BSD = _spread(states_RD, rows_R, valid_BS)
        return Memory(states_BSD, valid_BS, mean_state(states_BSD, valid_BS), {})


class _TrainedDecoder(Decoder[TransformerDecoderState]):
    """The twin of a :class:`TransformerDecoder`."""

    def __init__(self, decoder: TransformerDecoder, blocks: Stack) -> None:
        super().__init__()
        self.decoder, self.compiled = decoder, blocks
        self.output = _output(decoder.output)

    def start(self, memory: Memory | None, rows: int = 1) -> TransformerDecoderState:
        """See ``Decoder``."""
        return self.decoder.start(memory, rows)

    def step(
        self, tokens_N: Tensor, state: TransformerDecoderState, want_weights: bool = False
    ) -> tuple[Tensor, TransformerDecoderState, Tensor | None]:
        """See ``Decoder``."""
        return self.decoder.step(tokens_N, state, want_weights)

    def forward(
        self,
        input_BT: Tensor,
        memory: Memory | None,
        input_valid_BT: Tensor | None = None,
        want_weights: bool = False,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Decoder``."""
        decoder = self.decoder
        longest = max(input_BT.shape[1], 0 if memory is None else memory.valid_BS.shape[1])
        if want_weights or longest > LONGEST:
            hidden_BTD, weights = decoder(input_BT, memory, input_valid_BT, want_weights)
            return hidden_BTD, weights
        require_fit(decoder.memory, memory)
        valid_BT = torch.ones_like(input_BT, dtype=torch.bool) if input_valid_BT is None else input_valid_BT
        x_BTD, rotation = decoder.position(decoder.embedding(input_BT))
        rows_R = valid_BT.flatten().nonzero().squeeze(1)
        x_RD = decoder.dropout(x_BTD.flatten(0, 1).index_select(0, rows_R))
        memory_SM = source = None
        if memory is not None:
            memory_SM = memory.states_BSD[memory.valid_BS]
            source = beginnings(memory.valid_BS.sum(1))
        states_RD = self.compiled(x_RD, beginnings(valid_BT.sum(1)), memory_SM, source, rotation)
        return _spread(states_RD, rows_R, valid_BT), {}


class _TrainedRecurrent(Recurrent):
    """The twin of a :class:`Recurrent`, with its parameters."""

    def __init__(self, layer: Recurrent, compiled: Recurrence) -> None:
        nn.Module.__init__(self)
        self.cell, self.width, self.compiled = layer.cell, layer.width, compiled
        self._parameters = layer._parameters

    def forward(
        self, input_BTE: Tensor, initial: CellState | None = None, valid_BT: Tensor | None = None
    ) -> tuple[Tensor, CellState]:
        """See ``Recurrent``."""
        start = self.zero_state(input_BTE.shape[0], input_BTE) if initial is None else initial
        return self.compiled(input_BTE, start, valid_BT)


def _spread(states_RD: Tensor, rows_R: Tensor, valid_BT: Tensor) -> Tensor:
    """Rows back to their places, ``[B, T, D]``, zeros at padding."""
    D = states_RD.shape[1]
    if len(rows_R) == valid_BT.numel():
        return states_RD.view(*valid_BT.shape, D)
    spread = states_RD.new_zeros(valid_BT.numel(), D).index_copy(0, rows_R, states_RD)
    return spread.view(*valid_BT.shape, D)
