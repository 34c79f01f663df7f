"""Convolutions that add to what they read: the residual block (He et al. 2016).

B pictures · C channels · H, I height before and after · W, J width before and after.

The norm is GroupNorm (Wu and He 2018), which looks at one picture alone. With BatchNorm a picture's numbers would
depend on the others of its batch while training, so that halved batches, batches shared by several processes and a
resumed run would give another gradient, and on running means beside the weights, which averaging leaves behind.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_GROUP = 8  # channels at least that share a mean and a variance, where there are so many


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with groups of at least eight channels, all of one size."""
    return nn.GroupNorm(max(1, math.gcd(channels, max(1, channels // _GROUP))), channels)


class Convolution(nn.Module):
    """``side`` × ``side`` weights without bias; zeros around the picture keep H and W at stride 1.

    Weights begin normal with variance 2 / (inputs · side²) (He et al. 2015, equation 10). Channels stand last in
    memory, which spares a processor a third of the time of a training step: it need not lay pictures and weights
    out anew. The parameter itself stays as everywhere else, so that a resumed optimiser adds up in the same order.
    """

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.padding = stride, side // 2
        self.weight = nn.Parameter(torch.empty(outputs, inputs, side, side))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` to ``[B, outputs, ⌈H / stride⌉, ⌈W / stride⌉]``."""
        weight = self.weight.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x_BCHW, weight, stride=self.stride, padding=self.padding)


class ResidualBlock(nn.Module):
    """y = s(x) + W₂ * relu(norm(W₁ * relu(norm(x)))): full pre-activation (He et al. 2016b, figure 4e).

    Nothing stands on the way from x to y, so a deep stack learns without a warm-up. Where channels or size change, s
    is a convolution of 1 × 1 on relu(norm(x)); elsewhere it is x itself.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first_norm = group_norm(inputs)
        self.first = Convolution(inputs, outputs, 3, stride)
        self.second_norm = group_norm(outputs)
        self.second = Convolution(outputs, outputs, 3)
        self.shortcut = Convolution(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, outputs, I, J]``, with I = ⌈H / stride⌉ and J = ⌈W / stride⌉."""
        active_BCHW = torch.relu(self.first_norm(x_BCHW))
        update = self.second(torch.relu(self.second_norm(self.first(active_BCHW))))
        kept = x_BCHW if self.shortcut is None else self.shortcut(active_BCHW)
        return cast(Tensor, kept + update)


class ResidualNetwork(nn.Module):
    """A convolution, stages of residual blocks, a norm: pictures to a map of features.

    ``channels`` and ``strides`` have an entry for each stage, whose first block divides height and width.
    """

    def __init__(self, inputs: int, channels: tuple[int, ...], strides: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.stem = Convolution(inputs, channels[0], 3)
        widths = (channels[0], *channels)
        self.blocks = nn.ModuleList(
            ResidualBlock(
                widths[stage] if block == 0 else widths[stage + 1], widths[stage + 1], stride if block == 0 else 1
            )
            for stage, stride in enumerate(strides)
            for block in range(blocks)
        )
        self.norm = group_norm(channels[-1])
        self.outputs = channels[-1]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` to ``[B, channels[-1], I, J]``, H and W divided by every stride, rounded up."""
        x = self.stem(x_BCHW.contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            x = block(x)
        return torch.relu(self.norm(x))


def places(height: int, width: int, strides: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the map that :class:`ResidualNetwork` makes of a picture."""
    for stride in strides:
        height, width = -(-height // stride), -(-width // stride)
    return height, width
