"""Picture to text: pictures and captions are read, settings computed, and what training needs is prepared from them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from torch import Tensor, nn

from seq2see.config.images import CaptionSettings, PictureData
from seq2see.config.settings import DataSettings, SearchSettings
from seq2see.config.toml import Table, parse, refuse_slips
from seq2see.data.cache import CachedPairs, cache_key, open_or_build
from seq2see.data.image_batches import CaptionBatch, CaptionBatches, Supply
from seq2see.data.tally import Pair
from seq2see.evaluation.metrics import higher_is_better, value
from seq2see.evaluation.result import Evaluation
from seq2see.models.captioner import Captioner, build_captioner
from seq2see.tasks.caption_scoring import evaluate_captions, references_of
from seq2see.tasks.captioning import Describer, captions_of, foreseen, loss_of
from seq2see.tasks.captions import CaptionRun
from seq2see.tasks.folder import TOKENISER, load_weights, open_folder
from seq2see.tasks.gallery import (
    Found,
    Gallery,
    data_name,
    default_name,
    galleries,
    made_of,
    open_found,
    picture_rules,
    surveyed,
)
from seq2see.tasks.image_choices import CaptionStatistics, choose_captioner
from seq2see.tasks.neighbours import CAPTIONS, PICTURES, Neighbours
from seq2see.tasks.reporting import tell
from seq2see.tasks.resuming import digest
from seq2see.tasks.task import Ground, Prepared
from seq2see.text.tokeniser import Tokeniser, TokeniserPair
from seq2see.training.batch import LossFunction
from seq2see.training.interrupt import Interrupt
from seq2see.training.loss import output_cross_entropy
from seq2see.training.progress import Development

_SAMPLES = 4  # dev pictures whose captions are shown as they improve
_RULES = DataSettings(max_pieces=1_000)  # of captions as targets of pairs; their sources are empty


class CaptionTask:
    """See ``Task``."""

    name = "caption"
    data_key = "file"
    donors: tuple[str, ...] = ()
    try_it = "seq2see predict {run} PICTURE, or: seq2see see {run} PICTURE --html page.html"

    def default_name(self, given: Table, origin: Path | None) -> str:
        return default_name(_rules(given, origin))

    def open_data(
        self, given: Table, origin: Path | None, interrupt: Interrupt
    ) -> Callable[[Ground], Prepared[CaptionBatch]]:
        refuse_slips(CaptionSettings, given, origin)
        found = open_found(_rules(given, origin), interrupt.check)
        return lambda ground: _prepare(ground, found)

    def open_run(self, folder: Path) -> CaptionRun:
        opened = open_folder(folder)
        settings = parse(CaptionSettings, opened.table, opened.config)
        tokeniser = TokeniserPair.load(folder / TOKENISER).target
        model = build_captioner(settings.model, tokeniser.size)
        note = load_weights(opened, model)
        return CaptionRun(opened, settings, model, note, tokeniser)


TASK = CaptionTask()


def _rules(given: Table, origin: Path | None) -> PictureData:
    wanted = (
        "a folder, tar or zip with pictures and captions in it, or --source with the pictures and --target with the "
        "captions"
    )
    return picture_rules(given, origin, wanted)


def _prepare(ground: Ground, found: Found) -> Prepared[CaptionBatch]:
    """Read and survey the pictures, settle the settings, train the tokeniser, fill the caches."""
    check, note = ground.interrupt.check, ground.note
    surveys = surveyed(found, note, check)
    captions = CaptionStatistics.of(found.training.texts)
    note(f"{captions.captions:,} captions, {captions.words / captions.captions:.1f} words on average")
    settings, reasons = choose_captioner(
        surveys[0], captions, ground.given, model=ground.request.model, origin=ground.origin
    )
    tell(note, reasons)
    if not ground.resumed:
        ground.begin(settings)
    folder = ground.folder / "cache"
    training, dev = galleries(found, surveys, settings.model.picture, folder, note, check)
    tokeniser = _tokeniser(ground, training, settings)
    note(f"vocabulary: {tokeniser.size:,} pieces")
    fingerprint = made_of(settings, surveys, {"tokenisers": digest(tokeniser.to_json())})
    ground.agree(settings, fingerprint)
    cached = _cached(ground, training, tokeniser, digest([surveys[0].content, list(training.keys)]))
    tell(note, cached.report.sentences())
    supply = Supply(training.pictures, settings.data, settings.training.seed)
    judge = Judge(settings, tokeniser, dev, data_name(found, dev), ground.interrupt, ground.folder)
    return Prepared(
        settings=settings,
        files=(TOKENISER, PICTURES, CAPTIONS),
        model=lambda: _fresh(settings, tokeniser, training),
        batches=CaptionBatches(supply, cached, settings.training.batch_tokens),
        loss=objective(settings.training.label_smoothing),
        develop=judge.develop if len(dev) else None,
        evaluate=judge.evaluate if len(dev) else lambda model: None,
        fingerprint=fingerprint,
        data=found.training.name,
    )


def _tokeniser(ground: Ground, training: Gallery, settings: CaptionSettings) -> Tokeniser:
    """That of a run that goes on, or a new one, in the folder beside the nearest neighbours."""
    if ground.resumed:
        return TokeniserPair.load(ground.folder / TOKENISER).target
    texts = (text for texts in training.texts for text in texts)
    tokeniser = Tokeniser.train(texts, settings.text, ground.interrupt.check)
    TokeniserPair(tokeniser, tokeniser).save(ground.folder / TOKENISER)
    Neighbours.of(training).save(ground.folder)
    return tokeniser


def _cached(ground: Ground, training: Gallery, tokeniser: Tokeniser, content: str) -> CachedPairs:
    """Every training caption as piece numbers; its line is the row of its picture."""
    both = TokeniserPair(tokeniser, tokeniser)
    path, check = ground.folder / "cache" / "captions", ground.interrupt.check
    key = cache_key(content, _RULES, both, "captions")
    return open_or_build(_pairs(training), both, _RULES, path, key, ground.note, check)


def _pairs(training: Gallery) -> Iterator[Pair]:
    for row, texts in zip(training.rows_N.tolist(), training.texts, strict=True):
        for text in texts:
            yield Pair("", text, row)


def _fresh(settings: CaptionSettings, tokeniser: Tokeniser, training: Gallery) -> Captioner:
    """A model that knows nothing yet but how bright pictures are."""
    model = build_captioner(settings.model, tokeniser.size)
    model.encoder.scale.learn(training.measured())
    return model


def objective(smoothing: float) -> LossFunction[CaptionBatch]:
    """The sum of the label-smoothed cross-entropy over the gold positions of a batch."""

    def loss(model: nn.Module, batch: CaptionBatch) -> Tensor:
        # Through torch.compile the model is wrapped in a module that hands its attributes on.
        output = cast(Captioner, model).decoder.output
        texts = batch.texts
        hidden_BTD = model(batch.pictures_BCHW, texts.input_BT)
        gold_N = texts.gold_BT[texts.gold_valid_BT]
        return output_cross_entropy(output, hidden_BTD[texts.gold_valid_BT], gold_N, smoothing)

    return loss


@dataclass(frozen=True)
class Judge:
    """How good a model is on the held-out pictures."""

    settings: CaptionSettings
    tokeniser: Tokeniser
    dev: Gallery
    data: str
    interrupt: Interrupt
    folder: Path

    def describer(self, model: nn.Module) -> Describer:
        return Describer(cast(Captioner, model), self.tokeniser)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """All scores, with the run's own search; `seq2see evaluate` has the baselines as well."""
        return evaluate_captions(
            self.describer(model),
            self.dev,
            run=str(self.folder),
            data=f"dev: {self.data}",
            evaluation=self.settings.evaluation,
            search=self.settings.search,
            check=self.interrupt.check,
        )

    def develop(self, model: nn.Module) -> Development:
        """While training goes on: dev loss, and the scores of greedy captions of some dev pictures."""
        describer, check = self.describer(model), self.interrupt.check
        loss = loss_of(list(foreseen(describer, self.dev, check)))
        answers = captions_of(describer, self._asked, self._greedy, check)
        references = references_of(self._asked)
        metrics, tokenize = self.settings.evaluation.metrics, self.settings.evaluation.tokenize
        scores: dict[str, float] = {name: value(name, answers, references, tokenize=tokenize) for name in metrics}
        main = scores[metrics[0]] if higher_is_better(metrics[0]) else -scores[metrics[0]]
        samples = [
            {"source": name, "reference": several[0], "prediction": answer}
            for name, several, answer in zip(self._asked.names[:_SAMPLES], references, answers, strict=False)
        ]
        # Early on the score is 0 again and again; the loss then tells which weights are better.
        return Development(loss=loss, scores=scores, key=main - 1e-3 * loss, samples=samples)

    @cached_property
    def _asked(self) -> Gallery:
        return self.dev.some(self.settings.evaluation.dev_sentences)

    @cached_property
    def _greedy(self) -> SearchSettings:
        return SearchSettings.model_validate(
            {**self.settings.search.model_dump(), "method": "greedy", "nbest": 1, "coverage_penalty": 0.0}
        )
