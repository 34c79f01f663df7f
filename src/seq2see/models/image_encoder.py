"""A residual network that reads a picture, and leaves a state for each place of its map.

B pictures · C colour channels · H height · W width · S places, row by row · D width, P + Q · F features ·
I, J rows and columns of places.
"""

import torch
from torch import Tensor, nn

from seq2see.config.images import ConvolutionalEncoder, PictureSize
from seq2see.models.bridge import mean_state
from seq2see.models.contracts import FinalShape, Memory, MemoryShape
from seq2see.nn.convolution import ResidualNetwork, places
from seq2see.nn.dropout import Dropout
from seq2see.nn.position import angles


class PictureScale(nn.Module):
    """From 0 … 255 to numbers about zero, by the mean and the spread of the pictures that were trained on.

    They are part of the weights: a model carries them with it.
    """

    mean_C: Tensor
    spread_C: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean_C", torch.full((channels,), 127.5))
        self.register_buffer("spread_C", torch.full((channels,), 64.0))

    def learn(self, pictures_BCHW: Tensor) -> None:
        """Take mean and spread from these pictures."""
        values_BCHW = pictures_BCHW.double()
        self.mean_C.copy_(values_BCHW.mean(dim=(0, 2, 3)))
        self.spread_C.copy_(values_BCHW.std(dim=(0, 2, 3), correction=0).clamp(min=1.0))

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """uint8 to float."""
        scaled_BCHW = (pictures_BCHW.to(self.mean_C.dtype) - self.mean_C[:, None, None]) / self.spread_C[:, None, None]
        return scaled_BCHW.contiguous(memory_format=torch.channels_last)


class ImageEncoder(nn.Module):
    """Pictures to a memory (Xu et al. 2015, section 3.1.1): any decoder can look at its places as at words.

    States: the features of a place through a linear layer and a layer norm, with sines and cosines of its row (the
    first half of D) and of its column (the second). The final state is their mean, from which a decoder's bridge
    makes its first state (section 3.1.2).
    """

    def __init__(self, settings: ConvolutionalEncoder, picture: PictureSize, dropout: float) -> None:
        super().__init__()
        self.shape = MemoryShape(settings.width, FinalShape(None, 1, settings.width))
        self.rows, self.columns = places(picture.height, picture.width, settings.strides)
        self.scale = PictureScale(picture.channels)
        self.network = ResidualNetwork(picture.channels, settings.channels, settings.strides, settings.blocks)
        self.project = nn.Linear(self.network.outputs, settings.width)
        self.norm = nn.LayerNorm(settings.width)
        self.dropout = Dropout(dropout)

    def forward(self, pictures_BCHW: Tensor) -> Memory:
        """uint8 ``[B, C, H, W]`` to a memory of S = rows · columns places, all of which may be used."""
        map_BFIJ = self.network(self.scale(pictures_BCHW))
        features_BSF = map_BFIJ.flatten(2).transpose(1, 2)
        states_BSD = self.norm(self.project(features_BSF))
        states_BSD = self.dropout(states_BSD + self._position(states_BSD))
        valid_BS = torch.ones(states_BSD.shape[:2], dtype=torch.bool, device=states_BSD.device)
        return Memory(states_BSD, valid_BS, mean_state(states_BSD, valid_BS), {})

    def _position(self, like_BSD: Tensor) -> Tensor:
        """``[S, D]``: where each place is."""
        D = like_BSD.shape[2]
        row_IP = _waves(self.rows, D // 2, like_BSD)
        column_JQ = _waves(self.columns, D - D // 2, like_BSD)
        row_IJP = row_IP[:, None].expand(-1, self.columns, -1)
        column_IJQ = column_JQ[None].expand(self.rows, -1, -1)
        return torch.cat((row_IJP, column_IJQ), dim=2).flatten(0, 1)


def _waves(count: int, width: int, like: Tensor) -> Tensor:
    """Sines and cosines in turn, as of the positions in a text (Vaswani et al. 2017, section 3.5)."""
    turns = angles(0, count, width, like)
    return torch.stack((turns.sin(), turns.cos()), dim=-1).flatten(1)[:, :width].to(like.dtype)
