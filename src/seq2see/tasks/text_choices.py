"""What is computed from a plain text alike for every task that reads one: windows, batches, budget."""

from collections.abc import Mapping
from typing import Any

from seq2see.config.toml import Table

_LEAST_WINDOWS = 30  # that a text is cut into


def window_length(pieces: int, most: int) -> int:
    """A power of two, so long that there are at least thirty windows."""
    return next((size for size in (256, 128, 64, 32, 16) if size <= most and _LEAST_WINDOWS * size <= pieces), 8)


def batch_tokens(pieces: int) -> int:
    """Large batches are quick, but a short text in a few of them gives too few updates: about fifty an epoch then."""
    return next((size for size in (512, 1_024) if pieces <= 50 * size), 2_048)


def has_budget(given: Mapping[str, Any]) -> bool:
    """Whether a person has set how long to train."""
    return any(budget in given for budget in ("minutes", "epochs", "steps"))


def add_budget(training: Table, minutes: float, reasons: list[str]) -> None:
    """A budget of about so many minutes, from one to sixty."""
    training["minutes"] = float(min(60, max(1, round(minutes))))
    reasons.append(f"budget: {training['minutes']:g} minutes (set it with --minutes, --epochs or --steps)")
