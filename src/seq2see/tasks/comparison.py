"""Several models on the same data, seed and budget, one after the other; then one page that compares them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path

from seq2see.errors import InputError
from seq2see.evaluation.counts import METRICS
from seq2see.evaluation.result import Evaluation
from seq2see.evaluation.significance import compare as compare_texts
from seq2see.storage.atomic import write_atomic
from seq2see.tasks.folder import CONFIG
from seq2see.tasks.folder import METRICS as JOURNAL
from seq2see.tasks.outcome import metrics_rows
from seq2see.tasks.reporting import Reporter
from seq2see.tasks.request import TrainRequest
from seq2see.tasks.run import Asked, Held, Run
from seq2see.tasks.training import rehearse, train_run
from seq2see.training.interrupt import Interrupt
from seq2see.viewing.comparison import ComparisonData, Competitor, Difference, write_comparison
from seq2see.viewing.report import ScoreLine

PAGE, FIGURES = "comparison.html", "comparison.json"


@dataclass(frozen=True)
class Compared:
    """The runs, by the names of their models, and what they scored (None without data to score on)."""

    folder: Path
    runs: dict[str, Run]
    evaluations: dict[str, Evaluation]
    data: ComparisonData


def compare_models(
    request: TrainRequest,
    models: Sequence[str],
    held: Held | None,
    *,
    folder: Path,
    reporter: Reporter,
    interrupt: Interrupt,
) -> Compared:
    """Train each of ``models`` as ``request`` says, score it, and write ``comparison.html`` and ``comparison.json``.

    The settings of all are settled before the first is trained: a slip in the last name costs no training.
    A model whose run in ``folder`` is finished is not trained again, and one that was stopped goes on: the same
    command resumes the whole comparison.

    Args:
        held: what all are scored on; None: on what each held out of the data while it was trained.

    Raises:
        InputError: fewer than two models, one twice, or anything that training refuses.
        Stopped: a signal came; all so far is saved.
    """
    if len(models) < 2 or len(set(models)) < len(models):
        raise InputError(f"models: {', '.join(models) or 'none'}; name two or more, each once")
    if "-" in (request.data, request.source, request.target):
        raise InputError("standard input can be read once, but every model reads the data: name a file")
    for place in (held.data, held.source, held.target) if held is not None else ():
        if place is not None and not Path(place).exists():
            raise InputError(f"There is no {place} to score on. Check the path.")
    asked = {model: _request(request, model, folder) for model in models}
    for model, each in asked.items():
        if not each.resume:
            try:
                rehearse(each, interrupt)
            except InputError as error:
                raise InputError(f"--models {model}: {error}") from None
    runs: dict[str, Run] = {}
    for number, model in enumerate(models, start=1):
        reporter.say(f"model {number} of {len(models)}: {model}")
        runs[model] = train_run(asked[model], reporter=reporter, interrupt=interrupt)
    evaluations: dict[str, Evaluation] = {}
    if held is not None:
        for model, run in runs.items():
            reporter.say(f"scoring {model}")
            evaluations[model] = run.score(held, asked=Asked(), check=interrupt.check)
    differences = list(_differences(runs, evaluations, held, interrupt)) if held is not None else []
    compared = _described(folder, runs, evaluations, differences)
    write_comparison(folder / PAGE, compared)
    write_atomic(folder / FIGURES, json.dumps(_figures(compared), ensure_ascii=False, indent=1) + "\n")
    return Compared(folder, runs, evaluations, compared)


def _request(request: TrainRequest, model: str, folder: Path) -> TrainRequest:
    """To train one of the models, or to go on with it."""
    place = folder / model
    return replace(request, model=model, out=place, resume=(place / CONFIG).exists())


def _differences(
    runs: dict[str, Run], evaluations: dict[str, Evaluation], held: Held | None, interrupt: Interrupt
) -> Iterator[Difference]:
    """Each pair of models under each metric; from the texts that were compared already where that is possible."""
    for first, second in combinations(runs, 2):
        one, other = evaluations[first], evaluations[second]
        names = [score.name for score in other.scores if score.name in METRICS]
        if names and one.hypotheses and one.references == other.references:
            found = compare_texts(
                names,
                one.hypotheses,
                other.hypotheses,
                other.references,
                tokenize=_tokenize(runs[second]),
                check=interrupt.check,
            )
        elif held is not None:
            found = list(runs[second].score(held, asked=Asked(), versus=runs[first], check=interrupt.check).comparisons)
        for each in found:
            yield Difference(each.name, first, second, each.difference, each.low, each.high, each.bootstrap_p)


def _tokenize(run: Run) -> str:
    return str(run.settings.model_dump().get("evaluation", {}).get("tokenize", "13a"))


def _described(
    folder: Path, runs: dict[str, Run], evaluations: dict[str, Evaluation], differences: Sequence[Difference]
) -> ComparisonData:
    competitors = []
    for model, run in runs.items():
        rows, evaluation = metrics_rows(run.folder / JOURNAL), evaluations.get(model)
        rates = [float(row["target_tokens_per_second"]) for row in rows if row.get("target_tokens_per_second")]
        scores = [asdict(score) for score in evaluation.scores] if evaluation else run.facts.get("scores", [])
        lengths = evaluation.lengths if evaluation else ()
        competitors.append(
            Competitor(
                name=model,
                parameters=int(run.facts.get("parameters", 0)),
                seconds=60 * float(run.facts.get("minutes", 0.0)),
                updates=int(run.facts.get("updates", 0)),
                rate=sorted(rates)[len(rates) // 2] if rates else 0.0,
                scores=[ScoreLine(**score) for score in scores],
                metrics=rows,
                lengths=[(b.lower, b.upper, b.sentences, b.value, b.low, b.high) for b in lengths],
            )
        )
    scored = next(iter(evaluations.values()), None)
    of = scored.data if scored else next((str(run.facts.get("scored_on", "")) for run in runs.values()), "")
    return ComparisonData(
        name=folder.name,
        data=f"scores of {of}",
        runs=competitors,
        differences=differences,
        length_metric=scored.length_metric if scored else "score",
    )


def _figures(compared: ComparisonData) -> dict[str, object]:
    return {
        "data": compared.data,
        "models": [
            {
                "model": run.name,
                "parameters": run.parameters,
                "seconds": run.seconds,
                "updates": run.updates,
                "target_tokens_per_second": run.rate,
                "scores": [score._asdict() for score in run.scores],
            }
            for run in compared.runs
        ],
        "differences": [asdict(each) for each in compared.differences],
    }
