"""The learning rate over a budget of minutes, epochs or updates."""

import math
from dataclasses import dataclass

from seq2see.config.settings import TrainingSettings
from seq2see.errors import InputError

DECAY_FROM = 0.8  # stable-decay: the last fifth of the budget (Hägele et al. 2024, section 4)
WARMUP_START = 0.01  # share of the highest rate at which a warm-up over a share of the budget starts


def learning_rate(settings: TrainingSettings, *, update: int, fraction: float) -> float:
    """The rate of update number ``update`` (from 1), when ``fraction`` of the budget has been used before it.

    A linear warm-up to ``settings.learning_rate``: over ``warmup`` updates if that is at least 1, otherwise
    over that share of the budget (from 1 % of the highest rate, as no update should be for nothing). Then

    - constant: the highest rate.
    - inverse-square-root (Vaswani et al. 2017, equation 3): rate · √(warm-up / place); in updates or shares,
      as the warm-up is. Without a warm-up: rate / √update.
    - cosine (Loshchilov and Hutter 2017, equation 5): half a cosine down to 0 at the end of the budget.
    - stable-decay (warm-up–stable–decay; Hu et al. 2024): the highest rate, and over the last 20 % of the
      budget times 1 − √x, x from 0 to 1 (Hägele et al. 2024, section 4), to 0 at the end.

    The cosine starts where the warm-up ends. Where that is not known beforehand, with a warm-up in updates
    but a budget in minutes or epochs, it runs over the whole budget, times the warm-up. Beyond the budget
    (``fraction`` above 1) the rate is that of its end. Raises InputError for update < 1 or fraction < 0.
    """
    if update < 1 or not fraction >= 0:
        raise InputError(f"updates count from 1 and fractions from 0; given: {update} and {fraction}")
    fraction = min(fraction, 1.0)
    highest = settings.learning_rate * _warmup(settings.warmup, update, fraction)
    match settings.schedule:
        case "constant":
            return highest
        case "inverse-square-root":
            return highest * _inverse_square_root(settings.warmup, update, fraction)
        case "cosine":
            return highest * 0.5 * (1 + math.cos(math.pi * _place(fraction, _warmup_share(settings))))
        case "stable-decay":
            start = max(DECAY_FROM, _warmup_share(settings))
            return highest * (1 - math.sqrt(_place(fraction, start)))


def _warmup(warmup: float, update: int, fraction: float) -> float:
    """The share of the highest rate that the warm-up allows."""
    if warmup >= 1:
        return min(1.0, update / warmup)
    if fraction >= warmup:
        return 1.0
    return WARMUP_START + (1 - WARMUP_START) * fraction / warmup


def _warmup_share(settings: TrainingSettings) -> float:
    """The share of the budget at which the warm-up ends; 0 if only the run can tell."""
    if settings.warmup < 1:
        return settings.warmup
    return min(1.0, settings.warmup / settings.steps) if settings.steps is not None else 0.0


def _place(fraction: float, start: float) -> float:
    """Where ``fraction`` lies between ``start`` (0) and the end of the budget (1)."""
    return 0.0 if fraction <= start else (fraction - start) / (1 - start)


def _inverse_square_root(warmup: float, update: int, fraction: float) -> float:
    if 0 < warmup < 1:
        return math.sqrt(warmup / max(warmup, fraction))
    return math.sqrt(max(warmup, 1.0) / max(warmup, update))


@dataclass(frozen=True)
class Budget:
    """How long training goes on: exactly one of minutes, epochs and steps (updates)."""

    minutes: float | None = None
    epochs: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.minutes, self.epochs, self.steps) if value is not None]
        if len(given) != 1 or not given[0] > 0:
            raise InputError(
                "a budget is exactly one of minutes, epochs and steps, above 0; "
                f"given: minutes={self.minutes}, epochs={self.epochs}, steps={self.steps}"
            )

    @staticmethod
    def of(settings: TrainingSettings) -> "Budget":
        return Budget(settings.minutes, settings.epochs, settings.steps)

    def fraction(self, update: int, epoch: int, batch: int, batches_in_epoch: int, seconds: float) -> float:
        """The share of the budget that is used, from 0 to 1.

        ``update``: updates made. ``epoch``: whole epochs done; ``batch``: batches done of the next one, which
        has ``batches_in_epoch``. ``seconds``: spent training, those before a resume included.
        """
        return min(1.0, self._used(update, epoch, batch, batches_in_epoch, seconds))

    def done(self, update: int, epoch: int, batch: int, batches_in_epoch: int, seconds: float) -> bool:
        """True when the budget is used up; arguments as for ``fraction``."""
        # 1.36 epochs of 100 batches end after 136, although 1 + 36/100 rounds to below 1.36.
        return self._used(update, epoch, batch, batches_in_epoch, seconds) >= 1 - 1e-9

    def _used(self, update: int, epoch: int, batch: int, batches_in_epoch: int, seconds: float) -> float:
        if self.steps is not None:
            return update / self.steps
        if self.epochs is not None:
            return (epoch + batch / max(1, batches_in_epoch)) / self.epochs
        return seconds / (60 * (self.minutes or math.inf))
