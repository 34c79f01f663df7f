"""What stays the same during one training, gathered in one frozen value, and how it is told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic

from torch import nn
from torch.optim import Optimizer

from seq2see.config.settings import TrainingSettings
from seq2see.training.averaging import Ema
from seq2see.training.batch import AnyBatch, Batches
from seq2see.training.distributed import World
from seq2see.training.gradient import Computation
from seq2see.training.interrupt import Interrupt
from seq2see.training.journal import Journal, warning_line
from seq2see.training.progress import Development, Event, Progress, Said, Stopwatch, remaining
from seq2see.training.schedule import Budget
from seq2see.training.standing import Standing

Develop = Callable[[nn.Module], Development]
Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Job(Generic[AnyBatch]):
    """One training: who takes part in it. ``run`` is the run folder, ``count`` the number of batches of an epoch."""

    model: nn.Module
    batches: Batches[AnyBatch]
    count: Callable[[int], int]
    settings: TrainingSettings
    run: Path
    develop: Develop | None
    report: Report
    interrupt: Interrupt
    fingerprint: dict[str, str]
    world: World
    optimiser: Optimizer
    ema: Ema | None
    computation: Computation[AnyBatch]
    journal: Journal
    stopwatch: Stopwatch

    def epochs(self, standing: Standing) -> float:
        """Passes over the data so far, the begun one included."""
        return standing.epoch + standing.batch / max(1, self.count(standing.epoch))

    def fraction(self, standing: Standing) -> float:
        """The part of the budget that is spent."""
        return Budget.of(self.settings).fraction(
            update=standing.step,
            epoch=standing.epoch,
            batch=standing.batch,
            batches_in_epoch=self.count(standing.epoch),
            seconds=standing.seconds,
        )

    def done(self, standing: Standing) -> bool:
        """Whether the budget is spent."""
        return Budget.of(self.settings).done(
            update=standing.step,
            epoch=standing.epoch,
            batch=standing.batch,
            batches_in_epoch=self.count(standing.epoch),
            seconds=standing.seconds,
        )

    def progress(self, standing: Standing, gradient_norm: float | None = None) -> Progress:
        """Where training stands now; averages over the updates since the last line of the journal."""
        seconds, fraction, tally = self.stopwatch.seconds(), self.fraction(standing), standing.tally
        elapsed = seconds - tally.started
        return Progress(
            step=standing.step,
            epoch=self.epochs(standing),
            fraction=min(1.0, fraction),
            seconds=seconds,
            eta_seconds=remaining(seconds, fraction),
            learning_rate=self.optimiser.param_groups[0]["lr"],
            target_tokens=standing.target_tokens,
            loss=tally.loss / tally.tokens if tally.tokens else None,
            target_tokens_per_second=tally.tokens / elapsed if tally.tokens and elapsed > 0 else None,
            padding_share=tally.padding / tally.batches if tally.batches else None,
            gradient_norm=gradient_norm,
        )

    def tell(self, progress: Progress) -> None:
        """Report, if this is the process that does."""
        if self.world.main:
            self.report(progress)

    def say(self, standing: Standing, text: str, *, warning: bool = False) -> None:
        """Report a sentence; a warning goes into the journal too."""
        progress = self.progress(standing)
        if warning:
            self.journal.write(warning_line(progress, text))
        self.tell(with_event(progress, Said(text, warning)))


def with_event(progress: Progress, event: Event) -> Progress:
    """The same progress, with something that happened."""
    return replace(progress, events=(event,))
