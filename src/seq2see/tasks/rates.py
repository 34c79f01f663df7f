"""Learning rates that nobody set: what the optimiser, the width of the model and its beginning ask for."""

from collections.abc import Mapping
from typing import Any

from seq2see.config.toml import Table

_TUNED_WIDTH = 128  # of a Transformer, for which the learning rates of the tasks are
_ADAMW = 0.003  # of such a Transformer, where somebody wants AdamW in place of Muon
_GENTLER = 0.3  # of the learning rate that a fresh model gets: what was learned is not to be undone


def for_transformer(training: Table, width: object, given: Mapping[str, Any]) -> None:
    """A smaller learning rate for a wide Transformer, and for one that AdamW is to train."""
    if training.get("optimiser") == "muon" and given.get("optimiser") == "adamw":
        training["learning_rate"] = _ADAMW
    if isinstance(width, int) and width > _TUNED_WIDTH:
        # The best rate of Adam falls with the width (Yang et al. 2021, table 3).
        training["learning_rate"] = round(training["learning_rate"] * _TUNED_WIDTH / width, 6)


def gentler(training: Table, given: Mapping[str, Any], reasons: list[str]) -> None:
    """A smaller learning rate for a run that begins with the weights of another."""
    donor = given.get("init_from")
    if donor is None or "learning_rate" in given or "learning_rate" not in training:
        return
    training["learning_rate"] = round(_GENTLER * training["learning_rate"], 6)
    reasons.append(f"learning rate: {training['learning_rate']:g} (small: it begins with what {donor} knows)")
