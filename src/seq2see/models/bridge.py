"""From an encoder's final state to a decoder's first one.

B sentences · S source positions · L layers · D width.
"""

import torch
from torch import Tensor, nn

from seq2see.models.contracts import FinalShape
from seq2see.nn.attention import linear
from seq2see.nn.recurrent import RecurrentState


class Bridge(nn.Module):
    """Hands the final state on as it is where cell, layers and width are the same; else tanh(W s + b).

    s is the top layer's final state (hidden and cell side by side); the result is cut into every layer's
    hidden and cell state.
    """

    def __init__(self, source: FinalShape, target: FinalShape) -> None:
        super().__init__()
        self.target = target
        self.cells = target.cell == "lstm"
        self.fits = source == target
        if not self.fits:
            inputs = source.width * (2 if source.cell == "lstm" else 1)
            outputs = target.layers * target.width * (2 if self.cells else 1)
            self.linear = linear(inputs, outputs)
            self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, final: RecurrentState) -> RecurrentState:
        """``[L, B, D]`` of the encoder to ``[L, B, D]`` of the decoder."""
        if self.fits:
            return final
        top = final.hidden_LND[-1]
        if final.cell_LND is not None:
            top = torch.cat((top, final.cell_LND[-1]), dim=-1)
        bridged: Tensor = torch.tanh(self.linear(top) + self.bias)
        parts = torch.unflatten(bridged, -1, (2 if self.cells else 1, self.target.layers, self.target.width))
        hidden_LBD, *cells_LBD = (part_BLD.transpose(0, 1).contiguous() for part_BLD in parts.unbind(1))
        return RecurrentState(hidden_LBD, cells_LBD[0] if cells_LBD else None)


def mean_state(states_BSD: Tensor, valid_BS: Tensor) -> RecurrentState:
    """A final state for encoders that end nowhere: the mean of the valid states, zero for an empty sentence.

    States at padding must be zero.
    """
    length_B1 = valid_BS.sum(1, keepdim=True).clamp(min=1)
    return RecurrentState((states_BSD.sum(1) / length_B1).unsqueeze(0), None)
