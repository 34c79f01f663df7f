"""Plain text, and in it hidden pieces: a text is read, settings computed, and what training needs is prepared.

B windows · T pieces of a window · K hidden ones · D width · N hidden pieces of all windows · V vocabulary
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from seq2see.config.lm import PlainTextSettings
from seq2see.config.masked import MaskedSettings
from seq2see.config.toml import Table, parse, refuse_slips
from seq2see.data.masking import MASK, MaskedBatch, MaskedWindows, hide
from seq2see.data.stream_cache import CachedStream
from seq2see.data.streams import InputFile
from seq2see.data.text_windows import TextWindows
from seq2see.evaluation.result import Evaluation
from seq2see.models.masked_language_model import MaskedLanguageModel, build_masked_model
from seq2see.tasks.folder import TOKENISER, load_weights, open_folder
from seq2see.tasks.masked_choices import choose_masked
from seq2see.tasks.masked_filling import Filler, Gapped
from seq2see.tasks.masked_run import MaskedRun
from seq2see.tasks.masked_scoring import MaskedReader, evaluate_text, sampled_loss
from seq2see.tasks.plain_corpus import HeldOutText, name_of_text, text_files, text_for_training, text_rules
from seq2see.tasks.task import Ground, Prepared
from seq2see.text.subwords import has_prefix
from seq2see.text.tokeniser import Tokeniser, TokeniserPair
from seq2see.training.batch import LossFunction
from seq2see.training.interrupt import Interrupt
from seq2see.training.loss import output_cross_entropy
from seq2see.training.progress import Development

_SHOWN = 24  # pieces of the held-out text that are shown at each evaluation
_EVERY = 7  # of them one is hidden


class Masked:
    """See ``Task``."""

    name = "masked"
    data_key = "file"
    donors: tuple[str, ...] = ("masked",)
    try_it = 'seq2see predict {run} "a text with ___ in it", or: seq2see see {run} "TEXT" --html page.html'

    def default_name(self, given: Table, origin: Path | None) -> str:
        return name_of_text(text_rules(given, origin, self.name))

    def open_data(
        self, given: Table, origin: Path | None, interrupt: Interrupt
    ) -> Callable[[Ground], Prepared[MaskedBatch]]:
        refuse_slips(MaskedSettings, given, origin)
        rules = text_rules(given, origin, self.name)
        file, dev = text_files(rules, interrupt.check)
        return lambda ground: _prepare(ground, rules, file, dev)

    def open_run(self, folder: Path) -> MaskedRun:
        opened = open_folder(folder)
        settings = parse(MaskedSettings, opened.table, opened.config)
        tokeniser = TokeniserPair.load(folder / TOKENISER).source
        model = build_masked_model(settings.model, tokeniser.size)
        note = load_weights(opened, model)
        return MaskedRun(opened, settings, model, note, tokeniser)


TASK = Masked()


def _prepare(ground: Ground, rules: PlainTextSettings, file: InputFile, dev: InputFile | None) -> Prepared[MaskedBatch]:
    text = text_for_training(ground, rules, file, dev, choose_masked)
    settings, tokeniser, stream = text.settings, text.tokeniser, text.stream
    judge = Judge(tokeniser, text.held_out, text.held_out_name, ground.interrupt, ground.folder, settings)
    return Prepared(
        settings=settings,
        files=(TOKENISER,),
        model=lambda: ground.begun(_model(settings, tokeniser, text.counts_V)),
        batches=_windows(stream, settings),
        loss=objective(settings, tokeniser.size),
        develop=judge.develop if judge.has_text else None,
        evaluate=judge.evaluate if judge.has_text else lambda model: None,
        fingerprint=text.made_of,
        data=str(settings.data.file),
    )


def _windows(stream: CachedStream, settings: MaskedSettings) -> MaskedWindows:
    windows = TextWindows(
        stream,
        length=settings.window.length,
        before=0,
        tokens=settings.training.batch_tokens,
        seed=settings.training.seed,
    )
    return MaskedWindows(windows, settings.masking.share)


def _model(settings: MaskedSettings, tokeniser: Tokeniser, counts_V: Tensor) -> nn.Module:
    model = build_masked_model(settings.model, tokeniser.size)
    model.output.expect(counts_V)
    return model


def objective(settings: MaskedSettings, vocabulary: int) -> LossFunction[MaskedBatch]:
    """The sum over a batch's hidden pieces of what each was foretold with."""
    masking, smoothing = settings.masking, settings.training.label_smoothing

    def loss(model: nn.Module, batch: MaskedBatch) -> Tensor:
        # Through torch.compile the model is wrapped in a module that hands its attributes on.
        output = cast(MaskedLanguageModel, model).output
        input_BT, places_BK = hide(batch.gold_BT, batch.hidden, masking, vocabulary)
        states_BTD = model(input_BT, torch.ones_like(input_BT, dtype=torch.bool))
        row_B1 = torch.arange(len(batch), device=input_BT.device).unsqueeze(1)
        hidden_ND = states_BTD[row_B1, places_BK].flatten(0, 1)
        gold_N = batch.gold_BT.gather(1, places_BK).flatten()
        return output_cross_entropy(output, hidden_ND, gold_N, smoothing)

    return loss


@dataclass(frozen=True)
class Judge(HeldOutText):
    """How well a model foretells the hidden pieces of the held-out text."""

    settings: MaskedSettings

    def reader(self, model: nn.Module) -> MaskedReader:
        return MaskedReader(cast(MaskedLanguageModel, model), self.tokeniser, self.settings)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """All scores, on all of it."""
        check = self.interrupt.check
        return evaluate_text(
            self.reader(model), lambda: [self.text], run=str(self.folder), data=f"dev: {self.data}", check=check
        )

    def develop(self, model: nn.Module) -> Development:
        """While training goes on: the loss on some of it, and what the model puts into blanks of its beginning."""
        reader, check = self.reader(model), self.interrupt.check
        loss = sampled_loss(reader, self.ids_I, self.settings.evaluation.dev_pieces, check)
        return Development(loss=loss, scores={}, key=-loss, samples=self._samples(reader))

    def _samples(self, reader: MaskedReader) -> list[dict[str, str]]:
        ids = self.ids_I[:_SHOWN].tolist()
        places = tuple(range(_EVERY // 2, len(ids), _EVERY))
        if not places:
            return []
        whole = self.tokeniser.decode_with_spans(ids)
        source, at = "", 0
        for place, (start, end) in enumerate(whole.spans):
            text = whole.text[max(start, at) : end]
            source += " " * text.startswith(" ") + "___" if place in places else text
            at = max(at, end)
        apart = tuple(has_prefix(self.settings.text.kind) and whole.pieces[each].startswith(" ") for each in places)
        hidden = tuple(MASK if place in places else one for place, one in enumerate(ids))
        (found,) = Filler(reader, 1).fill_read([source], [Gapped(hidden, places, apart)])
        told = {"source": source, "reference": whole.text, "prediction": found.text}
        return [{name: text.replace("\n", "␊") for name, text in told.items()}]
