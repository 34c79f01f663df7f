"""Plain text, and in it the next piece: a text is read, settings computed, and what training needs is prepared."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from seq2see.config.lm import LmSettings, MarkovModel, PlainTextSettings
from seq2see.config.settings import SearchSettings
from seq2see.config.toml import Table, parse, refuse_slips
from seq2see.data.stream_cache import CachedStream
from seq2see.data.streams import InputFile
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
from seq2see.tasks.lm_scoring import Reader, sampled_loss
from seq2see.tasks.plain_corpus import HeldOutText, name_of_text, text_files, text_for_training, text_rules
from seq2see.tasks.task import Ground, Prepared
from seq2see.text.tokeniser import Tokeniser, TokeniserPair
from seq2see.training.batch import LossFunction
from seq2see.training.interrupt import Interrupt
from seq2see.training.loss import output_cross_entropy
from seq2see.training.progress import Development

_SHOWN = 60  # pieces written at each evaluation, behind as many characters of the held-out text


class Lm:
    """See ``Task``."""

    name = "lm"
    data_key = "file"
    donors: tuple[str, ...] = ("lm",)
    try_it = 'seq2see predict {run} "BEGINNING", or: seq2see see {run} "TEXT" --html page.html'

    def default_name(self, given: Table, origin: Path | None) -> str:
        return name_of_text(text_rules(given, origin, self.name))

    def open_data(
        self, given: Table, origin: Path | None, interrupt: Interrupt
    ) -> Callable[[Ground], Prepared[TextBatch]]:
        refuse_slips(LmSettings, given, origin)
        rules = text_rules(given, origin, self.name)
        file, dev = text_files(rules, interrupt.check)
        return lambda ground: _prepare(ground, rules, file, dev)

    def open_run(self, folder: Path) -> LmRun:
        opened = open_folder(folder)
        settings = parse(LmSettings, opened.table, opened.config)
        tokeniser = TokeniserPair.load(folder / TOKENISER).source
        model = build_language_model(settings.model, tokeniser.size, settings.window.length)
        note = _load_counts(opened, model) if isinstance(model, MarkovChain) else load_weights(opened, model)
        return LmRun(opened, settings, model, note, tokeniser)


TASK = Lm()


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


def _prepare(ground: Ground, rules: PlainTextSettings, file: InputFile, dev: InputFile | None) -> Prepared[TextBatch]:
    text = text_for_training(ground, rules, file, dev, choose_lm)
    settings, tokeniser, stream = text.settings, text.tokeniser, text.stream
    judge = Judge(tokeniser, text.held_out, text.held_out_name, ground.interrupt, ground.folder, settings)
    return Prepared(
        settings=settings,
        files=(TOKENISER,),
        model=lambda: ground.begun(_model(settings, tokeniser, text.counts_V)),
        batches=_windows(stream, tokeniser, settings),
        loss=_objective(settings.training.label_smoothing),
        develop=judge.develop if judge.has_text else None,
        evaluate=judge.evaluate if judge.has_text else lambda model: None,
        fingerprint=text.made_of,
        data=str(settings.data.file),
        solve=_counting(stream, ground.interrupt.check) if isinstance(settings.model.decoder, MarkovModel) else None,
    )


def _windows(stream: CachedStream, tokeniser: Tokeniser, settings: LmSettings) -> TextWindows:
    shown = tokeniser.pieces(range(tokeniser.size))
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
        return output_cross_entropy(output, hidden_BTD.flatten(0, 1), gold_N, smoothing)

    return loss


@dataclass(frozen=True)
class Judge(HeldOutText):
    """How well a model foresees the held-out text."""

    settings: LmSettings

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


def _one_line(text: str) -> str:
    return text.replace("\n", "␊")
