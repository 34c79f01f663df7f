"""Dropout (Srivastava et al. 2014), several times faster on a processor than ``nn.Dropout``.

On a CPU torch draws one double for each element, one after the other; for small models that costs as much
as a large matrix product. Here each 64-bit draw of torch's own generator serves four elements, so the
sequence still follows ``torch.manual_seed`` and a saved generator state.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 1 << 16  # values of one 16-bit draw


def drop(values: Tensor, share: float) -> Tensor:
    """Zeroes each element with probability ``share``, independently; the rest grows so that the mean stays.

    On a CPU ``share`` is rounded to a multiple of 1/65536, and the growth is that of the rounded share: the
    expectation is exact.
    """
    if values.device.type != "cpu":
        return F.dropout(values, share)
    dropped = round(share * LEVELS)
    draws = torch.empty((values.numel() + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None)
    keep = draws.view(torch.int16)[: values.numel()] >= dropped - LEVELS // 2
    # A mask of the values' own type: torch multiplies numbers by Booleans element by element.
    mask = keep.view(values.shape).to(values.dtype)
    return values * mask * (LEVELS / (LEVELS - dropped))


class Dropout(nn.Module):
    """``drop`` while training, nothing otherwise."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Any shape; the result has the same."""
        return drop(values, self.share) if self.training and self.share else values

    def extra_repr(self) -> str:
        return f"{self.share}"
