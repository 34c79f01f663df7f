"""Few dials, the rest computed from the series: season, horizon, stretches, scaling, model, and the reason said.

C series · T steps
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from seq2see.config.forecast import ForecastSettings, LinearModel, NaiveModel, ScalingSettings
from seq2see.config.toml import Table, merged, parse
from seq2see.data.rolling import origins, stretches
from seq2see.data.scaling import fit_scaling, scaled_stretch
from seq2see.data.season import drifts, each_series, grows_with_level, guess_season, is_seasonal, most_say
from seq2see.data.series import Series
from seq2see.errors import InputError
from seq2see.models.forecast_presets import FORECASTERS
from seq2see.models.linear_forecaster import best_order
from seq2see.models.naming import named
from seq2see.tasks.choice import Choice
from seq2see.tasks.request import BUDGETS, require_model

NAMES = tuple(FORECASTERS)
CLOSED = ("naive", "seasonal-naive", "linear")  # found in one pass

_MOST_ORIGINS = 60  # of a stretch, unless the stride is given
_MOST_CONTEXT = 256
_MOST_ORDER = 60
_FEW = 400  # values to train on below which a network seldom beats a linear model
_WINDOWS = 32  # in a batch


def choose(
    series: Series, given: Mapping[str, Any], *, model: str | None, origin: Path | None = None
) -> Choice[ForecastSettings]:
    """Settings for these series.

    Args:
        given: nested tables set by hand; they win over everything computed.
        model: one of ``NAMES``; None lets the data decide.
        origin: the configuration file, to name its lines in errors.

    Raises:
        InputError: an unknown model or setting, a wrong value, or too few values.
    """
    require_model(given, model)
    if not isinstance(given.get("scaling", {}), Mapping):
        raise InputError(f"scaling = {given['scaling']!r}: this is a section; set a key of it, scaling.KEY")
    reasons: list[str] = []
    data = _stretches(series, given, reasons)
    train_CT = series.values_CT[:, : stretches(series.length, data["dev_steps"], data["test_steps"]).dev]
    name = _name(given, model, int((~train_CT.isnan()).sum()), reasons)
    season = data["season"]
    rules = _scaling(train_CT, season, name, given, reasons)
    scaling = parse(ScalingSettings, merged(rules, given.get("scaling", {})), origin, "scaling")
    scaled_CT = scaled_stretch(train_CT, fit_scaling(train_CT, scaling, season))
    horizon, room = data["horizon"], scaled_CT.shape[1]
    data["context"] = max(2, min(max(2 * season, 2 * horizon, 16), _MOST_CONTEXT, (room - horizon) * 2 // 3))
    chosen: Table = {
        "data": data,
        "scaling": rules,
        "model": _model(scaled_CT, name, data, given, reasons),
        "training": _training(name, horizon, _int(given, "data", "context") or data["context"], given),
    }
    settings = parse(ForecastSettings, merged(chosen, given), origin)
    _require_room(settings, scaled_CT)
    reasons.append(_split(series, settings))
    return Choice(settings, tuple(reasons))


def _int(given: Mapping[str, Any], section: str, key: str) -> int | None:
    """A whole number that was set by hand; anything else is left to the check of all settings."""
    value = given.get(section, {}).get(key)
    return value if type(value) is int and value >= 0 else None


def _stretches(series: Series, given: Mapping[str, Any], reasons: list[str]) -> Table:
    """Season, horizon, and the stretches at the end; the season is that of the first six tenths of the steps."""
    length, season = series.length, _int(given, "data", "season")
    if not season:
        early_CT = series.values_CT[:, : max(2, length * 6 // 10)]
        season, sentence = guess_season(early_CT, series.axis.season())
        reasons.append(sentence)
    horizon = _int(given, "data", "horizon")
    if not horizon:
        wanted = 10 if season == 1 or season > 60 else 2 * season if season < 6 else season
        horizon = max(1, min(wanted, length // 10))
        reasons.append(f"horizon: {horizon} steps ahead (set it with --set data.horizon=N)")
    kept = max(2 * horizon, length // 10)
    found = {key: _int(given, "data", key) for key in ("dev_steps", "test_steps")}
    steps = {key: kept if value is None else value for key, value in found.items()}
    most = max(1, max(steps.values()) - horizon + 1)
    stride = _int(given, "data", "stride") or -(-most // _MOST_ORIGINS)
    return {"season": season, "horizon": horizon, **steps, "stride": stride}


def _name(given: Mapping[str, Any], asked: str | None, values: int, reasons: list[str]) -> str:
    name = asked or given.get("model", {}).get("name")
    if name is None:
        name = "linear" if values < _FEW else "gru"
        why = "few for a network" if values < _FEW else "enough for a small network"
        reasons.append(f"model: {name} ({values:,} values to train on, {why})")
    return named(str(name), FORECASTERS).name


def _scaling(
    train_CT: Tensor, season: int, name: str, given: Mapping[str, Any], reasons: list[str]
) -> dict[str, bool | int]:
    """Logarithms and differences by the rules of ``data/season.py``; naive forecasts have no use for differences."""
    by_hand = given.get("scaling", {})
    series = each_series(train_CT)
    log = by_hand.get("log")
    if not isinstance(log, bool):
        positive = all(float(values_T.min()) > 0 for values_T in series)
        log = positive and most_say(lambda values_T: grows_with_level(values_T, season), series)
    levels = [values_T.log() for values_T in series] if log else series
    seasonal = by_hand.get("seasonal_difference")
    if not isinstance(seasonal, bool):
        seasonal = name not in ("naive", "seasonal-naive") and most_say(lambda v: is_seasonal(v, season), levels)
    rest = [values_T[season:] - values_T[:-season] for values_T in levels] if seasonal else levels
    differences = by_hand.get("differences")
    if type(differences) is not int:
        differences = int(name not in ("naive", "seasonal-naive") and most_say(drifts, rest))
    parts = [
        *(["logarithms (the spread grows with the level)"] if log else []),
        *([f"differences over {season} steps (a strong season)"] if seasonal else []),
        *(["differences (the level drifts: KPSS test)"] if differences else []),
        "each series standardised",
    ]
    reasons.append(f"models see: {', '.join(parts)}")
    return {"log": log, "seasonal_difference": seasonal, "differences": differences}


def linear_order(scaled_CT: Tensor, season: int, ridge: float) -> int:
    """The order of a linear autoregression: the least AIC up to a season and a bit, as far as the values go."""
    shortest = min(int((~values_T.isnan()).sum()) for values_T in scaled_CT)
    most = max(1, min(max(12, season + 1), _MOST_ORDER, shortest // 4))
    return best_order(scaled_CT, most, ridge)


def _model(scaled_CT: Tensor, name: str, data: Table, given: Mapping[str, Any], reasons: list[str]) -> Table:
    season, by_hand = data["season"], given.get("model", {})
    if name in ("naive", "seasonal-naive"):
        return {"name": name}
    if name == "linear":
        if _int(given, "model", "order"):
            return {"name": name}
        ridge = by_hand.get("ridge", 1.0)
        order = linear_order(scaled_CT, season, float(ridge) if isinstance(ridge, int | float) else 1.0)
        reasons.append(f"order: {order} (the least AIC)")
        return {"name": name, "order": order}
    values = int((~scaled_CT.isnan()).sum())
    width = 8 if values < 200 else 16 if values < 2_000 else 32
    if "width" not in by_hand:
        reasons.append(f"width: {width} ({values:,} scaled values to learn from)")
    lagged = 1 < season <= data["context"]
    sizes = {"feed_forward": 2 * width} if name == "gpt" else {}
    return {"name": name, "width": width, "seasonal_input": lagged, **sizes}


def _training(name: str, horizon: int, context: int, given: Mapping[str, Any]) -> Table:
    """Small steps with decay, many looks at the dev stretch, and an end when it gets no better."""
    predicted = horizon if name == "seq2seq" else context + horizon - 1
    training: Table = {
        "batch_tokens": _WINDOWS * predicted,
        "learning_rate": 0.005,
        "warmup": 0.05,
        "weight_decay": 0.1,
        "label_smoothing": 0.0,
        "evaluate_every": 20,
        "patience": 10,
        "precision": "float32",
    }
    if not any(budget in given.get("training", {}) for budget in BUDGETS):
        training["steps"] = 1 if name in CLOSED else 600
    return training


def _require_room(settings: ForecastSettings, scaled_CT: Tensor) -> None:
    """Raise InputError where the training stretch is too short for the model."""
    data, model = settings.data, settings.model
    match model:
        case NaiveModel():
            need = 2 + (data.season if model.name == "seasonal-naive" else 1)
        case LinearModel():
            need = model.order + 3
        case _:
            need = data.context + data.horizon
    room = max(int((~values_T.isnan()).sum()) for values_T in scaled_CT)
    if model.name == "seasonal-naive" and data.season == 1:
        raise InputError('model "seasonal-naive": there is no season (data.season = 1); use "naive"')
    if room < need:
        raise InputError(
            f"{room} scaled values to train on, but {model.name} needs {need} at least: use a smaller data.horizon, "
            "data.context, data.dev_steps or data.test_steps, or a simpler model"
        )
    for key in ("dev_steps", "test_steps"):
        steps = getattr(data, key)
        if 0 < steps < data.horizon:
            raise InputError(f"data.{key} = {steps} is less than data.horizon = {data.horizon}; ask for 0 or more")


def _split(series: Series, settings: ForecastSettings) -> str:
    """Which times are trained on, choose and test, in a sentence."""
    data, axis = settings.data, series.axis
    cut = stretches(series.length, data.dev_steps, data.test_steps)

    def stretch(what: str, first: int, end: int) -> str:
        if end <= first:
            return f"{what}: nothing"
        count = len(origins(first, end, data.horizon, data.stride))
        return f"{what}: {axis.text(first)} to {axis.text(end - 1)} ({end - first:,} steps, {count:,} origins)"

    train = f"split by time: trained on {axis.text(0)} to {axis.text(cut.dev - 1)} ({cut.dev:,} steps)"
    return "; ".join((train, stretch("dev", cut.dev, cut.test), stretch("test", cut.test, cut.end)))
