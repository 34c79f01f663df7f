"""For the tests of search: a model that is a table, a state that remembers everything, and slow obvious twins.

Nothing here uses seq2see.search, so that it can be compared with it.
"""

import functools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings

PAD, SOS, EOS, UNK = 0, 1, 2, 3
LAYERS, HEADS, SOURCE = 2, 3, 5


class RowState:
    """Remembers for each row its sentence and all it has read. From outside only ``take`` can be reached."""

    def __init__(self, rows: list[tuple[int, tuple[int, ...]]], takes: list[tuple[int, ...]]) -> None:
        self._rows, self._takes = rows, takes

    def __getattribute__(self, name: str) -> object:
        if name != "take":
            raise AssertionError(f"search reached for state.{name}")
        return object.__getattribute__(self, name)

    def take(self, rows_BW: Tensor) -> "RowState":
        rows = opened(self, "_rows")
        assert rows_BW.dtype == torch.long
        assert rows_BW.dim() == 2
        for line in rows_BW.tolist():
            assert len({rows[row][0] for row in line}) == 1, "rows of two sentences in one line"
        opened(self, "_takes").append(tuple(rows_BW.shape))
        return RowState([rows[row] for row in rows_BW.flatten().tolist()], opened(self, "_takes"))


def opened(state: object, name: str):
    return object.__getattribute__(state, name)


@dataclass(frozen=True)
class TableModel:
    """Logits and attention that depend on the sentence, the place and the last ``order`` tokens (None: all)."""

    vocabulary: int
    seed: int = 0
    order: int | None = None
    spread: float = 1.5
    dtype: torch.dtype = torch.float64
    attention: bool = True
    given: Callable[[int, tuple[int, ...]], Sequence[float]] | None = None  # logits by hand
    takes: list[tuple[int, ...]] = field(default_factory=list)
    rows_asked: list[int] = field(default_factory=list)

    def logits(self, sentence: int, tokens: tuple[int, ...]) -> tuple[float, ...]:
        """After ``tokens`` (without <sos>)."""
        if self.given is not None:
            return tuple(self.given(sentence, tokens))
        seen = tokens if self.order is None else ((SOS, SOS, *tokens))[-self.order :]
        # Without the length, sequences with the same transitions in another order would have equal scores.
        return _gaussians(f"{self.seed} {sentence} {len(tokens)} {seen}", self.vocabulary, self.spread)

    def weights(self, sentence: int, tokens: tuple[int, ...]) -> Tensor:
        """Attention [L, H, S] while the token after ``tokens`` is chosen; other for every history."""
        numbers = _gaussians(f"w {self.seed} {sentence} {tokens}", LAYERS * HEADS * SOURCE, 2.0)
        return torch.tensor(numbers, dtype=torch.float32).view(LAYERS, HEADS, SOURCE).softmax(-1)

    def start(self, sentences: Sequence[int]) -> RowState:
        return RowState([(sentence, ()) for sentence in sentences], self.takes)

    def step(self, tokens_N: Tensor, state: RowState) -> tuple[Tensor, RowState, Tensor | None]:
        rows = opened(state, "_rows")
        assert tokens_N.shape == (len(rows),)
        self.rows_asked.append(len(rows))
        read = [
            (sentence, (*history, token)) for (sentence, history), token in zip(rows, tokens_N.tolist(), strict=True)
        ]
        assert all(history[0] == SOS for _, history in read)
        logits_NV = torch.tensor([self.logits(sentence, history[1:]) for sentence, history in read], dtype=self.dtype)
        weights = None
        if self.attention:
            weights = torch.stack([self.weights(sentence, history[1:]) for sentence, history in read])
        return logits_NV, RowState(read, self.takes), weights

    def log_probs(self, sentence: int, tokens: tuple[int, ...]) -> list[float]:
        logits = self.logits(sentence, tokens)
        largest = max(logits)
        normaliser = largest + math.log(math.fsum(math.exp(logit - largest) for logit in logits))
        return [logit - normaliser for logit in logits]


@functools.lru_cache(maxsize=200_000)
def _gaussians(key: str, count: int, spread: float) -> tuple[float, ...]:
    generator = random.Random(key)
    return tuple(generator.gauss(0.0, spread) for _ in range(count))


@dataclass(frozen=True)
class Limits:
    """The rules of a search, in words of plain Python."""

    max_length: int
    prefix: tuple[int, ...] = ()
    words: tuple[tuple[int, ...], ...] = ()
    allow_unknown: bool = True

    def allowed(self, tokens: tuple[int, ...], vocabulary: int, settings: SearchSettings) -> list[int]:
        if len(tokens) < len(self.prefix):
            return [self.prefix[len(tokens)]]
        return [token for token in range(vocabulary) if self._may(tokens, token, settings)]

    def _may(self, tokens: tuple[int, ...], token: int, settings: SearchSettings) -> bool:
        if token in (PAD, SOS) or (token == UNK and not self.allow_unknown):
            return False
        if token == EOS and len(tokens) < settings.min_length:
            return False
        longer = (*tokens, token)
        if any(longer[-len(word) :] == word for word in self.words):
            return False
        size = settings.no_repeat_ngram
        # A forced prefix may repeat itself; only what the token would complete counts.
        grams = [longer[start : start + size] for start in range(len(longer) - size + 1)]
        return size == 0 or not grams or grams[-1] not in grams[:-1]


@dataclass(frozen=True)
class Answer:
    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    score: float
    finished: str


def answer(
    model: TableModel,
    sentence: int,
    tokens: tuple[int, ...],
    finished: str,
    settings: SearchSettings,
    source_valid: Sequence[bool] = (True,) * SOURCE,
) -> Answer:
    """The answer with these tokens, scored from scratch by teacher forcing."""
    log_probs = tuple(model.log_probs(sentence, tokens[:at])[token] for at, token in enumerate(tokens))
    score = sum(log_probs) / max(len(tokens), 1) ** settings.length_penalty
    if settings.coverage_penalty:
        covered = torch.zeros(SOURCE)
        for at in range(len(tokens)):
            covered = covered + model.weights(sentence, tokens[:at]).mean(dim=(0, 1))
        tiny = torch.finfo(torch.float32).tiny
        score += settings.coverage_penalty * sum(
            math.log(min(max(float(seen), tiny), 1.0))
            for seen, valid in zip(covered, source_valid, strict=True)
            if valid
        )
    return Answer(tokens, log_probs, score, finished)


def ranked(answers: Sequence[Answer]) -> list[Answer]:
    """Those that ended first, then by score."""
    return sorted(answers, key=lambda one: (one.finished != "eos", -one.score))


def every_answer(
    model: TableModel,
    sentence: int,
    limits: Limits,
    settings: SearchSettings,
    source_valid: Sequence[bool] = (True,) * SOURCE,
) -> list[Answer]:
    """All that can be written at all, best first: search by enumeration."""

    def endings(tokens: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
        allowed = limits.allowed(tokens, model.vocabulary, settings)
        if len(tokens) == limits.max_length or not allowed:
            yield tokens, "length"
            return
        for token in allowed:
            if token == EOS:
                yield (*tokens, EOS), "eos"
            else:
                yield from endings((*tokens, token))

    return ranked([answer(model, sentence, *one, settings, source_valid) for one in endings(())])


def slow_beam(model: TableModel, sentence: int, limits: Limits, settings: SearchSettings) -> list[Answer]:
    """Beam search for one sentence in plain loops, until W · patience answers have ended or the length limit."""
    beginnings: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    found: list[Answer] = []
    for _ in range(limits.max_length):
        if sum(one.finished == "eos" for one in found) >= settings.beam * settings.patience:
            break
        candidates = []
        for total, tokens in beginnings:
            log_probs = model.log_probs(sentence, tokens)
            allowed = limits.allowed(tokens, model.vocabulary, settings)
            if not allowed:
                found.append(answer(model, sentence, tokens, "length", settings))
            candidates += [(total + log_probs[token], (*tokens, token)) for token in allowed]
        candidates.sort(key=lambda one: -one[0])
        for _, tokens in candidates[: settings.beam]:
            if tokens[-1] == EOS:
                found.append(answer(model, sentence, tokens, "eos", settings))
        beginnings = [one for one in candidates if one[1][-1] != EOS][: settings.beam]
    found += [answer(model, sentence, tokens, "length", settings) for _, tokens in beginnings]
    return ranked(found)[: settings.nbest]


def same(found: Sequence[object], expected: Sequence[Answer], tolerance: float = 1e-9) -> None:
    """Whole lists are equal: order, tokens, how they ended, each log-probability and each score."""
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    assert [one.finished for one in found] == [one.finished for one in expected]
    for one, twin in zip(found, expected, strict=True):
        assert math.isclose(one.score, twin.score, rel_tol=tolerance, abs_tol=tolerance)
        assert len(one.log_probs) == len(twin.log_probs)
        for log_prob, other in zip(one.log_probs, twin.log_probs, strict=True):
            assert math.isclose(log_prob, other, rel_tol=tolerance, abs_tol=tolerance)
