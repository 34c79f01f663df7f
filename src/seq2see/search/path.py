"""From the steps of a search back to whole hypotheses: the tokens of a row, and the attention along its path.

T target positions · L layers · H heads · S source positions · N rows
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings
from seq2see.search.frontier import Frontier, Outlook
from seq2see.search.hypothesis import Finish, Hypothesis
from seq2see.search.score import hypothesis_score


@dataclass(frozen=True, eq=False)
class Footprint:
    """One step: the attention of every row at it, and the row of the step before that each went on from.

    Nothing is copied from step to step: a path is found at the end, by walking back over ``parents``. The
    memory of a whole search is rows × steps × L·H·S numbers.
    """

    weights_NLHS: Tensor  # float32 on the CPU
    parents: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Ending:
    """A hypothesis without its attention, and where its path ends."""

    hypothesis: Hypothesis
    step: int
    row: int


def footprint(frontier: Frontier, outlook: Outlook) -> Footprint | None:
    """What to keep of this step; None where the model gives no attention."""
    if outlook.weights_NLHS is None:
        return None
    weights_NLHS = outlook.weights_NLHS.to("cpu", torch.float32)
    return Footprint(weights_NLHS, tuple(frontier.parent_N.tolist()))


def ending(
    frontier: Frontier,
    row: int,
    added: tuple[int, float] | None,
    penalty: float,
    finished: Finish,
    settings: SearchSettings,
) -> Ending:
    """The hypothesis in ``row`` with the token and log-probability ``added`` to it; None: as it stands."""
    tokens, log_probs = frontier.tokens_NP[row].tolist(), frontier.log_probs_NP[row].tolist()
    if added is not None:
        tokens.append(added[0])
        log_probs.append(added[1])
    score = hypothesis_score(log_probs, penalty, settings)
    return Ending(Hypothesis(tuple(tokens), tuple(log_probs), score, finished), frontier.length, row)


def with_weights(end: Ending, footprints: Sequence[Footprint]) -> Hypothesis:
    """The hypothesis with the attention of its own path, if any was kept."""
    if not footprints:
        return end.hypothesis
    length, row = len(end.hypothesis.tokens), end.row
    along: list[Tensor] = []
    for step in range(end.step, -1, -1):
        along.append(footprints[step].weights_NLHS[row])
        row = footprints[step].parents[row]
    # A row that was cut because nothing was allowed looked once more than it wrote.
    weights_TLHS = torch.stack(along[::-1])[:length]
    return replace(end.hypothesis, weights_TLHS=weights_TLHS)
