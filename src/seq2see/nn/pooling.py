"""From the states of a whole text to one vector: their mean, their maximum, or what an attention makes of them.

B sentences · S source positions · D width. Masks are Boolean, True = may be used. A text of which nothing may be
used gives zeros.
"""

import torch
from torch import Tensor, nn

from seq2see.nn.attention import additive_scores, linear, masked_softmax


def mean(states_BSD: Tensor, allowed_BS: Tensor) -> Tensor:
    """``[B, D]``: the mean of the allowed states."""
    count_B1 = allowed_BS.sum(1, keepdim=True).clamp(min=1)
    return (states_BSD * allowed_BS.unsqueeze(-1)).sum(1) / count_B1


def maximum(states_BSD: Tensor, allowed_BS: Tensor) -> Tensor:
    """``[B, D]``: the largest value of each component over all allowed states (Collobert et al. 2011)."""
    lowest = torch.finfo(states_BSD.dtype).min
    largest_BD = states_BSD.masked_fill(~allowed_BS.unsqueeze(-1), lowest).amax(1)
    return largest_BD.masked_fill(~allowed_BS.any(1, keepdim=True), 0.0)


class AttentionPooling(nn.Module):
    """One learned query asks every state: α = softmax(vᵀ tanh(q + U h_s)), and the vector is Σ α_s h_s.

    Bahdanau et al. 2015, section A.1.2, with one query for all texts; Yang et al. 2016, equations 5 to 7.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.key = linear(width, width)
        self.query_D = nn.Parameter(torch.zeros(width))
        self.score_D = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))

    def forward(self, states_BSD: Tensor, allowed_BS: Tensor) -> tuple[Tensor, Tensor]:
        """The vector ``[B, D]`` and the weights ``[B, S]``, which sum to 1 over what is allowed."""
        query_B1D = self.query_D.expand(len(states_BSD), 1, -1)
        scores_B1S = additive_scores(query_B1D, self.key(states_BSD), self.score_D)
        weights_B1S = masked_softmax(scores_B1S.unsqueeze(1), allowed_BS.unsqueeze(1)).squeeze(1)
        return (weights_B1S @ states_BSD).squeeze(1), weights_B1S.squeeze(1)
