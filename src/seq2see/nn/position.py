"""Where a token stands, for layers that cannot tell: sinusoidal and learned vectors, and rotary turns.

B sentences · T positions · P positions there are · D width · H heads · K width of a head.

Every kind is called alike: ``(embedded_BTD, offset)`` to the vectors that go on and, for rotary positions,
the rotation for self-attention. ``offset`` is the number of tokens read before: not zero in step-by-step use.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from seq2see.errors import InputError

LEARNED_POSITIONS = 1024

PositionKind = Literal["sinusoidal", "learned", "rotary"]


class Rotation(NamedTuple):
    """The turn of each pair of components at each position: two tensors ``[T, K / 2]``."""

    cos: Tensor
    sin: Tensor

    def turn(self, vectors_BHTK: Tensor) -> Tensor:
        """Turns components (0, 1), (2, 3), … by their position's angles (Su et al. 2021, equation 34).

        A query and a key so turned have a dot product that depends on their distance only.
        """
        even, odd = torch.unflatten(vectors_BHTK, -1, (-1, 2)).unbind(-1)
        turned = torch.stack((even * self.cos - odd * self.sin, even * self.sin + odd * self.cos), dim=-1)
        return turned.flatten(-2).to(vectors_BHTK.dtype)


def angles(offset: int, count: int, width: int, like: Tensor) -> Tensor:
    """``[count, width / 2]``: position / 10000^(2i / width), on ``like``'s device, at least in float32."""
    precision = torch.promote_types(like.dtype, torch.float32)
    positions = torch.arange(offset, offset + count, device=like.device, dtype=precision)
    halves = torch.arange(0, width, 2, device=like.device, dtype=precision)
    return torch.outer(positions, 10_000 ** (-halves / width))


class SinusoidalPosition(nn.Module):
    """Adds sines and cosines of wavelengths from 2π to 20000π (Vaswani et al. 2017, section 3.5)."""

    def forward(self, embedded_BTD: Tensor, offset: int = 0) -> tuple[Tensor, None]:
        """Even components are sines, odd ones cosines; an odd D leaves out the last cosine."""
        T, D = embedded_BTD.shape[1:]
        turns = angles(offset, T, D, embedded_BTD)
        table_TD = torch.stack((turns.sin(), turns.cos()), dim=-1).flatten(1)[:, :D]
        return embedded_BTD + table_TD.to(embedded_BTD.dtype), None


class LearnedPosition(nn.Module):
    """Adds one learned vector a position; there are only so many."""

    def __init__(self, width: int, limit: int = LEARNED_POSITIONS) -> None:
        super().__init__()
        self.weight_PD = nn.Parameter(torch.empty(limit, width).normal_(std=width**-0.5))

    def forward(self, embedded_BTD: Tensor, offset: int = 0) -> tuple[Tensor, None]:
        """``InputError`` beyond the last learned position."""
        end = offset + embedded_BTD.shape[1]
        if end > len(self.weight_PD):
            raise InputError(
                f"a sentence needs {end} positions, but this model has learned {len(self.weight_PD)}; "
                f'shorten it, or train with position = "sinusoidal" or "rotary", which have no limit'
            )
        return embedded_BTD + self.weight_PD[offset:end], None


class RotaryPosition(nn.Module):
    """Adds nothing; its rotation turns the queries and keys of every self-attention."""

    def __init__(self, head_width: int) -> None:
        super().__init__()
        if head_width % 2:
            raise InputError(
                f"rotary positions turn pairs of components, and a head of width {head_width} has an odd one "
                f"left; choose a width that gives each head an even share"
            )
        self.head_width = head_width

    def forward(self, embedded_BTD: Tensor, offset: int = 0) -> tuple[Tensor, Rotation]:
        """The embeddings as they are, and the rotation at their positions."""
        turns = angles(offset, embedded_BTD.shape[1], self.head_width, embedded_BTD)
        return embedded_BTD, Rotation(turns.cos(), turns.sin())


def position(kind: PositionKind, width: int, heads: int) -> nn.Module:
    """The kind of position a setting names."""
    match kind:
        case "sinusoidal":
            return SinusoidalPosition()
        case "learned":
            return LearnedPosition(width)
        case "rotary":
            return RotaryPosition(width // heads)
