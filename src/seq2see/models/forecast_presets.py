"""Forecasters with a name, at the sizes that they have where nothing is known of the series yet."""

from collections.abc import Mapping

from seq2see.config.forecast import ForecastModel, GptModel, LinearModel, NaiveModel, RecurrentModel, Seq2SeqModel

FORECASTERS: Mapping[str, ForecastModel] = {
    settings.name: settings
    for settings in (
        NaiveModel(name="naive"),
        NaiveModel(name="seasonal-naive"),
        LinearModel(name="linear", order=12),
        RecurrentModel(name="rnn"),
        RecurrentModel(name="lstm"),
        RecurrentModel(name="gru"),
        Seq2SeqModel(name="seq2seq"),
        GptModel(name="gpt"),
    )
}

FORECASTER_SUMMARIES: Mapping[str, str] = {
    "naive": "the last value again",
    "seasonal-naive": "the value one season before again",
    "linear": "autoregression, fitted in one pass: seldom beaten on a short series",
    "rnn": "Elman network: a state carries the past of the series",
    "lstm": "LSTM: gates keep the state over long distances",
    "gru": "GRU: the LSTM's idea with two gates",
    "seq2seq": "GRU that reads the past, and one with attention to it that writes the future",
    "gpt": "Transformer that looks back over the values",
}
