"""What the kernels in C do with tensors, each beside what PyTorch does (``kernels.c`` says how).

M, N rows · V vocabulary · K inputs, N outputs of a matrix · C values of a row
"""

import ctypes
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor

from seq2see.nn.native.library import LARGEST_COUNT, loaded, pointer


class Kind(IntEnum):
    """What the numbers of a packed matrix are. In BYTES those of the inputs are rounded row by row, too."""

    SINGLE = 0  # float32
    HALF = 1  # bfloat16
    BYTES = 2  # 8-bit integers, and a scale for each output


@dataclass(frozen=True, eq=False)
class Packed:
    """A matrix ``[N, K]`` laid out for the kernels."""

    numbers: Tensor
    outputs: int
    inputs: int
    kind: Kind

    @classmethod
    def of(cls, kernels: ctypes.CDLL, weight_NK: Tensor, kind: Kind) -> "Packed":
        """Lay out ``weight_NK``; for HALF, K has to be even."""
        weight_NK = weight_NK.detach().float().contiguous()
        N, K = weight_NK.shape
        numbers = torch.empty(kernels.packed_bytes(N, K, kind), dtype=torch.uint8)
        kernels.pack(ctypes.c_void_p(pointer(weight_NK)), N, K, ctypes.c_void_p(pointer(numbers)), kind)
        return cls(numbers, N, K, kind)


def product(kernels: ctypes.CDLL, x_MK: Tensor, packed: Packed, out_MN: Tensor | None = None) -> Tensor:
    """x Wᵀ, ``[M, N]``, written to ``out_MN`` where that is given."""
    M, N, K = len(x_MK), packed.outputs, packed.inputs
    out_MN = torch.empty(M, N) if out_MN is None else out_MN
    space = torch.empty(M * (K + 4))
    places: list[Any] = [pointer(x_MK), pointer(packed.numbers), None, pointer(out_MN)]
    kernels.linear(M, N, K, *map(ctypes.c_void_p, places), packed.kind, ctypes.c_void_p(pointer(space)))
    return out_MN


def padded(kernels: ctypes.CDLL, bias_N: Tensor) -> Tensor:
    """A bias with zeros up to a whole panel."""
    panel = kernels.panel()
    whole = bias_N.new_zeros(-(-len(bias_N) // panel) * panel, dtype=torch.float32)
    whole[: len(bias_N)] = bias_N.detach()
    return whole


def largest(values_NV: Tensor, count: int) -> tuple[Tensor, Tensor] | None:
    """The ``count`` largest values of each row, largest first, and their columns; of equal ones the lower first.

    None where the kernels are not there or do not fit.
    """
    kernels = loaded()
    fits = values_NV.device.type == "cpu" and values_NV.dtype is torch.float32 and values_NV.is_contiguous()
    if kernels is None or not fits or not 0 < count <= min(LARGEST_COUNT, values_NV.shape[1]):
        return None
    N, V = values_NV.shape
    values_NC, columns_NC = torch.empty(N, count), torch.empty(N, count, dtype=torch.long)
    kernels.largest(
        ctypes.c_void_p(pointer(values_NV)),
        N,
        V,
        count,
        ctypes.c_void_p(pointer(values_NC)),
        ctypes.c_void_p(pointer(columns_NC)),
    )
    return values_NC, columns_NC
