"""Greedy search: the likeliest token, every time.

N rows · V vocabulary
"""

from torch import Tensor

from seq2see.search.hypothesis import Hypothesis
from seq2see.search.request import Request
from seq2see.search.walk import walk


def greedy(request: Request) -> list[list[Hypothesis]]:
    """One hypothesis for each sentence. Of equally likely tokens the one with the lowest number is taken."""
    return walk(request, 1, _likeliest)


def _likeliest(log_probs_NV: Tensor, slot_N: Tensor, position: int) -> Tensor:
    return log_probs_NV.argmax(dim=-1)
