"""Settings of the picture tasks: what a person did not set follows from the data, and the reason is said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2see.config.images import CaptionSettings, ClassifyImagesSettings, PictureSize
from seq2see.config.toml import Table, merged, parse
from seq2see.data.image_survey import PictureSurvey, picture_size
from seq2see.errors import InputError
from seq2see.models.captioner import check_captioner
from seq2see.models.image_presets import captioner_preset, classifier_preset
from seq2see.tasks.request import require_model

_FEW, _MANY = 2_000, 50_000  # pictures up to which the small networks are chosen
_RATE = 1_500_000  # pixels of training pictures that are worth a minute
_CLOSED = 8_000  # different words up to which words are the pieces of captions
_RECIPE: Table = {"learning_rate": 0.002, "warmup": 0.1, "schedule": "cosine", "weight_decay": 0.02}


@dataclass(frozen=True)
class CaptionStatistics:
    """What the captions look like: how many, their words together, the most in one, and how many different ones."""

    captions: int
    words: int
    most_words: int
    most_characters: int
    distinct: int

    @staticmethod
    def of(texts: Mapping[str, Sequence[str]]) -> "CaptionStatistics":
        """Count."""
        captions = words = most_words = most_characters = 0
        distinct: set[str] = set()
        for several in texts.values():
            for text in several:
                parts = text.split()
                captions += 1
                words += len(parts)
                most_words, most_characters = max(most_words, len(parts)), max(most_characters, len(text))
                if len(distinct) <= _CLOSED:
                    distinct.update(parts)
        return CaptionStatistics(captions, words, most_words, most_characters, len(distinct))


def choose_classifier(
    found: PictureSurvey, classes: int, given: Mapping[str, Any], *, model: str | None, origin: Path | None = None
) -> tuple[ClassifyImagesSettings, tuple[str, ...]]:
    """Settings for a classifier of the surveyed pictures, and a sentence for each value that was computed.

    ``given``: nested tables set by hand; they win. ``model``: a preset's name; None lets the data decide.

    Raises:
        InputError: an unknown preset or setting, a wrong type, settings that contradict each other.
    """
    given, picture, reasons = _begun(found, given, model)
    by_hand = given.get("model", {})
    name = by_hand.get("name")
    if name is None:
        name = "cnn-tiny" if found.pictures < _FEW else "cnn-small" if found.pictures < _MANY else "cnn-base"
        reasons.append(f"model: {name} ({found.pictures:,} pictures of {classes:,} classes)")
    chosen: Table = {
        "data": {"shift": 0.08, "rotate": 8.0},
        "model": classifier_preset(_named(name), picture).model_dump(mode="json"),
        "training": {**_RECIPE, "batch_tokens": 64 if found.pictures < 20_000 else 128},
    }
    reasons += _augmentation(given, chosen["data"])
    chosen["training"] |= _budget(found, picture, given.get("training", {}), reasons)
    return parse(ClassifyImagesSettings, merged(chosen, given), origin), tuple(reasons)


def choose_captioner(
    found: PictureSurvey,
    captions: CaptionStatistics,
    given: Mapping[str, Any],
    *,
    model: str | None,
    origin: Path | None = None,
) -> tuple[CaptionSettings, tuple[str, ...]]:
    """Settings for captions of the surveyed pictures; see :func:`choose_classifier`."""
    given, picture, reasons = _begun(found, given, model)
    by_hand = given.get("model", {})
    name = by_hand.get("name")
    if name is None:
        name = "lstm-attention" if captions.captions < _MANY else "transformer-tiny"
        reasons.append(f"model: {name} ({captions.captions:,} captions)")
    chosen: Table = {
        "data": {"shift": 0.06},
        "text": _text(captions, given.get("text", {}), reasons),
        "model": captioner_preset(_named(name), picture).model_dump(mode="json"),
        "training": {**_RECIPE, "batch_tokens": _batch_tokens(captions)},
        "search": {"max_length": _room(captions, given.get("text", {}))},
        "evaluation": {"metrics": ["chrf", "bleu1", "bleu2", "bleu3", "bleu", "exact_match"]},
    }
    if "metrics" not in given.get("evaluation", {}):
        reasons.append("score: chrF, BLEU-1 to BLEU-4 and exact match")
    reasons += _augmentation(given, chosen["data"])
    chosen["training"] |= _budget(found, picture, given.get("training", {}), reasons)
    settings = parse(CaptionSettings, merged(chosen, given), origin)
    check_captioner(settings.model)
    return settings, tuple(reasons)


def _begun(
    found: PictureSurvey, given: Mapping[str, Any], model: str | None
) -> tuple[Mapping[str, Any], PictureSize, list[str]]:
    """What was given with the model's name in it, the pictures' size, and the first reason."""
    require_model(given, model)
    if model:
        given = merged(given, {"model": {"name": model}})
    size, reason = picture_size(found)
    by_hand = given.get("model", {}).get("picture", {})
    if not isinstance(by_hand, Mapping):
        raise InputError(f"model.picture: {by_hand!r} is no table; set height, width or colour of it")
    picture = parse(PictureSize, merged(size.model_dump(mode="json"), by_hand), within="model.picture")
    said = f"pictures: made {picture.width} × {picture.height} pixels, {picture.colour}, as set" if by_hand else reason
    return given, picture, [said]


def _named(name: object) -> str:
    if not isinstance(name, str):
        raise InputError(f"model.name: {name!r} is no text; give the name of a preset")
    return name


def _augmentation(given: Mapping[str, Any], computed: Mapping[str, float]) -> list[str]:
    rules = {**computed, **given.get("data", {})}
    said = [f"moved by up to {100 * rules['shift']:g} %"] if rules.get("shift") else []
    said += [f"turned by up to {rules['rotate']:g}°"] if rules.get("rotate") else []
    said += ["mirrored"] if rules.get("flip") else []
    said += [f"{100 * rules['erase']:g} % with a part wiped out"] if rules.get("erase") else []
    return [f"in training pictures are {', '.join(said)} (data.shift, rotate, flip, erase)"] if said else []


def _text(captions: CaptionStatistics, by_hand: Mapping[str, Any], reasons: list[str]) -> Table:
    if "kind" in by_hand:
        return {}
    if captions.distinct <= _CLOSED:
        reasons.append(f"pieces: words ({captions.distinct:,} different ones in {captions.captions:,} captions)")
        return {"kind": "word", "vocabulary": _CLOSED}
    reasons.append(f"pieces: sub-words (BPE), at most {_CLOSED:,} (more different words than that)")
    return {"kind": "bpe", "vocabulary": _CLOSED}


def _room(captions: CaptionStatistics, text: Mapping[str, Any]) -> int:
    """Most pieces of an answer: more than any caption has."""
    if text.get("kind") in ("char", "byte"):
        return min(1_000, 2 * captions.most_characters + 10)
    return min(500, 2 * captions.most_words + 10)


def _batch_tokens(captions: CaptionStatistics) -> int:
    """About fifty updates an epoch for small sets, as for pairs of text."""
    wanted = (captions.words + captions.captions) / 50
    return next((size for size in (256, 512, 1_024) if wanted <= size), 2_048)


def _budget(found: PictureSurvey, picture: PictureSize, given: Mapping[str, Any], reasons: list[str]) -> Table:
    if any(budget in given for budget in ("minutes", "epochs", "steps")):
        return {}
    minutes = float(min(60, max(2, round(found.pictures * picture.height * picture.width / _RATE))))
    reasons.append(f"budget: {minutes:g} minutes (set it with --minutes, --epochs or --steps)")
    return {"minutes": minutes}
