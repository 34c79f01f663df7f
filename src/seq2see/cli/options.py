"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DRAWINGS = (".png", ".svg")

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, as `seq2see train` makes it.")]
Beam = Annotated[int | None, typer.Option("--beam", min=1, help="Beam width; 1 is greedy.")]
Searched = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="search.KEY=VALUE", help="One search setting, e.g. search.length_penalty=0.6."),
]
# Where the data are, and how long to train on them: the same for `train`, `compare` and `evaluate`.
Source = Annotated[Path | None, typer.Option("--source", help="Source sentences, one a line (with --target).")]
Target = Annotated[Path | None, typer.Option("--target", help="Target sentences, line by line with --source.")]
Columns = Annotated[str | None, typer.Option("--columns", help="Names or numbers of the two columns: SOURCE,TARGET.")]
TaskName = Annotated[
    str | None,
    typer.Option("--task", help="translate (pairs, the default), lm, masked, classify, tag, caption, forecast."),
]
Dev = Annotated[
    list[Path] | None, typer.Option("--dev", help="Data to choose by; give it twice for a source and a target file.")
]
Config = Annotated[Path | None, typer.Option("--config", help="Settings in TOML.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, e.g. training.learning_rate=0.002."),
]
Minutes = Annotated[float | None, typer.Option("--minutes", help="Budget in minutes.")]
Epochs = Annotated[float | None, typer.Option("--epochs", help="Budget in passes over the data.")]
Steps = Annotated[int | None, typer.Option("--steps", help="Budget in updates.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of everything random.")]
