"""Settings of a masked language model: what a person did not set follows from the text, and the reason is said."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from seq2see.config.masked import MaskedSettings
from seq2see.config.toml import Table, merged, parse
from seq2see.data.plain_text import TextSurvey
from seq2see.errors import InputError
from seq2see.models.masked_language_model import build_masked_model
from seq2see.models.masked_presets import MASKED_PRESETS, masked_preset
from seq2see.tasks.choice import Choice
from seq2see.tasks.rates import for_transformer, gentler
from seq2see.tasks.request import require_model
from seq2see.tasks.text_choices import add_budget, batch_tokens, has_budget, window_length

_CHARACTERS = 20_000_000  # up to which a small model is enough
_ANY = 8  # pieces of a vocabulary
_LONGEST = 128  # pieces of a window
_A_PIECE = 4  # characters, about, of a sub-word
_A_MINUTE = 100_000  # characters: half of a language model's, for only a share of the pieces teaches

# A vocabulary, and up to how many pieces of text it is used: enough examples of each piece to learn from.
_VOCABULARIES = ((2_000, 65_000), (4_000, 200_000), (8_000, 2_600_000), (16_000, 26_000_000))

_RECIPES: Mapping[str, Table] = {
    "recurrent": {"learning_rate": 0.004, "warmup": 0.05, "schedule": "cosine"},
    "transformer": {
        "optimiser": "muon",
        "learning_rate": 0.008,
        "warmup": 0.1,
        "schedule": "cosine",
        "weight_decay": 0.1,
    },
}


def choose_masked(
    survey: TextSurvey, given: Mapping[str, Any], *, model: str | None, origin: Path | None = None
) -> Choice[MaskedSettings]:
    """MaskedSettings for the surveyed training text; ``given`` wins over everything computed.

    Raises:
        InputError: an unknown preset or setting, a wrong type, settings that contradict each other.
    """
    require_model(given, model)
    given = merged(given, {"model": {"name": model}}) if model else given
    by_hand = given.get("model", {})
    reasons: list[str] = []
    base = _base(by_hand.get("name") or _model_name(survey, reasons), by_hand)
    encoder = merged(base, by_hand).get("encoder", {})
    text = _text(survey, given.get("text", {}), reasons)
    pieces = _pieces(survey, merged(text, given.get("text", {})).get("kind"))
    chosen: Table = {
        "text": text,
        "model": base,
        "window": {"length": window_length(pieces, _LONGEST)},
        "training": _training(survey, pieces, encoder, given.get("training", {}), reasons),
    }
    settings = parse(MaskedSettings, merged(chosen, given), origin)
    with torch.device("meta"):  # what does not fit together is said before any work; nothing is allocated
        build_masked_model(settings.model, _ANY)
    return Choice(settings, tuple(reasons))


def _base(name: object, by_hand: Mapping[str, Any]) -> Table:
    """What the settings of a model are laid over: its preset, or nothing for a whole model of one's own."""
    if not isinstance(name, str):
        raise InputError(f"model.name: {name!r} is no text; there are {', '.join(MASKED_PRESETS)}")
    encoder = by_hand.get("encoder")
    if name not in MASKED_PRESETS and isinstance(encoder, Mapping) and "kind" in encoder:
        return {"name": name}
    return masked_preset(name).model_dump(mode="json")


def _model_name(survey: TextSurvey, reasons: list[str]) -> str:
    if survey.characters <= _CHARACTERS:
        reasons.append("model: bert-tiny (the text is not so long that a larger one learns more in the time)")
        return "bert-tiny"
    reasons.append(f"model: bert-small ({survey.characters:,} characters are enough for it)")
    return "bert-small"


def _text(survey: TextSurvey, given: Mapping[str, Any], reasons: list[str]) -> Table:
    if "kind" in given:
        return {}
    vocabulary = next((size for size, most in _VOCABULARIES if survey.characters <= most * _A_PIECE), 32_000)
    most = given.get("vocabulary", vocabulary)
    said = f"{most:,}" if isinstance(most, int) else str(most)
    reasons.append(f"pieces: sub-words (BPE), at most {said} (a hidden character says little of what a text means)")
    return {"kind": "bpe", "vocabulary": vocabulary}


def _pieces(survey: TextSurvey, kind: object) -> int:
    """About how many pieces the text has."""
    return survey.characters // _A_PIECE if kind in ("bpe", "unigram") else survey.characters


def _training(survey: TextSurvey, pieces: int, encoder: object, given: Mapping[str, Any], reasons: list[str]) -> Table:
    network = encoder if isinstance(encoder, Mapping) else {}
    kind = str(network.get("kind"))
    training: Table = {"label_smoothing": 0.0, "batch_tokens": batch_tokens(pieces), **_RECIPES.get(kind, {})}
    if kind == "transformer":
        for_transformer(training, network.get("width"), given)
    if not has_budget(given):
        add_budget(training, survey.characters / _A_MINUTE, reasons)
    gentler(training, given, reasons)
    return training
