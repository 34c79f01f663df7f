"""Tokens in, labels out: whole sentences in batches, or token by token as they arrive.

B sentences · S tokens · C labels · N rows
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from seq2see.data.label_scheme import may_follow
from seq2see.data.tag_labels import Labels
from seq2see.data.tagging import Words, WordTable
from seq2see.errors import InputError
from seq2see.models.tagger import Tagger
from seq2see.search.label_path import best_next, best_path
from seq2see.text.spelling import Spelling

_MOST_POSITIONS = 8_192  # of one pass over sentences side by side
MOST_AT_ONCE = 1_024  # tokens of one sentence; a longer one is read in parts


@dataclass(frozen=True)
class Tagged:
    """One sentence: a label for each token, and the probability of each label."""

    tokens: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]

    def __str__(self) -> str:
        return " ".join(self.labels)


@dataclass(frozen=True)
class Rules:
    """Which labels may begin a sentence, follow each other, and end it. True = allowed."""

    start_C: Tensor
    follow_CC: Tensor
    end_C: Tensor

    @staticmethod
    def of(labels: Labels) -> "Rules":
        names, scheme = labels.names, labels.scheme
        return Rules(
            torch.tensor([may_follow(None, name, scheme) for name in names]),
            torch.tensor([[may_follow(before, name, scheme) for name in names] for before in names]),
            torch.tensor([may_follow(name, None, scheme) for name in names]),
        )


@dataclass(frozen=True)
class Labeller:
    """A trained model with what it knows of words and labels: all that prediction needs."""

    model: Tagger
    spelling: Spelling
    labels: Labels

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @cached_property
    def rules(self) -> Rules | None:
        """None where every label may follow every other."""
        return Rules.of(self.labels) if self.labels.ruled else None

    @property
    def signature(self) -> str:
        """How labels are chosen, in the style of a score's signature."""
        if self.rules is None:
            return "argmax"
        return f"{'greedy' if self.model.streams else 'viterbi'}|scheme:{self.labels.scheme}"

    def chosen(self, log_probs_SC: Tensor) -> list[int]:
        """The label of each token. A model that streams cannot take a label back: it keeps the rules as it goes."""
        if self.rules is None:
            return [int(label) for label in log_probs_SC.argmax(1).tolist()]
        if not self.model.streams:
            return best_path(log_probs_SC, self.rules.start_C, self.rules.follow_CC, self.rules.end_C)
        found: list[int] = []
        for log_probs_C in log_probs_SC:
            found.append(self.chosen_next(log_probs_C, found[-1] if found else None))
        return found

    def chosen_next(self, log_probs_C: Tensor, before: int | None) -> int:
        """The label of a token behind one with label ``before``; None: the sentence begins."""
        if self.rules is None:
            return int(log_probs_C.argmax())
        allowed_C = self.rules.start_C if before is None else self.rules.follow_CC[before]
        return best_next(log_probs_C, allowed_C)

    def tagged(self, tokens: Sequence[str], log_probs_SC: Tensor) -> Tagged:
        """The chosen labels by name."""
        numbers = self.chosen(log_probs_SC)
        chances = log_probs_SC.exp()[range(len(numbers)), numbers].clamp(max=1.0)
        return Tagged(tuple(tokens), tuple(self.labels.names[number] for number in numbers), tuple(chances.tolist()))


def side_by_side(
    spelling: Spelling, sentences: Sequence[Sequence[str]], device: torch.device
) -> tuple[Words, Tensor, Tensor]:
    """Some sentences as a tagger takes them: their words, ``index_BS`` and ``valid_BS``."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(w for tokens in sentences for w in tokens))}
    table = WordTable([spelling.describe(word) for word in numbers])
    lengths_B = torch.tensor([len(tokens) for tokens in sentences])
    valid_BS = torch.arange(int(lengths_B.max())) < lengths_B[:, None]
    words_BS = torch.zeros(valid_BS.shape, dtype=torch.long)
    words_BS[valid_BS] = torch.tensor([numbers[word] for tokens in sentences for word in tokens])
    words, index_BS = table.side_by_side(words_BS, valid_BS)
    return words.to(device), index_BS.to(device), valid_BS.to(device)


def log_probs(
    labeller: Labeller, sentences: Sequence[Sequence[str]], check: Callable[[], None] = lambda: None
) -> Iterator[tuple[int, Tensor]]:
    """For each sentence with a token, shortest first: its place, and ``[S, C]`` log-probabilities on the CPU."""
    order = sorted((at for at, tokens in enumerate(sentences) if tokens), key=lambda at: (len(sentences[at]), at))
    for places in _batches(order, [len(sentences[at]) for at in order]):
        check()
        chosen = [sentences[at] for at in places]
        if len(chosen[0]) > MOST_AT_ONCE:
            yield places[0], _long(labeller, chosen[0])
        else:
            yield from zip(places, _together(labeller, chosen), strict=True)


def _batches(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places in their order, as many as one pass can hold; each long sentence by itself."""
    places: list[int] = []
    for at, length in zip(order, lengths, strict=True):
        if places and ((len(places) + 1) * length > _MOST_POSITIONS or length > MOST_AT_ONCE):
            yield places
            places = []
        places.append(at)
    if places:
        yield places


@torch.inference_mode()
def _together(labeller: Labeller, sentences: Sequence[Sequence[str]]) -> list[Tensor]:
    words, index_BS, valid_BS = side_by_side(labeller.spelling, sentences, labeller.device)
    hidden_BSD = labeller.model.read(words, index_BS, valid_BS).hidden_BSD
    log_probs_NC = labeller.model.output(hidden_BSD[valid_BS]).float().log_softmax(-1).cpu()
    return list(log_probs_NC.split([len(tokens) for tokens in sentences]))


@torch.inference_mode()
def _long(labeller: Labeller, tokens: Sequence[str]) -> Tensor:
    """A sentence in parts: a model that streams goes on from part to part, another one reads each by itself."""
    state, found = None, []
    for start in range(0, len(tokens), MOST_AT_ONCE):
        words, index_BS, valid_BS = side_by_side(
            labeller.spelling, [tokens[start : start + MOST_AT_ONCE]], labeller.device
        )
        passage = labeller.model.read(words, index_BS, valid_BS, state)
        state = passage.final
        found.append(labeller.model.output(passage.hidden_BSD[0]).float().log_softmax(-1).cpu())
    return torch.cat(found)


def label(
    labeller: Labeller, sentences: Sequence[Sequence[str]], check: Callable[[], None] = lambda: None
) -> list[Tagged]:
    """The labels of each sentence, in order; one without a token has none."""
    found: dict[int, Tagged] = {}
    for at, log_probs_SC in log_probs(labeller, sentences, check):
        found[at] = labeller.tagged(sentences[at], log_probs_SC)
    return [found.get(at, Tagged((), (), ())) for at in range(len(sentences))]


@dataclass(frozen=True)
class TaggedToken:
    """One token of a stream."""

    token: str
    label: str
    probability: float


def stream(labeller: Labeller, tokens: Iterable[str]) -> Iterator[TaggedToken | None]:
    """A label for each token as soon as it comes, in constant memory; a blank token ends a sentence and gives None.

    The labels are those that :func:`label` gives the whole sentence.

    Raises:
        InputError: the model reads whole sentences.
    """
    require_streaming(labeller.model)
    state, before = None, None
    for token in tokens:
        if not token.strip():
            state, before = None, None
            yield None
            continue
        with torch.inference_mode():
            words, _, _ = side_by_side(labeller.spelling, [[token]], labeller.device)
            logits_NC, state = labeller.model.step(words, labeller.model.start() if state is None else state)
            log_probs_C = logits_NC[0].float().log_softmax(-1).cpu()
        before = labeller.chosen_next(log_probs_C, before)
        yield TaggedToken(token, labeller.labels.names[before], min(1.0, float(log_probs_C[before].exp())))


def require_streaming(model: Tagger) -> None:
    """Raise InputError for a model that has to know later tokens."""
    if not model.streams:
        raise InputError(
            "--stream labels each token as it arrives, and this model reads whole sentences; train one that reads from "
            "the left alone (--model lstm), or leave --stream out"
        )
