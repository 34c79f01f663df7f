"""All that one search needs, checked once and frozen.

B sentences · W beam · N rows · V vocabulary · L layers · H heads · S source positions · P prefix positions
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings
from seq2see.errors import InputError
from seq2see.search.rules import ForbidTokens, MinLength, NoRepeat, PlainRules, Rule, plain
from seq2see.text.tokeniser import EOS, PAD, SOS, UNK

NO_TOKEN = -1  # in ``prefix_BP``, after the end of a prefix


class State(Protocol):
    """What a decoder carries from step to step. Search can do one thing with it."""

    def take(self, rows_BW: Tensor) -> "State":
        """The state in which row b·W + w goes on from the current row ``rows_BW[b, w]``.

        All indices in one row of ``rows_BW`` belong to one sentence; sentences not listed leave.
        """
        ...


Step = Callable[[Tensor, State], tuple[Tensor, State, Tensor | None]]
"""``(tokens_N, state) -> (logits_NV, state, weights_NLHS or None)``."""

StepBest = Callable[[Tensor, State, int, Sequence[int], bool], tuple[Tensor, Tensor, State, Tensor | None]]
"""``(tokens_N, state, count, never, want_weights) -> (values_NC, tokens_NC, state, weights_NLHS or None)``: of each row
the ``count`` best log-probabilities and their tokens, best first, of equals the lower token, none of ``never`` (−inf);
NaN in a row without a distribution."""

Lists = Sequence[Sequence[int]] | None

Write = Callable[[State, Sequence[int], Sequence[int], int, Lists], list[tuple[list[int], list[float]]] | None]
"""``(state, max_lengths, never, least, shortlists) -> [(tokens, log_probs)]``: the likeliest token of each row until it
ends, none of ``never``, no ``<eos>`` before ``least`` others; None where it cannot be done so."""


Beams = list[list[tuple[list[int], list[float], bool]]]

WriteBeams = Callable[[State, Sequence[int], Sequence[int], int, SearchSettings, Sequence[float], Lists], Beams | None]
"""``(state, max_lengths, never, least, settings, norms, shortlists) -> [[(tokens, log_probs, ended)]]``: beam search,
the best of each sentence, those that ended first; ``norms[n]``: what a sum of n log-probabilities is divided by. None:
as above."""


@dataclass(frozen=True, eq=False)
class Request:
    """One search: B sentences, how to ask the model, and what to obey."""

    step: Step
    step_best: StepBest | None  # a step that finds only what a beam wants, where the model can
    write: Write | None  # all steps of a greedy search at once, where the model can
    write_beams: WriteBeams | None  # all steps of a beam search at once
    state: State
    settings: SearchSettings
    max_lengths: tuple[int, ...]
    rules: tuple[Rule, ...]
    prefix_BP: Tensor  # on the CPU, NO_TOKEN where there is no prefix or no more of it
    shortlists: tuple[tuple[int, ...], ...] | None
    keys: tuple[int, ...]
    want_weights: bool
    normalised: bool  # what a step gives are log-probabilities already
    source_valid_BS: Tensor | None
    device: torch.device
    check: Callable[[], None]

    @property
    def sentences(self) -> int:
        return len(self.max_lengths)

    @cached_property
    def listed_BV(self) -> Tensor | None:
        """True where a token is on its sentence's list, up to the last that is on any; None: all are."""
        if self.shortlists is None:
            return None
        listed_BV = torch.zeros(self.sentences, 1 + max(map(max, self.shortlists)), dtype=torch.bool)
        for row, tokens in enumerate(self.shortlists):
            listed_BV[row, list(tokens)] = True
        return listed_BV.to(self.device)


def nothing_else(request: Request) -> PlainRules | None:
    """What a model that writes by itself has to obey; None where more is asked than tokens and lengths."""
    if request.want_weights or request.settings.coverage_penalty or request.prefix_BP.shape[1]:
        return None
    return plain(request.rules)


def all_rules(settings: SearchSettings, rules: Sequence[Rule], allow_unknown: bool) -> tuple[Rule, ...]:
    """The given rules after those that always hold and those that the settings ask for."""
    own: list[Rule] = [ForbidTokens((PAD, SOS) if allow_unknown else (PAD, SOS, UNK))]
    if settings.min_length:
        own.append(MinLength(settings.min_length))
    if settings.no_repeat_ngram:
        own.append(NoRepeat(settings.no_repeat_ngram))
    return (*own, *rules)


def prefix_table(prefixes: Sequence[Sequence[int]] | None, max_lengths: Sequence[int]) -> Tensor:
    """The prefixes as ``prefix_BP``, padded with NO_TOKEN.

    Raises:
        InputError: a prefix holds a token that cannot be forced, or leaves no room to go on.
    """
    prefixes = [()] * len(max_lengths) if prefixes is None else prefixes
    _require_one_each("prefixes", len(prefixes), len(max_lengths))
    for sentence, (prefix, most) in enumerate(zip(prefixes, max_lengths, strict=True)):
        bad = sorted({token for token in prefix if token < 0 or token in (PAD, SOS, EOS)})
        if bad:
            raise InputError(f"the prefix of sentence {sentence} holds {bad}; only pieces of text can be forced")
        if len(prefix) >= most:
            raise InputError(
                f"the prefix of sentence {sentence} has {len(prefix)} pieces, and its target may have {most} "
                f"in all; a max_length of {len(prefix) + 1} or more leaves room to go on"
            )
    prefix_BP = torch.full((len(prefixes), max(map(len, prefixes))), NO_TOKEN, dtype=torch.long)
    for sentence, prefix in enumerate(prefixes):
        if prefix:
            prefix_BP[sentence, : len(prefix)] = torch.tensor(list(prefix), dtype=torch.long)
    return prefix_BP


def require_fit(
    sentences: int,
    settings: SearchSettings,
    max_lengths: Sequence[int],
    sentence_keys: Sequence[int] | None,
    source_valid_BS: Tensor | None,
    shortlists: Sequence[Sequence[int]] | None,
) -> None:
    """Refuses arguments that do not fit each other.

    Raises:
        InputError: says which, and what would fit.
    """
    _require_one_each("max_lengths", len(max_lengths), sentences)
    if settings.shortlist and shortlists is None:
        raise InputError("search.shortlist is for translators, whose sources say what may be written; leave it out")
    if shortlists is not None:
        _require_one_each("shortlists", len(shortlists), sentences)
    if min(max_lengths) < 1:
        raise InputError(f"max_lengths holds {min(max_lengths)}; a target has at least 1 token, its <eos>")
    if sentence_keys is not None:
        _require_one_each("sentence_keys", len(sentence_keys), sentences)
    if settings.coverage_penalty and source_valid_BS is None:
        raise InputError("coverage_penalty asks which source positions there are: search needs source_valid_BS for it")
    if source_valid_BS is not None:
        _require_one_each("source_valid_BS", source_valid_BS.shape[0], sentences)


def _require_one_each(name: str, given: int, sentences: int) -> None:
    if given != sentences:
        raise InputError(f"{name} is for {given} sentences, but there are {sentences}; give one for each")
