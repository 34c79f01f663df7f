"""What a person asks of training, before anything is read."""

from dataclasses import dataclass
from pathlib import Path

from seq2see.config.toml import Table, merged, parse_assignment, read_toml
from seq2see.errors import InputError


@dataclass(frozen=True)
class TrainRequest:
    """The arguments of ``seq2see train``; everything may be left out but the data, which may stand in the config."""

    data: str | Path | None = None
    source: str | Path | None = None
    target: str | Path | None = None
    dev: tuple[str | Path, ...] = ()
    columns: tuple[str, str] | None = None
    model: str | None = None
    config: Path | None = None
    assignments: tuple[str, ...] = ()
    minutes: float | None = None
    epochs: float | None = None
    steps: int | None = None
    out: Path | None = None
    seed: int | None = None
    resume: bool = False
    force: bool = False
    tensorboard: bool = False

    def given(self) -> Table:
        """What was set by hand, as nested tables: the file, then ``--set``, then the options.

        Raises:
            InputError: the file is no TOML, an assignment is no assignment, or two budgets are given.
        """
        table: Table = read_toml(self.config) if self.config else {}
        for assignment in self.assignments:
            table = merged(table, parse_assignment(assignment))
        return merged(table, self._options(table))

    def _options(self, table: Table) -> Table:
        options: Table = {}
        named = {"pairs": self.data, "source": self.source, "target": self.target}
        data: Table = {key: str(path) for key, path in named.items() if path is not None}
        if self.dev:
            data["dev"] = [str(path) for path in self.dev]
        if self.columns:
            data["columns"] = list(self.columns)
        if data:
            options["data"] = data
        budgets = {"minutes": self.minutes, "epochs": self.epochs, "steps": self.steps}
        training: Table = {name: budget for name, budget in budgets.items() if budget is not None}
        if len(training) > 1:
            raise InputError(f"give one budget, not {' and '.join('--' + name for name in training)}")
        if training:
            for name in budgets:  # an option replaces the budget of the file
                table.get("training", {}).pop(name, None)
        if self.seed is not None:
            training["seed"] = self.seed
        if training:
            options["training"] = training
        return options
