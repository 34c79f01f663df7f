"""The settings of a classifier of texts: a text in, one label out."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from seq2see.config.settings import (
    Positive,
    RecurrentEncoder,
    Section,
    Settings,
    Share,
    TextSettings,
    TransformerEncoder,
)

Pooling = Literal["last", "mean", "max", "attention"]
ClassMetricName = Literal["accuracy", "macro_f1"]


class LabelledDataSettings(Section):
    """Which labelled texts are read, held out and dropped. Every rule that drops one is here, and its count is said."""

    kind: Literal["text"] = "text"
    file: str | None = None  # one file with a text and a label column, or …
    source: str | None = None  # … a file of texts and …
    target: str | None = None  # … one of labels, line by line
    columns: tuple[str, str] | None = None  # names or numbers (from 1) of the text and the label column of `file`
    dev: Annotated[tuple[str, ...], Field(max_length=2)] = ()  # as `file`, or as `source` and `target`
    held_out: Share = 0.05  # share of distinct texts kept for dev when no dev file is given
    held_out_most: Positive = 5_000  # at most about so many examples are held out
    drop_duplicates: bool = False  # exact repetitions of a text with its label
    max_pieces: Positive = 256  # of a longer text only the beginning is read
    max_line_bytes: Positive = 1_000_000  # longer lines are skipped before they are decoded


class ConvolutionEncoder(Section):
    """Convolutions of several widths over the embeddings, side by side (Kim 2014)."""

    kind: Literal["convolution"] = "convolution"
    width: Positive = 128  # of the embeddings
    filters: Positive = 100  # of each width
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=16)] = (3, 4, 5)


class BagEncoder(Section):
    """Embeddings of pieces and of runs of pieces, without an order beyond those (Joulin et al. 2017)."""

    kind: Literal["bag"] = "bag"
    width: Positive = 64
    ngrams: Annotated[int, Field(ge=1, le=8)] = 2  # runs of up to so many pieces have an embedding too; 1: pieces alone
    buckets: Positive = 65_536  # embeddings that the runs share by their hash


TextEncoder = Annotated[
    RecurrentEncoder | TransformerEncoder | ConvolutionEncoder | BagEncoder, Field(discriminator="kind")
]


class ClassifierSettings(Section):
    """An encoder, and how its states become one vector."""

    name: str  # the preset it came from; a label, nothing depends on it
    encoder: TextEncoder
    pooling: Pooling = "attention"
    dropout: Share = 0.3
    word_dropout: Share = 0.0  # chance that a piece is wiped out while training

    @model_validator(mode="after")
    def _last_has_read_all(self) -> Self:
        if self.pooling == "last" and self.encoder.kind in ("convolution", "bag"):
            raise ValueError(
                f'pooling = "last" needs an encoder whose last state knows the whole text, and "{self.encoder.kind}" '
                'has none; choose "mean", "max" or "attention"'
            )
        return self


class ClassEvaluationSettings(Section):
    """How labels are compared with references; the first metric chooses between checkpoints."""

    metrics: Annotated[tuple[ClassMetricName, ...], Field(min_length=1)] = ("accuracy", "macro_f1")


class ClassifySettings(Settings):
    """Text to label."""

    task: Literal["classify"] = "classify"
    data: LabelledDataSettings = LabelledDataSettings()
    text: TextSettings = TextSettings()
    model: ClassifierSettings
    evaluation: ClassEvaluationSettings = ClassEvaluationSettings()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.text.dropout and self.text.kind != "bpe":
            raise ValueError(f'text.dropout is BPE-dropout: it needs text.kind = "bpe", not "{self.text.kind}"')
        return self
