"""The task: numbers in time. Series are read and split by time, settings computed, and a forecaster prepared.

C series · T steps · B windows · G values of a window that are predicted · P parameters of a distribution
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from seq2see.config.forecast import ForecastSettings, LinearModel, NaiveModel, ReadingSettings
from seq2see.config.toml import Table, parse, refuse_slips
from seq2see.data.rolling import stretches
from seq2see.data.scaling import Scaling, scaled_stretch
from seq2see.data.series import Series, read_series
from seq2see.data.streams import InputFile, input_file
from seq2see.data.windows import WindowBatch, Windows
from seq2see.errors import InputError
from seq2see.models.forecast_build import build_forecaster
from seq2see.models.forecaster import Forecaster
from seq2see.models.linear_forecaster import LinearForecaster
from seq2see.storage.atomic import write_atomic
from seq2see.tasks.folder import load_weights, open_folder
from seq2see.tasks.forecast_choices import choose
from seq2see.tasks.forecast_judge import Judge
from seq2see.tasks.forecast_store import STORE, known_of, read_known
from seq2see.tasks.forecasting import ForecastRun
from seq2see.tasks.reporting import tell
from seq2see.tasks.resuming import digest, fingerprint
from seq2see.tasks.task import Ground, Prepared
from seq2see.training.interrupt import Interrupt


class Forecast:
    """See ``Task``."""

    name = "forecast"
    data_key = "file"
    donors: tuple[str, ...] = ()
    try_it = "seq2see predict {run} SERIES.csv, or: seq2see see {run} SERIES.csv --html page.html"

    def default_name(self, given: Table, origin: Path | None) -> str:
        """The name of the file, without its endings."""
        place = _place(given)
        return "series" if place == "-" else Path(place).name.partition(".")[0] or "series"

    def open_data(
        self, given: Table, origin: Path | None, interrupt: Interrupt
    ) -> Callable[[Ground], Prepared[WindowBatch]]:
        """See ``Task``."""
        data = given.get("data", {})
        if extra := [key for key in ("source", "target", "dev") if data.get(key)]:
            raise InputError(
                f"--{extra[0]}: a forecast has one file, DATA, which is split by time: data.dev_steps and "
                "data.test_steps say how much of its end chooses and tests"
            )
        refuse_slips(ForecastSettings, given, origin)
        known = {key: value for key, value in data.items() if key in ReadingSettings.model_fields}
        rules = parse(ReadingSettings, known, origin, "data")
        file = input_file(_place(given), interrupt.check)
        return lambda ground: _prepare(ground, file, rules)

    def open_run(self, folder: Path) -> ForecastRun:
        """See ``Task``."""
        opened = open_folder(folder)
        settings, known = parse(ForecastSettings, opened.table, opened.config), read_known(folder)
        model = _build(settings, len(known.names))
        note = load_weights(opened, model)
        return ForecastRun(opened, settings, model, note, known)


TASK = Forecast()


def _place(given: Mapping[str, Any]) -> str:
    place = given.get("data", {}).get("file")
    if not place:
        raise InputError("give a file of series: CSV or TSV with a column of times and columns of values")
    return str(place)


def _build(settings: ForecastSettings, series: int) -> Forecaster[Any]:
    return build_forecaster(settings.model, series=series, context=settings.data.context, season=settings.data.season)


def _prepare(ground: Ground, file: InputFile, rules: ReadingSettings) -> Prepared[WindowBatch]:
    """Read the series, settle the settings, fit what has a closed form, cut windows."""
    check = ground.interrupt.check
    series = read_series(file, rules, check)
    tell(ground.note, series.notes)
    choice = choose(series, ground.given, model=ground.request.model, origin=ground.origin)
    settings = choice.settings
    tell(ground.note, choice.reasons)
    cut = stretches(series.length, settings.data.dev_steps, settings.data.test_steps)
    train_CT = series.values_CT[:, : cut.dev]
    known = known_of(series, cut, settings)
    if not ground.resumed:
        ground.begin(settings)
        write_atomic(ground.folder / STORE, known.to_json())
    place_free = settings.model_copy(update={"data": settings.data.model_copy(update={"file": None})})
    made_of = fingerprint(
        place_free, {"content of the data": _content(series), "what is known of the series": digest(known.to_json())}
    )
    ground.agree(settings, made_of)
    judge = Judge(settings, series, cut, known, str(ground.folder), ground.note, check)
    batches = _windows(scaled_stretch(train_CT, known.scaling.scaling()), settings)
    return Prepared(
        settings=settings,
        files=(STORE,),
        model=lambda: _build(settings, len(series.names)),
        batches=batches,
        loss=loss,
        develop=judge.develop if settings.data.dev_steps else None,
        evaluate=judge.evaluate,
        fingerprint=made_of,
        data=series.name,
        solve=_solution(settings, train_CT, known.scaling.scaling()),
    )


def loss(model: nn.Module, batch: WindowBatch) -> Tensor:
    """The loss of the output's distribution, summed over the values of a batch that count."""
    forecaster = cast(Forecaster[Any], model)
    raw_BGP = model(batch.values_BT, batch.series_B)
    total: Tensor = forecaster.output.loss(raw_BGP, batch.gold_BG).sum()
    return total


def _windows(scaled_CT: Tensor, settings: ForecastSettings) -> Windows:
    """Windows of the context and the horizon; of linear models, which look at no window, of what there is."""
    data, model, training = settings.data, settings.model, settings.training
    length = data.context + data.horizon
    if isinstance(model, LinearModel | NaiveModel):
        length = min(length, 2)
    predicted = data.horizon if model.name == "seq2seq" else length - 1
    return Windows(scaled_CT, length, predicted, tokens=training.batch_tokens, seed=training.seed)


def _solution(settings: ForecastSettings, train_CT: Tensor, scaling: Scaling) -> Callable[[nn.Module], None] | None:
    """What fills a linear model in one pass; None for a network."""
    kind = settings.model
    match kind:
        case NaiveModel():
            return lambda model: cast(LinearForecaster, model).fit_naive(scaled_stretch(train_CT, scaling))
        case LinearModel():
            return lambda model: cast(LinearForecaster, model).fit(scaled_stretch(train_CT, scaling), kind.ridge)
        case _:
            return None


def _content(series: Series) -> str:
    """A fingerprint of what was read: times, names, values, and which of them were filled in."""
    values = [[None if math.isnan(value) else value for value in row] for row in series.values_CT.tolist()]
    return digest([series.names, series.axis.text(0), series.axis.name, values, series.filled_CT.tolist()])
