"""The settings of a forecasting run: numbers in time."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from seq2see.config.settings import Cell, Positive, Section, Settings, Share, TrainingSettings

Output = Literal["gaussian", "student-t", "quantile"]

Count = Annotated[int, Field(ge=0)]
Steps = Annotated[int, Field(gt=0, le=10_000)]


class ReadingSettings(Section):
    """How a file of series is read. Every rule that changes a value is here, and what it changed is said."""

    file: str | None = None
    columns: Annotated[tuple[str, ...], Field(max_length=1_000)] = ()  # time, value, value …; empty: guessed
    repeated: Literal["refuse", "mean", "last"] = "refuse"  # several rows of one time
    irregular: Literal["refuse", "order"] = "refuse"  # order: every row is one step, whatever its time says
    missing: Literal["linear", "last", "refuse"] = "linear"  # how a gap inside a series is filled
    most_missing: Positive = 8  # steps in a row that are filled at most


class SeriesSettings(ReadingSettings):
    """What is forecast, from what, and which stretches at the end are kept for choosing and for the test."""

    season: Steps  # steps after which a pattern comes again; 1: none
    horizon: Steps  # steps ahead
    context: Steps  # scaled values a network looks back on
    dev_steps: Count  # the stretch that chooses, before …
    test_steps: Count  # … the last one, which training never sees
    stride: Positive = 1  # steps between the origins of two forecasts that are scored


class ScalingSettings(Section):
    """What models see instead of the values; each series is standardised by its training stretch at the end."""

    log: bool = False
    seasonal_difference: bool = False  # minus the value one season before
    differences: Annotated[int, Field(ge=0, le=2)] = 0  # minus the value before, so many times


class NaiveModel(Section):
    """The last value again; or the value one season before."""

    name: Literal["naive", "seasonal-naive"]


class LinearModel(Section):
    """Autoregression; order 1 is a Markov chain of numbers."""

    name: Literal["linear"]
    order: Steps  # values it looks back on
    ridge: Annotated[float, Field(ge=0)] = 1.0  # penalty on squared coefficients, in values of variance 1


class Network(Section):
    """What the networks share. They are small, since most series are short."""

    width: Positive = 16
    layers: Annotated[int, Field(gt=0, le=16)] = 1
    dropout: Share = 0.2
    noise: Annotated[float, Field(ge=0)] = 0.2  # on what is read while training, in standard deviations
    output: Output = "student-t"  # the distribution of the next value
    seasonal_input: bool = False  # also reads the value one season before the one to predict


class RecurrentModel(Network):
    """A latent autoregression: the state carries the past."""

    name: Literal["rnn", "lstm", "gru"]


class Seq2SeqModel(Network):
    """A recurrent encoder reads the past, a recurrent decoder with attention to it writes the future."""

    name: Literal["seq2seq"]
    cell: Cell = "gru"
    attention: Literal["dot", "general", "additive"] = "additive"

    @model_validator(mode="after")
    def _two_directions(self) -> Self:
        if self.width % 2:
            raise ValueError(f"width {self.width} cannot be shared by the two directions of the encoder")
        return self


class GptModel(Network):
    """A causal Transformer over the values."""

    name: Literal["gpt"]
    layers: Annotated[int, Field(gt=0, le=16)] = 2
    heads: Positive = 2
    feed_forward: Positive = 32

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


ForecastModel = Annotated[
    NaiveModel | LinearModel | RecurrentModel | Seq2SeqModel | GptModel, Field(discriminator="name")
]


class SamplingSettings(Section):
    """How the bands of a network are found: by drawing paths into the future."""

    paths: Annotated[int, Field(ge=20, le=100_000)] = 1_000
    seed: Annotated[int, Field(ge=0)] = 1
    interval: Literal[80, 95] = 80  # per cent between the low and the high that `predict` writes


class ForecastSettings(Settings):
    """Numbers in time."""

    task: Literal["forecast"] = "forecast"
    data: SeriesSettings
    scaling: ScalingSettings = ScalingSettings()
    model: ForecastModel
    sampling: SamplingSettings = SamplingSettings()
    training: TrainingSettings
