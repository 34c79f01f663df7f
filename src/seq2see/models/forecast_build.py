"""From settings to a forecaster."""

from typing import Any

from seq2see.config.forecast import (
    ForecastModel,
    GptModel,
    LinearModel,
    NaiveModel,
    RecurrentModel,
    Seq2SeqModel,
)
from seq2see.models.forecaster import Forecaster
from seq2see.models.gpt_forecaster import GptForecaster
from seq2see.models.latent_forecaster import LatentForecaster
from seq2see.models.linear_forecaster import LinearForecaster
from seq2see.models.seq2seq_forecaster import Seq2SeqForecaster


def build_forecaster(settings: ForecastModel, *, series: int, context: int, season: int) -> Forecaster[Any]:
    """A fresh model, its weights drawn from torch's generator.

    Args:
        series: how many series it is for; only the linear ones have weights for each.
        context: the values that a network looks back on.
        season: in steps; 1: none.
    """
    lag = season if season > 1 else 0
    match settings:
        case NaiveModel(name="naive"):
            return LinearForecaster(series, 1)
        case NaiveModel():
            return LinearForecaster(series, season)
        case LinearModel():
            return LinearForecaster(series, settings.order)
        case RecurrentModel():
            return LatentForecaster(settings, context, lag)
        case Seq2SeqModel():
            return Seq2SeqForecaster(settings, context, lag)
        case GptModel():
            return GptForecaster(settings, context, lag)
