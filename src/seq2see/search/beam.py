"""Beam search: the W best beginnings of each sentence go on side by side.

B sentences still searched · W rows of one sentence · N rows = B·W · V vocabulary · C candidates of a row ·
X candidates of a sentence, best first
"""

import math
from bisect import insort
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings
from seq2see.search.frontier import Frontier, advance, first, look_for_best, penalties, require_numbers
from seq2see.search.hypothesis import Finish, Hypothesis
from seq2see.search.path import Ending, Footprint, ending, footprint, with_weights
from seq2see.search.request import Request, nothing_else
from seq2see.search.score import hypothesis_score, length_norm
from seq2see.text.tokeniser import EOS


@dataclass(frozen=True, eq=False)
class Candidates:
    """Rows with one token more, best first; on the CPU. A sum of −inf: there is none in this place."""

    sums_BX: Tensor  # of log-probabilities, the new token's included
    log_probs_BX: Tensor  # of the new token
    tokens_BX: Tensor
    parents_BX: Tensor  # 0 … W−1: which of its sentence's rows the candidate goes on from

    @property
    def alive_BX(self) -> Tensor:
        return self.sums_BX > -math.inf

    def pick(self, order_BX: Tensor) -> "Candidates":
        return Candidates(
            self.sums_BX.gather(1, order_BX),
            self.log_probs_BX.gather(1, order_BX),
            self.tokens_BX.gather(1, order_BX),
            self.parents_BX.gather(1, order_BX),
        )

    def lines(self, lines: Tensor) -> "Candidates":
        """The candidates of these sentences, without the places that are empty in all of them.

        An empty place that stays gets the token of the best: the model should read nothing senseless there.
        """
        alive_BX = self.alive_BX[lines]
        alive_BX = alive_BX[:, : int(alive_BX.sum(dim=1).max())]
        places_BX = torch.where(alive_BX, torch.arange(alive_BX.shape[1]), 0)
        picked = Candidates(
            self.sums_BX[lines], self.log_probs_BX[lines], self.tokens_BX[lines], self.parents_BX[lines]
        ).pick(places_BX)
        return replace(picked, sums_BX=picked.sums_BX.masked_fill(~alive_BX, -math.inf))


@dataclass(frozen=True, eq=False)
class Pools:
    """The best endings of every sentence, at most ``nbest`` each: those by ``<eos>`` first, then by score."""

    endings: list[list[Ending]]
    worst: Tensor  # score of the last of ``nbest`` endings by <eos>; −inf while there are fewer
    found: Tensor  # how many endings by <eos> were among the W best of their step, kept or not

    @classmethod
    def empty(cls, sentences: int) -> "Pools":
        worst = torch.full((sentences,), -math.inf, dtype=torch.float64)
        return cls([[] for _ in range(sentences)], worst, torch.zeros(sentences, dtype=torch.long))

    def admit(self, sentence: int, new: Ending, nbest: int) -> None:
        pool = self.endings[sentence]
        insort(pool, new, key=lambda end: (end.hypothesis.finished != "eos", -end.hypothesis.score))
        del pool[nbest:]
        if len(pool) == nbest and pool[-1].hypothesis.finished == "eos":
            self.worst[sentence] = pool[-1].hypothesis.score


def beam(request: Request) -> list[list[Hypothesis]]:
    """The ``nbest`` best hypotheses of each sentence, best first; fewer where there are not so many.

    - Each row's 2W best tokens are merged and the sentence's 2W best candidates kept: at most W of them end
      in ``<eos>``, so W others are left and the beam stays full.
    - A candidate that ends is a hypothesis if it is among the W best, as in a beam that holds both kinds.
    - Hypotheses that were cut come after all that ended by ``<eos>``: their scores lack the price of ending.
    - A sentence is done when W · patience hypotheses have ended, or when nothing unfinished can enter its list any more
      (see ``_done``).
    - Ties go to the row that was better before, then to the lower token number.
    """
    if (found := _at_once(request)) is not None:
        return found
    settings, width = request.settings, request.settings.beam
    frontier = first(request)
    sums_BW = torch.zeros(request.sentences, 1, dtype=torch.float64)
    limits = torch.tensor(request.max_lengths)
    norms = torch.tensor([length_norm(most, settings) for most in request.max_lengths], dtype=torch.float64)
    pools = Pools.empty(request.sentences)
    footprints: list[Footprint] = []
    while True:
        outlook, log_probs_NC, tokens_NC = look_for_best(request, frontier, 2 * width)
        require_numbers(outlook, sums_BW.flatten() > -math.inf, frontier.length)
        if request.want_weights and (kept := footprint(frontier, outlook)):
            footprints.append(kept)
        log_probs_NC = log_probs_NC.double()
        _admit_stuck(request, frontier, sums_BW, log_probs_NC, pools)
        candidates = _candidates(sums_BW, log_probs_NC, tokens_NC, 2 * width)
        penalty_N = penalties(request, frontier, outlook.covered_NS)
        sentence_B = frontier.sentence_N[:: frontier.width]
        ended_BX = candidates.alive_BX & (candidates.tokens_BX == EOS)
        ended_BX[:, width:] = False
        pools.found[sentence_B] += ended_BX.sum(dim=1)
        ended_BX &= _may_enter(candidates, frontier, pools.worst[sentence_B], settings)
        _admit(candidates, ended_BX, frontier, penalty_N, "eos", pools, settings)
        going_on = _going_on(candidates, width)
        last_B = frontier.length + 1 >= limits[sentence_B]
        cut_BX = going_on.alive_BX & (last_B & (pools.worst[sentence_B] == -math.inf)).unsqueeze(1)
        _admit(going_on, cut_BX, frontier, penalty_N, "length", pools, settings)
        done_B = last_B | _done(frontier, going_on, pools, norms[sentence_B], settings)
        lines = (~done_B).nonzero().flatten()
        if not lines.numel():
            break
        going_on = going_on.lines(lines)
        rows_BW = lines.unsqueeze(1) * frontier.width + going_on.parents_BX
        frontier = advance(request, frontier, outlook, rows_BW, going_on.tokens_BX, going_on.log_probs_BX)
        sums_BW = going_on.sums_BX
    return [[with_weights(end, footprints) for end in pool] for pool in pools.endings]


def _at_once(request: Request) -> list[list[Hypothesis]] | None:
    """What the model finds by itself; None where it cannot, or more is asked than it can obey."""
    settings, rules = request.settings, nothing_else(request)
    if request.write_beams is None or rules is None:
        return None
    request.check()
    norms = [length_norm(length, settings) for length in range(max(request.max_lengths) + 1)]
    written = request.write_beams(
        request.state, request.max_lengths, rules.never, rules.least, settings, norms, request.shortlists
    )
    if written is None:
        return None
    return [[_hypothesis(*one, settings) for one in pool] for pool in written]


def _hypothesis(tokens: list[int], log_probs: list[float], ended: bool, settings: SearchSettings) -> Hypothesis:
    score = hypothesis_score(log_probs, 0.0, settings)
    return Hypothesis(tuple(tokens), tuple(log_probs), score, "eos" if ended else "length")


def _candidates(sums_BW: Tensor, log_probs_NC: Tensor, tokens_NC: Tensor, most: int) -> Candidates:
    """The ``most`` best of all extensions of a sentence's rows."""
    sentences, width = sums_BW.shape
    each = log_probs_NC.shape[1]
    sums_BX = (sums_BW.unsqueeze(2) + log_probs_NC.view(sentences, width, each)).flatten(1)
    all_candidates = Candidates(
        sums_BX,
        log_probs_NC.view(sentences, width * each),
        tokens_NC.view(sentences, width * each),
        torch.arange(width).repeat_interleave(each).expand(sentences, -1),
    )
    # A stable sort keeps the order row, then token, among equals.
    return all_candidates.pick(sums_BX.sort(dim=1, descending=True, stable=True).indices[:, :most])


def _may_enter(candidates: Candidates, frontier: Frontier, worst_B: Tensor, settings: SearchSettings) -> Tensor:
    """True where a candidate that ended here would enter its sentence's list."""
    # The coverage penalty is at most 0: what does not enter without it does not enter with it.
    may_BX: Tensor = candidates.sums_BX / length_norm(frontier.length + 1, settings) > worst_B.unsqueeze(1)
    return may_BX


def _going_on(candidates: Candidates, width: int) -> Candidates:
    """The ``width`` best candidates that do not end."""
    sums_BX = candidates.sums_BX.masked_fill(candidates.tokens_BX == EOS, -math.inf)
    order_BX = sums_BX.sort(dim=1, descending=True, stable=True).indices[:, :width]
    return replace(candidates, sums_BX=sums_BX).pick(order_BX)


def _done(frontier: Frontier, going_on: Candidates, pools: Pools, norm_B: Tensor, settings: SearchSettings) -> Tensor:
    """True for the sentences whose list is final.

    W · patience endings are enough: what goes on after them is longer, and mostly worse (Kasai et al. 2022,
    section 2). Before that the bound below may say it for certain.

    A row whose log-probabilities sum to s may end with any length up to its sentence's limit M. As
    log-probabilities are at most 0, its sum can only fall; with a length penalty α ≥ 0 the largest divisor is
    the kindest to a negative sum; and the coverage penalty is at most 0. So nothing that goes on from the row
    can score more than s / M ** α (``norm_B`` holds M ** α). Where even this, for the best row, is not above
    the last of ``nbest`` endings, the list cannot change any more.
    """
    sentence_B = frontier.sentence_N[:: frontier.width]
    worst_B = pools.worst[sentence_B]
    full_B: Tensor = worst_B > -math.inf
    if settings.beam > 1:
        full_B &= going_on.sums_BX[:, 0] / norm_B <= worst_B
    enough = settings.beam * settings.patience if settings.beam > 1 else 1
    # A beam of one is greedy search: it does not go back to the second best after the best has ended.
    done_B: Tensor = full_B | (pools.found[sentence_B] >= enough) | ~going_on.alive_BX[:, 0]
    return done_B


def _admit(
    candidates: Candidates,
    chosen_BX: Tensor,
    frontier: Frontier,
    penalty_N: Tensor,
    finished: Finish,
    pools: Pools,
    settings: SearchSettings,
) -> None:
    """Puts the chosen candidates into the lists of their sentences."""
    for line, place in chosen_BX.nonzero().tolist():
        row = line * frontier.width + int(candidates.parents_BX[line, place])
        added = (int(candidates.tokens_BX[line, place]), float(candidates.log_probs_BX[line, place]))
        new = ending(frontier, row, added, float(penalty_N[row]), finished, settings)
        pools.admit(int(frontier.sentence_N[row]), new, settings.nbest)


def _admit_stuck(request: Request, frontier: Frontier, sums_BW: Tensor, log_probs_NC: Tensor, pools: Pools) -> None:
    """Rows in which nothing is allowed are cut as they stand."""
    stuck_N = (log_probs_NC[:, 0] == -math.inf) & (sums_BW.flatten() > -math.inf)
    if not stuck_N.any():
        return
    penalty_N = penalties(request, frontier, frontier.covered_NS)
    for row in stuck_N.nonzero().flatten().tolist():
        new = ending(frontier, row, None, float(penalty_N[row]), "length", request.settings)
        pools.admit(int(frontier.sentence_N[row]), new, request.settings.nbest)
