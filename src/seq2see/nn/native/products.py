"""What the kernels in C do with tensors, each beside what PyTorch does (``kernels.c`` says how).

N rows · V vocabulary · K inputs · C values of a row
"""

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2see.nn.native.library import LARGEST_COUNT, loaded, pointer


@dataclass(frozen=True, eq=False)
class Packed:
    """A matrix ``[N, K]`` laid out for the kernels, in float32 or rounded to bfloat16."""

    numbers: Tensor
    outputs: int
    inputs: int

    @classmethod
    def of(cls, kernels: ctypes.CDLL, weight_NK: Tensor, half: bool) -> "Packed":
        """Lay out ``weight_NK``; with ``half``, K has to be even."""
        weight_NK = weight_NK.detach().float().contiguous()
        N, K = weight_NK.shape
        panel = kernels.panel()
        kind = torch.bfloat16 if half else torch.float32
        numbers = torch.empty(-(-N // panel) * panel * K, dtype=kind)
        kernels.pack(ctypes.c_void_p(pointer(weight_NK)), N, K, ctypes.c_void_p(pointer(numbers)), int(half))
        return cls(numbers, N, K)


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
