"""What a person asks of training, before anything is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seq2see.config.toml import Table, merged, nested, parse_assignment, read_toml
from seq2see.errors import InputError

BUDGETS = ("minutes", "epochs", "steps")
PLACES = ("pairs", "source", "target", "file")  # keys of the section ``data`` that say where the data are


def with_sections(table: Table, origin: Path | None) -> Table:
    """The table, in which every section is one.

    Raises:
        InputError: a section has a value instead of keys.
    """
    for section in ("data", "text", "model", "training", "search", "evaluation"):
        if not isinstance(table.get(section, {}), dict):
            where = f"{origin}: " if origin else ""
            raise InputError(
                f"{where}{section} = {table[section]!r}: this is a section; set a key of it, {section}.KEY"
            )
    return table


def require_model(table: Mapping[str, Any], asked: str | None) -> None:
    """Raise if the settings are those of another model than the one that was asked for by name."""
    named = table.get("model", {}).get("name")
    if asked is not None and named not in (None, asked):
        raise InputError(f"--model {asked}: the settings say model.name = {named!r}; leave one of the two out")


@dataclass(frozen=True)
class TrainRequest:
    """The arguments of ``seq2see train``; everything may be left out but the data, which may stand in the config."""

    task: str | None = None
    data: str | Path | None = None
    source: str | Path | None = None
    target: str | Path | None = None
    dev: tuple[str | Path, ...] = ()
    columns: tuple[str, str] | None = None
    model: str | None = None
    config: Path | None = None
    assignments: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)  # by dotted name
    minutes: float | None = None
    epochs: float | None = None
    steps: int | None = None
    out: Path | None = None
    seed: int | None = None
    resume: bool = False
    force: bool = False
    tensorboard: bool = False
    init_from: Path | None = None

    def given(self, data_key: str = "pairs") -> Table:
        """What was set by hand, as nested tables: the file, then ``--set``, then the options.

        ``data_key`` is the name that the task has for its one file of data.

        Raises:
            InputError: the file is no TOML, an assignment is no assignment, a section has a value instead of keys,
                or two budgets, two models or two tasks are given.
        """
        table: Table = read_toml(self.config) if self.config else {}
        for assignment in self.assignments:
            table = merged(table, parse_assignment(assignment))
        for name, each in self.settings.items():
            table = merged(table, nested(name, each))
        if self.task is not None and table.get("task", self.task) != self.task:
            raise InputError(f"--task {self.task}: the settings say task = {table['task']!r}; leave one of the two out")
        table = with_sections(table, self.config)
        require_model(table, self.model)
        return merged(table, self._options(table, data_key))

    def origin(self, folder: Path) -> Path | None:
        """The file to look in for what an error is about; ``folder`` is the run's."""
        return self.config or (folder / "config.toml" if self.resume else None)

    def _options(self, table: Table, data_key: str) -> Table:
        options: Table = {} if self.task is None else {"task": self.task}
        named = {data_key: self.data, "source": self.source, "target": self.target}
        data: Table = {key: str(path) for key, path in named.items() if path is not None}
        if self.dev:
            data["dev"] = [str(path) for path in self.dev]
        if self.columns:
            data["columns"] = list(self.columns)
        if data:
            options["data"] = data
        budgets = dict(zip(BUDGETS, (self.minutes, self.epochs, self.steps), strict=True))
        training: Table = {name: budget for name, budget in budgets.items() if budget is not None}
        if len(training) > 1:
            raise InputError(f"give one budget, not {' and '.join('--' + name for name in training)}")
        if training:
            for name in budgets:  # an option replaces the budget of the file
                table.get("training", {}).pop(name, None)
        if self.seed is not None:
            training["seed"] = self.seed
        if self.init_from is not None:
            training["init_from"] = str(self.init_from)
        if training:
            options["training"] = training
        return options
