"""A trained forecaster in Python: predict, see, evaluate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seq2see.config.forecast import ForecastSettings, ReadingSettings
from seq2see.data.series import Series, read_series
from seq2see.errors import InputError
from seq2see.evaluation.forecasts import BANDS, LEVELS, MEDIAN
from seq2see.evaluation.result import Evaluation
from seq2see.models.forecaster import Forecaster
from seq2see.tasks.forecast_scoring import evaluate_forecasts, trial
from seq2see.tasks.forecast_seeing import ForecastView, see_series
from seq2see.tasks.forecast_store import Known
from seq2see.tasks.foretelling import Forecast, Foreteller
from seq2see.tasks.run import Answer, Asked, Held, Run

MOST_STEPS = 10_000  # ahead


@dataclass(frozen=True)
class ForecastRun(Run):
    """A trained forecaster in its folder."""

    settings: ForecastSettings
    model: Forecaster[Any]
    known: Known

    def foreteller(self, seed: int | None = None) -> Foreteller:
        """The model with all that a forecast needs."""
        sampling = self.settings.sampling
        sampling = sampling if seed is None else sampling.model_copy(update={"seed": seed})
        return Foreteller(self.settings.model.name, self.model, self.known.scaling.scaling(), sampling)

    def read(self, data: str | Path, check: Callable[[], None] = lambda: None) -> Series:
        """The run's series in another file, read by the rules of the run.

        Raises:
            InputError: the file lacks one of them, or has other steps.
        """
        rules = self.settings.data
        reading = ReadingSettings(
            columns=self.known.columns,
            repeated=rules.repeated,
            irregular=rules.irregular,
            missing=rules.missing,
            most_missing=rules.most_missing,
        )
        series = read_series(data, reading, check)
        self.known.check(series)
        return series

    def answers(
        self, inputs: Iterable[str], asked: Asked, *, window: int = 1_024, check: Callable[[], None] = lambda: None
    ) -> Iterator[Answer]:
        """See :meth:`Run.answers`. Each input is the path of a file; each step ahead of each series is a line."""
        asked.refuse(self.settings.task, "steps", "seed")
        for place in inputs:
            check()
            forecasts = self.predict(place, steps=asked.steps, seed=asked.search.get("seed"), check=check)
            several = len(forecasts) > 1
            lines = tuple(line for each in forecasts for line in _lines(each, several=several))
            found: dict[str, object] = {"forecasts": [_facts(each) for each in forecasts]}
            yield Answer(lines, {"source": place, "signature": self.foreteller().signature, **found})

    def predict(
        self,
        data: str | Path,
        *,
        steps: int | None = None,
        seed: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> tuple[Forecast, ...]:
        """What comes after the end of each series of a file.

        Args:
            steps: how many steps ahead; the run's horizon where None.
            seed: of the paths that are drawn, instead of the run's.

        Raises:
            InputError: the file cannot be read as the run's series, or is too short.
        """
        return self.forecasts(self.read(data, check), steps, seed, check)

    def forecasts(
        self, series: Series, steps: int | None, seed: int | None, check: Callable[[], None] = lambda: None
    ) -> tuple[Forecast, ...]:
        """:meth:`predict` for series that have been read."""
        steps = self.settings.data.horizon if steps is None else steps
        if not 1 <= steps <= MOST_STEPS:
            raise InputError(f"{steps:,} steps ahead: from 1 to {MOST_STEPS:,} can be asked for")
        known = [int((~values_T.isnan()).nonzero()[-1]) + 1 for values_T in series.values_CT]
        pasts = [v[~v.isnan()] for v in series.values_CT]
        found_NHQ = self.foreteller(seed).quantiles(pasts, range(len(pasts)), steps, check=check)
        low, high = BANDS[self.settings.sampling.interval]
        forecasts = []
        for name, end, found_HQ in zip(series.names, known, found_NHQ, strict=True):
            columns = [tuple(column) for column in found_HQ.T.tolist()]
            forecasts.append(
                Forecast(
                    series=name,
                    after=series.axis.text(end - 1),
                    times=tuple(series.axis.text(end + step) for step in range(steps)),
                    median=columns[MEDIAN],
                    low=columns[low],
                    high=columns[high],
                    interval=self.settings.sampling.interval,
                    quantiles=dict(zip(LEVELS, columns, strict=True)),
                )
            )
        return tuple(forecasts)

    def score(
        self,
        held: Held,
        *,
        asked: Asked,
        metrics: Sequence[str] | None = None,
        tokenize: str | None = None,
        versus: Run | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """See :meth:`Run.score`."""
        asked.refuse(self.settings.task)
        if tokenize is not None:
            raise InputError("--tokenize is for text; a forecast has none")
        if held.source is not None or held.target is not None or held.columns is not None:
            raise InputError("a forecast is scored on one file, DATA, with the columns it was trained on")
        if held.data is None:
            raise InputError(
                "give the file of the series: what comes after the stretches that were trained on is scored"
            )
        return self.evaluate(held.data, metrics=metrics, versus=self.rival(versus), check=check)

    def evaluate(
        self,
        data: str | Path,
        *,
        metrics: Sequence[str] | None = None,
        versus: "ForecastRun | None" = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """Scores by rolling origin on what comes after everything that training and choosing have seen.

        Args:
            data: a file with the run's series; the past in it is what forecasts start from.
            metrics: some of ``rmse``, ``mae``, ``mase``, ``pinball``, ``coverage_80``, ``coverage_95``.
            versus: another forecaster of the same series; is the difference significant?

        Raises:
            InputError: there is nothing in the file that the run has not seen.
        """
        series, settings = self.read(data, check), self.settings.data
        if versus is not None:
            versus.known.check(series)
        unseen = [run.known.test for run in (self, versus) if run is not None]
        own, simple = self.foreteller(), self.known.forecasters()
        others = [versus.foreteller()] if versus else []
        chosen = trial(
            series,
            max(map(series.axis.index, unseen)),
            series.length,
            horizon=settings.horizon,
            stride=settings.stride,
            season=settings.season,
            units=self.known.errors,
            needs=max(each.needs for each in (own, *simple, *others)),
        )
        found = evaluate_forecasts(
            own,
            simple,
            chosen,
            run=str(self.folder),
            data=series.name,
            metrics=metrics,
            versus=(str(versus.folder), versus.foreteller()) if versus else None,
            check=check,
        )
        said = [note for note in (self.note, versus.note if versus else "") if note]
        return replace(found, notes=(*said, *series.notes[1:], *found.notes))

    def view(self, text: str, *, target: str | None = None, asked: Asked | None = None) -> ForecastView:
        """See :meth:`Run.view`. ``text`` is the path of a file; ``target`` that of one with what came after it."""
        asked = asked or Asked()
        asked.refuse(self.settings.task, "seed")
        return self.see(text, actual=target, seed=asked.search.get("seed"))

    def see(
        self,
        data: str | Path,
        *,
        steps: int | None = None,
        actual: str | Path | None = None,
        seed: int | None = None,
    ) -> ForecastView:
        """The past of each series, its foretold future with bands, and where the model looked.

        Args:
            steps: how many steps ahead; the run's horizon where None.
            actual: a file with what came, which is drawn beside where it goes beyond ``data``.
        """
        series = self.read(data)
        came = self.read(actual) if actual is not None else None
        forecasts = self.forecasts(series, steps, seed)
        simple = next((each for each in self.known.forecasters() if each.name != self.settings.model.name), None)
        return see_series(series, forecasts, self.foreteller(seed), simple, came, model=self.settings.model.name)


def _lines(forecast: Forecast, *, several: bool) -> Iterator[str]:
    """time, median, low, high with tabs between; the name of the series first where there are several."""
    first = f"{_cell(forecast.series)}\t" if several else ""
    for row in zip(forecast.times, forecast.median, forecast.low, forecast.high, strict=True):
        time, *values = row
        yield f"{first}{_cell(time)}\t" + "\t".join(plain(value) for value in values)


def _cell(text: str) -> str:
    return " ".join(text.split())


def plain(value: float) -> str:
    """A number for other programs: six figures or all before the point, no separators."""
    return f"{value:.6g}" if abs(value) < 1e5 or abs(value) >= 1e15 else f"{value:.0f}"


def _facts(forecast: Forecast) -> dict[str, object]:
    return {
        "series": forecast.series,
        "after": forecast.after,
        "interval": forecast.interval,
        "steps": [
            {"time": time, "median": median, "low": low, "high": high}
            for time, median, low, high in zip(
                forecast.times, forecast.median, forecast.low, forecast.high, strict=True
            )
        ],
        "quantiles": {f"{level:g}": list(values) for level, values in forecast.quantiles.items()},
    }
