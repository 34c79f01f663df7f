"""The blocks of a Transformer laid out for the compiled kernels (``nn/native/kernels.c``), for a processor.

B sentences · S source positions · R rows, the positions of all sentences one after the other · T positions ·
D width, M of a memory · K width of a head
"""

import ctypes
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from seq2see.errors import InputError
from seq2see.models.contracts import Memory
from seq2see.nn.native.library import Layer, Shape, library, pointer
from seq2see.nn.native.products import Kind, Packed, padded
from seq2see.nn.position import RotaryPosition
from seq2see.nn.transformer import DecoderBlock, EncoderBlock

Block = EncoderBlock | DecoderBlock
Kernel = Literal["auto", "plain", "bfloat16", "int8"]

_LANES = 16  # numbers that a kernel takes together: a head's width is a multiple of it
_NEEDS = {Kind.HALF: "AVX-512 BF16", Kind.BYTES: "AVX-512 VNNI"}


@dataclass(frozen=True, eq=False)
class PackedMemory:
    """What an encoder has made of its sources, without padding: sentence b has the rows from ``first[b]`` on."""

    states_RM: Tensor
    first: Tensor  # [B + 1], int32

    @classmethod
    def of(cls, memory: Memory) -> "PackedMemory":
        """The same without padding."""
        return cls(memory.states_BSD[memory.valid_BS], beginnings(memory.valid_BS.sum(1)))

    @property
    def longest(self) -> int:
        """S"""
        return int(self.first.diff().max())


def beginnings(lengths_B: Tensor) -> Tensor:
    """Where each sentence begins when all lie one after the other, and where the last ends: int32, ``[B + 1]``."""
    first = torch.zeros(len(lengths_B) + 1, dtype=torch.int32)
    first[1:] = lengths_B.cumsum(0)
    return first


@dataclass(frozen=True, eq=False)
class PositionTable:
    """For positions 0, 1, …: what is added to an embedding, and by what queries and keys are turned; None: nothing."""

    count: int
    added_TD: Tensor | None
    cosine: Tensor | None
    sine: Tensor | None


class Positions:
    """The table of a kind of position, as long as it has had to be so far."""

    def __init__(self, position: nn.Module, width: int) -> None:
        self.position, self.width = position, width
        self.table = PositionTable(0, None, None, None)

    def reach(self, count: int) -> PositionTable:
        """A table of at least ``count`` positions. Hold it while a kernel uses it: another thread may want more.

        Raises:
            InputError: there are not so many.
        """
        table = self.table
        if table.count < count:
            table_1TD, rotation = self.position(torch.zeros(1, count, self.width))
            added_TD = None if isinstance(self.position, RotaryPosition) else table_1TD.squeeze(0).contiguous()
            turns = (None, None) if rotation is None else (rotation.cos.contiguous(), rotation.sin.contiguous())
            self.table = table = PositionTable(count, added_TD, *turns)
        return table


class Blocks:
    """Weights of blocks, packed. ``shape`` is what the kernels get."""

    def __init__(self, blocks: Sequence[Block], norm: nn.Module, heads: int, kernels: ctypes.CDLL, kind: Kind) -> None:
        self.kernels, self.kind = kernels, kind
        self._kept: list[object] = []  # what the layers point at
        first, last = blocks[0], norm if isinstance(norm, nn.LayerNorm) else None
        self._layers = (Layer * len(blocks))(*(self._layer(block) for block in blocks))
        self.shape = Shape(
            D=first.feed_forward.inner.in_features,
            H=heads,
            F=first.feed_forward.inner.out_features,
            L=len(blocks),
            pre=int(first.around_attention.pre),
            kind=kind,
            epsilon=first.around_attention.norm.eps,
            layers=ctypes.addressof(self._layers),
            last_scale=pointer(last.weight) if last else None,
            last_shift=pointer(last.bias) if last else None,
        )
        self._kept.append(last)

    def space(self, rows: int, longest: int) -> Tensor:
        """Room for the kernels to compute so many rows in, each of which looks at ``longest`` positions at most."""
        return torch.empty(self.kernels.room(ctypes.byref(self.shape), rows, longest))

    def pack(self, weight_NK: Tensor) -> Packed:
        """A matrix laid out as those of the blocks are."""
        return Packed.of(self.kernels, weight_NK, self.kind)

    def _layer(self, block: Block) -> Layer:
        own, feed = block.attention.multihead, block.feed_forward
        cross = getattr(block, "cross", None)
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
        if isinstance(block, DecoderBlock) and cross:
            around["cross"] = block.around_cross
        for name, each in around.items():
            vectors[f"{name}_scale"], vectors[f"{name}_shift"] = each.norm.weight.detach(), each.norm.bias.detach()
        packed = {name: self.pack(matrix) for name, matrix in matrices.items()}
        self._kept += [packed, vectors]
        pointers = {name: each.numbers for name, each in packed.items()} | vectors
        return Layer(**{name: pointer(tensor) for name, tensor in pointers.items()})


Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class _Known:
    """What was made of a module, and of which weights."""

    kind: Kind
    made: object
    places: tuple[tuple[dict[str, nn.Parameter | None], str], ...]  # where the module's parts keep their weights
    weights: tuple[tuple[int, int], ...]

    def holds(self, kind: Kind) -> bool:
        """Whether the module's weights are still those; quicker than to go through all its parts."""
        return self.kind == kind and self.weights == _weights(self.places)


_known: "WeakKeyDictionary[nn.Module, _Known]" = WeakKeyDictionary()


def laid_out(module: nn.Module, kernel: Kernel, make: Callable[[ctypes.CDLL, Kind], Made]) -> Made | None:
    """What ``make`` has made of the module for the kernels; None where they cannot be had or ``kernel`` is "plain".

    It is made once, and again when the weights have changed.

    Raises:
        InputError: a kind of numbers is asked for which the processor or the compiler does not have.
    """
    if kernel == "plain":
        return None
    kernels = library()
    kind = {"bfloat16": Kind.HALF, "int8": Kind.BYTES}.get(kernel, Kind.SINGLE)
    if kind in _NEEDS and (kernels is None or not kernels.has(kind)):
        raise InputError(
            f'search.kernel = "{kernel}" needs a C compiler and a processor with {_NEEDS[kind]}; leave it out here'
        )
    if kernels is None:
        return None
    known = _known.get(module)
    if known is None or not known.holds(kind):
        places = tuple((part._parameters, name) for part in module.modules() for name in part._parameters)
        known = _Known(kind, make(kernels, kind), places, _weights(places))
        _known[module] = known
    return cast(Made, known.made)


def _weights(places: Iterable[tuple[dict[str, nn.Parameter | None], str]]) -> tuple[tuple[int, int], ...]:
    """Where each weight lies, and how often it was changed."""
    weights = (own[name] for own, name in places)
    # A tensor made in inference mode counts no changes; nor can it be trained.
    return tuple((each.data_ptr(), 0 if each.is_inference() else each._version) for each in weights if each is not None)


def fits(blocks: Sequence[Block], weight: Tensor, training: bool, *inputs: int) -> bool:
    """Whether the kernels can compute such blocks; ``inputs``: widths of what else they read."""
    if weight.device.type != "cpu" or weight.dtype is not torch.float32 or training or not blocks:
        return False
    multihead = blocks[0].attention.multihead
    head = multihead.context_width // multihead.heads
    # bfloat16 takes inputs in pairs.
    return head % _LANES == 0 and all(width % 2 == 0 for width in (blocks[0].feed_forward.inner.out_features, *inputs))
