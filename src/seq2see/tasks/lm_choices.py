"""Settings of a language model: what a person did not set follows from the text, and the reason is said."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from seq2see.config.lm import LmSettings
from seq2see.config.toml import Table, merged, parse
from seq2see.data.plain_text import TextSurvey
from seq2see.errors import InputError
from seq2see.models.language_presets import LANGUAGE_PRESETS, build_language_model, language_preset
from seq2see.tasks.choice import Choice
from seq2see.tasks.rates import for_transformer, gentler
from seq2see.tasks.request import require_model
from seq2see.tasks.text_choices import add_budget, batch_tokens, has_budget, window_length

_SMALL = 50_000  # characters, below which a text has too little for a Transformer to learn looking back from
_CHARACTERS = 20_000_000  # up to which characters are the pieces
_ANY = 8  # pieces of a vocabulary

_RECIPES: Mapping[str, Table] = {
    "recurrent": {"learning_rate": 0.004, "warmup": 0.05, "schedule": "cosine"},
    "transformer": {
        "optimiser": "muon",
        "learning_rate": 0.008,
        "warmup": 0.05,
        "schedule": "cosine",
        "weight_decay": 0.1,
    },
    "markov": {"epochs": 1.0},
}


def choose_lm(
    survey: TextSurvey, given: Mapping[str, Any], *, model: str | None, origin: Path | None = None
) -> Choice[LmSettings]:
    """LmSettings for the surveyed training text; ``given`` wins over everything computed.

    Raises:
        InputError: an unknown preset or setting, a wrong type, settings that contradict each other.
    """
    require_model(given, model)
    given = merged(given, {"model": {"name": model}}) if model else given
    by_hand = given.get("model", {})
    reasons: list[str] = []
    base = _base(by_hand.get("name") or _model_name(survey, reasons), by_hand)
    kind = str(merged(base, by_hand).get("decoder", {}).get("kind", "recurrent"))
    window = merged(_window(survey, base, kind), given.get("window", {}))
    chosen: Table = {
        "text": _text(survey, given.get("text", {}), reasons),
        "model": base,
        "window": window,
        "training": _training(survey, base, kind, given.get("training", {}), reasons),
        "search": {"method": "sample", "temperature": 0.8, "max_length": 300},
    }
    if kind == "transformer" and isinstance(window["length"], int):
        chosen["evaluation"] = {"context": max(1, window["length"] // 2)}
    settings = parse(LmSettings, merged(chosen, given), origin)
    with torch.device("meta"):  # what does not fit together is said before any work; nothing is allocated
        build_language_model(settings.model, _ANY, settings.window.length)
    return Choice(settings, tuple(reasons))


def _base(name: object, by_hand: Mapping[str, Any]) -> Table:
    """What the settings of a model are laid over: its preset, or nothing for a whole model of one's own."""
    if not isinstance(name, str):
        raise InputError(f"model.name: {name!r} is no text; there are {', '.join(LANGUAGE_PRESETS)}")
    decoder = by_hand.get("decoder")
    if name not in LANGUAGE_PRESETS and isinstance(decoder, Mapping) and "kind" in decoder:
        return {"name": name}
    return language_preset(name).model_dump(mode="json")


def _model_name(survey: TextSurvey, reasons: list[str]) -> str:
    if survey.characters < _SMALL:
        reasons.append("model: lstm (learns the most from a short text)")
        return "lstm"
    name = "gpt-tiny" if survey.characters <= _CHARACTERS else "gpt-small"
    reasons.append(f"model: {name} ({survey.characters:,} characters are enough for it)")
    return name


def _text(survey: TextSurvey, given: Mapping[str, Any], reasons: list[str]) -> Table:
    if "kind" in given:
        return {}
    if survey.characters <= _CHARACTERS:
        reasons.append("pieces: characters (the text is not so long that sub-words are needed)")
        return {"kind": "char"}
    vocabulary = 8_000 if survey.characters <= 10 * _CHARACTERS else 16_000
    reasons.append(f"pieces: sub-words (BPE), at most {vocabulary:,} (the text is long)")
    return {"kind": "bpe", "vocabulary": vocabulary}


def _window(survey: TextSurvey, base: Table, kind: str) -> Table:
    """Of a recurrent model with half a window in front, for the state it leaves."""
    most = 256 if base.get("name") == "gpt-small" else 128
    length = window_length(survey.characters, most)
    return {"length": length, "before": length // 2 if kind == "recurrent" else 0}


def _training(survey: TextSurvey, base: Table, kind: str, given: Mapping[str, Any], reasons: list[str]) -> Table:
    training: Table = {
        "label_smoothing": 0.0,
        "batch_tokens": batch_tokens(survey.characters),
        **_RECIPES.get(kind, {}),
    }
    if kind == "transformer":
        for_transformer(training, base.get("decoder", {}).get("width"), given)
    if has_budget(given):
        training.pop("epochs", None)
    elif kind != "markov":
        add_budget(training, survey.characters / 200_000, reasons)
    gentler(training, given, reasons)
    return training
