"""The steps of a Transformer's decoder in one call of a compiled kernel each, for a processor.

The twin of :class:`TransformerDecoder`'s ``start`` and ``step``: the same numbers up to rounding. What the rows have
read lies step by step, and is never moved: each row only knows through which row of each step it has come.

N rows · D width · V vocabulary · L layers · H heads · K width of a head · P positions read before · B sentences ·
S source positions
"""

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, cast
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2see.errors import InputError
from seq2see.models.contracts import Memory, require_fit
from seq2see.models.projected import counts_up
from seq2see.models.transformer_decoder import TransformerDecoder
from seq2see.nn.native.library import Layer, Step, library, pointer
from seq2see.nn.native.products import Packed, padded
from seq2see.nn.transformer import DecoderBlock

_LANES = 16  # numbers that a kernel takes together: a head's width is a multiple of it

Kernel = Literal["auto", "plain", "bfloat16"]


@dataclass(frozen=True, eq=False)
class KernelMemory:
    """Keys and values of a memory for all layers, one of each for a sentence."""

    key_value_L2BSD: Tensor
    lengths_B: Tensor


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

    def __init__(self, decoder: TransformerDecoder, kernels: ctypes.CDLL, half: bool) -> None:
        self.kernels, self.half = kernels, half
        self.embedding, self.position = decoder.embedding, decoder.position
        self.memory, self.heads, self.vocabulary = decoder.memory, decoder.heads, decoder.output.vocabulary
        output = decoder.output
        self.output = Packed.of(kernels, output.weight_VD, self.half)
        self.bias = padded(kernels, output.bias_V)
        self.norm = decoder.norm if isinstance(decoder.norm, nn.LayerNorm) else None
        self._kept: list[object] = []  # what the layers point at
        blocks = list(cast(Iterable[DecoderBlock], decoder.blocks))
        self.layers = (Layer * len(blocks))(*(self._layer(block) for block in blocks))
        crosses = [block.cross for block in blocks] if decoder.memory else []
        self.crosses = [part.weight for cross in crosses for part in (cross.key, cross.value)]
        self.hidden = blocks[0].feed_forward.inner.out_features
        self.pre = blocks[0].around_attention.pre

    def start(self, memory: Memory | None, rows: int = 1) -> CompiledState:
        """See ``Decoder``."""
        require_fit(self.memory, memory)
        N = rows if memory is None else len(memory.valid_BS)
        path_NP = torch.empty(N, 0, dtype=torch.int32)
        sentence_N = torch.arange(N, dtype=torch.int32)
        return CompiledState((), path_NP, sentence_N, None if memory is None else self._projected(memory), [])

    def step(
        self, tokens_N: Tensor, state: CompiledState, want_weights: bool = False
    ) -> tuple[Tensor, CompiledState, Tensor | None]:
        """One token a row: log-probabilities of the next one ``[N, V]``, the new state, weights ``[N, L, H, S]``.

        The log-probabilities hold until the next step of the same search: a new table for each would cost as much
        as filling it.
        """
        kernels, memory = self.kernels, state.memory
        read = len(state.past)
        x_N1D, rotation = self.position(self.embedding(tokens_N.unsqueeze(1)), read)
        x_ND = x_N1D.squeeze(1).contiguous()
        N, D = x_ND.shape
        L, H, V = len(self.layers), self.heads, self.vocabulary
        present_L2ND = torch.empty(L, 2, N, D)
        past = (ctypes.c_void_p * max(1, read))(*(pointer(each) for each in state.past))
        past_rows = (ctypes.c_int32 * max(1, read))(*(each.shape[2] for each in state.past))
        B, S = (0, 0) if memory is None else memory.key_value_L2BSD.shape[2:4]
        weights_NLHS = torch.empty(N, L, H, S) if want_weights and S else None
        turns = (None, None) if rotation is None else (rotation.cos.contiguous(), rotation.sin.contiguous())
        step = Step(
            N=N,
            D=D,
            H=H,
            F=self.hidden,
            L=L,
            P=read + 1,
            S=S,
            B=B,
            pre=int(self.pre),
            half=int(self.half),
            epsilon=self.norm.eps if self.norm else 1e-5,
            layers=ctypes.addressof(self.layers),
            last_scale=pointer(self.norm.weight) if self.norm else None,
            last_shift=pointer(self.norm.bias) if self.norm else None,
            cosine=pointer(turns[0]),
            sine=pointer(turns[1]),
            past=ctypes.addressof(past),
            past_rows=ctypes.addressof(past_rows),
            path=pointer(state.path_NP),
            present=pointer(present_L2ND),
            memory=pointer(memory.key_value_L2BSD) if memory else None,
            sentence=pointer(state.sentence_N),
            lengths=pointer(memory.lengths_B) if memory else None,
            x=pointer(x_ND),
            weights=pointer(weights_NLHS),
        )
        space = torch.empty(kernels.room(ctypes.byref(step)))
        step.space = pointer(space)
        kernels.step(ctypes.byref(step))
        log_probs_NV = _room(state.table, N * V).view(N, V)
        places: list[Any] = [pointer(x_ND), pointer(self.output.numbers), pointer(self.bias), pointer(log_probs_NV)]
        room = torch.empty(kernels.block() * D)
        kernels.foresee(N, V, D, *map(ctypes.c_void_p, places), int(self.half), ctypes.c_void_p(pointer(room)))
        path_NP = torch.cat((state.path_NP, torch.arange(N, dtype=torch.int32).unsqueeze(1)), dim=1)
        new = replace(state, past=(*state.past, present_L2ND), path_NP=path_NP)
        return log_probs_NV, new, weights_NLHS

    def _projected(self, memory: Memory) -> KernelMemory:
        L, (B, S, _) = len(self.layers), memory.states_BSD.shape
        both_BSXD = F.linear(memory.states_BSD, torch.cat(self.crosses)).view(B, S, 2 * L, -1)
        key_value_L2BSD = both_BSXD.permute(2, 0, 1, 3).contiguous().view(L, 2, B, S, -1)
        return KernelMemory(key_value_L2BSD, memory.valid_BS.sum(1).to(torch.int32))

    def _layer(self, block: DecoderBlock) -> Layer:
        own, feed = block.attention.multihead, block.feed_forward
        cross = block.cross if self.memory else None
        matrices: dict[str, Tensor] = {
            "own": torch.cat((own.query.weight, own.key.weight, own.value.weight)),
            "own_out": own.output.weight,
            "inner": feed.inner.weight,
            "outer": feed.outer.weight,
            **({"cross": cross.query.weight, "cross_out": cross.output.weight} if cross else {}),
        }
        vectors: dict[str, Tensor] = {
            "inner_bias": padded(self.kernels, feed.inner.bias),
            "outer_bias": padded(self.kernels, feed.outer.bias),
        }
        around = {"own": block.around_attention, "inner": block.around_feed_forward}
        if cross:
            around["cross"] = block.around_cross
        for name, each in around.items():
            vectors[f"{name}_scale"], vectors[f"{name}_shift"] = each.norm.weight.detach(), each.norm.bias.detach()
        packed = {name: Packed.of(self.kernels, matrix, self.half) for name, matrix in matrices.items()}
        self._kept += [packed, vectors]
        pointers = {name: each.numbers for name, each in packed.items()} | vectors
        return Layer(**{name: pointer(tensor) for name, tensor in pointers.items()})


def _room(table: list[Tensor], count: int) -> Tensor:
    """So many numbers of the table, which grows as it has to."""
    if not table or len(table[0]) < count:
        table[:] = [torch.empty(count)]
    return table[0][:count]


_compiled: "WeakKeyDictionary[nn.Module, tuple[object, CompiledDecoder]]" = WeakKeyDictionary()


def compiled(decoder: nn.Module, kernel: Kernel) -> CompiledDecoder | None:
    """The decoder for the kernels; None where they cannot be had, or do not fit it, or ``kernel`` is "plain".

    The weights are laid out once, and again when they have changed.

    Raises:
        InputError: "bfloat16" is asked for where the processor or the compiler has none.
    """
    if kernel == "plain" or not isinstance(decoder, TransformerDecoder) or not _fits(decoder):
        return None
    kernels, half = library(), kernel == "bfloat16"
    if half and (kernels is None or not kernels.has_bfloat16()):
        raise InputError(
            'search.kernel = "bfloat16" needs a C compiler and a processor with AVX-512 BF16; leave it out here'
        )
    if kernels is None:
        return None
    # A tensor made in inference mode counts no changes; nor can it be trained.
    state = [(each.data_ptr(), 0 if each.is_inference() else each._version) for each in decoder.parameters()]
    now = half, state
    known = _compiled.get(decoder)
    if known is None or known[0] != now:
        known = now, CompiledDecoder(decoder, kernels, half)
        _compiled[decoder] = known
    return known[1]


def _fits(decoder: TransformerDecoder) -> bool:
    weight = decoder.output.weight_VD
    plain = weight.device.type == "cpu" and weight.dtype is torch.float32 and not decoder.training
    blocks = list(cast(Iterable[DecoderBlock], decoder.blocks))
    hidden = blocks[0].feed_forward.inner.out_features if blocks else 1
    return plain and bool(blocks) and (decoder.output.width // decoder.heads) % _LANES == 0 and hidden % 2 == 0
