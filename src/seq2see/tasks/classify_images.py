"""Picture to class: pictures are read, settings computed, and what training needs is prepared from them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from seq2see.config.images import ClassifyImagesSettings, PictureData
from seq2see.config.toml import Table, parse, refuse_slips
from seq2see.data.image_batches import ImageBatch, ImageBatches, Supply
from seq2see.data.images import PictureSet
from seq2see.data.labels import MOST_LABEL_CHARACTERS, MOST_LABELS, Labels, plain_label
from seq2see.errors import InputError
from seq2see.evaluation.classes import accuracy_counts, macro_f1
from seq2see.evaluation.result import Evaluation
from seq2see.models.image_classifier import ImageClassifier
from seq2see.tasks.folder import load_weights, open_folder
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
from seq2see.tasks.image_choices import choose_classifier
from seq2see.tasks.image_classification import (
    LABELS,
    ImageClassificationRun,
    class_numbers,
    evaluate_gallery,
    scores_of,
)
from seq2see.tasks.reporting import tell
from seq2see.tasks.task import Ground, Prepared
from seq2see.training.batch import LossFunction
from seq2see.training.interrupt import Interrupt
from seq2see.training.loss import cross_entropy
from seq2see.training.progress import Development

_SAMPLES = 4  # dev pictures whose classes are shown as they improve


class ClassifyImages:
    """See ``Task``. The task ``classify`` hands over to this one where the data are pictures."""

    name = "classify"
    data_key = "file"
    donors: tuple[str, ...] = ()
    try_it = "seq2see predict {run} PICTURE, or: seq2see see {run} PICTURE --html page.html"

    def default_name(self, given: Table, origin: Path | None) -> str:
        return default_name(_rules(given, origin))

    def open_data(
        self, given: Table, origin: Path | None, interrupt: Interrupt
    ) -> Callable[[Ground], Prepared[ImageBatch]]:
        refuse_slips(ClassifyImagesSettings, given, origin)
        found = open_found(_rules(given, origin), interrupt.check)
        return lambda ground: _prepare(ground, found)

    def open_run(self, folder: Path) -> ImageClassificationRun:
        opened = open_folder(folder)
        settings = parse(ClassifyImagesSettings, opened.table, opened.config)
        labels = Labels.load(folder / LABELS)
        model = ImageClassifier(settings.model, len(labels))
        note = load_weights(opened, model)
        return ImageClassificationRun(opened, settings, model, note, labels)


CLASSIFY_IMAGES = ClassifyImages()


def _rules(given: Table, origin: Path | None) -> PictureData:
    return picture_rules(given, origin, "a folder, tar, zip or IDX file, or --source and --target")


def _prepare(ground: Ground, found: Found) -> Prepared[ImageBatch]:
    """Read and survey the pictures, settle the settings, fill the cache."""
    check, note = ground.interrupt.check, ground.note
    surveys = surveyed(found, note, check)
    labels = Labels.load(ground.folder / LABELS) if ground.resumed else _labels(found.training, note)
    settings, reasons = choose_classifier(
        surveys[0], len(labels), ground.given, model=ground.request.model, origin=ground.origin
    )
    tell(note, reasons)
    if not ground.resumed:
        ground.begin(settings)
        labels.save(ground.folder / LABELS)
    fingerprint = made_of(settings, surveys, {})
    ground.agree(settings, fingerprint)
    training, dev = galleries(found, surveys, settings.model.picture, ground.folder / "cache", note, check)
    seed = settings.training.seed
    numbers_N = torch.tensor(class_numbers(training, labels))
    supply = Supply(training.pictures, settings.data, seed)
    batches = ImageBatches(supply, training.rows_N, numbers_N, settings.training.batch_tokens)
    judge = Judge(settings, labels, dev, data_name(found, dev), ground.interrupt, ground.folder)
    return Prepared(
        settings=settings,
        files=(LABELS,),
        model=lambda: _fresh(settings, labels, training),
        batches=batches,
        loss=objective(settings.training.label_smoothing),
        develop=judge.develop if len(dev) else None,
        evaluate=judge.evaluate if len(dev) else lambda model: None,
        fingerprint=fingerprint,
        data=found.training.name,
        try_it=CLASSIFY_IMAGES.try_it,
    )


def _labels(pictures: PictureSet, note: Callable[[str], None]) -> Labels:
    """The classes, each with its number of pictures said."""
    counts = Counter(plain_label(texts[0]) for texts in pictures.texts.values())
    if not 2 <= len(counts) <= MOST_LABELS or max(map(len, counts)) > MOST_LABEL_CHARACTERS:
        raise InputError(
            f"{pictures.name}: {len(counts):,} different labels in {counts.total():,} pictures; a classifier needs "
            f"from 2 to {MOST_LABELS:,}, none longer than {MOST_LABEL_CHARACTERS:,} characters (for texts there is "
            "--task caption)"
        )
    several = sum(len(set(texts)) > 1 for texts in pictures.texts.values())
    if several:
        note(f"{several:,} pictures have several labels: the first one counts")
    most, least = counts.most_common()[0], counts.most_common()[-1]
    note(f"{len(counts):,} classes, from {least[1]:,} pictures ({least[0]}) to {most[1]:,} ({most[0]})")
    return Labels.of(counts)


def _fresh(settings: ClassifyImagesSettings, labels: Labels, training: Gallery) -> ImageClassifier:
    """A model that knows nothing yet but how bright pictures are."""
    model = ImageClassifier(settings.model, len(labels))
    model.scale.learn(training.measured())
    return model


def objective(smoothing: float) -> LossFunction[ImageBatch]:
    """The sum of the label-smoothed cross-entropy over the pictures of a batch."""

    def loss(model: nn.Module, batch: ImageBatch) -> Tensor:
        # Through torch.compile the model is wrapped in a module that hands its attributes on.
        output = cast(ImageClassifier, model).output
        return cross_entropy(model(batch.pictures_BCHW), output.weight_VD, output.bias_V, batch.labels_B, smoothing)

    return loss


@dataclass(frozen=True)
class Judge:
    """How good a model is on the held-out pictures."""

    settings: ClassifyImagesSettings
    labels: Labels
    dev: Gallery
    data: str
    interrupt: Interrupt
    folder: Path

    def evaluate(self, model: nn.Module) -> Evaluation:
        """All scores."""
        return evaluate_gallery(
            cast(ImageClassifier, model),
            self.labels,
            self.dev,
            run=str(self.folder),
            data=f"dev: {self.data}",
            metrics=self.settings.evaluation.metrics,
            check=self.interrupt.check,
        )

    def develop(self, model: nn.Module) -> Development:
        """While training goes on: dev loss and scores."""
        log_probs_NV = scores_of(cast(ImageClassifier, model), self.dev, self.interrupt.check)
        answers = log_probs_NV.argmax(1).tolist()
        known = [row for row, number in enumerate(self._numbers) if number < len(self.labels)]
        gold_N = torch.tensor([self._numbers[row] for row in known], dtype=torch.long)
        loss = -log_probs_NV[known].gather(1, gold_N[:, None]).double().mean().item() if known else float("nan")
        values: dict[str, float] = {name: self._value(name, answers) for name in self.settings.evaluation.metrics}
        samples = [
            {
                "source": self.dev.names[row],
                "reference": self.dev.texts[row][0],
                "prediction": self.labels.names[answers[row]],
            }
            for row in range(min(_SAMPLES, len(self.dev)))
        ]
        key = values[self.settings.evaluation.metrics[0]] - 1e-3 * loss
        return Development(loss=loss, scores=values, key=key, samples=samples)

    def _value(self, name: str, answers: Sequence[int]) -> float:
        if name == "accuracy":
            return accuracy_counts(answers, self._numbers).value()
        return macro_f1(answers, self._numbers)

    @cached_property
    def _numbers(self) -> list[int]:
        return class_numbers(self.dev, self.labels)
