"""The contract of a task: which data, model, loss, search and metric belong together.

`training.py` trains any task, `run.py` says what can be done with what it leaves, `catalogue.py` knows all names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol

from torch import nn

from seq2see.config.settings import Settings
from seq2see.config.toml import Table
from seq2see.evaluation.result import Evaluation
from seq2see.tasks.donor import Donor
from seq2see.tasks.request import TrainRequest
from seq2see.tasks.resuming import refuse_changes, write_config
from seq2see.tasks.run import Run
from seq2see.training.batch import AnyBatch, Batches, LossFunction
from seq2see.training.distributed import World
from seq2see.training.interrupt import Interrupt
from seq2see.training.job import Develop


@dataclass(frozen=True)
class Ground:
    """What a task prepares a training on.

    Attributes:
        given: what a person set by hand, as nested tables.
        folder: the run folder; it exists, and is locked.
        note: tells a sentence, and keeps it for the report.
        resumed: there is a checkpoint to go on from, or another process has prepared the folder: what the folder
            holds stays as it is.
        donor: the run that this one begins with, if any; its pieces and its model are laid under ``given`` already.
    """

    request: TrainRequest
    given: Table
    folder: Path
    world: World
    note: Callable[[str], None]
    interrupt: Interrupt
    resumed: bool
    donor: Donor | None = None

    @property
    def origin(self) -> Path | None:
        """The file to look in for what an error is about."""
        return self.request.origin(self.folder)

    def begin(self, settings: Settings) -> None:
        """Keep the settings of a new run, before anything else: with them a run that is stopped can be resumed."""
        write_config(self.folder, settings)

    def begun(self, model: nn.Module, *, leave: Sequence[str] = ()) -> nn.Module:
        """A fresh model, with what its donor has for it; see ``Donor.fill``."""
        return model if self.donor is None else self.donor.fill(model, leave=leave)

    def agree(self, settings: Settings, fingerprint: Mapping[str, str]) -> None:
        """Before the weights of a run that goes on are touched: raise InputError if they no longer fit."""
        if self.resumed and self.world.main:
            refuse_changes(self.folder, fingerprint, force=self.request.force)
            write_config(self.folder, settings)


@dataclass(frozen=True)
class Prepared(Generic[AnyBatch]):
    """Everything training needs, read and computed.

    Attributes:
        files: names of files in the run folder that belong to the model beside its configuration and weights.
        model: builds it, with fresh weights; called after the random numbers are seeded.
        develop: judges the weights of the moment; None: there is nothing held out.
        evaluate: scores the final model on the held-out data, with the run's own settings.
        fingerprint: what must not change between a checkpoint and its resumption, by name.
        data: which data it is trained on, for the report.
        solve: fills a model that has a closed form in one pass, in place of ``batches`` and ``loss``.
        try_it: in place of the task's, where that depends on the data.
    """

    settings: Settings
    files: tuple[str, ...]
    model: Callable[[], nn.Module]
    batches: Batches[AnyBatch]
    loss: LossFunction[AnyBatch]
    develop: Develop | None
    evaluate: Callable[[nn.Module], Evaluation | None]
    fingerprint: Mapping[str, str]
    data: str
    solve: Callable[[nn.Module], None] | None = None
    try_it: str = ""


class Task(Protocol):
    """A problem setting. A task has no state; its functions say what belongs to it."""

    name: str
    data_key: str  # of the section ``data``: where ``seq2see train DATA`` goes
    donors: tuple[str, ...]  # tasks whose runs one of this task can begin with (``--init-from``)
    try_it: str  # commands to try on a finished run; {run} is its folder

    def default_name(self, given: Table, origin: Path | None) -> str:
        """A name for a run on these data."""

    def open_data(self, given: Table, origin: Path | None, interrupt: Interrupt) -> Callable[[Ground], Prepared[Any]]:
        """Find the data, before there is a folder; what comes back reads them, settles all settings and prepares.

        Raises:
            InputError: the data are missing, or not of this task's kind.
        """

    def open_run(self, folder: Path) -> Run:
        """A run of this task, ready for use. Raises InputError for one that is damaged or of a newer version."""
