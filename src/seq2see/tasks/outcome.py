"""The end of a training: the chosen weights are scored on the dev pairs, kept, and reported."""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seq2see.config.settings import Settings
from seq2see.evaluation.lengths import Bucket
from seq2see.tasks.folder import METRICS, REPORT, save_run
from seq2see.tasks.prediction import Translator
from seq2see.tasks.scoring import Evaluation, evaluate_pairs
from seq2see.training.selection import Fitted
from seq2see.viewing.report import ReportData, ScoreLine, write_report


def finish(
    folder: Path,
    translator: Translator,
    settings: Settings,
    fitted: Fitted,
    *,
    pairs: Sequence[tuple[str, str]],
    data: str,
    notes: Sequence[str],
    check: Callable[[], None],
) -> Evaluation | None:
    """Score the dev pairs with the run's own search, write report, weights and manifest."""
    evaluation = None
    if pairs:
        evaluation = evaluate_pairs(
            translator,
            pairs,
            run=str(folder),
            data=f"dev: {data}",
            metrics=settings.evaluation.metrics,
            tokenize=settings.evaluation.tokenize,
            search=settings.search,
            check=check,
        )
    parameters = sum(parameter.numel() for parameter in translator.model.parameters())
    facts = {
        "task": settings.task,
        "model": settings.model.name,
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
    write_report(folder / REPORT, report_data(folder, settings, parameters, said, evaluation))
    save_run(folder, fitted.weights, facts)  # the manifest comes last: with it the run is finished
    return evaluation


def last_words(folder: Path, evaluation: Evaluation | None) -> list[str]:
    """What to tell whoever has trained a run: how good it is, where it is, what to do with it."""
    said = []
    if evaluation is not None:
        scores = "  ".join(f"{score.name} {score.value:.2f}" for score in evaluation.scores)
        said.append(f"{evaluation.data}: {scores}; search {evaluation.signature}")
    name = shlex.quote(str(folder))
    return [*said, f"the run is in {folder}; try: seq2see predict {name} TEXT, or: seq2see see {name} TEXT"]


def report_data(
    folder: Path, settings: Settings, parameters: int, notes: Sequence[str], evaluation: Evaluation | None
) -> ReportData:
    """What the report of a run shows."""
    places = [settings.data.pairs, settings.data.source, settings.data.target]
    return ReportData(
        name=folder.name,
        task=settings.task,
        model=settings.model.name,
        parameters=parameters,
        data=" and ".join(place for place in places if place),
        settings=json.loads(settings.model_dump_json(exclude_none=True)),
        metrics=metrics_rows(folder / METRICS),
        scores=[ScoreLine(**asdict(score)) for score in evaluation.scores] if evaluation else [],
        lengths={settings.model.name: [_bar(bucket) for bucket in evaluation.lengths]} if evaluation else {},
        length_metric=evaluation.length_metric if evaluation else "score",
        notes=list(notes),
    )


def _bar(bucket: Bucket) -> tuple[int, int, int, float, float, float]:
    return bucket.lower, bucket.upper, bucket.sentences, bucket.value, bucket.low, bucket.high


def metrics_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; one that is torn or no object is passed over."""
    rows = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                rows.append(row)
    return rows
