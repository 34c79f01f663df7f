"""What search gives back: tokens, what the model thought of each, a score, and where it looked.

T target positions · L layers · H heads · S source positions
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Finish = Literal["eos", "length"]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One target sequence that search found.

    Attributes:
        tokens: the pieces after ``<sos>``, forced ones and the final ``<eos>`` (when there is one) included.
        log_probs: for each token the natural logarithm of the model's own probability for it. Rules,
            temperature and cut-offs leave it alone, so it equals what teacher forcing would give.
        score: sum of ``log_probs`` / length ** length_penalty + the coverage penalty; see ``score.py``.
        finished: ``"eos"`` where the model ended by itself; ``"length"`` where it was cut: by the length
            limit, or because the rules left it no token to go on with.
        weights_TLHS: for each token the attention that the model paid while it chose this token, on this path
            and no other, float32 on the CPU. Columns of padded source positions are still there. None unless
            asked for, and for a model that has no attention.
    """

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    score: float
    finished: Finish
    weights_TLHS: Tensor | None = None
