"""How hypotheses of different lengths are compared.

N rows · S source positions
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings


def length_norm(length: int, settings: SearchSettings) -> float:
    """What a sum of log-probabilities is divided by: length ** length_penalty, the ``<eos>`` counted."""
    try:
        norm: float = float(max(length, 1)) ** settings.length_penalty
    except OverflowError:
        return math.inf
    return norm


def hypothesis_score(log_probs: Sequence[float], coverage: float, settings: SearchSettings) -> float:
    """Sum of the log-probabilities over the length norm, plus the coverage penalty.

    ``fsum`` rounds once, so that the score does not depend on which method or batch found the tokens.
    """
    return math.fsum(log_probs) / length_norm(len(log_probs), settings) + coverage


def coverage_penalty(covered_NS: Tensor, valid_NS: Tensor, strength: float) -> Tensor:
    """The coverage penalty of Wu et al. 2016, equation 14: strength · Σ_s log min(Σ_t w_ts, 1). Shape [N].

    It is 0 where every source position was looked at, and negative otherwise.

    Args:
        covered_NS: attention that each source position has got so far, summed over the steps; of several
            layers and heads the mean.
        valid_NS: True = a source position; False = padding, which nobody has to look at.
        strength: the setting ``coverage_penalty``, β in the paper.
    """
    # A weight may underflow to 0; its logarithm would make the scores of whole sentences -inf and equal.
    seen_NS = covered_NS.clamp(torch.finfo(covered_NS.dtype).tiny, 1.0)
    return strength * seen_NS.log().masked_fill(~valid_NS, 0.0).sum(dim=-1)
