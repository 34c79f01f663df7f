"""Few dials, the rest computed: what a person did not set follows from the data, and the reason is said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seq2see.config.settings import Settings
from seq2see.config.toml import Table, merged, parse_settings
from seq2see.data.survey import Survey
from seq2see.models.presets import preset

_SHORT = 40  # characters of a name, a date or an address


@dataclass(frozen=True)
class Choice:
    """Settings, complete, and a sentence for each value that was computed."""

    settings: Settings
    reasons: tuple[str, ...]


def choose(survey: Survey, given: Mapping[str, Any], *, model: str | None, origin: Any = None) -> Choice:
    """Settings for the surveyed pairs.

    Args:
        survey: what the training pairs look like.
        given: nested tables set by hand (a file, ``--set``, a budget); they win over everything computed.
        model: a preset's name; ``None`` lets the data decide.
        origin: the configuration file, to name its lines in errors.

    Raises:
        InputError: an unknown preset or setting, a wrong type, settings that contradict each other.
    """
    reasons: list[str] = []
    text = merged(_text(survey, reasons), given.get("text", {}))
    name = model or given.get("model", {}).get("name") or _model_name(survey, reasons)
    chosen: Table = {
        "text": text,
        "model": preset(name).model_dump(mode="json"),
        "training": _training(survey, name, given.get("training", {}), reasons),
        "evaluation": _evaluation(survey, reasons),
    }
    text = merged({"joint": True}, text)
    if not text["joint"] and chosen["model"]["tie"] == "all":
        chosen["model"]["tie"] = "output"
    return Choice(parse_settings(merged(chosen, given), origin), tuple(reasons))


def _words(survey: Survey) -> float:
    """Mean words of a pair's longer side."""
    return max(survey.source.words, survey.target.words)


def _is_short(survey: Survey) -> bool:
    """Whether sides are names, dates, words rather than sentences: characters are their natural pieces."""
    return max(survey.source.characters, survey.target.characters) <= _SHORT and _words(survey) <= 4


def _text(survey: Survey, reasons: list[str]) -> Table:
    source, target = survey.source, survey.target
    if _is_short(survey):
        lengths = f"{source.characters:.0f} and {target.characters:.0f} characters on average"
        reasons.append(f"pieces: characters (the sides are short: {lengths})")
        return {"kind": "char", "joint": True}
    words = survey.pairs * _words(survey)
    vocabulary = next((size for size, most in _VOCABULARIES if words <= most), 32_000)
    joint = source.script == target.script
    side = (
        f"both sides together ({source.script} letters)" if joint else f"each side ({source.script}, {target.script})"
    )
    reasons.append(f"pieces: sub-words (BPE), at most {vocabulary:,} for {side}")
    return {"kind": "bpe", "vocabulary": vocabulary, "joint": joint}


# A vocabulary, and up to how many words of text on a side it is used: enough examples of each piece to learn from.
_VOCABULARIES = ((2_000, 50_000), (4_000, 150_000), (8_000, 2_000_000), (16_000, 20_000_000))


def _model_name(survey: Survey, reasons: list[str]) -> str:
    if _is_short(survey) or survey.pairs < 10_000:
        reasons.append("model: lstm-attention (learns the most from few or short pairs)")
        return "lstm-attention"
    reasons.append(f"model: transformer-tiny ({survey.pairs:,} pairs are enough for it)")
    return "transformer-tiny"


def _training(survey: Survey, name: str, given: Mapping[str, Any], reasons: list[str]) -> Table:
    training: Table = dict(_RECIPES["transformer" if name.startswith("transformer") else "recurrent"])
    if not any(budget in given for budget in ("minutes", "epochs", "steps")):
        minutes = float(min(60, max(2, round(survey.pairs * _words(survey) / 12_000))))
        training["minutes"] = minutes
        reasons.append(f"budget: {minutes:g} minutes (set it with --minutes, --epochs or --steps)")
    return training


_RECIPES: dict[str, Table] = {
    "recurrent": {"learning_rate": 0.002, "warmup": 0.05, "schedule": "cosine", "batch_tokens": 4_096},
    "transformer": {"learning_rate": 0.003, "warmup": 0.1, "schedule": "cosine", "batch_tokens": 4_096},
}


def _evaluation(survey: Survey, reasons: list[str]) -> Table:
    if _is_short(survey):
        reasons.append("score: exact match and character error rate (short answers)")
        return {"metrics": ["exact_match", "cer"]}
    reasons.append("score: BLEU and chrF")
    return {"metrics": ["bleu", "chrf"]}
