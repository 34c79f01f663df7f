"""A forecaster against what came, by rolling origin, and beside the simple models.

O origins · C series · H steps ahead · Q levels
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seq2see.data.rolling import origins
from seq2see.data.series import Series
from seq2see.errors import InputError
from seq2see.evaluation.counts import Counts
from seq2see.evaluation.forecasts import LEVELS, METRICS, caveat, forecast_counts, verdict
from seq2see.evaluation.metrics import Score, with_intervals
from seq2see.evaluation.resampling import SEED
from seq2see.evaluation.result import Evaluation
from seq2see.evaluation.significance import compare_counts
from seq2see.tasks.foretelling import Foreteller

Table = dict[str, Counts]  # counts by the name of their metric
_RESAMPLES = 1_000


@dataclass(frozen=True)
class Trial:
    """Forecasts that can be scored: from which steps on, how far, and what errors are measured by.

    ``units`` are the errors of the seasonal naive forecast while training, NaN where it never errs.
    """

    series: Series
    starts: tuple[int, ...]
    horizon: int
    stride: int
    season: int
    units: tuple[float, ...]

    @property
    def examples(self) -> str:
        """What the figures are of."""
        count, several = len(self.series.names), len(self.starts) != 1
        axis = self.series.axis
        span = f"{axis.text(self.starts[0])} to {axis.text(self.starts[-1] + self.horizon - 1)}"
        series = f" × {count} series" if count > 1 else ""
        return f"{len(self.starts):,} origin{'s' * several} × {self.horizon} steps{series}, {span}"

    def thinned(self, most: int) -> "Trial":
        """The same with at most so many origins, evenly spread."""
        step = -(-len(self.starts) // most)
        return replace(self, starts=self.starts[::step], stride=self.stride * step)


def trial(
    series: Series,
    first: int,
    end: int,
    *,
    horizon: int,
    stride: int,
    season: int,
    units: Sequence[float],
    needs: int,
) -> Trial:
    """The forecasts from step ``first`` on, or from where there is enough to look back on.

    Raises:
        InputError: there is no room for one.
    """
    known = ~series.values_CT.isnan()
    begin = min(int(known_T.nonzero()[0]) for known_T in known) + needs
    starts = tuple(origins(max(first, begin), end, horizon, stride))
    if not starts:
        raise InputError(
            f"{series.name}: {max(0, end - max(first, begin))} steps that no forecast has seen, but one of {horizon} "
            "steps is to be scored: give a file that goes on further, or a smaller data.horizon while training"
        )
    return Trial(series, starts, horizon, stride, season, tuple(units))


def counted(
    foreteller: Foreteller, trial: Trial, *, paths: int | None = None, check: Callable[[], None] = lambda: None
) -> tuple[list[Counts], list[list[Counts]]]:
    """What the metrics need: of all series together, and of each by itself (nothing where it has no value)."""
    quantiles_OCHQ, actual_OCH = forecasts(foreteller, trial, paths=paths, check=check)
    units, season = trial.units, trial.season
    whole = forecast_counts(quantiles_OCHQ, actual_OCH, units, season)
    each: list[list[Counts]] = []
    for c, unit in enumerate(units):
        known = not bool(actual_OCH[:, c].isnan().all())
        each.append(forecast_counts(quantiles_OCHQ[:, [c]], actual_OCH[:, [c]], [unit], season) if known else [])
    return whole, each


def forecasts(
    foreteller: Foreteller, trial: Trial, *, paths: int | None = None, check: Callable[[], None] = lambda: None
) -> tuple[Tensor, Tensor]:
    """Quantiles ``[O, C, H, Q]`` and what came ``[O, C, H]``, NaN where a value is missing, was filled in, or has no
    past to be foretold from."""
    series, horizon = trial.series, trial.horizon
    values_CT = series.values_CT
    actual_CT = values_CT.masked_fill(series.filled_CT, torch.nan)
    shape = (len(trial.starts), len(series.names), horizon)
    quantiles_OCHQ = torch.zeros(*shape, len(LEVELS), dtype=torch.float64)
    actual_OCH = torch.full(shape, torch.nan, dtype=torch.float64)
    pasts, places = [], []
    for at, start in enumerate(trial.starts):
        for number in range(len(series.names)):
            past_S = values_CT[number, max(0, start - foreteller.needs) : start]
            if len(past_S) == foreteller.needs and not bool(past_S.isnan().any()):
                pasts.append(past_S)
                places.append((at, number))
                actual_OCH[at, number] = actual_CT[number, start : start + horizon]
    if not pasts:
        raise InputError(f"{series.name}: no forecast can be scored: {foreteller.name} needs {foreteller.needs} values")
    found_NHQ = foreteller.quantiles(pasts, [number for _, number in places], horizon, paths=paths, check=check)
    rows, columns = zip(*places, strict=True)
    quantiles_OCHQ[list(rows), list(columns)] = found_NHQ
    return quantiles_OCHQ, actual_OCH


def evaluate_forecasts(
    own: Foreteller,
    simple: Sequence[Foreteller],
    trial: Trial,
    *,
    run: str,
    data: str,
    metrics: Sequence[str] | None = None,
    versus: tuple[str, Foreteller] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """All scores with intervals over the origins, the simple models beside, and a sentence on who is better.

    Raises:
        InputError: an unknown metric, or nothing to score.
    """
    _require_metrics(metrics)
    others = [each for each in simple if each.name != own.name]
    whole, parts = counted(own, trial, check=check)
    tables = {own.name: _by_name(whole)}
    series = {own.name: [_by_name(each) for each in parts]}
    for other in others:
        other_whole, other_parts = counted(other, trial, check=check)
        tables[other.name], series[other.name] = _by_name(other_whole), [_by_name(each) for each in other_parts]
    main = next(name for name in ("mase", "mae") if name in tables[own.name])
    wanted = [count for count in whole if metrics is None or count.name in metrics]
    scores = with_intervals(wanted, bootstrap=_RESAMPLES, check=check) if wanted else []
    beside = [_named(with_intervals([tables[other.name][main]], check=check)[0], other.name) for other in others]
    comparisons = []
    if versus is not None:
        theirs = _by_name(counted(versus[1], trial, check=check)[0])
        comparisons = [compare_counts(theirs[count.name], count, check=check) for count in wanted]
    said = [*table_lines(tables)]
    if others:
        rivals = {other.name: tables[other.name][main] for other in others}
        said.append(verdict(own.name, rivals, tables[own.name][main]))
    said += [text for text in (caveat(len(trial.starts), trial.horizon, trial.stride),) if text]
    return Evaluation(
        run=run,
        data=data,
        signature=own.signature,
        scores=(*scores, *beside),
        examples=trial.examples,
        comparisons=tuple(comparisons),
        versus=versus[0] if versus else "",
        details={
            "models": {name: _values(table) for name, table in tables.items()},
            "series": _per_series(trial.series.names, series) if len(trial.series.names) > 1 else {},
            "resamples": _RESAMPLES,
            "seed": SEED,
        },
        notes=tuple(said),
    )


def _require_metrics(metrics: Sequence[str] | None) -> None:
    for name in metrics or ():
        if name not in METRICS:
            raise InputError(f"there is no metric {name!r} of a forecast; there are {', '.join(METRICS)}")


def _by_name(counts: Sequence[Counts]) -> Table:
    return {each.name: each for each in counts}


def _values(table: Table) -> dict[str, float]:
    return {name: counts.value() for name, counts in table.items()}


def _per_series(names: Sequence[str], series: dict[str, list[Table]]) -> dict[str, object]:
    return {name: {model: _values(tables[at]) for model, tables in series.items()} for at, name in enumerate(names)}


def _named(score: Score, model: str) -> Score:
    return replace(score, name=f"{score.name}[{model}]")


def table_lines(tables: dict[str, Table]) -> list[str]:
    """The figures of several models below each other, in columns of even width."""
    columns = [metric for metric in METRICS if any(metric in table for table in tables.values())]
    rows = [["model", *columns]]
    for name, table in tables.items():
        rows.append([name, *(figure(table[metric].value()) if metric in table else "–" for metric in columns)])
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(wide) for cell, wide in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]


def figure(value: float) -> str:
    """Four figures that count, without an exponent where people would not write one."""
    if value == 0 or not 1e-5 <= abs(value) < 1e15:
        return f"{value:.4g}"
    return f"{value:,.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"
