"""Plain text, and in it the next piece: a text is read, settings computed, and what training needs is prepared."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from seq2see.config.lm import LmSettings, MarkovModel, PlainTextSettings
from seq2see.config.settings import SearchSettings
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
from seq2see.data.text_windows import TextBatch, TextWindows
from seq2see.errors import InputError
from seq2see.evaluation.result import Evaluation
from seq2see.models.language_model import NeuralLanguageModel
from seq2see.models.language_presets import build_language_model
from seq2see.models.markov import MarkovChain
from seq2see.models.ngrams import count_grams
from seq2see.storage.tensors import load_tensors
from seq2see.tasks.continuation import go_on
from seq2see.tasks.folder import TOKENISER, WEIGHTS, RunFolder, default_device, load_weights, open_folder
from seq2see.tasks.lm_choices import choose_lm
from seq2see.tasks.lm_run import LmRun, evaluate_text
from seq2see.tasks.lm_scoring import STRETCH, Reader, sampled_loss
from seq2see.tasks.resuming import digest, fingerprint
from seq2see.tasks.task import Ground, Prepared
from seq2see.text.tokeniser import Tokeniser, TokeniserPair
from seq2see.training.batch import LossFunction
from seq2see.training.interrupt import Interrupt
from seq2see.training.loss import cross_entropy
from seq2see.training.progress import Development

_SHOWN = 60  # pieces written at each evaluation, behind as many characters of the held-out text


class Lm:
    """See ``Task``."""

    name = "lm"
    data_key = "file"
    try_it = "seq2see predict {run} TEXT, or: seq2see see {run} TEXT"

    def default_name(self, given: Table, origin: Path | None) -> str:
        file = _rules(given, origin).file
        return ("stdin" if file == "-" else Path(file).name.split(".")[0] if file else "") or "text"

    def open_data(
        self, given: Table, origin: Path | None, interrupt: Interrupt
    ) -> Callable[[Ground], Prepared[TextBatch]]:
        rules = _rules(given, origin)
        if rules.file is None:
            raise InputError("no data given: name a file of plain text (.gz and .zst too), or - for standard input")
        file = input_file(rules.file, interrupt.check)
        dev = input_file(rules.dev[0], interrupt.check) if rules.dev else None
        return lambda ground: _prepare(ground, rules, file, dev)

    def open_run(self, folder: Path) -> LmRun:
        opened = open_folder(folder)
        settings = parse(LmSettings, opened.table, opened.config)
        tokeniser = TokeniserPair.load(folder / TOKENISER).source
        model = build_language_model(settings.model, tokeniser.size, settings.window.length)
        note = _load_counts(opened, model) if isinstance(model, MarkovChain) else load_weights(opened, model)
        return LmRun(opened, settings, model, note, tokeniser)


TASK = Lm()


def _rules(given: Table, origin: Path | None) -> PlainTextSettings:
    data = given.get("data", {})
    pairs = [name for name in ("source", "target", "columns") if name in data]
    if pairs:
        raise InputError(f"{', '.join(pairs)}: for pairs of text; the task lm reads one file of plain text")
    return parse(PlainTextSettings, data, origin, "data")


def _load_counts(opened: RunFolder, model: MarkovChain) -> str:
    """The counts of a Markov chain; how many there are stands in the file alone."""
    if not opened.finished:
        raise InputError(f"{opened.path}: counting has not finished; train it again (it is quick)")
    try:
        model.restore(load_tensors(opened.path / WEIGHTS, None))
    except InputError as error:
        raise InputError(f"{opened.path / WEIGHTS}: {error}") from None
    model.to(default_device()).eval()
    return ""


@dataclass(frozen=True)
class Corpus:
    """A text, and the number of its first character that is held out; or another text to choose by."""

    file: InputFile
    dev: InputFile | None
    whole: TextSurvey
    stop: int
    most: int  # characters of ``dev``

    def training(self, check: Callable[[], None]) -> Iterator[str]:
        return span(characters(self.file, check), 0, self.stop)

    def held_out(self, check: Callable[[], None]) -> str:
        if self.dev is not None:
            return "".join(span(characters(self.dev, check), 0, self.most))
        return "".join(span(characters(self.file, check), self.stop, self.whole.characters))


def _corpus(rules: PlainTextSettings, file: InputFile, dev: InputFile | None, check: Callable[[], None]) -> Corpus:
    whole = survey_text(characters(file, check))
    if not whole.words:
        raise InputError(f"{file.name} is blank: there is no text to train on")
    stop = whole.characters
    if dev is None:
        stop = held_out_from(whole.characters, rules.held_out, rules.held_out_most)
    return Corpus(file, dev, whole, stop, rules.held_out_most)


def _prepare(ground: Ground, rules: PlainTextSettings, file: InputFile, dev: InputFile | None) -> Prepared[TextBatch]:
    check, note = ground.interrupt.check, ground.note
    corpus = _corpus(rules, file, dev, check)
    note(corpus.whole.sentence(file.name))
    trained = corpus.whole if corpus.stop == corpus.whole.characters else survey_text(corpus.training(check))
    choice = choose_lm(trained, ground.given, model=ground.request.model, origin=ground.origin)
    settings = choice.settings
    for sentence in choice.reasons:
        note(sentence)
    held_out = corpus.held_out(check)
    if held_out:
        note(_held_out_sentence(corpus, held_out))
    tokeniser = _tokeniser(ground, corpus, settings)
    note(f"vocabulary: {tokeniser.size:,} pieces")
    made_of = fingerprint(
        settings.model_copy(update={"data": settings.data.model_copy(update={"file": None, "dev": ()})}),
        {
            "content of the text": corpus.whole.sha256,
            "content of the held-out text": digest(held_out),
            "tokeniser": digest(tokeniser.to_json()),
        },
    )
    ground.agree(settings, made_of)
    stream = _stream(ground, corpus, tokeniser)
    note(f"training text: {len(stream):,} pieces")
    judge = Judge(settings, tokeniser, held_out, _data_name(corpus, held_out), ground.interrupt, ground.folder)
    counts_V = stream.counts(tokeniser.size, check)
    return Prepared(
        settings=settings,
        files=(TOKENISER,),
        model=lambda: _model(settings, tokeniser, counts_V),
        batches=_windows(stream, tokeniser, settings),
        loss=_objective(settings.training.label_smoothing),
        develop=judge.develop if judge.has_text else None,
        evaluate=judge.evaluate if judge.has_text else lambda model: None,
        fingerprint=made_of,
        data=str(settings.data.file),
        solve=_counting(stream, check) if isinstance(settings.model.decoder, MarkovModel) else None,
    )


def _held_out_sentence(corpus: Corpus, held_out: str) -> str:
    if corpus.dev is not None:
        some = "the first " if len(held_out) == corpus.most else ""
        return f"dev: {some}{len(held_out):,} characters of {corpus.dev.name}"
    return f"held out: the last {len(held_out):,} characters, {len(held_out) / corpus.whole.characters:.1%} of the text"


def _data_name(corpus: Corpus, held_out: str) -> str:
    """Which text the dev scores are of."""
    if corpus.dev is not None:
        return f"{corpus.dev.name}, {len(held_out):,} characters"
    return f"{corpus.file.name} (its last {len(held_out):,} characters, sha256 {corpus.whole.sha256[:12]})"


def _tokeniser(ground: Ground, corpus: Corpus, settings: LmSettings) -> Tokeniser:
    """That of a run that goes on, or a new one, in the folder."""
    if ground.resumed:
        return TokeniserPair.load(ground.folder / TOKENISER).source
    ground.begin(settings)
    check = ground.interrupt.check
    tokeniser = Tokeniser.train(parts(corpus.training(check), STRETCH), settings.text, check)
    TokeniserPair(tokeniser, tokeniser).save(ground.folder / TOKENISER)
    return tokeniser


def _stream(ground: Ground, corpus: Corpus, tokeniser: Tokeniser) -> CachedStream:
    """The training text as piece numbers, from the run's cache or into it."""
    check = ground.interrupt.check
    key = stream_key(corpus.whole.sha256, tokeniser, 0, corpus.stop)
    pieces = encoded(tokeniser, parts(corpus.training(check)), check)
    return open_or_build_stream(pieces, tokeniser.size, ground.folder / "cache", key, ground.note)


def _windows(stream: CachedStream, tokeniser: Tokeniser, settings: LmSettings) -> TextWindows:
    shown = tokeniser.decode_with_spans(range(tokeniser.size)).pieces
    return TextWindows(
        stream,
        length=settings.window.length,
        before=settings.window.before,
        tokens=settings.training.batch_tokens,
        seed=settings.training.seed,
        line_breaks=[number for number, piece in enumerate(shown) if piece.endswith("\n")],
    )


def _model(settings: LmSettings, tokeniser: Tokeniser, counts_V: Tensor) -> nn.Module:
    model = build_language_model(settings.model, tokeniser.size, settings.window.length)
    if isinstance(model, NeuralLanguageModel):
        model.expect(counts_V)
    return model


def _counting(stream: CachedStream, check: Callable[[], None]) -> Callable[[nn.Module], None]:
    """Fills a Markov chain."""

    def count(model: nn.Module) -> None:
        chain = cast(MarkovChain, model)
        chain.fill(count_grams(lambda: stream.blocks(chain.order, check), chain.order, chain.vocabulary, check))

    return count


def _objective(smoothing: float) -> LossFunction[TextBatch]:
    """The sum over a batch's pieces of what each was foreseen with."""

    def loss(model: nn.Module, batch: TextBatch) -> Tensor:
        # Through torch.compile the model is wrapped in a module that hands its attributes on.
        output = cast(NeuralLanguageModel[Any], model).decoder.output
        hidden_BTD = model(batch.input_BT, batch.before_BP, batch.before_valid_BP)
        gold_N = batch.gold_BT.flatten()
        return cross_entropy(hidden_BTD.flatten(0, 1), output.weight_VD, output.bias_V, gold_N, smoothing)

    return loss


@dataclass(frozen=True)
class Judge:
    """How well a model foresees the held-out text."""

    settings: LmSettings
    tokeniser: Tokeniser
    text: str
    data: str
    interrupt: Interrupt
    folder: Path

    @property
    def has_text(self) -> bool:
        """Whether there is a piece in it."""
        return len(self.ids_I) > 0

    def reader(self, model: nn.Module) -> Reader:
        return Reader(cast(Any, model), self.tokeniser, self.settings)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """All scores, on all of it."""
        check = self.interrupt.check
        return evaluate_text(
            self.reader(model), lambda: [self.text], run=str(self.folder), data=f"dev: {self.data}", check=check
        )

    def develop(self, model: nn.Module) -> Development:
        """While training goes on: the loss on some of it, and how the model goes on from its beginning."""
        reader, check = self.reader(model), self.interrupt.check
        loss = sampled_loss(reader, self.ids_I, self.settings.evaluation.dev_pieces, check)
        return Development(loss=loss, scores={}, key=-loss, samples=[self._sample(reader)])

    def _sample(self, reader: Reader) -> dict[str, str]:
        prompt, then = self.text[:_SHOWN], self.text[_SHOWN : 2 * _SHOWN]
        drawn = SearchSettings(method="sample", temperature=0.8, max_length=_SHOWN)
        ids = self.tokeniser.encode(prompt).ids
        found = go_on(reader, [ids], drawn, check=self.interrupt.check)[0][0]
        written = self.tokeniser.decode((*ids, *found.tokens))[len(self.tokeniser.decode(ids)) :]
        return {"source": _one_line(prompt), "reference": _one_line(then), "prediction": _one_line(written)}

    @cached_property
    def ids_I(self) -> Tensor:
        """The pieces of the held-out text."""
        found = encoded(self.tokeniser, parts([self.text]), self.interrupt.check)
        return torch.tensor([one for part in found for one in part], dtype=torch.long)


def _one_line(text: str) -> str:
    return text.replace("\n", "␊")
