"""From tokens to vectors and from vectors to scores over the vocabulary; the two may share their weights.

B sentences · T positions · N rows · D width · V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2see.nn.native.prediction import Predictor

PAD = 0  # the token that stands where no token is
_UNSEEN = 0.1  # how often a token that does not occur is taken to occur


def token_weights(vocabulary: int, width: int) -> nn.Parameter:
    """One vector a token, N(0, 1/width): as an output layer they give logits of about unit variance."""
    return nn.Parameter(torch.empty(vocabulary, width).normal_(std=width**-0.5))


class Embedding(nn.Module):
    """Looks tokens up; PAD is exactly zero even where the weights are shared with an output layer.

    ``scaled`` multiplies by √D (Vaswani et al. 2017, section 3.4): unit variance, to stand beside positions.
    """

    def __init__(self, weight_VD: nn.Parameter, *, scaled: bool) -> None:
        super().__init__()
        self.weight_VD = weight_VD
        self.vocabulary, self.width = weight_VD.shape
        self.scale = self.width**0.5 if scaled else 1.0

    def forward(self, tokens: Tensor) -> Tensor:
        """Integers of any shape, below V; one more dimension comes back: ``[B, T]`` gives ``[B, T, D]``."""
        factor = (tokens != PAD).to(self.weight_VD.dtype) * self.scale
        return F.embedding(tokens, self.weight_VD, padding_idx=PAD) * factor.unsqueeze(-1)


def zero_padding(values_BTD: Tensor, valid_BT: Tensor) -> Tensor:
    """The same, with zeros where ``valid_BT`` is False."""
    # As numbers of the same type: torch multiplies across types element by element.
    return values_BTD * valid_BT.unsqueeze(-1).to(values_BTD.dtype)


class OutputLayer(nn.Module):
    """Hidden state to one logit a token of the vocabulary.

    ``predictor``: kernels that compute the cross-entropy, in the twin of a model that is trained with them.
    """

    predictor: Predictor | None = None

    def __init__(self, weight_VD: nn.Parameter) -> None:
        super().__init__()
        self.weight_VD = weight_VD
        self.vocabulary, self.width = weight_VD.shape
        self.bias_V = nn.Parameter(torch.zeros(self.vocabulary))

    def forward(self, hidden: Tensor) -> Tensor:
        """``[..., D]`` gives ``[..., V]``."""
        return F.linear(hidden, self.weight_VD, self.bias_V)

    @torch.no_grad()
    def expect(self, counts_V: Tensor) -> None:
        """Begin with tokens as likely as they are in the data, instead of all alike: a log-probability is a bias."""
        smoothed_V = counts_V.double() + _UNSEEN
        self.bias_V.copy_((smoothed_V / smoothed_V.sum()).log())
