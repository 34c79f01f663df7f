"""Few dials, the rest computed: what a person did not set follows from the data, and the reason is said."""

from collections.abc import Mapping
from typing import Any

from seq2see.config.settings import TextSettings, TranslateSettings
from seq2see.config.toml import Table, merged, parse
from seq2see.data.survey import Survey
from seq2see.errors import InputError
from seq2see.models.build import count_parameters
from seq2see.models.presets import PRESETS, preset
from seq2see.tasks.choice import Choice
from seq2see.tasks.rates import for_transformer, gentler
from seq2see.tasks.request import require_model

_ANY = 8  # pieces of a vocabulary
_SHORT = 40  # characters of a name, a date or an address


def choose(
    survey: Survey, given: Mapping[str, Any], *, model: str | None, origin: Any = None
) -> Choice[TranslateSettings]:
    """TranslateSettings for the surveyed pairs.

    Args:
        survey: what the training pairs look like.
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
    base = _base(by_hand.get("name") or _model_name(survey, reasons), by_hand)
    decoder = merged(base, by_hand).get("decoder")
    chosen: Table = {
        "text": _text(survey),
        "model": base,
        "training": _training(survey, decoder, given.get("training", {}), reasons),
        "evaluation": _evaluation(survey, given.get("evaluation", {}), reasons),
    }
    settings = parse(TranslateSettings, merged(chosen, given), origin)
    count_parameters(settings.model, _ANY, _ANY)  # what does not fit together is said before any work
    first = () if "kind" in given.get("text", {}) else (_text_reason(survey, settings.text),)
    return Choice(settings, (*first, *reasons))


def _base(name: object, by_hand: Mapping[str, Any]) -> Table:
    """What the settings of a model are laid over: its preset, or nothing for a whole model of one's own."""
    if not isinstance(name, str):
        raise InputError(f"model.name: {name!r} is no text; give the name of a preset (`seq2see models` lists them)")
    parts = [by_hand.get(part) for part in ("encoder", "decoder")]
    if name not in PRESETS and all(isinstance(part, Mapping) and "kind" in part for part in parts):
        return {"name": name}
    return preset(name).model_dump(mode="json")


def _words(survey: Survey) -> float:
    """Mean words of a pair's longer side."""
    return max(survey.source.words, survey.target.words)


def _is_short(survey: Survey) -> bool:
    """Whether sides are names, dates, words rather than sentences: characters are their natural pieces."""
    return max(survey.source.characters, survey.target.characters) <= _SHORT and _words(survey) <= 4


def _text(survey: Survey) -> Table:
    if _is_short(survey):
        return {"kind": "char", "joint": True}
    words = survey.pairs * _words(survey)
    vocabulary = next((size for size, most in _VOCABULARIES if words <= most), 32_000)
    return {"kind": "bpe", "vocabulary": vocabulary, "joint": survey.source.script == survey.target.script}


def _text_reason(survey: Survey, text: TextSettings) -> str:
    source, target = survey.source, survey.target
    if text.kind == "char":
        lengths = f"{source.characters:.0f} and {target.characters:.0f} characters on average"
        return f"pieces: characters (the sides are short: {lengths})"
    scripts = source.script if source.script == target.script else f"{source.script} and {target.script}"
    sides = "both sides together" if text.joint else "each side"
    return f"pieces: sub-words (BPE), at most {text.vocabulary:,} for {sides} ({scripts} letters)"


# A vocabulary, and up to how many words of text on a side it is used: enough examples of each piece to learn from.
_VOCABULARIES = ((2_000, 50_000), (4_000, 150_000), (8_000, 2_000_000), (16_000, 20_000_000))


def _model_name(survey: Survey, reasons: list[str]) -> str:
    if _is_short(survey) or survey.pairs < 10_000:
        reasons.append("model: lstm-attention (learns the most from few or short pairs)")
        return "lstm-attention"
    name = "transformer-small" if survey.pairs >= 300_000 else "transformer-tiny"
    reasons.append(f"model: {name} ({survey.pairs:,} pairs are enough for it)")
    return name


def _training(survey: Survey, decoder: object, given: Mapping[str, Any], reasons: list[str]) -> Table:
    training: Table = dict(_RECIPES["recurrent"])
    if isinstance(decoder, Mapping) and decoder.get("kind") == "transformer":
        training = dict(_RECIPES["transformer"])
        for_transformer(training, decoder.get("width"), given)
    training["batch_tokens"] = _batch_tokens(survey)
    if not any(budget in given for budget in ("minutes", "epochs", "steps")):
        minutes = float(min(60, max(2, round(survey.pairs * _words(survey) / 12_000))))
        training["minutes"] = minutes
        reasons.append(f"budget: {minutes:g} minutes (set it with --minutes, --epochs or --steps)")
    gentler(training, given, reasons)
    return training


_RECIPES: dict[str, Table] = {
    "recurrent": {"learning_rate": 0.002, "warmup": 0.05, "schedule": "cosine"},
    "transformer": {"optimiser": "muon", "learning_rate": 0.005, "warmup": 0.1, "schedule": "cosine"},
}


def _batch_tokens(survey: Survey) -> int:
    """Large batches are quick, but a small corpus in a few of them gives too few updates: about 50 an epoch then."""
    pieces = survey.target.characters if _is_short(survey) else 1.3 * survey.target.words
    wanted = survey.pairs * pieces / 50
    return next((size for size in (512, 1_024, 2_048) if wanted <= size), 4_096)


def _evaluation(survey: Survey, given: Mapping[str, Any], reasons: list[str]) -> Table:
    metrics, reason = ["bleu", "chrf"], "score: BLEU and chrF"
    if _is_short(survey):
        metrics, reason = ["exact_match", "cer"], "score: exact match and character error rate (short answers)"
    if "metrics" not in given:
        reasons.append(reason)
    return {"metrics": metrics}
