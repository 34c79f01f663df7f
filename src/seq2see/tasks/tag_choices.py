"""Settings of a tagger: what a person did not set follows from the data, and the reason is said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seq2see.config.tag import TagSettings
from seq2see.config.toml import Table, merged, parse
from seq2see.data.label_scheme import scheme_of
from seq2see.errors import InputError
from seq2see.models.tag_presets import TAG_PRESETS, tag_preset
from seq2see.models.tagger import require_buildable
from seq2see.tasks.choice import Choice
from seq2see.tasks.request import require_model
from seq2see.text.spelling import different_ngrams

_DEFAULT = "bilstm"
_MOST_BUCKETS = 32_768  # more of them cost more than they bring
_UPDATES = 200  # an epoch: small batches, for small corpora
_TOKENS_A_MINUTE = 13_500  # of the corpus: about twenty passes over it on one processor


@dataclass(frozen=True)
class Found:
    """What the training sentences look like."""

    tokens: int
    words: Sequence[str]
    labels: Sequence[str]


def choose(found: Found, given: Mapping[str, Any], *, model: str | None, origin: Any = None) -> Choice[TagSettings]:
    """TagSettings for these sentences; what is ``given`` wins over everything computed.

    Raises:
        InputError: an unknown preset or setting, a wrong type, settings that contradict each other.
    """
    require_model(given, model)
    given = merged(given, {"model": {"name": model}}) if model else given
    reasons: list[str] = []
    chosen: Table = {
        "model": _model(given.get("model", {}), reasons),
        "training": _training(found, given, reasons),
        "evaluation": _evaluation(found, given.get("evaluation", {}), reasons),
    }
    settings = parse(TagSettings, merged(chosen, given), origin)
    if settings.evaluation.metric == "span_f1" and scheme_of(found.labels) == "none":
        raise InputError(
            'evaluation.metric = "span_f1" needs labels that mark spans (B-, I- and O, or BIOES); these do not'
        )
    if settings.model.words.ngram and "buckets" not in given.get("text", {}):
        settings = _with_buckets(settings, found, reasons)
    require_buildable(settings.model)  # what does not fit together is said before any work
    return Choice(settings, tuple(reasons))


def _model(by_hand: Mapping[str, Any], reasons: list[str]) -> Table:
    """What the settings of a model are laid over: its preset, or nothing for a whole model of one's own."""
    if "name" not in by_hand:
        reasons.append(f"model: {_DEFAULT} (reads the whole sentence; --model lstm labels tokens as they arrive)")
    name = by_hand.get("name", _DEFAULT)
    if not isinstance(name, str):
        raise InputError(f"model.name: {name!r} is no text; give the name of a preset: {', '.join(TAG_PRESETS)}")
    encoder = by_hand.get("encoder")
    if name not in TAG_PRESETS and isinstance(encoder, Mapping) and "kind" in encoder:
        return {"name": name}
    return tag_preset(name).model_dump(mode="json")


def _training(found: Found, given: Mapping[str, Any], reasons: list[str]) -> Table:
    encoder = given.get("model", {}).get("encoder", {})
    kind = encoder.get("kind") if isinstance(encoder, Mapping) else None
    name = str(given.get("model", {}).get("name", _DEFAULT))
    transformer = kind == "transformer" or (kind is None and name.startswith("transformer"))
    training: Table = dict(_RECIPES["transformer" if transformer else "recurrent"])
    wanted = found.tokens / _UPDATES
    training["batch_tokens"] = next((size for size in (256, 512, 1_024) if wanted <= size), 2_048)
    if not any(budget in given.get("training", {}) for budget in ("minutes", "epochs", "steps")):
        minutes = float(min(60, max(2, round(found.tokens / _TOKENS_A_MINUTE))))
        training["minutes"] = minutes
        reasons.append(f"budget: {minutes:g} minutes (set it with --minutes, --epochs or --steps)")
    return training


_SHARED: Table = {"schedule": "cosine", "label_smoothing": 0.05, "ema": 0.998}
_RECIPES: dict[str, Table] = {
    "recurrent": {"learning_rate": 0.003, "warmup": 0.05, "betas": [0.9, 0.98], **_SHARED},
    "transformer": {"learning_rate": 0.001, "warmup": 0.1, "betas": [0.9, 0.98], **_SHARED},
}


def _evaluation(found: Found, given: Mapping[str, Any], reasons: list[str]) -> Table:
    if scheme_of(found.labels) == "none":
        return {"metric": "token_accuracy"}
    if "metric" not in given:
        reasons.append("score: F1 of spans (the labels mark spans: B-, I- …)")
    return {"metric": "span_f1"}


def _with_buckets(settings: TagSettings, found: Found, reasons: list[str]) -> TagSettings:
    shortest, longest = settings.text.ngrams
    count = different_ngrams(found.words, shortest, longest, _MOST_BUCKETS)
    buckets = min(_MOST_BUCKETS, 1 << max(4, (count - 1).bit_length()))
    about = f"{count:,}" if count < _MOST_BUCKETS else f"{count:,} or more"
    reasons.append(f"n-grams: {about} of {shortest} to {longest} characters, hashed to {buckets:,} numbers")
    return settings.model_copy(update={"text": settings.text.model_copy(update={"buckets": buckets})})
