"""The plain text of a run, for every task that reads one: what is trained on, what is held out, its pieces."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from seq2see.config.lm import LmSettings, PlainTextSettings
from seq2see.config.masked import MaskedSettings
from seq2see.config.toml import Table, parse
from seq2see.data.plain_text import (
    TextSurvey,
    characters,
    held_out_from,
    parts,
    span,
    survey_text,
)
from seq2see.data.stream_cache import CachedStream, encoded, open_or_build_stream, stream_key
from seq2see.data.streams import InputFile, input_file
from seq2see.errors import InputError
from seq2see.tasks.choice import Choice
from seq2see.tasks.folder import TOKENISER
from seq2see.tasks.lm_scoring import STRETCH
from seq2see.tasks.resuming import digest, fingerprint
from seq2see.tasks.task import Ground
from seq2see.text.tokeniser import Tokeniser, TokeniserPair
from seq2see.training.interrupt import Interrupt


def text_rules(given: Table, origin: Path | None, task: str) -> PlainTextSettings:
    """The section ``data``. Raises InputError for keys of pairs of text."""
    data = given.get("data", {})
    pairs = [name for name in ("source", "target", "columns") if name in data]
    if pairs:
        raise InputError(f"{', '.join(pairs)}: for pairs of text; the task {task} reads one file of plain text")
    return parse(PlainTextSettings, data, origin, "data")


def name_of_text(rules: PlainTextSettings) -> str:
    """A name for a run on this text."""
    file = rules.file
    return ("stdin" if file == "-" else Path(file).name.split(".")[0] if file else "") or "text"


def text_files(rules: PlainTextSettings, check: Callable[[], None]) -> tuple[InputFile, InputFile | None]:
    """The text, and another one to choose by. Raises InputError where there is none."""
    if rules.file is None:
        raise InputError("no data given: name a file of plain text (.gz and .zst too), or - for standard input")
    return input_file(rules.file, check), input_file(rules.dev[0], check) if rules.dev else None


@dataclass(frozen=True)
class Corpus:
    """A text, and the number of its first character that is held out; or another text to choose by."""

    file: InputFile
    dev: InputFile | None
    whole: TextSurvey
    stop: int
    most: int  # characters of ``dev``

    def training(self, check: Callable[[], None]) -> Iterator[str]:
        """The text to train on."""
        return span(characters(self.file, check), 0, self.stop)

    def held_out(self, check: Callable[[], None]) -> str:
        """The text to choose by; empty where nothing is held out."""
        if self.dev is not None:
            return "".join(span(characters(self.dev, check), 0, self.most))
        return "".join(span(characters(self.file, check), self.stop, self.whole.characters))

    def trained(self, check: Callable[[], None]) -> TextSurvey:
        """What is in the text to train on."""
        return self.whole if self.stop == self.whole.characters else survey_text(self.training(check))

    def held_out_sentence(self, held_out: str) -> str:
        """What is held out, for a person."""
        if self.dev is not None:
            some = "the first " if len(held_out) == self.most else ""
            return f"dev: {some}{len(held_out):,} characters of {self.dev.name}"
        share = len(held_out) / self.whole.characters
        return f"held out: the last {len(held_out):,} characters, {share:.1%} of the text"

    def data_name(self, held_out: str) -> str:
        """Which text the dev scores are of."""
        if self.dev is not None:
            return f"{self.dev.name}, {len(held_out):,} characters"
        return f"{self.file.name} (its last {len(held_out):,} characters, sha256 {self.whole.sha256[:12]})"

    def fingerprint(self, settings: LmSettings | MaskedSettings, held_out: str, tokeniser: Tokeniser) -> dict[str, str]:
        """What must not change between a checkpoint and its resumption; where the text lies may."""
        data = settings.data.model_copy(update={"file": None, "dev": ()})
        contents = {
            "content of the text": self.whole.sha256,
            "content of the held-out text": digest(held_out),
            "tokeniser": digest(tokeniser.to_json()),
        }
        return fingerprint(settings.model_copy(update={"data": data}), contents)


def open_corpus(rules: PlainTextSettings, file: InputFile, dev: InputFile | None, check: Callable[[], None]) -> Corpus:
    """Read a text once, to know what is in it. Raises InputError for a blank one."""
    whole = survey_text(characters(file, check))
    if not whole.words:
        raise InputError(f"{file.name} is blank: there is no text to train on")
    stop = whole.characters
    if dev is None:
        stop = held_out_from(whole.characters, rules.held_out, rules.held_out_most)
    return Corpus(file, dev, whole, stop, rules.held_out_most)


AnySettings = TypeVar("AnySettings", LmSettings, MaskedSettings)


class Choose(Protocol[AnySettings]):
    """How a task settles its settings: see ``choose_lm``."""

    def __call__(
        self, survey: TextSurvey, given: Mapping[str, Any], *, model: str | None, origin: Path | None
    ) -> Choice[AnySettings]: ...


@dataclass(frozen=True)
class TextForTraining(Generic[AnySettings]):
    """A text that was read, and all that follows from it.

    ``made_of``: the fingerprint; ``stream``: its pieces, without those held out; ``counts_V``: how many of each.
    """

    settings: AnySettings
    tokeniser: Tokeniser
    held_out: str
    held_out_name: str
    made_of: dict[str, str]
    stream: CachedStream
    counts_V: Tensor


def text_for_training(
    ground: Ground,
    rules: PlainTextSettings,
    file: InputFile,
    dev: InputFile | None,
    choose: Choose[AnySettings],
) -> TextForTraining[AnySettings]:
    """Read and survey the text, settle the settings, train the tokeniser, fill the cache; and say so."""
    check, note = ground.interrupt.check, ground.note
    corpus = open_corpus(rules, file, dev, check)
    note(corpus.whole.sentence(file.name))
    choice = choose(corpus.trained(check), ground.given, model=ground.request.model, origin=ground.origin)
    for sentence in choice.reasons:
        note(sentence)
    held_out = corpus.held_out(check)
    if held_out:
        note(corpus.held_out_sentence(held_out))
    tokeniser = _tokeniser(ground, corpus, choice.settings)
    note(f"vocabulary: {tokeniser.size:,} pieces")
    made_of = corpus.fingerprint(choice.settings, held_out, tokeniser)
    ground.agree(choice.settings, made_of)
    stream = _stream(ground, corpus, tokeniser)
    note(f"training text: {len(stream):,} pieces")
    counts_V = stream.counts(tokeniser.size, check)
    name = corpus.data_name(held_out)
    return TextForTraining(choice.settings, tokeniser, held_out, name, made_of, stream, counts_V)


def _tokeniser(ground: Ground, corpus: Corpus, settings: LmSettings | MaskedSettings) -> Tokeniser:
    """That of a run that goes on or of the donor, or a new one, in the folder."""
    if ground.resumed:
        return TokeniserPair.load(ground.folder / TOKENISER).source
    ground.begin(settings)
    check = ground.interrupt.check
    if ground.donor is not None:
        tokeniser = ground.donor.tokenisers.source
    else:
        tokeniser = Tokeniser.train(parts(corpus.training(check), STRETCH), settings.text, check)
    TokeniserPair(tokeniser, tokeniser).save(ground.folder / TOKENISER)
    return tokeniser


def _stream(ground: Ground, corpus: Corpus, tokeniser: Tokeniser) -> CachedStream:
    """The training text as piece numbers, from the run's cache or into it."""
    check = ground.interrupt.check
    key = stream_key(corpus.whole.sha256, tokeniser, 0, corpus.stop)
    pieces = encoded(tokeniser, parts(corpus.training(check)), check)
    return open_or_build_stream(pieces, tokeniser.size, ground.folder / "cache", key, ground.note)


@dataclass(frozen=True)
class HeldOutText:
    """What a model is judged by; ``data`` names it, ``folder`` is the run's."""

    tokeniser: Tokeniser
    text: str
    data: str
    interrupt: Interrupt
    folder: Path

    @property
    def has_text(self) -> bool:
        """Whether there is a piece in it."""
        return len(self.ids_I) > 0

    @cached_property
    def ids_I(self) -> Tensor:
        """Its pieces."""
        found = encoded(self.tokeniser, parts([self.text]), self.interrupt.check)
        return torch.tensor([one for part in found for one in part], dtype=torch.long)
