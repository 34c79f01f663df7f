"""The best labels of a sentence when not every label may follow every other.

S tokens · C labels
"""

import torch
from torch import Tensor

NOT_ALLOWED = float("-inf")


def best_path(log_probs_SC: Tensor, start_C: Tensor, follow_CC: Tensor, end_C: Tensor) -> list[int]:
    """The labels with the highest sum of log-probabilities among the paths that are allowed (Viterbi 1967).

    Boolean, True = allowed: ``start_C[c]`` to begin with c, ``follow_CC[a, c]`` for c right after a, ``end_C[c]`` to
    end with c. Where no path is allowed, the one with the fewest steps that are not, and then the highest sum.
    """
    # A step that is not allowed costs more than all log-probabilities of the sentence together.
    penalty = 2.0 * float(log_probs_SC.double().abs().amax(1).sum()) + 1.0
    follow_cost_CC = (~follow_CC).double() * penalty
    score_C = log_probs_SC[0].double() - (~start_C).double() * penalty
    came_from: list[Tensor] = []
    for log_probs_C in log_probs_SC[1:].double():
        best_C, before_C = (score_C[:, None] - follow_cost_CC).max(0)
        came_from.append(before_C)
        score_C = best_C + log_probs_C
    path = [int((score_C - (~end_C).double() * penalty).argmax())]
    for before_C in reversed(came_from):
        path.append(int(before_C[path[-1]]))
    return path[::-1]


def best_next(log_probs_C: Tensor, allowed_C: Tensor) -> int:
    """The likeliest label that is allowed; where none is, the likeliest."""
    if not bool(allowed_C.any()):
        return int(log_probs_C.argmax())
    return int(torch.where(allowed_C, log_probs_C, NOT_ALLOWED).argmax())
