"""Prompts in, texts that go on from them out, in order.

N rows · W rows of one prompt · P pieces of a prompt · V vocabulary
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings
from seq2see.search.hypothesis import Hypothesis
from seq2see.search.rules import ForbidTokens
from seq2see.search.search import search
from seq2see.tasks.lm_scoring import Reader
from seq2see.tasks.prediction import forbidden
from seq2see.text.tokeniser import EOS, SOS, Encoding

LENGTH = 300  # pieces written where no max_length says otherwise
_ROWS = 32  # written side by side


@dataclass(frozen=True)
class Continuation:
    """A text that begins with a prompt. ``text`` is all of it, ``written`` what the model has added.

    ``log_probs`` has one natural logarithm for each of ``pieces``, which the model wrote; ``score`` is the one
    that search ranked by.
    """

    prompt: str
    text: str
    written: str
    score: float
    finished: str
    pieces: tuple[str, ...]
    log_probs: tuple[float, ...]
    ids: tuple[int, ...]
    alternatives: tuple["Continuation", ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Prompted:
    """A model's state in which all of a prompt has been read but its last piece."""

    state: Any
    last_N: Tensor | None  # that piece; None: it has been read

    def take(self, rows_BW: Tensor) -> "Prompted":
        """See ``State``."""
        last_N = None if self.last_N is None else self.last_N.index_select(0, rows_BW.flatten())
        return Prompted(self.state.take(rows_BW), last_N)


def go_on(
    reader: Reader,
    prompts: Sequence[Sequence[int]],
    settings: SearchSettings,
    *,
    keys: Sequence[int] | None = None,
    forbid: Sequence[str] = (),
    check: Callable[[], None] = lambda: None,
) -> list[list[Hypothesis]]:
    """The n-best continuations of each prompt, given in pieces; those of one length are written side by side.

    ``keys`` name the prompts for sampling: what is written for one depends on the seed and its key alone.
    """
    keys = range(len(prompts)) if keys is None else keys
    found: list[list[Hypothesis]] = [[] for _ in prompts]
    with torch.inference_mode():
        for rows in _alike([len(prompt) for prompt in prompts]):
            check()
            results = search(
                lambda tokens_N, prompted: _step(reader, tokens_N, prompted),
                _read(reader, [prompts[row] for row in rows]),
                sentences=len(rows),
                settings=settings,
                max_lengths=[settings.max_length or LENGTH] * len(rows),
                rules=(ForbidTokens((EOS,)), *forbidden(reader.tokeniser, forbid)),  # a text of this kind has no end
                sentence_keys=[keys[row] for row in rows],
                device=reader.device,
                check=check,
            )
            for row, hypotheses in zip(rows, results, strict=True):
                found[row] = hypotheses
    return found


def _alike(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of one length, at most ``_ROWS`` together."""
    for length in sorted(set(lengths)):
        rows = [row for row, own in enumerate(lengths) if own == length]
        for start in range(0, len(rows), _ROWS):
            yield rows[start : start + _ROWS]


def _read(reader: Reader, prompts: Sequence[Sequence[int]]) -> Prompted:
    tokens_NP = torch.tensor([[SOS, *prompt] for prompt in prompts], device=reader.device)
    state = reader.model.read(tokens_NP[:, :-1], reader.model.start(len(prompts)))
    return Prompted(state, tokens_NP[:, -1])


def _step(reader: Reader, tokens_N: Tensor, prompted: Any) -> tuple[Tensor, Prompted, None]:
    """Search begins every target with ``<sos>``; here it is the last piece of the prompt that is read first."""
    read_N = tokens_N if prompted.last_N is None else prompted.last_N
    logits_NV, state, _ = reader.model.step(read_N, prompted.state)
    return logits_NV, Prompted(state, None), None


def continuations(
    reader: Reader,
    prompts: Iterable[str],
    settings: SearchSettings,
    *,
    forbid: Sequence[str] = (),
    first: int = 0,
    window: int,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Continuation]:
    """One continuation of each prompt, in order, holding no more than ``window`` prompts at a time.

    ``first`` is the number of the first prompt among all there are; what is drawn depends on it.
    """
    remaining, first_key = iter(prompts), first
    while several := list(islice(remaining, window)):
        read = [reader.tokeniser.encode(prompt) for prompt in several]
        keys = range(first_key, first_key + len(several))
        found = go_on(reader, [each.ids for each in read], settings, keys=keys, forbid=forbid, check=check)
        for prompt, encoding, hypotheses in zip(several, read, found, strict=True):
            best, *others = [_worded(reader, prompt, encoding, each) for each in hypotheses]
            yield replace(best, alternatives=tuple(others))
        first_key += len(several)


def _worded(reader: Reader, prompt: str, read: Encoding, hypothesis: Hypothesis) -> Continuation:
    tokeniser = reader.tokeniser
    whole = tokeniser.decode_with_spans((*read.ids, *hypothesis.tokens))
    written = whole.text[len(tokeniser.decode(read.ids)) :]
    return Continuation(
        prompt=prompt,
        text=read.text + written,
        written=written,
        score=hypothesis.score,
        finished=hypothesis.finished,
        pieces=whole.pieces[len(read.ids) :],
        log_probs=hypothesis.log_probs,
        ids=hypothesis.tokens,
    )
