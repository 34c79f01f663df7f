"""Greedy search: the likeliest token, every time.

N rows · V vocabulary
"""

from torch import Tensor

from seq2see.search.hypothesis import Hypothesis
from seq2see.search.request import Request, nothing_else
from seq2see.search.score import hypothesis_score
from seq2see.search.walk import walk
from seq2see.text.tokeniser import EOS


def greedy(request: Request) -> list[list[Hypothesis]]:
    """One hypothesis for each sentence. Of equally likely tokens the one with the lowest number is taken."""
    found = _at_once(request)
    return walk(request, 1, _likeliest) if found is None else found


def _at_once(request: Request) -> list[list[Hypothesis]] | None:
    """What the model writes by itself; None where it cannot, or more is asked than it can obey."""
    settings, rules = request.settings, nothing_else(request)
    if request.write is None or rules is None:
        return None
    request.check()
    written = request.write(request.state, request.max_lengths, rules.never, rules.least, request.shortlists)
    if written is None:
        return None
    return [
        [
            Hypothesis(
                tuple(tokens),
                tuple(log_probs),
                hypothesis_score(log_probs, 0.0, settings),
                "eos" if tokens[-1] == EOS else "length",
            )
        ]
        for tokens, log_probs in written
    ]


def _likeliest(log_probs_NV: Tensor, slot_N: Tensor, position: int) -> Tensor:
    return log_probs_NV.argmax(dim=-1)
