"""The models of every task with their sizes: what ``--model`` can name. One match statement, imports inside."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from seq2see.models.naming import Description, named, parameters_of

_LABELS = 10


@dataclass(frozen=True)
class ModelList:
    """The models of a task for one kind of data, what is said of each, and what their sizes are for."""

    task: str
    sizes: str
    summaries: Mapping[str, str]
    build: Callable[[str], nn.Module]

    @property
    def models(self) -> list[Description]:
        """With the number of parameters of each; nothing is allocated."""
        return [
            Description(name, about, parameters_of(partial(self.build, name))) for name, about in self.summaries.items()
        ]


def model_lists(task: str, vocabulary: int) -> Iterator[ModelList]:
    """The models of a task of the catalogue, for so many pieces or words."""
    pieces = f"{vocabulary:,} pieces"
    match task:
        case "translate":
            from seq2see.models.build import build
            from seq2see.models.presets import PRESETS, preset

            yield ModelList(
                task,
                f"a joint vocabulary of {pieces}",
                {name: each.summary for name, each in PRESETS.items()},
                lambda name: build(preset(name), vocabulary, vocabulary),
            )
        case "tag":
            from seq2see.models.tag_presets import TAG_PRESETS, tag_preset
            from seq2see.models.tagger import TaggerSizes, build_tagger

            sizes = TaggerSizes(words=vocabulary, letters=100, buckets=32_768, labels=_LABELS)
            said = f"{vocabulary:,} known words, {sizes.letters} letters, {sizes.buckets:,} n-grams, {_LABELS} labels"
            yield ModelList(
                task,
                said,
                {name: each.summary for name, each in TAG_PRESETS.items()},
                lambda name: build_tagger(tag_preset(name), sizes),
            )
        case "classify":
            yield from _classifiers(task, vocabulary, pieces)
        case "lm":
            from seq2see.models.language_presets import LANGUAGE_SUMMARIES, build_language_model, language_preset

            yield ModelList(
                task,
                pieces,
                LANGUAGE_SUMMARIES,
                lambda name: build_language_model(language_preset(name), vocabulary, 128),
            )
        case "masked":
            from seq2see.models.masked_language_model import build_masked_model
            from seq2see.models.masked_presets import MASKED_SUMMARIES, masked_preset

            yield ModelList(
                task, pieces, MASKED_SUMMARIES, lambda name: build_masked_model(masked_preset(name), vocabulary)
            )
        case "caption":
            from seq2see.config.images import PictureSize
            from seq2see.models.captioner import build_captioner
            from seq2see.models.image_presets import captioner_preset
            from seq2see.models.presets import PRESETS

            size = PictureSize(height=128, width=128, colour="rgb")
            yield ModelList(
                task,
                f"{pieces} and pictures of 128 × 128; a residual network reads, the decoder of a translator writes",
                {name: each.summary for name, each in PRESETS.items()},
                lambda name: build_captioner(captioner_preset(name, size), vocabulary),
            )
        case "forecast":
            from seq2see.models.forecast_build import build_forecaster
            from seq2see.models.forecast_presets import FORECASTER_SUMMARIES, FORECASTERS

            yield ModelList(
                task,
                "one series with a season of 12, 24 values looked back on; the width grows with the data",
                FORECASTER_SUMMARIES,
                lambda name: build_forecaster(FORECASTERS[name], series=1, context=24, season=12),
            )


def require_known(task: str, model: str | None, given: Mapping[str, Any]) -> None:
    """Raise InputError, with the nearest name, if no model of the task has the name that was asked for.

    ``given``: what is set of the model by hand; whoever sets one of its parts may call the whole as they like.
    """
    name = model or given.get("name")
    own = any(isinstance(part, Mapping) and "kind" in part for part in given.values())
    if isinstance(name, str) and not own:
        named(name, {name: about for each in model_lists(task, 1) for name, about in each.summaries.items()})


def _classifiers(task: str, vocabulary: int, pieces: str) -> Iterator[ModelList]:
    """Those of texts and those of pictures."""
    from seq2see.config.images import PictureSize
    from seq2see.models import image_presets
    from seq2see.models.classifier import build_classifier
    from seq2see.models.classifier_presets import CLASSIFIERS, classifier_preset
    from seq2see.models.image_classifier import ImageClassifier

    size = PictureSize(height=64, width=64, colour="rgb")
    yield ModelList(
        task,
        f"{pieces} and {_LABELS} labels",
        {name: each.summary for name, each in CLASSIFIERS.items()},
        lambda name: build_classifier(classifier_preset(name), vocabulary, _LABELS),
    )
    yield ModelList(
        task,
        f"pictures of 64 × 64 in colour and {_LABELS} labels",
        {name: each.summary for name, each in image_presets.IMAGE_PRESETS.items()},
        lambda name: ImageClassifier(image_presets.classifier_preset(name, size), _LABELS),
    )
