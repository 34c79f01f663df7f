"""The steps of a Transformer's decoder in one call of a compiled kernel each, for a processor; or all of them in one.

The twin of :class:`TransformerDecoder`'s ``start`` and ``step``: the same numbers up to rounding. What the rows have
read lies step by step, and is never moved: each row only knows through which row of each step it has come.

N rows · D width · V vocabulary · L layers · H heads · K width of a head · P positions read before · B sentences ·
S source positions · R rows of a memory, the positions of all sentences one after the other · T positions at most
"""

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from seq2see.errors import InputError
from seq2see.models.compiled_blocks import Blocks, Kernel, PackedMemory, Positions, fits, laid_out
from seq2see.models.contracts import Memory, require_fit
from seq2see.models.projected import counts_up
from seq2see.models.transformer_decoder import TransformerDecoder
from seq2see.nn.native.library import Step, Writing, pointer
from seq2see.nn.native.products import Kind, padded, product
from seq2see.nn.position import LearnedPosition
from seq2see.nn.transformer import DecoderBlock
from seq2see.text.tokeniser import EOS, SOS

_LARGEST_CACHE = 1 << 28  # numbers: a gigabyte


@dataclass(frozen=True, eq=False)
class KernelMemory:
    """Keys and values of a memory for all layers."""

    key_value_L2RD: Tensor
    first: Tensor  # [B + 1], int32: where a sentence begins
    longest: int  # S


@dataclass(frozen=True, eq=False)
class CompiledState:
    """What was read: for each step keys and values of its rows; of each row of now, its row in each step."""

    past: tuple[Tensor, ...]  # each [L, 2, rows of that step, D]
    path_NP: Tensor
    sentence_N: Tensor
    memory: KernelMemory | None
    table: list[Tensor]  # of one search: where every step writes what it foresees

    def take(self, rows_BW: Tensor) -> "CompiledState":
        """See ``State``."""
        rows_N = rows_BW.flatten()
        if counts_up(rows_N, len(self.sentence_N)):
            return self
        return replace(
            self,
            path_NP=self.path_NP.index_select(0, rows_N),
            sentence_N=self.sentence_N.index_select(0, rows_N),
        )


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
        rows, count = min(N, self.kernels.block()), min(count, V)
        refused = torch.tensor([token for token in never if 0 <= token < V], dtype=torch.int32)
        values_NC, columns_NC = torch.empty(N, count), torch.empty(N, count, dtype=torch.long)
        scores, room = torch.empty(rows * V), torch.empty(rows * (D + 4))
        weights = map(ctypes.c_void_p, (pointer(x_ND), pointer(self.output.numbers), pointer(self.bias)))
        results = map(ctypes.c_void_p, (pointer(scores), pointer(values_NC), pointer(columns_NC), pointer(room)))
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
            **_places(memory),
        )
        kernels.decoder_step(ctypes.byref(shape), ctypes.byref(step))
        path_NP = torch.cat((state.path_NP, torch.arange(N, dtype=torch.int32).unsqueeze(1)), dim=1)
        new = replace(state, past=(*state.past, present_L2ND), path_NP=path_NP)
        return x_ND, new, weights_NLHS

    def write(
        self, state: CompiledState, limits: Sequence[int], never: Sequence[int] = (), least: int = 0
    ) -> list[tuple[list[int], list[float]]] | None:
        """From the start, the likeliest token of each row again and again: tokens, and the log-probability of each.

        Args:
            state: of :meth:`start`.
            limits: for each row the most tokens, ``<eos>`` included.
            never: tokens that are not written.
            least: how many tokens at least stand before ``<eos>``.

        Returns:
            None where it cannot be done so: more tokens than positions, more keys and values than should be
            reserved for the longest answers that may come, or a row without a distribution.
        """
        shape, memory, N, T = self.blocks.shape, state.memory, len(limits), max(limits)
        if isinstance(self.position, LearnedPosition) and len(self.position.weight_PD) < T:
            return None
        if T * shape.L * 2 * N * shape.D > _LARGEST_CACHE:
            return None
        table = self.positions.reach(T)
        S, (D, V) = memory.longest if memory else 0, (shape.D, self.vocabulary)
        refused = torch.tensor([token for token in never if 0 <= token < V], dtype=torch.int32)
        limits_N = torch.tensor(limits, dtype=torch.int32)
        cache = torch.empty(T * shape.L * 2 * N * D)
        rows, past = torch.empty(T + N * (T + 2), dtype=torch.int32), (ctypes.c_void_p * T)()
        x_ND, space = torch.empty(N, D), self.blocks.space(N, max(T, S))
        scores = torch.empty(min(N, self.kernels.block()) * V)
        tokens_NT, lengths_N = torch.empty(N, T, dtype=torch.int32), torch.empty(N, dtype=torch.int32)
        log_probs_NT = torch.empty(N, T)
        step = Step(N=N, past=ctypes.addressof(past), x=pointer(x_ND), space=pointer(space), **_places(memory))
        writing = Writing(
            step=step,
            V=V,
            T=T,
            start=SOS,
            end=EOS,
            refused=len(refused),
            least=least,
            scale=self.embedding.scale,
            never=pointer(refused),
            embedding=pointer(self.embedding.weight_VD),
            positions=pointer(table.added_TD),
            cosine=pointer(table.cosine),
            sine=pointer(table.sine),
            output=pointer(self.output.numbers),
            bias=pointer(self.bias),
            limits=pointer(limits_N),
            cache=pointer(cache),
            rows=pointer(rows),
            scores=pointer(scores),
            tokens=pointer(tokens_NT),
            log_probs=pointer(log_probs_NT),
            lengths=pointer(lengths_N),
        )
        if self.kernels.write_greedily(ctypes.byref(shape), ctypes.byref(writing)):
            return None
        written = zip(tokens_NT.tolist(), log_probs_NT.tolist(), lengths_N.tolist(), strict=True)
        return [(tokens[:length], log_probs[:length]) for tokens, log_probs, length in written]

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


def _places(memory: KernelMemory | None) -> dict[str, int | None]:
    """What a step of the kernels is told of a memory."""
    if memory is None:
        return {}
    key_values, first = pointer(memory.key_value_L2RD), pointer(memory.first)
    return {"S": memory.longest, "B": len(memory.first) - 1, "memory": key_values, "first": first}


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
