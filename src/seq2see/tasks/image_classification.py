"""A trained classifier of pictures in Python: predict, see, evaluate.

B pictures · N all pictures · C colour channels · H height · W width · S places · V classes
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from seq2see.config.classify import ClassEvaluationSettings
from seq2see.config.images import ClassifyImagesSettings
from seq2see.config.toml import merged, parse
from seq2see.data.images import open_pictures
from seq2see.data.labels import Labels, plain_label
from seq2see.data.picture_files import picture_files
from seq2see.data.pictures import Raw, fitted
from seq2see.errors import InputError
from seq2see.evaluation.classes import class_scores, compare_classes, confusions, score_classes
from seq2see.evaluation.result import Evaluation
from seq2see.models.image_classifier import ImageClassifier
from seq2see.tasks.gallery import AT_ONCE, Gallery, exhibited
from seq2see.tasks.label_run import Classification, LabelRun
from seq2see.tasks.picture_views import PictureView, label_side, picture_record
from seq2see.tasks.run import Asked
from seq2see.viewing.record import Record

LABELS = "labels.json"
_RUNNERS_UP = 5
_BEST = 10  # classes of an answer


@dataclass(frozen=True)
class ImageClassificationRun(LabelRun):
    """A trained classifier of pictures in its folder. An input is the path of a picture."""

    told = _BEST
    settings: ClassifyImagesSettings
    model: ImageClassifier
    labels: Labels

    def view(self, text: str, *, target: str | None = None, asked: Asked | None = None) -> PictureView:
        """See :meth:`Run.view`. ``text`` is the path of a picture, ``target`` a class."""
        (asked or Asked()).refuse("classify")
        return self.see(text, label=target)

    def predict(self, path: str | Path) -> Classification:
        """What the picture at ``path`` is; for many, :meth:`stream` is faster."""
        return next(self.stream([str(path)]))

    def stream(
        self,
        paths: Iterable[str],
        *,
        best: int = _BEST,
        window: int = 1_024,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[Classification]:
        """The ``best`` classes of each picture, one by one, in order, in constant memory; of a blank path none.

        Raises:
            InputError: there is no picture at a path, or it cannot be decoded; the message names it.
        """
        remaining = iter(paths)
        while some := list(islice(remaining, window)):
            asked = [path for path in some if path.strip()]
            raws = iter(picture_files(asked, self.settings.data.max_unpacked_bytes, check))
            found = self._ranked(raws, best, check)
            for path in some:
                yield next(found) if path.strip() else Classification(path, ())

    def _ranked(self, raws: Iterator[Raw], best: int, check: Callable[[], None]) -> Iterator[Classification]:
        while some := list(islice(raws, AT_ONCE)):
            check()
            pictures_BCHW = torch.stack([self._fitted(raw) for raw in some])
            log_probs_BK, classes_BK = log_probs(self.model, pictures_BCHW).topk(min(best, len(self.labels)))
            for raw, classes, chances in zip(some, classes_BK.tolist(), log_probs_BK.exp().tolist(), strict=True):
                names = (self.labels.names[number] for number in classes)
                yield Classification(raw.name, tuple(zip(names, chances, strict=True)))

    def _fitted(self, raw: Raw) -> Tensor:
        return fitted(raw, self.settings.model.picture, self.settings.data.max_picture_pixels)

    def see(self, path: str | Path, *, label: str | None = None) -> PictureView:
        """Which places of the picture speak for its class, or for the class ``label``."""
        (raw,) = picture_files([str(path)], self.settings.data.max_unpacked_bytes)
        number = None if label is None else self._number(label)
        return PictureView(see_classified(self.model, self.labels, raw, self.settings, number))

    def _number(self, label: str) -> int:
        if plain_label(label) not in self.labels.names:
            known = ", ".join(self.labels.names[:20]) + (", …" if len(self.labels) > 20 else "")
            raise InputError(f"--target {label}: no class of this model; there are {known}")
        return self.labels.names.index(plain_label(label))

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        source: str | Path | None = None,
        target: str | Path | None = None,
        columns: tuple[str, str] | None = None,
        metrics: Sequence[str] | None = None,
        versus: "ImageClassificationRun | None" = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """Scores with signatures and 95 % intervals on pictures the model has not seen.

        Args:
            data: a folder, tar, zip or IDX file, or ``source`` with the pictures and ``target`` with their labels.
            metrics: instead of those the run was trained with.
            versus: another run; is the difference significant?
        """
        rules = self.settings.data
        pictures = open_pictures(
            data, source, target, columns=columns, most_bytes=rules.max_unpacked_bytes, check=check
        )
        named = {} if metrics is None else {"metrics": list(metrics)}
        chosen = parse(
            ClassEvaluationSettings,
            merged(self.settings.evaluation.model_dump(mode="json"), named),
            within="evaluation",
        )
        others: tuple[str, list[str]] | None = None
        if versus is not None:
            with exhibited(pictures, versus.settings.model.picture, rules, check) as (gallery, _):
                others = str(versus.folder), answered(versus.model, versus.labels, gallery, check)
        with exhibited(pictures, self.settings.model.picture, rules, check) as (gallery, said):
            result = evaluate_gallery(
                self.model,
                self.labels,
                gallery,
                run=str(self.folder),
                data=pictures.name,
                metrics=chosen.metrics,
                versus=others,
                check=check,
            )
        return self.noted(result, versus, *said)


def log_probs(model: ImageClassifier, pictures_BCHW: Tensor) -> Tensor:
    """``[B, V]`` on the CPU: natural logarithm of the probability of each class."""
    with torch.inference_mode():
        device = model.output.weight_VD.device
        logits_BV: Tensor = model.output(model(pictures_BCHW.to(device)))
    return logits_BV.float().log_softmax(-1).cpu()


def scores_of(model: ImageClassifier, gallery: Gallery, check: Callable[[], None] = lambda: None) -> Tensor:
    """:func:`log_probs` of all pictures."""
    return torch.cat([log_probs(model, pictures_BCHW) for _, pictures_BCHW in gallery.batches(AT_ONCE, check)])


def answered(
    model: ImageClassifier, labels: Labels, gallery: Gallery, check: Callable[[], None] = lambda: None
) -> list[str]:
    """The likeliest class of each picture, by name."""
    return [labels.names[number] for number in scores_of(model, gallery, check).argmax(1).tolist()]


def class_numbers(gallery: Gallery, labels: Labels) -> list[int]:
    """The number of each picture's class; those that ``labels`` lacks come behind them, in the order of their names."""
    gold = [plain_label(texts[0]) for texts in gallery.texts]
    known = {name: number for number, name in enumerate((*labels.names, *_unseen(gold, labels)))}
    return [known[label] for label in gold]


def _unseen(gold: Iterable[str], labels: Labels) -> list[str]:
    return sorted(set(gold) - set(labels.names))


def evaluate_gallery(
    model: ImageClassifier,
    labels: Labels,
    gallery: Gallery,
    *,
    run: str,
    data: str,
    metrics: Sequence[str],
    versus: tuple[str, list[str]] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """The classes of all pictures against what is said of them; ``versus`` is another run and its answers."""
    gold = [plain_label(texts[0]) for texts in gallery.texts]
    unseen = _unseen(gold, labels)
    if gold and len(unseen) == len(set(gold)):
        strange, known = ", ".join(unseen[:10]), ", ".join(labels.names[:10])
        raise InputError(f"{data}: none of its classes ({strange}) is one that the model has learnt ({known})")
    given = answered(model, labels, gallery, check)
    others = versus[1] if versus is not None else []
    names = [*labels.names, *unseen, *sorted(set(others) - set(labels.names) - set(unseen))]
    number = {name: at for at, name in enumerate(names)}
    answers, references = [number[name] for name in given], [number[name] for name in gold]
    comparisons = (
        compare_classes(metrics, [number[name] for name in others], answers, references, check=check) if versus else []
    )
    notes = (f"classes that training has not seen, never answered: {', '.join(unseen[:10])}",) if unseen else ()
    return Evaluation(
        run=run,
        data=data,
        signature="likeliest class",
        scores=tuple(score_classes(metrics, answers, references, check=check)),
        examples=f"{len(gallery):,} pictures",
        comparisons=tuple(comparisons),
        versus=versus[0] if versus else "",
        sources=gallery.names,
        hypotheses=tuple(given),
        references=tuple((label,) for label in gold),
        details={
            "classes": [asdict(each) for each in class_scores(answers, references, names)],
            **confusions(answers, references, names),
        },
        notes=notes,
    )


def see_classified(
    model: ImageClassifier, labels: Labels, raw: Raw, settings: ClassifyImagesSettings, number: int | None
) -> Record:
    """What each place of a picture adds to the score of a class: of class ``number``, or of the likeliest."""
    picture_CHW = fitted(raw, settings.model.picture, settings.data.max_picture_pixels)
    with torch.inference_mode():
        logits_1V, shares_1VS = model.shares(picture_CHW[None].to(model.output.weight_VD.device))
    log_probs_V = logits_1V[0].float().log_softmax(-1).cpu()
    chosen = int(log_probs_V.argmax()) if number is None else number
    # What the other classes get everywhere tells nothing apart: a place speaks for a class as far as it gives it
    # more than it gives the mean class.
    shares_S = (shares_1VS[0, chosen] - shares_1VS[0].mean(0)).float().cpu()
    for_S = shares_S.clamp(min=0.0)
    best = log_probs_V.topk(min(_RUNNERS_UP, len(labels)))
    return picture_record(
        raw,
        settings.model.picture,
        settings.data.max_picture_pixels,
        grid=(model.rows, model.columns),
        task="classify",
        model=settings.model.name,
        target=label_side(labels.names[chosen]),
        weights=[[[(for_S / for_S.sum().clamp(min=1e-12)).tolist()]]],
        log_probs=[log_probs_V[chosen].item()],
        runners_up=[[(labels.names[at], value) for value, at in zip(*map(Tensor.tolist, best), strict=True)]],
        signature="class activation map: what a place adds to the class's score beyond the mean class, if anything",
        given=number is not None,
    )
