"""What a forecasting run keeps beside its weights: the series it knows, their scaling, and the simple models.

C series · M values looked back on
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from seq2see.config.forecast import ForecastSettings, LinearModel
from seq2see.config.settings import Section
from seq2see.data.axis import Axis, Base
from seq2see.data.rolling import Stretches
from seq2see.data.scaling import Scaling, fit_scaling, scaled_stretch
from seq2see.data.series import Series
from seq2see.errors import InputError
from seq2see.evaluation.forecasts import naive_error
from seq2see.models.linear_forecaster import LinearForecaster
from seq2see.tasks.forecast_choices import linear_order
from seq2see.tasks.foretelling import Foreteller

STORE = "series.json"
_MOST_BYTES = 50_000_000
_NEAR = 0.01  # of a step between numbers
_RIDGE = 1.0  # of the linear model that others are compared with
_WITHOUT_DIFFERENCES = {"seasonal_difference": False, "differences": 0}


class StoredScaling(Section):
    """See ``Scaling``."""

    log: bool
    season: Annotated[int, Field(ge=0, le=10_000)]
    differences: Annotated[int, Field(ge=0, le=2)]
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    @classmethod
    def of(cls, scaling: Scaling) -> "StoredScaling":
        return cls(**vars(scaling))

    def scaling(self) -> Scaling:
        return Scaling(self.log, self.season, self.differences, self.means, self.deviations)


class StoredLinear(Section):
    """A simple model to compare with: its name, its scaling, and its numbers for each series."""

    name: str
    scaling: StoredScaling
    weights_CM: tuple[tuple[float, ...], ...]
    bias_C: tuple[float, ...]
    deviation_C: tuple[float, ...]

    @classmethod
    def of(cls, name: str, scaling: Scaling, model: LinearForecaster) -> "StoredLinear":
        return cls(
            name=name,
            scaling=StoredScaling.of(scaling),
            weights_CM=tuple(map(tuple, model.weights_CM.tolist())),
            bias_C=tuple(model.bias_C.tolist()),
            deviation_C=tuple(model.deviation_C.tolist()),
        )

    def model(self) -> LinearForecaster:
        """The model, ready for use."""
        model = LinearForecaster(len(self.weights_CM), len(self.weights_CM[0]))
        with torch.no_grad():
            for parameter, values in (
                (model.weights_CM, self.weights_CM),
                (model.bias_C, self.bias_C),
                (model.deviation_C, self.deviation_C),
            ):
                parameter.copy_(torch.tensor(values, dtype=torch.float64))
        return model.eval()


class Known(Section):
    """The series of a run.

    Attributes:
        names, columns: of the series, and the columns of the file to find times and values in.
        base, step: of the axis, which other files must have too.
        dev, test: positions of the first steps of the stretches that chose, and that tested.
        units: for each series the mean absolute error of the seasonal naive forecast while training; None: it
            never errs.
    """

    version: int = 1
    names: tuple[str, ...]
    columns: tuple[str, ...]
    base: Base
    step: Annotated[float, Field(gt=0)]
    dev: float
    test: float
    units: tuple[float | None, ...]
    scaling: StoredScaling
    simple: tuple[StoredLinear, ...]

    def to_json(self) -> str:
        """The file's content."""
        return self.model_dump_json(indent=1) + "\n"

    @property
    def errors(self) -> tuple[float, ...]:
        """``units`` with NaN for None."""
        return tuple(math.nan if unit is None else unit for unit in self.units)

    def forecasters(self) -> list[Foreteller]:
        """The simple models, ready for use."""
        return [Foreteller(each.name, each.model(), each.scaling.scaling()) for each in self.simple]

    def check(self, series: Series) -> None:
        """Raise InputError unless these are the run's series, on the same steps."""
        # A single series may be called otherwise: a file without a line of names has none.
        if series.names != self.names and (len(series.names), len(self.names)) != (1, 1):
            raise InputError(
                f"{series.name} has the series {', '.join(series.names)}; the run forecasts {', '.join(self.names)}"
            )
        axis = series.axis
        if axis.base != self.base or abs(axis.step - self.step) > _NEAR * self.step:
            known = Axis(self.base, self.step, axis.start, axis.spelling).name
            raise InputError(f"{series.name}: its steps are {axis.name}, but the run forecasts {known} values")


def known_of(series: Series, cut: Stretches, settings: ForecastSettings) -> Known:
    """What the run keeps of its series, the simple models among it."""
    season, axis, train_CT = settings.data.season, series.axis, series.values_CT[:, : cut.dev]
    scaling = fit_scaling(train_CT, settings.scaling, season)
    bare = fit_scaling(train_CT, settings.scaling.model_copy(update=_WITHOUT_DIFFERENCES), season)
    errors = [naive_error(values_T[~values_T.isnan()], season) for values_T in train_CT]
    return Known(
        names=series.names,
        columns=series.columns,
        base=axis.base,
        step=axis.step,
        dev=axis.position(cut.dev),
        test=axis.position(cut.test),
        units=tuple(None if math.isnan(error) else error for error in errors),
        scaling=StoredScaling.of(scaling),
        simple=tuple(_simple(train_CT, scaling, bare, settings)),
    )


def _simple(train_CT: Tensor, scaling: Scaling, bare: Scaling, settings: ForecastSettings) -> Iterable[StoredLinear]:
    """The simple models that every run is compared with, of the same training stretch."""
    scaled_CT, bare_CT = scaled_stretch(train_CT, scaling), scaled_stretch(train_CT, bare)
    count, season = len(scaled_CT), settings.data.season
    linear = LinearForecaster(count, _order(scaled_CT, settings))
    linear.fit(scaled_CT, settings.model.ridge if isinstance(settings.model, LinearModel) else _RIDGE)
    yield StoredLinear.of("linear", scaling, linear)
    shortest = min(int((~values_T.isnan()).sum()) for values_T in bare_CT)
    for name, lag in (("seasonal-naive", season), ("naive", 1)):
        if (lag > 1 or name == "naive") and lag < shortest:
            naive = LinearForecaster(count, lag)
            naive.fit_naive(bare_CT)
            yield StoredLinear.of(name, bare, naive)


def _order(scaled_CT: Tensor, settings: ForecastSettings) -> int:
    if isinstance(settings.model, LinearModel):
        return settings.model.order
    return linear_order(scaled_CT, settings.data.season, _RIDGE)


def read_known(folder: Path) -> Known:
    """What the run in ``folder`` knows of its series.

    Raises:
        InputError: the file is missing, too large or not what it should be.
    """
    path = folder / STORE
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: too large for what a run keeps of its series")
        known = Known.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; the run is incomplete") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: not what a run keeps of its series: {place}: {first['msg']}") from None
    if known.version != 1:
        raise InputError(f"{path}: version {known.version} is newer than this seq2see reads")
    _check_sizes(known, path)
    return known


def _check_sizes(known: Known, path: Path) -> None:
    count = len(known.names)
    sizes = {len(known.units), len(known.scaling.means), len(known.scaling.deviations)}
    for each in known.simple:
        sizes |= {len(each.weights_CM), len(each.bias_C), len(each.deviation_C)}
        sizes |= {len(each.scaling.means), len(each.scaling.deviations)}
        if len({len(weights) for weights in each.weights_CM}) != 1 or not each.weights_CM[0]:
            raise InputError(f"{path}: {each.name} has weights of several orders")
    if sizes != {count} or not count:
        raise InputError(f"{path}: the numbers are not those of {count} series: {json.dumps(sorted(sizes))}")
