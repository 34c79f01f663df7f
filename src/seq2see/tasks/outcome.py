"""The end of a training: the chosen weights and their scores are kept and reported."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from seq2see.config.settings import Settings
from seq2see.evaluation.lengths import Bucket
from seq2see.evaluation.metrics import decimals
from seq2see.evaluation.result import Evaluation
from seq2see.tasks.folder import METRICS, REPORT, save_run
from seq2see.training.selection import Fitted
from seq2see.viewing.report import ReportData, ScoreLine, write_report


def finish(
    folder: Path,
    model: nn.Module,
    settings: Settings,
    fitted: Fitted,
    evaluation: Evaluation | None,
    *,
    files: tuple[str, ...],
    data: str,
    notes: Sequence[str],
) -> None:
    """Write report, weights and manifest."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    facts = {
        "task": settings.task,
        "model": model_name(settings),
        "parameters": parameters,
        "seed": settings.training.seed,
        "updates": fitted.steps,
        "epochs": round(fitted.epochs, 3),
        "minutes": round(fitted.seconds / 60, 2),
        "weights": fitted.reason,
        "seq2see": version("seq2see"),
        "scored_on": evaluation.data if evaluation else "",
        "search": evaluation.signature if evaluation else "",
        "scores": [asdict(score) for score in evaluation.scores] if evaluation else [],
    }
    scored = [f"scores: {evaluation.data}; search {evaluation.signature}"] if evaluation else []
    said = [*notes, fitted.reason, *scored]
    write_report(folder / REPORT, report_data(folder, settings, parameters, data, said, evaluation))
    save_run(folder, fitted.weights, files, facts)  # the manifest comes last: with it the run is finished


def model_name(settings: Settings) -> str:
    """The preset a model comes from."""
    return str(settings.model_dump()["model"]["name"])


def last_words(folder: Path, evaluation: Evaluation | None, try_it: str) -> list[str]:
    """What to tell whoever has trained a run: how good it is, where it is, what to do with it."""
    said = []
    if evaluation is not None:
        scores = "  ".join(f"{score.name} {score.value:.{decimals(score.name)}f}" for score in evaluation.scores)
        signature = f"; search {evaluation.signature}" if evaluation.signature else ""
        said.append(f"{evaluation.data}: {scores}{signature}")
    name = shlex.quote(str(folder))
    return [*said, f"the run is in {folder}; try: {try_it.replace('{run}', name)}"]


def report_data(
    folder: Path,
    settings: Settings,
    parameters: int,
    data: str,
    notes: Sequence[str],
    evaluation: Evaluation | None,
) -> ReportData:
    """What the report of a run shows."""
    name = model_name(settings)
    return ReportData(
        name=folder.name,
        task=settings.task,
        model=name,
        parameters=parameters,
        data=data,
        settings=json.loads(settings.model_dump_json(exclude_none=True)),
        metrics=metrics_rows(folder / METRICS),
        scores=[ScoreLine(**asdict(score)) for score in evaluation.scores] if evaluation else [],
        lengths={name: [_bar(bucket) for bucket in evaluation.lengths]} if evaluation and evaluation.lengths else {},
        length_metric=evaluation.length_metric if evaluation else "score",
        notes=list(notes),
    )


def _bar(bucket: Bucket) -> tuple[int, int, int, float, float, float]:
    return bucket.lower, bucket.upper, bucket.sentences, bucket.value, bucket.low, bucket.high


def metrics_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; one that is torn or no object is passed over. A model in closed form has none."""
    rows: list[dict[str, Any]] = []
    if not path.is_file():
        return rows
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                rows.append(row)
    return rows
