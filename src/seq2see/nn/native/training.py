"""The blocks of a Transformer in training, computed by kernels in C (``training.c``), with their gradients.

B sentences · R rows, the positions of all sentences one after the other · S rows of the memory · D width · M width of
the memory
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seq2see.nn.native.library import pointer, training_library
from seq2see.nn.native.threads import Rooms, cut_like, side_by_side, summed
from seq2see.nn.position import Rotation
from seq2see.nn.transformer import DecoderBlock, EncoderBlock

Block = EncoderBlock | DecoderBlock

_PANEL, _LANES = 32, 16  # widths of layers, and of heads, are multiples of these


class _Stack(ctypes.Structure):
    """``struct stack`` of training.c."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("D", "M", "H", "F", "L", "pre", "causal", "seed")),
        *((name, ctypes.c_float) for name in ("epsilon", "dropout")),
        *((name, ctypes.c_void_p) for name in ("weights", "packed", "cosine", "sine")),
    ]


class _Part(ctypes.Structure):
    """``struct part`` of training.c."""

    _fields_ = [
        ("stack", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in ("B", "row")),
        *(
            (name, ctypes.c_void_p)
            for name in ("first", "source", "memory", "x", "memory_gradient", "gradients", "kept", "space")
        ),
    ]


@dataclass(frozen=True, eq=False)
class Stack:
    """Blocks and the norm behind them (or none), as the kernels compute them."""

    kernels: ctypes.CDLL
    blocks: Sequence[Block]
    norm: nn.LayerNorm | None
    causal: bool
    rooms: Rooms

    @property
    def parameters(self) -> list[Tensor | None]:
        """In the order of training.c; None where a block has no attention to a memory."""
        found: list[Tensor | None] = []
        for block in self.blocks:
            own, feed = block.attention.multihead, block.feed_forward
            cross, around = getattr(block, "cross", None), getattr(block, "around_cross", None)
            found += [own.query.weight, own.key.weight, own.value.weight, own.output.weight]
            parts = (cross.query, cross.key, cross.value, cross.output) if cross is not None else (None,) * 4
            found += [None if part is None else part.weight for part in parts]
            found += [feed.inner.weight, feed.inner.bias, feed.outer.weight, feed.outer.bias]
            for each in (block.around_attention, around, block.around_feed_forward):
                found += [None, None] if each is None else [each.norm.weight, each.norm.bias]
        return found + ([None, None] if self.norm is None else [self.norm.weight, self.norm.bias])

    def __call__(
        self,
        x_RD: Tensor,
        first: Tensor,
        memory_SM: Tensor | None = None,
        source: Tensor | None = None,
        rotation: Rotation | None = None,
    ) -> Tensor:
        """Hidden states ``[R, D]`` of embeddings.

        Sentence b has the rows from ``first[b]`` to before ``first[b + 1]``, of the memory those from ``source[b]`` on;
        both are int32, ``[B + 1]``. Dropout follows torch's generator.
        """
        given = [each for each in self.parameters if each is not None]
        hidden_RD: Tensor = _Blocks.apply(  # type: ignore[no-untyped-call]
            self, first, source, rotation, x_RD, memory_SM, *given
        )
        return hidden_RD


def stack(blocks: Sequence[Block], norm: nn.Module, causal: bool, memory: int) -> Stack | None:
    """The blocks for the kernels, or None where these do not fit or cannot be had. ``memory``: its width, or 0."""
    multihead, feed = blocks[0].attention.multihead, blocks[0].feed_forward
    widths = (multihead.context_width, feed.inner.out_features, memory)
    fits = all(width % _PANEL == 0 for width in widths) and (widths[0] // multihead.heads) % _LANES == 0
    weights = [each for block in blocks for each in block.parameters()]
    if not fits or any(each.device.type != "cpu" or each.dtype is not torch.float32 for each in weights):
        return None
    kernels = training_library()
    if kernels is None:
        return None
    return Stack(kernels, blocks, norm if isinstance(norm, nn.LayerNorm) else None, causal, Rooms())


class _Blocks(torch.autograd.Function):
    """All blocks at once; each thread has some of the sentences."""

    @staticmethod
    def forward(
        ctx: Any,
        stack: Stack,
        first: Tensor,
        source: Tensor | None,
        rotation: Rotation | None,
        x_RD: Tensor,
        memory_SM: Tensor | None,
        *weights: Tensor,
    ) -> Tensor:
        hidden_RD = x_RD.detach().float().contiguous().clone()
        memory_SM = None if memory_SM is None else memory_SM.detach().float().contiguous()
        ctx.run = run = _Run(stack, first, source, rotation, hidden_RD, memory_SM)
        run.forward(hidden_RD)
        ctx.save_for_backward(*weights)  # so that a change in between is found out
        return hidden_RD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_RD: Tensor) -> tuple[Tensor | None, ...]:
        weights, run = ctx.saved_tensors, ctx.run
        ctx.run = None  # it works in what it kept: there is no second time
        gradient_RD = gradient_RD.float().contiguous().clone()
        memory_SM, flat = run.backward(gradient_RD)
        return (None, None, None, None, gradient_RD, memory_SM, *cut_like(flat, weights))


class _Run:
    """One pass forward and back over a batch."""

    def __init__(
        self,
        stack: Stack,
        first: Tensor,
        source: Tensor | None,
        rotation: Rotation | None,
        x_RD: Tensor,
        memory_SM: Tensor | None,
    ) -> None:
        block = stack.blocks[0]
        parameters = stack.parameters
        self.stack, self.memory_SM = stack, memory_SM
        self.turns = (None, None) if rotation is None else tuple(each.float().contiguous() for each in rotation)
        self.pointers = (ctypes.c_void_p * len(parameters))(*(pointer(each) for each in parameters))
        self.shape = _Stack(
            D=x_RD.shape[1],
            M=0 if memory_SM is None else memory_SM.shape[1],
            H=block.attention.multihead.heads,
            F=block.feed_forward.inner.out_features,
            L=len(stack.blocks),
            pre=int(block.around_attention.pre),
            causal=int(stack.causal),
            seed=int(torch.randint(1 << 31, ())),
            epsilon=block.around_attention.norm.eps,
            dropout=block.around_attention.dropout.share,
            weights=ctypes.addressof(self.pointers),
            cosine=pointer(self.turns[0]),
            sine=pointer(self.turns[1]),
        )
        self.size = sum(each.numel() for each in parameters if each is not None)
        rooms, kernels = stack.rooms, stack.kernels
        self.packed = rooms.take(2 * kernels.stack_room(ctypes.byref(self.shape)))
        self.shape.packed = pointer(self.packed)
        kernels.stack_pack(ctypes.byref(self.shape))
        cuts = _cuts(first, torch.get_num_threads())
        self.spans = [(int(first[a]), int(first[b])) for a, b in cuts]
        self.firsts = [(first[a : b + 1] - first[a]).contiguous() for a, b in cuts]
        self.sources, self.source_spans = [], []
        if source is not None:
            self.sources = [(source[a : b + 1] - source[a]).contiguous() for a, b in cuts]
            self.source_spans = [(int(source[a]), int(source[b])) for a, b in cuts]
        parts = [self._part(number) for number in range(len(cuts))]
        self.kept = [rooms.take(kernels.part_kept(ctypes.byref(part))) for part in parts]
        self.spaces = [kernels.part_space(ctypes.byref(part)) for part in parts]

    def forward(self, hidden_RD: Tensor) -> None:
        """Embeddings become hidden states, in place."""
        self._compute("part_forward", hidden_RD, None, [])

    def backward(self, gradient_RD: Tensor) -> tuple[Tensor | None, Tensor]:
        """From the gradient of hidden states to that of embeddings, in place; gives those of memory and parameters."""
        memory_SM = None if self.memory_SM is None else torch.empty_like(self.memory_SM)
        rooms = self.stack.rooms
        flat = summed(
            rooms, len(self.spans), self.size, partial(self._compute, "part_backward", gradient_RD, memory_SM)
        )
        rooms.give(self.packed, *self.kept)
        return memory_SM, flat

    def _compute(self, kernel: str, x_RD: Tensor, memory_gradient_SM: Tensor | None, flats: list[Tensor]) -> None:
        rooms = [self.stack.rooms.take(size) for size in self.spaces]
        parts = []
        for number, (start, _) in enumerate(self.spans):
            part = self._part(number)
            part.x = pointer(x_RD[start:])
            part.kept, part.space = pointer(self.kept[number]), pointer(rooms[number])
            if self.memory_SM is not None:
                part.memory = pointer(self.memory_SM[self.source_spans[number][0] :])
            if memory_gradient_SM is not None:
                part.memory_gradient = pointer(memory_gradient_SM[self.source_spans[number][0] :])
            if flats:
                part.gradients = pointer(flats[number])
            parts.append(part)
        side_by_side(self.stack.kernels, kernel, parts)
        self.stack.rooms.give(*rooms)

    def _part(self, number: int) -> _Part:
        first = self.firsts[number]
        source = self.sources[number] if self.sources else None
        return _Part(
            stack=ctypes.addressof(self.shape),
            B=len(first) - 1,
            row=self.spans[number][0],
            first=pointer(first),
            source=pointer(source),
        )


def _cuts(first: Tensor, count: int) -> list[tuple[int, int]]:
    """Sentences dealt out to so many threads, about as many rows to each: first, and behind the last."""
    rows = int(first[-1])
    wanted = torch.tensor([rows * part / count for part in range(1, count)])
    inner = torch.searchsorted(first.float().contiguous(), wanted).tolist()
    return [(a, b) for a, b in pairwise([0, *inner, len(first) - 1]) if b > a]
