"""Forecasts of classical series with every model, each trained once, chosen on dev, and scored on the test stretch.

    python benchmarks/forecasts.py FOLDER --out runs/forecasts

FOLDER holds AirPassengers.csv and EuStockMarkets.csv (of Rdatasets), sunspots.csv and elec_equip.csv (of statsmodels),
at any depth. Prints a table in Markdown for each series: MASE on the stretch that chooses, and RMSE, MAE, MASE and what
the 80 % band holds on the test stretch. The model that is best on dev is in bold: its figures on test are what the
choice is worth. A run that is there already is scored again, not trained again.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from seq2see.evaluation.result import Evaluation
from seq2see.tasks.catalogue import load
from seq2see.tasks.forecast_choices import NAMES
from seq2see.tasks.forecasting import ForecastRun
from seq2see.tasks.reporting import silent
from seq2see.tasks.training import train

SERIES = ("AirPassengers.csv", "sunspots.csv", "elec_equip.csv", "EuStockMarkets.csv")
YEARLY = "statsmodels"  # of two files called sunspots.csv, the one with a value a year
COLUMNS = ("rmse", "mae", "mase", "coverage_80")


def find(folder: Path, name: str) -> Path:
    """The file of that name below a folder."""
    found = sorted(folder.rglob(name), key=lambda path: (YEARLY not in path.parts, path))
    if not found:
        raise SystemExit(f"{folder}: there is no {name} in it")
    return found[0]


def run_of(data: Path, model: str, out: Path) -> tuple[ForecastRun, float]:
    """The trained run of a model, and the seconds that training took (0: it was there)."""
    started = time.process_time()
    if (out / "manifest.json").is_file():
        run, seconds = load(out), 0.0
    else:
        run = train(data, task="forecast", model=model, out=out, reporter=silent())
        seconds = time.process_time() - started
    assert isinstance(run, ForecastRun)
    return run, seconds


def scores_on_dev(run: ForecastRun) -> dict[str, float]:
    """What the manifest says of the stretch that chose."""
    return {score["name"]: score["value"] for score in run.facts["scores"]}


def row(model: str, dev: dict[str, float], test: Evaluation, parameters: int, seconds: float, *, best: bool) -> str:
    name = f"**{model}**" if best else model
    interval = next((f" ({each.low:.3f} to {each.high:.3f})" for each in test.scores if each.name == "mase"), "")
    cells = [f"{test[column]:.4g}" + (interval if column == "mase" else "") for column in COLUMNS]
    return f"| {name} | {parameters:,} | {seconds:.0f} | {dev['mase']:.3f} | {' | '.join(cells)} |"


def table(data: Path, out: Path) -> None:
    """One series: every model, and what the runs say of it."""
    runs: dict[str, tuple[ForecastRun, float]] = {}
    for model in NAMES:
        try:
            runs[model] = run_of(data, model, out / model)
        except Exception as error:  # a series without a season has no seasonal naive model
            print(f"{data.name}: {model}: {error}", file=sys.stderr)
    dev = {model: scores_on_dev(run) for model, (run, _) in runs.items()}
    best = min(dev, key=lambda model: dev[model]["mase"])
    tests = {model: run.evaluate(data) for model, (run, _) in runs.items()}
    first = next(iter(tests.values()))
    print(f"\n### {data.stem}: test, {first.examples}\n")
    print("| model | parameters | seconds | MASE, dev | RMSE | MAE | MASE | in the 80 % band |")
    print("|---|---|---|---|---|---|---|---|")
    for model, (run, seconds) in runs.items():
        parameters = sum(parameter.numel() for parameter in run.model.parameters())
        print(row(model, dev[model], tests[model], parameters, seconds, best=model == best), flush=True)
    print(f"\nChosen on dev: {best}. On test: {tests[best].notes[-2]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/forecasts"))
    parser.add_argument("--series", nargs="+", default=list(SERIES))
    arguments = parser.parse_args()
    for name in arguments.series:
        data = find(arguments.folder, name)
        table(data, arguments.out / data.stem)


if __name__ == "__main__":
    main()
