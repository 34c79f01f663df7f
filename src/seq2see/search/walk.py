"""Rows that never meet: the loop that greedy search and sampling share.

B sentences · W rows of one sentence · N rows = B·W · V vocabulary
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from seq2see.search.frontier import Frontier, Outlook, advance, first, look, penalties, require_numbers
from seq2see.search.hypothesis import Finish, Hypothesis
from seq2see.search.path import Ending, Footprint, ending, footprint, with_weights
from seq2see.search.request import Request
from seq2see.text.tokeniser import EOS

Choose = Callable[[Tensor, Tensor, int], Tensor]
"""``(log_probs_NV, slot_N, position) -> tokens_N``.

Log-probabilities are −inf where a token is forbidden; slot b·W + w is row w of sentence b, however the rows lie now.
"""


def walk(request: Request, width: int, choose: Choose) -> list[list[Hypothesis]]:
    """Writes ``width`` targets for each sentence, token by token, as ``choose`` says.

    Sentences leave the batch when their last row has ended; rows of one sentence that ended earlier are
    dropped as far as the batch stays a rectangle.
    """
    frontier = _spread(request, first(request), width)
    slot_N = torch.arange(request.sentences * width)
    running_N = torch.ones_like(slot_N, dtype=torch.bool)
    max_length_B = torch.tensor(request.max_lengths)
    endings: dict[int, Ending] = {}
    footprints: list[Footprint] = []
    while slot_N.numel():
        outlook, log_probs_NV = look(request, frontier)
        require_numbers(outlook, running_N, frontier.length)
        if request.want_weights and (kept := footprint(frontier, outlook)):
            footprints.append(kept)
        tokens_N, log_probs_N = _chosen(log_probs_NV, choose(log_probs_NV, slot_N, frontier.length))
        last_N = frontier.length + 1 >= max_length_B[frontier.sentence_N]
        over_N = running_N & ((tokens_N == EOS) | ~log_probs_N.isfinite() | last_N)
        if over_N.any():
            rows = over_N.nonzero().flatten()
            ended = _ended(request, frontier, outlook, rows, tokens_N, log_probs_N)
            endings.update(zip(slot_N[rows].tolist(), ended, strict=True))
        running_N &= ~over_N
        rows_BW = _going_on(running_N.view(-1, frontier.width))
        if not rows_BW.numel():
            break
        frontier = advance(request, frontier, outlook, rows_BW, tokens_N[rows_BW], log_probs_N[rows_BW])
        slot_N, running_N = slot_N[rows_BW.flatten()], running_N[rows_BW.flatten()]
    found = [with_weights(endings[slot], footprints) for slot in range(request.sentences * width)]
    return [found[start : start + width] for start in range(0, len(found), width)]


def _spread(request: Request, frontier: Frontier, width: int) -> Frontier:
    """``width`` rows for each sentence, before anything is written."""
    if width == 1:
        return frontier
    sentence_N = torch.arange(request.sentences).repeat_interleave(width)
    covered_NS = frontier.covered_NS
    return replace(
        frontier,
        state=frontier.state.take(sentence_N.view(-1, width).to(request.device)),
        tokens_NP=frontier.tokens_NP[sentence_N],
        log_probs_NP=frontier.log_probs_NP[sentence_N],
        sentence_N=sentence_N,
        parent_N=sentence_N,
        covered_NS=None if covered_NS is None else covered_NS.repeat_interleave(width, dim=0),
        width=width,
    )


def _chosen(log_probs_NV: Tensor, tokens_N: Tensor) -> tuple[Tensor, Tensor]:
    """The chosen tokens and the model's own log-probabilities of them, on the CPU; −inf for a forbidden."""
    log_probs_N = log_probs_NV.gather(1, tokens_N.unsqueeze(1)).squeeze(1)
    return tokens_N.cpu(), log_probs_N.cpu().double()


def _ended(
    request: Request,
    frontier: Frontier,
    outlook: Outlook,
    rows: Tensor,
    tokens_N: Tensor,
    log_probs_N: Tensor,
) -> list[Ending]:
    """The hypotheses that end in ``rows``: by ``<eos>``, at the length limit, or with no token allowed."""
    before_N = penalties(request, frontier, frontier.covered_NS)
    after_N = penalties(request, frontier, outlook.covered_NS)
    endings = []
    for row in rows.tolist():
        token, log_prob = int(tokens_N[row]), float(log_probs_N[row])
        if log_prob == -math.inf:
            endings.append(ending(frontier, row, None, float(before_N[row]), "length", request.settings))
        else:
            finished: Finish = "eos" if token == EOS else "length"
            added = (token, log_prob)
            endings.append(ending(frontier, row, added, float(after_N[row]), finished, request.settings))
    return endings


def _going_on(running_BW: Tensor) -> Tensor:
    """The rows of the next step: a line for each sentence that goes on, no wider than it has to be."""
    sentences = running_BW.any(dim=1).nonzero()
    if not sentences.numel():
        return torch.empty(0, 0, dtype=torch.long)
    width = int(running_BW.sum(dim=1).max())
    running_first_BW = (~running_BW).to(torch.uint8).sort(dim=1, stable=True).indices[:, :width]
    return sentences * running_BW.shape[1] + running_first_BW[sentences.squeeze(1)]
