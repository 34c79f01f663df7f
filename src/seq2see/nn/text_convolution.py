"""Convolutions of several widths over a text, side by side.

B sentences · S source positions · D width of the input · F filters of one width · C = F for each width · K window.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TextConvolution(nn.Module):
    """c_s = max(0, w · x_{s-⌊(K-1)/2⌋ … s+⌊K/2⌋} + b) for every position, filter and window (Kim 2014, equation 2).

    Beyond both ends stand zeros, so that there are as many outputs as inputs.
    """

    def __init__(self, width: int, filters: int, windows: Sequence[int]) -> None:
        super().__init__()
        self.width = filters * len(windows)
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(filters, width, window)) for window in windows)
        self.bias_C = nn.Parameter(torch.zeros(self.width))
        for weight in self.weights:
            nn.init.kaiming_uniform_(weight, nonlinearity="relu")

    def forward(self, input_BSD: Tensor) -> Tensor:
        """``[B, S, C]``. Positions that hold nothing must be zero."""
        input_BDS = input_BSD.transpose(1, 2)
        output_BCS = torch.cat([convolved(input_BDS, weight) for weight in self.weights], dim=1)
        return (output_BCS.transpose(1, 2) + self.bias_C).relu()

    def extra_repr(self) -> str:
        return ", ".join(f"{weight.shape[0]} of window {weight.shape[2]}" for weight in self.weights)


def convolved(input_BDS: Tensor, weight_FDK: Tensor) -> Tensor:
    """One window's sums ``[B, F, S]``; of an even window one position more lies behind than before."""
    window = weight_FDK.shape[2]
    return F.conv1d(F.pad(input_BDS, ((window - 1) // 2, window // 2)), weight_FDK)
