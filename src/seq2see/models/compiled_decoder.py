"""The steps of a Transformer's decoder in one call of a compiled kernel each, for a processor.

The twin of :class:`TransformerDecoder`'s ``start`` and ``step``: the same numbers up to rounding. What the rows have
read lies step by step, and is never moved: each row only knows through which row of each step it has come.

N rows · D width · V vocabulary · L layers · H heads · K width of a head · P positions read before · B sentences ·
S source positions · R rows of a memory, the positions of all sentences one after the other
"""

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from seq2see.errors import InputError
from seq2see.models.compiled_blocks import Blocks, Kernel, PackedMemory, Positions, fits, laid_out
from seq2see.models.compiled_writing import CompiledState, KernelMemory, Writer, memory_places
from seq2see.models.contracts import Memory, require_fit
from seq2see.models.transformer_decoder import TransformerDecoder
from seq2see.nn.native.library import Step, pointer
from seq2see.nn.native.products import Kind, padded, product
from seq2see.nn.transformer import DecoderBlock


class CompiledDecoder:
    """A decoder's weights laid out for the kernels. Its steps give log-probabilities, not logits."""

    def __init__(self, decoder: TransformerDecoder, kernels: ctypes.CDLL, kind: Kind) -> None:
        blocks = _blocks(decoder)
        self.kernels = kernels
        self.embedding, self.position = decoder.embedding, decoder.position
        self.positions = Positions(decoder.position, decoder.embedding.width)
        self.memory, self.vocabulary = decoder.memory, decoder.output.vocabulary
        self.blocks = Blocks(blocks, decoder.norm, decoder.heads, kernels, kind)
        self.output = self.blocks.pack(decoder.output.weight_VD)
        self.bias = padded(kernels, decoder.output.bias_V)
        crosses = [block.cross for block in blocks] if decoder.memory else []
        self.crosses = [self.blocks.pack(part.weight) for cross in crosses for part in (cross.key, cross.value)]
        writer = Writer(self.blocks, self.positions, self.embedding, self.output, self.bias)
        self.write, self.write_beams, self.fitting = writer.greedy, writer.beams, writer.fitting

    def start(self, memory: Memory | PackedMemory | None, rows: int = 1) -> CompiledState:
        """See ``Decoder``."""
        projected = self._projected(memory)
        N = rows if projected is None else len(projected.first) - 1
        path_NP, sentence_N = torch.empty(N, 0, dtype=torch.int32), torch.arange(N, dtype=torch.int32)
        return CompiledState((), path_NP, sentence_N, projected, [])

    def step(
        self, tokens_N: Tensor, state: CompiledState, want_weights: bool = False
    ) -> tuple[Tensor, CompiledState, Tensor | None]:
        """One token a row: log-probabilities of the next one ``[N, V]``, the new state, weights ``[N, L, H, S]``.

        The log-probabilities hold until the next step of the same search: a new table for each would cost as much
        as filling it.
        """
        x_ND, new, weights_NLHS = self._advance(tokens_N, state, want_weights)
        (N, D), V = x_ND.shape, self.vocabulary
        log_probs_NV = _room(state.table, N * V).view(N, V)
        places: list[Any] = [pointer(x_ND), pointer(self.output.numbers), pointer(self.bias), pointer(log_probs_NV)]
        room = torch.empty(min(N, self.kernels.block()) * (D + 4))
        self.kernels.foresee(N, V, D, *map(ctypes.c_void_p, places), self.output.kind, ctypes.c_void_p(pointer(room)))
        return log_probs_NV, new, weights_NLHS

    def step_best(
        self, tokens_N: Tensor, state: CompiledState, count: int, never: Sequence[int], want_weights: bool = False
    ) -> tuple[Tensor, Tensor, CompiledState, Tensor | None]:
        """The same, but of each row the ``count`` best log-probabilities ``[N, count]``, best first, and their tokens.

        None of ``never`` is among them, but with −inf. A row without a distribution has NaN. There is no table of
        all log-probabilities, so that many rows may go together.
        """
        x_ND, new, weights_NLHS = self._advance(tokens_N, state, want_weights)
        (N, D), V = x_ND.shape, self.vocabulary
        count = min(count, V)
        refused = torch.tensor([token for token in never if 0 <= token < V], dtype=torch.int32)
        values_NC, columns_NC = torch.empty(N, count), torch.empty(N, count, dtype=torch.long)
        room = torch.empty(min(N, self.kernels.block()) * (D + 4))
        weights = map(ctypes.c_void_p, (pointer(x_ND), pointer(self.output.numbers), pointer(self.bias)))
        results = map(ctypes.c_void_p, (pointer(values_NC), pointer(columns_NC), pointer(room)))
        barred = ctypes.c_void_p(pointer(refused))
        self.kernels.foresee_best(N, V, D, *weights, self.output.kind, len(refused), barred, count, *results)
        return values_NC, columns_NC, new, weights_NLHS

    def _advance(
        self, tokens_N: Tensor, state: CompiledState, want_weights: bool
    ) -> tuple[Tensor, CompiledState, Tensor | None]:
        """One token a row through all blocks: hidden states ``[N, D]``, the new state, weights."""
        kernels, shape, memory = self.kernels, self.blocks.shape, state.memory
        read = len(state.past)
        x_N1D, rotation = self.position(self.embedding(tokens_N.unsqueeze(1)), read)
        x_ND = x_N1D.squeeze(1).contiguous()
        N, D = x_ND.shape
        present_L2ND = torch.empty(shape.L, 2, N, D)
        past = (ctypes.c_void_p * max(1, read))(*(pointer(each) for each in state.past))
        past_rows = (ctypes.c_int32 * max(1, read))(*(each.shape[2] for each in state.past))
        S = memory.longest if memory else 0
        weights_NLHS = torch.empty(N, shape.L, shape.H, S) if want_weights and S else None
        turns = (None, None) if rotation is None else (rotation.cos.contiguous(), rotation.sin.contiguous())
        space = self.blocks.space(N, max(read + 1, S))
        step = Step(
            N=N,
            P=read + 1,
            stride=read,
            cosine=pointer(turns[0]),
            sine=pointer(turns[1]),
            past=ctypes.addressof(past),
            past_rows=ctypes.addressof(past_rows),
            path=pointer(state.path_NP),
            present=pointer(present_L2ND),
            sentence=pointer(state.sentence_N),
            x=pointer(x_ND),
            weights=pointer(weights_NLHS),
            space=pointer(space),
            **memory_places(memory),
        )
        kernels.decoder_step(ctypes.byref(shape), ctypes.byref(step))
        path_NP = torch.cat((state.path_NP, torch.arange(N, dtype=torch.int32).unsqueeze(1)), dim=1)
        new = replace(state, past=(*state.past, present_L2ND), path_NP=path_NP)
        return x_ND, new, weights_NLHS

    def _projected(self, memory: Memory | PackedMemory | None) -> KernelMemory | None:
        if memory is None or isinstance(memory, Memory):
            require_fit(self.memory, memory)
        if memory is None:
            return None
        packed = PackedMemory.of(memory) if isinstance(memory, Memory) else memory
        states_RM = packed.states_RM.contiguous()
        shape = self.blocks.shape
        key_value_L2RD = torch.empty(shape.L, 2, len(states_RM), shape.D)
        for weight, out_RD in zip(self.crosses, key_value_L2RD.flatten(0, 1), strict=True):
            product(self.kernels, states_RM, weight, out_RD)
        return KernelMemory(key_value_L2RD, packed.first, packed.longest)


def _room(table: list[Tensor], count: int) -> Tensor:
    """So many numbers of the table, which grows as it has to."""
    if not table or len(table[0]) < count:
        table[:] = [torch.empty(count)]
    return table[0][:count]


def compiled_decoder(decoder: nn.Module, kernel: Kernel) -> CompiledDecoder | None:
    """The decoder for the kernels; None where they cannot compute it. See :func:`laid_out`.

    Raises:
        InputError: fewer digits are asked for, and the decoder is not one for the kernels.
    """
    if not isinstance(decoder, TransformerDecoder) or not _fits(decoder):
        if kernel in ("bfloat16", "int8"):
            raise InputError(
                f'search.kernel = "{kernel}" is for Transformers on a processor, with heads whose width is a multiple '
                "of 16; leave it out here"
            )
        return None
    return laid_out(decoder, kernel, lambda kernels, kind: CompiledDecoder(decoder, kernels, kind))


def _fits(decoder: TransformerDecoder) -> bool:
    memory = [] if decoder.memory is None else [decoder.memory.width]
    return fits(_blocks(decoder), decoder.output.weight_VD, decoder.training, *memory)


def _blocks(decoder: TransformerDecoder) -> list[DecoderBlock]:
    return list(cast(Iterable[DecoderBlock], decoder.blocks))
