"""The models of every task with their sizes: what ``--model`` can name. One match statement, imports inside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from seq2see.models.naming import Description, parameters_of

_LABELS = 10


@dataclass(frozen=True)
class ModelList:
    """The models of a task for one kind of data, and what their sizes are for."""

    task: str
    sizes: str
    models: Sequence[Description]


def model_lists(task: str, vocabulary: int) -> Iterator[ModelList]:
    """The models of a task of the catalogue, for so many pieces or words. Nothing is allocated."""
    pieces = f"{vocabulary:,} pieces"
    match task:
        case "translate":
            from seq2see.models import presets

            yield ModelList(task, f"a joint vocabulary of {pieces}", presets.describe(vocabulary, vocabulary))
        case "tag":
            from seq2see.models.tag_presets import TAG_PRESETS, tag_preset
            from seq2see.models.tagger import TaggerSizes, build_tagger

            sizes = TaggerSizes(words=vocabulary, letters=100, buckets=32_768, labels=_LABELS)
            said = f"{vocabulary:,} known words, {sizes.letters} letters, {sizes.buckets:,} n-grams, {_LABELS} labels"
            yield _list(
                task,
                said,
                {name: each.summary for name, each in TAG_PRESETS.items()},
                lambda name: build_tagger(tag_preset(name), sizes),
            )
        case "classify":
            yield from _classifiers(task, vocabulary, pieces)
        case "lm":
            from seq2see.models.language_presets import LANGUAGE_SUMMARIES, build_language_model, language_preset

            yield _list(
                task,
                pieces,
                LANGUAGE_SUMMARIES,
                lambda name: build_language_model(language_preset(name), vocabulary, 128),
            )
        case "masked":
            from seq2see.models.masked_language_model import build_masked_model
            from seq2see.models.masked_presets import MASKED_SUMMARIES, masked_preset

            yield _list(
                task, pieces, MASKED_SUMMARIES, lambda name: build_masked_model(masked_preset(name), vocabulary)
            )
        case "caption":
            from seq2see.config.images import PictureSize
            from seq2see.models.captioner import build_captioner
            from seq2see.models.image_presets import captioner_preset
            from seq2see.models.presets import PRESETS

            size = PictureSize(height=128, width=128, colour="rgb")
            yield _list(
                task,
                f"{pieces} and pictures of 128 × 128; a residual network reads, the decoder of a translator writes",
                {name: each.summary for name, each in PRESETS.items()},
                lambda name: build_captioner(captioner_preset(name, size), vocabulary),
            )
        case "forecast":
            from seq2see.models.forecast_build import build_forecaster
            from seq2see.models.forecast_presets import FORECASTER_SUMMARIES, FORECASTERS

            yield _list(
                task,
                "one series with a season of 12, 24 values looked back on; the width grows with the data",
                FORECASTER_SUMMARIES,
                lambda name: build_forecaster(FORECASTERS[name], series=1, context=24, season=12),
            )


def _list(task: str, sizes: str, summaries: Mapping[str, str], build: Callable[[str], nn.Module]) -> ModelList:
    models = [Description(name, about, parameters_of(partial(build, name))) for name, about in summaries.items()]
    return ModelList(task, sizes, models)


def _classifiers(task: str, vocabulary: int, pieces: str) -> Iterator[ModelList]:
    """Those of texts and those of pictures."""
    from seq2see.config.images import PictureSize
    from seq2see.models import image_presets
    from seq2see.models.classifier import build_classifier
    from seq2see.models.classifier_presets import CLASSIFIERS, classifier_preset
    from seq2see.models.image_classifier import ImageClassifier

    size = PictureSize(height=64, width=64, colour="rgb")
    yield _list(
        task,
        f"{pieces} and {_LABELS} labels",
        {name: each.summary for name, each in CLASSIFIERS.items()},
        lambda name: build_classifier(classifier_preset(name), vocabulary, _LABELS),
    )
    yield _list(
        task,
        f"pictures of 64 × 64 in colour and {_LABELS} labels",
        {name: each.summary for name, each in image_presets.IMAGE_PRESETS.items()},
        lambda name: ImageClassifier(image_presets.classifier_preset(name, size), _LABELS),
    )
