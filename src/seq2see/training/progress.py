"""What training tells while it runs: frozen values, handed to whoever shows or keeps them."""

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Development:
    """What held-out data says about the weights of the moment.

    ``loss`` in nats per gold token; ``key`` is what the best weights are chosen by, higher is better;
    ``samples`` are a few inputs with what the model makes of them, unselected.
    """

    loss: float
    scores: dict[str, float]
    key: float
    samples: list[dict[str, str]]


@dataclass(frozen=True)
class Evaluated:
    """The weights have been evaluated; ``best`` says whether they are the best so far."""

    step: int
    development: Development
    best: bool


@dataclass(frozen=True)
class Saved:
    """A checkpoint is on the disk and verified."""

    step: int
    path: Path


@dataclass(frozen=True)
class Said:
    """A sentence: what was decided and why, or, as a ``warning``, what went wrong and was survived."""

    text: str
    warning: bool = False


Event = Evaluated | Saved | Said


@dataclass(frozen=True)
class Progress:
    """Where training stands.

    ``epoch`` counts passes over the data, parts included; ``fraction`` is the part of the budget that is
    spent; ``seconds`` include those before a resume. ``loss`` (nats per target token),
    ``target_tokens_per_second`` and ``padding_share`` are of the updates since the last line of the journal;
    None before the first update. ``eta_seconds`` is None until there is something to judge by.
    """

    step: int
    epoch: float
    fraction: float
    seconds: float
    eta_seconds: float | None
    learning_rate: float
    target_tokens: int
    loss: float | None = None
    target_tokens_per_second: float | None = None
    padding_share: float | None = None
    gradient_norm: float | None = None
    events: tuple[Event, ...] = ()


class Stopwatch:
    """Seconds of training, those before a resume included, by a clock that nobody can set."""

    def __init__(self, before: float) -> None:
        self._before = before
        self._start = time.monotonic()

    def seconds(self) -> float:
        """Never less than at the last call."""
        return self._before + time.monotonic() - self._start


def remaining(seconds: float, fraction: float) -> float | None:
    """Seconds to go when ``fraction`` of the budget took ``seconds``; never negative, None while unknown."""
    if fraction <= 0 or seconds <= 0:
        return None
    return max(0.0, seconds * (1 - fraction) / fraction)
