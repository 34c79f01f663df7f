"""What a person did not set of a classifier follows from the data, and the reason is said."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seq2see.config.classify import ClassifySettings
from seq2see.config.toml import Table, merged, parse
from seq2see.data.survey import Survey
from seq2see.errors import InputError
from seq2see.models.classifier import count_parameters
from seq2see.models.classifier_presets import CLASSIFIERS, classifier_preset
from seq2see.tasks.choice import Choice
from seq2see.tasks.rates import for_transformer, gentler
from seq2see.tasks.request import require_model

_ANY = 8  # pieces of a vocabulary
_UNEVEN = 0.8  # share of the most frequent label above which accuracy says little
_DENSE = {"Hangul", "Chinese", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar"}  # a piece is two letters


def choose(
    survey: Survey, largest: float, given: Mapping[str, Any], *, model: str | None, origin: Path | None = None
) -> Choice[ClassifySettings]:
    """ClassifySettings for the surveyed texts.

    Args:
        survey: what the labelled texts look like.
        largest: share of the most frequent label.
        given: nested tables set by hand (a file, ``--set``, a budget); they win over everything computed.
        model: a preset's name; ``None`` lets the data decide.
        origin: the configuration file, to name its lines in errors.

    Raises:
        InputError: an unknown preset or setting, a wrong type, settings that contradict each other.
    """
    require_model(given, model)
    given = merged(given, {"model": {"name": model}}) if model else given
    by_hand = given.get("model", {})
    reasons: list[str] = []
    text = _text(survey, given.get("text", {}), reasons)
    base = _base(by_hand.get("name") or _model_name(survey, reasons), by_hand)
    if "encoder" in base and base["encoder"]["kind"] == "bag":
        base["encoder"]["buckets"] = _buckets(survey)
    chosen: Table = {
        "data": {"kind": "text"},
        "text": text,
        "model": base,
        "training": _training(survey, merged(base, by_hand).get("encoder"), given.get("training", {}), reasons),
        "evaluation": _evaluation(largest, given.get("evaluation", {}), reasons),
    }
    settings = parse(ClassifySettings, merged(chosen, given), origin)
    count_parameters(settings.model, _ANY, _ANY)  # what does not fit together is said before any work
    return Choice(settings, tuple(reasons))


def _base(name: object, by_hand: Mapping[str, Any]) -> Table:
    """What the settings of a model are laid over: its preset, or nothing for a whole model of one's own."""
    if not isinstance(name, str):
        presets = ", ".join(CLASSIFIERS)
        raise InputError(f"model.name: {name!r} is no text; give the name of a preset ({presets})")
    encoder = by_hand.get("encoder")
    if name not in CLASSIFIERS and isinstance(encoder, Mapping) and "kind" in encoder:
        return {"name": name}
    return classifier_preset(name).model_dump(mode="json")


def _is_short(survey: Survey) -> bool:
    """Whether texts are names or words rather than sentences: characters are their natural pieces."""
    return survey.source.characters <= 20 and survey.source.words <= 2


def _pieces(survey: Survey) -> float:
    """About how many pieces a text has."""
    if _is_short(survey):
        return survey.source.characters
    return survey.source.characters / (2 if survey.source.script in _DENSE else 4)


def _text(survey: Survey, given: Mapping[str, Any], reasons: list[str]) -> Table:
    if _is_short(survey):
        if "kind" not in given:
            reasons.append(f"pieces: characters (the texts are short: {survey.source.characters:.0f} on average)")
        return {"kind": "char"}
    total = survey.pairs * _pieces(survey)
    vocabulary = next((size for size, most in _VOCABULARIES if total <= most), 32_000)
    dropout = 0.1 if total <= _MOST_CUT_ANEW and given.get("kind", "bpe") == "bpe" else 0.0
    if "kind" not in given:
        size = given.get("vocabulary", vocabulary)
        anew = ", cut anew in every epoch (BPE-dropout)" if given.get("dropout", dropout) else ""
        reasons.append(f"pieces: sub-words (BPE), at most {size:,} ({survey.source.script} letters){anew}")
    return {"kind": "bpe", "vocabulary": vocabulary, "dropout": dropout}


# A vocabulary, and up to how many pieces of text it is used: enough examples of each piece to learn from.
_VOCABULARIES = ((2_000, 50_000), (4_000, 150_000), (8_000, 1_000_000), (16_000, 20_000_000))
_MOST_CUT_ANEW = 1_000_000  # pieces of an epoch; cutting more of them anew takes longer than learning from them


def _model_name(survey: Survey, reasons: list[str]) -> str:
    if survey.pairs < 1_000:
        name, why = "bag", "it learns the most from few examples"
    elif _pieces(survey) > 150:
        name, why = "cnn", "the texts are long, and it is quick over them"
    else:
        name, why = "lstm", f"{survey.pairs:,} examples are enough for it, and its attention can be seen"
    reasons.append(f"model: {name} ({why})")
    return name


def _buckets(survey: Survey) -> int:
    """Embeddings for runs of pieces: about as many as there can be different ones, within bounds."""
    total = int(survey.pairs * _pieces(survey))
    return min(65_536, max(1_024, 1 << total.bit_length()))


def _training(survey: Survey, encoder: object, given: Mapping[str, Any], reasons: list[str]) -> Table:
    kind = encoder.get("kind") if isinstance(encoder, Mapping) else None
    training: Table = dict(_RECIPES.get(str(kind), _RECIPES["recurrent"]))
    if kind == "transformer" and isinstance(encoder, Mapping):
        for_transformer(training, encoder.get("width"), given)
    total = survey.pairs * _pieces(survey)
    # Large batches are quick, but a small corpus in a few of them gives too few updates: about 100 an epoch then.
    training["batch_tokens"] = next((size for size in _BATCHES if total <= 100 * size), 4_096)
    if not any(budget in given for budget in ("minutes", "epochs", "steps")):
        training["epochs"] = next((epochs for epochs, most in _EPOCHS if survey.pairs <= most), 2.0)
        reasons.append(f"budget: {training['epochs']:g} passes over the data (--epochs, --minutes or --steps sets it)")
    gentler(training, given, reasons)
    return training


_RECIPES: dict[str, Table] = {
    "recurrent": {"learning_rate": 0.002, "warmup": 0.05, "average": 3},
    "convolution": {"learning_rate": 0.001, "warmup": 0.05, "average": 3},
    "bag": {"learning_rate": 0.005, "warmup": 0.05, "average": 3},
    "transformer": {"learning_rate": 0.001, "warmup": 0.1, "average": 3},
}
_EPOCHS = ((40.0, 2_000), (20.0, 20_000), (8.0, 500_000), (4.0, 2_000_000))
_BATCHES = (128, 256, 512, 1_024, 2_048)


def _evaluation(largest: float, given: Mapping[str, Any], reasons: list[str]) -> Table:
    metrics, reason = ["accuracy", "macro_f1"], "score: accuracy, and the mean F1 of the classes"
    if largest > _UNEVEN:
        metrics.reverse()
        reason = f"score: the mean F1 of the classes, since one of them has {largest:.0%} of the examples"
    if "metrics" not in given:
        reasons.append(reason)
    return {"metrics": metrics}
