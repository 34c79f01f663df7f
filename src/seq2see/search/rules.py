"""Rules that forbid tokens: small frozen values that any method of search obeys, alone or together.

N rows · P positions already read (``<sos>`` not counted) · V vocabulary · B sentences ·
M forbidden words of one length Q
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Protocol

import torch
from torch import Tensor

from seq2see.errors import InputError
from seq2see.text.tokeniser import EOS


class Rule(Protocol):
    """Says which tokens may come next; it sees what has been written, never the model."""

    def __call__(self, tokens_NP: Tensor, sentence_N: Tensor, vocabulary: int) -> Tensor | None:
        """A Boolean mask, True = may be used, of a shape that broadcasts to [N, V]; None allows everything.

        Args:
            tokens_NP: the tokens so far of each row, without ``<sos>``; not to be changed.
            sentence_N: which sentence (0 … B−1, as search was given them) each row belongs to.
            vocabulary: V.
        """
        ...


@dataclass(frozen=True)
class ForbidTokens:
    """These tokens never come."""

    tokens: tuple[int, ...]

    def __call__(self, tokens_NP: Tensor, sentence_N: Tensor, vocabulary: int) -> Tensor | None:
        allowed_V = torch.ones(vocabulary, dtype=torch.bool)
        allowed_V[[token for token in self.tokens if token < vocabulary]] = False
        return allowed_V.to(tokens_NP.device)


@dataclass(frozen=True)
class MinLength:
    """No ``<eos>`` before ``length`` other tokens stand."""

    length: int

    def __call__(self, tokens_NP: Tensor, sentence_N: Tensor, vocabulary: int) -> Tensor | None:
        if tokens_NP.shape[1] >= self.length:
            return None
        allowed_V: Tensor = torch.arange(vocabulary, device=tokens_NP.device) != EOS
        return allowed_V


@dataclass(frozen=True)
class ForbidWords:
    """These words, each given as its pieces, never come: the last piece is refused where the others stand.

    A word that can be cut into pieces in several ways has to be listed in each; and the pieces of a word that
    begin a longer word are refused there too.
    """

    words: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not all(self.words):
            raise InputError(f"a forbidden word has no pieces: {self.words}; leave it out")

    @cached_property
    def _by_length(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Of the words of each length the beginnings [M, Q−1] and the last pieces [M]."""
        groups = (
            torch.tensor(list(group), dtype=torch.long) for _, group in groupby(sorted(self.words, key=len), key=len)
        )
        return tuple((words_MQ[:, :-1], words_MQ[:, -1]) for words_MQ in groups)

    def __call__(self, tokens_NP: Tensor, sentence_N: Tensor, vocabulary: int) -> Tensor | None:
        rows, positions = tokens_NP.shape
        refused_NV = _nothing(rows, vocabulary, tokens_NP.device)
        for starts_MQ, lasts_M in self._by_length:
            before = starts_MQ.shape[1]
            if before > positions:
                break
            tail_N1Q = tokens_NP[:, positions - before :].unsqueeze(1)
            match_NM = (tail_N1Q == starts_MQ.to(tokens_NP.device)).all(dim=-1)
            lasts_NM = lasts_M.to(tokens_NP.device).expand(rows, -1)
            _refuse(refused_NV, lasts_NM, match_NM, vocabulary)
        return ~refused_NV[:, :vocabulary]


@dataclass(frozen=True)
class NoRepeat:
    """No sequence of ``size`` tokens comes twice."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"NoRepeat(size={self.size}): a sequence has at least 1 token")

    def __call__(self, tokens_NP: Tensor, sentence_N: Tensor, vocabulary: int) -> Tensor | None:
        rows, positions = tokens_NP.shape
        if positions < self.size:
            return None
        windows_NMQ = tokens_NP.unfold(1, self.size, 1)
        tail_N1Q = tokens_NP[:, positions - self.size + 1 :].unsqueeze(1)
        match_NM = (windows_NMQ[:, :, :-1] == tail_N1Q).all(dim=-1)
        refused_NV = _nothing(rows, vocabulary, tokens_NP.device)
        _refuse(refused_NV, windows_NMQ[:, :, -1], match_NM, vocabulary)
        return ~refused_NV[:, :vocabulary]


def _nothing(rows: int, vocabulary: int, device: torch.device) -> Tensor:
    """All False, with one column more, which takes what is not meant."""
    return torch.zeros(rows, vocabulary + 1, dtype=torch.bool, device=device)


def _refuse(refused_NV: Tensor, tokens_NM: Tensor, match_NM: Tensor, vocabulary: int) -> None:
    """Marks in each row the tokens whose match is True."""
    meant_NM = match_NM & (tokens_NM < vocabulary)
    refused_NV.scatter_(1, torch.where(meant_NM, tokens_NM, vocabulary), True)


@dataclass(frozen=True)
class PlainRules:
    """Rules that say the same for every row: these tokens never, no ``<eos>`` before ``least`` others."""

    never: tuple[int, ...]
    least: int

    def refused(self, length: int) -> tuple[int, ...]:
        """The tokens that may not come after ``length`` others."""
        return self.never if length >= self.least else (*self.never, EOS)


def plain(rules: Sequence[Rule]) -> PlainRules | None:
    """The rules as one, where none of them looks at what was written."""
    never: list[int] = []
    least = 0
    for rule in rules:
        match rule:
            case ForbidTokens():
                never += rule.tokens
            case MinLength():
                least = max(least, rule.length)
            case _:
                return None
    return PlainRules(tuple(never), least)


def allowed_tokens(rules: Sequence[Rule], tokens_NP: Tensor, sentence_N: Tensor, vocabulary: int) -> Tensor | None:
    """What all rules allow together, broadcastable to [N, V]; None where no rule has anything to say.

    Raises:
        InputError: a rule gave something else than a Boolean mask that fits [N, V].
    """
    allowed: Tensor | None = None
    for rule in rules:
        mask = rule(tokens_NP, sentence_N, vocabulary)
        if mask is None:
            continue
        rows = tokens_NP.shape[0]
        if mask.dtype != torch.bool or mask.shape not in {(vocabulary,), (1, vocabulary), (rows, vocabulary)}:
            raise InputError(
                f"the rule {rule} gave a mask of shape {list(mask.shape)}, {mask.dtype}; "
                f"it has to be Boolean, of shape [{rows}, {vocabulary}] or [{vocabulary}]"
            )
        allowed = mask if allowed is None else allowed & mask
    return allowed
