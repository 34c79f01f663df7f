"""Where a search stands: the rows still being written, and what the model says may come next in each.

B sentences · W rows of one sentence · N rows = B·W · P positions already read · V vocabulary ·
L layers · H heads · S source positions · C candidates of a row
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from seq2see.errors import InputError, Seq2seeError
from seq2see.nn.native.library import LARGEST_COUNT
from seq2see.nn.native.products import largest
from seq2see.search.request import NO_TOKEN, Request, State
from seq2see.search.rules import allowed_tokens, plain
from seq2see.search.score import coverage_penalty
from seq2see.text.tokeniser import SOS

_ENOUGH = 64  # groups for each value that is looked for: from here on topk takes its fast way


@dataclass(frozen=True, eq=False)
class Frontier:
    """The unfinished rows, all of one length. Row n of every tensor is row n of the state.

    The bookkeeping lies on the CPU, in float64 where it sums; only ``covered_NS`` lies with the model.
    """

    state: State
    tokens_NP: Tensor  # without <sos>
    log_probs_NP: Tensor
    sentence_N: Tensor  # which of the request's sentences the row belongs to
    parent_N: Tensor  # the row that it went on from, among the rows of the step before
    covered_NS: Tensor | None  # attention so far, summed over steps; only for the coverage penalty
    width: int  # W

    @property
    def length(self) -> int:
        return self.tokens_NP.shape[1]


@dataclass(frozen=True, eq=False)
class Outlook:
    """What the model says about the next token of each row."""

    sound_N: Tensor  # True = the logits were a distribution; on the CPU
    state: State
    weights_NLHS: Tensor | None
    covered_NS: Tensor | None


def first(request: Request) -> Frontier:
    """Nothing written: one row for each sentence."""
    rows = request.sentences
    covered_NS = None
    if request.settings.coverage_penalty and request.source_valid_BS is not None:
        covered_NS = torch.zeros(request.source_valid_BS.shape, dtype=torch.float32, device=request.device)
    return Frontier(
        state=request.state,
        tokens_NP=torch.empty(rows, 0, dtype=torch.long),
        log_probs_NP=torch.empty(rows, 0, dtype=torch.float64),
        sentence_N=torch.arange(rows),
        parent_N=torch.arange(rows),
        covered_NS=covered_NS,
        width=1,
    )


def look(request: Request, frontier: Frontier) -> tuple[Outlook, Tensor]:
    """Asks the model for the next token of every row, and the rules what it may be.

    Returns:
        The outlook, and log-probabilities ``[N, V]``: the model's own, but −inf for what the rules forbid.

    Raises:
        Seq2seeError: what the model gave has a wrong shape.
        InputError: a coverage penalty is asked for, and the model gives no attention.
    """
    request.check()
    rows = frontier.sentence_N.shape[0]
    logits_NV, state, weights_NLHS = request.step(previous(frontier).to(request.device), frontier.state)
    if logits_NV.dim() != 2 or logits_NV.shape[0] != rows:
        raise Seq2seeError(f"the model gave logits of shape {list(logits_NV.shape)} for {rows} rows, not [{rows}, V]")
    if logits_NV.dtype in (torch.float16, torch.bfloat16):
        logits_NV = logits_NV.float()
    logits_NV = _only_listed(request, frontier, logits_NV)
    normalised = request.normalised and request.shortlists is None
    log_probs_NV = logits_NV if normalised else logits_NV.log_softmax(dim=-1)
    # A logit of NaN or +inf, or −inf in every place, makes the whole row NaN; one −inf is a probability of 0.
    sound_N = ~log_probs_NV[:, 0].isnan()
    _forbid(log_probs_NV, _allowed(request, frontier, logits_NV.shape[1]))
    return Outlook(sound_N.cpu(), state, weights_NLHS, _covered(frontier.covered_NS, weights_NLHS)), log_probs_NV


def look_for_best(request: Request, frontier: Frontier, count: int) -> tuple[Outlook, Tensor, Tensor]:
    """:func:`look`, and the ``count`` best of each row as :func:`best` gives them: log-probabilities and tokens.

    Where the model can find them by itself it does.
    """
    rules = plain(request.rules)
    forced = frontier.length < request.prefix_BP.shape[1]
    if request.step_best is None or rules is None or forced or request.shortlists or count > LARGEST_COUNT:
        outlook, log_probs_NV = look(request, frontier)
        return outlook, *best(log_probs_NV, count)
    request.check()
    refused = rules.refused(frontier.length)
    values_NC, tokens_NC, state, weights_NLHS = request.step_best(
        previous(frontier), frontier.state, count, refused, request.want_weights or frontier.covered_NS is not None
    )
    covered_NS = _covered(frontier.covered_NS, weights_NLHS)
    return Outlook(~values_NC[:, 0].isnan(), state, weights_NLHS, covered_NS), values_NC, tokens_NC


def previous(frontier: Frontier) -> Tensor:
    """What each row has read last: [N], on the CPU."""
    return frontier.tokens_NP[:, -1] if frontier.length else torch.full((len(frontier.sentence_N),), SOS)


def _only_listed(request: Request, frontier: Frontier, logits_NV: Tensor) -> Tensor:
    """−inf for what is not on the sentence's short-list."""
    if request.listed_BV is None:
        return logits_NV
    beyond = logits_NV.shape[1] - request.listed_BV.shape[1]
    listed_NV = pad(request.listed_BV[frontier.sentence_N.to(request.device)], (0, beyond))
    return logits_NV.masked_fill(~listed_NV, -torch.inf)


def _allowed(request: Request, frontier: Frontier, vocabulary: int) -> Tensor:
    """What may come in each row, broadcastable to [N, V]; a forced token may, whatever the rules say."""
    device = request.device
    mask = allowed_tokens(request.rules, frontier.tokens_NP.to(device), frontier.sentence_N.to(device), vocabulary)
    allowed = torch.ones(vocabulary, dtype=torch.bool, device=device) if mask is None else mask
    if frontier.length >= request.prefix_BP.shape[1]:
        return allowed
    forced_N = request.prefix_BP[frontier.sentence_N, frontier.length]
    if int(forced_N.max()) >= vocabulary:
        raise InputError(f"a prefix holds token {int(forced_N.max())}, but the vocabulary ends at {vocabulary - 1}")
    forced_N1 = forced_N.to(device).unsqueeze(1)
    return torch.where(forced_N1 == NO_TOKEN, allowed, forced_N1 == torch.arange(vocabulary, device=device))


def _forbid(log_probs_NV: Tensor, allowed: Tensor) -> None:
    """Writes −inf where nothing may come, in place: the table of a whole beam is too large to copy each step."""
    if allowed.numel() == log_probs_NV.shape[1]:  # the same few columns in all rows
        log_probs_NV.index_fill_(1, (~allowed).flatten().nonzero().flatten(), -torch.inf)
    else:
        log_probs_NV.masked_fill_(~allowed, -torch.inf)


def _covered(covered_NS: Tensor | None, weights_NLHS: Tensor | None) -> Tensor | None:
    if covered_NS is None:
        return None
    if weights_NLHS is None:
        raise InputError("coverage_penalty needs attention, and this model gives none; set coverage_penalty = 0")
    if weights_NLHS.shape[-1] != covered_NS.shape[-1]:
        raise InputError(
            f"the model's attention has {weights_NLHS.shape[-1]} source positions, "
            f"source_valid_BS has {covered_NS.shape[-1]}; they have to be the same"
        )
    return covered_NS + weights_NLHS.float().mean(dim=(1, 2))


def penalties(request: Request, frontier: Frontier, covered_NS: Tensor | None) -> Tensor:
    """The coverage penalty of each row for the attention ``covered_NS``; else zeros. [N] on the CPU."""
    if covered_NS is None or request.source_valid_BS is None:
        return torch.zeros(frontier.sentence_N.shape[0], dtype=torch.float64)
    valid_NS = request.source_valid_BS[frontier.sentence_N.to(request.source_valid_BS.device)]
    strength = request.settings.coverage_penalty
    return coverage_penalty(covered_NS, valid_NS.to(covered_NS.device), strength).cpu().double()


def require_numbers(outlook: Outlook, running_N: Tensor, length: int) -> None:
    """Refuses logits that are no distribution: NaN, +inf, or −inf for every token, in a row that counts.

    Raises:
        Seq2seeError: names the step and how many rows.
    """
    bad = int((running_N & ~outlook.sound_N).sum())
    if bad:
        raise Seq2seeError(
            f"the model gave no distribution (NaN, +inf, or −inf for every token) in {bad} of "
            f"{int(running_N.sum())} rows at target position {length + 1}; its weights are likely not finite"
        )


def advance(
    request: Request,
    frontier: Frontier,
    outlook: Outlook,
    rows_BW: Tensor,
    tokens_BW: Tensor,
    log_probs_BW: Tensor,
) -> Frontier:
    """The frontier one token on: row b·W + w is the current row ``rows_BW[b, w]`` with its token added."""
    rows_N, width = rows_BW.flatten(), rows_BW.shape[1]
    same = width == frontier.width and torch.equal(rows_N, torch.arange(frontier.sentence_N.shape[0]))
    state = outlook.state if same else outlook.state.take(rows_BW.to(request.device))
    covered_NS = outlook.covered_NS
    return Frontier(
        state=state,
        tokens_NP=torch.cat([frontier.tokens_NP[rows_N], tokens_BW.reshape(-1, 1)], dim=1),
        log_probs_NP=torch.cat([frontier.log_probs_NP[rows_N], log_probs_BW.reshape(-1, 1)], dim=1),
        sentence_N=frontier.sentence_N[rows_N],
        parent_N=rows_N,
        covered_NS=None if covered_NS is None else covered_NS[rows_N.to(covered_NS.device)],
        width=width,
    )


def best(values_NV: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The ``most`` largest values of each row and their columns, both [N, C] on the CPU, largest first.

    Of equal values the lower column comes first: always, where ``topk`` alone leaves it open.
    """
    count = min(most, values_NV.shape[1])
    if (found := largest(values_NV, count)) is not None:
        return found
    # One value more than needed shows whether equal values compete for the last place.
    values_NC, columns_NC = (part.cpu() for part in _largest(values_NV, min(count + 1, values_NV.shape[1])))
    if values_NC.shape[1] > count:
        last_N, next_N = values_NC[:, count - 1], values_NC[:, count]
        crowded = ((last_N == next_N) & next_N.isfinite()).nonzero().flatten()
        values_NC, columns_NC = values_NC[:, :count], columns_NC[:, :count]
        if crowded.numel():
            crowded_NV = values_NV[crowded.to(values_NV.device)]
            lowest_NC = _lowest_columns(crowded_NV, last_N[crowded].to(values_NV.device), count)
            values_NC[crowded], columns_NC[crowded] = crowded_NV.gather(-1, lowest_NC).cpu(), lowest_NC.cpu()
    columns_NC, order_NC = columns_NC.sort(dim=-1)
    values_NC, order_NC = values_NC.gather(-1, order_NC).sort(dim=-1, descending=True, stable=True)
    return values_NC, columns_NC.gather(-1, order_NC)


def _largest(values_NV: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """As ``topk``, in less than half the time on a processor where the rows are long.

    The columns g, g + G, g + 2G, … are group g. The ``count`` largest values lie in the ``count`` groups with
    the largest maxima, and maxima over neighbouring groups are found side by side.
    """
    N, V = values_NV.shape
    group = next((size for size in (16, 8, 4) if V // size >= _ENOUGH * count), 1)
    if group == 1 or values_NV.device.type != "cpu" or not values_NV.is_contiguous():
        return values_NV.topk(count)
    groups = V // group
    even_NMG = values_NV.as_strided((N, group, groups), (V, groups, 1), values_NV.storage_offset())
    first_NC = even_NMG.amax(dim=1).topk(count, sorted=False).indices
    offsets_M = torch.arange(0, group * groups, groups)
    rest = torch.arange(group * groups, V).expand(N, -1)
    columns_NX = torch.cat(((first_NC.unsqueeze(2) + offsets_M).flatten(1), rest), dim=1)
    values_NC, places_NC = values_NV.gather(1, columns_NX).topk(count)
    return values_NC, columns_NX.gather(1, places_NC)


def _lowest_columns(values_NV: Tensor, last_N: Tensor, count: int) -> Tensor:
    """The columns of the ``count`` largest values, of those equal to the last value ``last_N`` the lowest."""
    last_N1 = last_N.unsqueeze(1)
    above_NV, level_NV = values_NV > last_N1, values_NV == last_N1
    places_N1 = count - above_NV.sum(dim=-1, keepdim=True)
    chosen_NV = above_NV | (level_NV & (level_NV.cumsum(dim=-1) <= places_N1))
    return chosen_NV.nonzero()[:, 1].view(-1, count)
