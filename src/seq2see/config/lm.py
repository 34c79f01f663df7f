"""Settings of the task ``lm``: plain text, and in it the next piece."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from seq2see.config.settings import (
    Cell,
    Positive,
    SearchSettings,
    Section,
    Settings,
    Share,
    TextSettings,
    TrainingSettings,
    TransformerDecoder,
)

MOST_LEARNED = 1_024  # learned positions that a model has


class PlainTextSettings(Section):
    """Which text is read, and which part of it is held out."""

    file: str | None = None  # plain text, .gz or .zst; "-": standard input
    dev: Annotated[tuple[str, ...], Field(max_length=1)] = ()  # a text to choose by
    held_out: Share = 0.1  # the last share of the characters of `file`, kept for dev where no dev text is given
    held_out_most: Positive = 5_000_000  # characters; of a longer dev text the first so many


class RecurrentModel(Section):
    """One state that is carried from piece to piece."""

    kind: Literal["recurrent"] = "recurrent"
    cell: Cell = "lstm"
    layers: Positive = 1
    width: Positive = 256


class MarkovModel(Section):
    """Counted: how often each piece followed the ``order`` pieces before it."""

    kind: Literal["markov"] = "markov"
    order: Annotated[int, Field(ge=1, le=16)] = 5


LanguageDecoder = Annotated[RecurrentModel | TransformerDecoder | MarkovModel, Field(discriminator="kind")]


class LanguageModelSettings(Section):
    """A decoder without a source."""

    name: str  # the preset it came from; a label, nothing depends on it
    decoder: LanguageDecoder
    tie: Literal["none", "output"] = "output"  # output: the embedding is the output layer
    dropout: Share = 0.0

    @model_validator(mode="after")
    def _counts_have_no_dropout(self) -> Self:
        if isinstance(self.decoder, MarkovModel) and self.dropout:
            raise ValueError("dropout = 0 is all that a model of counts can have")
        return self


class WindowSettings(Section):
    """How the text is cut for training."""

    length: Annotated[int, Field(ge=2, le=8_192)] = 128  # pieces foreseen; of a Transformer the most it looks back to
    before: Annotated[int, Field(ge=0, le=8_192)] = 0  # pieces a recurrent model reads first, for the state they leave


class LikelihoodSettings(Section):
    """How the likelihood of held-out text is measured."""

    context: Positive = 512  # pieces that are read, at least, before each that counts; a beginning has fewer
    dev_pieces: Positive = 10_000  # evenly spread, at each evaluation on the way; at the end all of them count


def refuse_pairs_only(task: str, training: TrainingSettings, text: TextSettings) -> None:
    """Raise ValueError for settings that only pairs of text have a use for."""
    if training.consistency != "none":
        raise ValueError(f'training.consistency = "{training.consistency}" is for pairs of text, not for {task}')
    if text.dropout:
        raise ValueError("text.dropout cuts pairs anew in every epoch; a text is cut once: leave it at 0")


class LmSettings(Settings):
    """Plain text to the next piece."""

    task: Literal["lm"] = "lm"
    data: PlainTextSettings = PlainTextSettings()
    text: TextSettings = TextSettings(kind="char")
    model: LanguageModelSettings
    window: WindowSettings = WindowSettings()
    search: SearchSettings = SearchSettings(method="sample", temperature=0.8, max_length=300)
    evaluation: LikelihoodSettings = LikelihoodSettings()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        refuse_pairs_only(self.task, self.training, self.text)
        if isinstance(self.model.decoder, TransformerDecoder):
            self._bounded_context(self.model.decoder)
        return self

    def _bounded_context(self, decoder: TransformerDecoder) -> None:
        if self.window.before:
            raise ValueError("window.before is for recurrent models; a Transformer looks back inside its window: set 0")
        if decoder.position == "learned" and self.window.length > MOST_LEARNED:
            raise ValueError(
                f"window.length = {self.window.length} is more than the {MOST_LEARNED} learned positions there are; "
                'shorten it, or set model.decoder.position = "rotary"'
            )
        if self.evaluation.context >= self.window.length:
            raise ValueError(
                f"evaluation.context = {self.evaluation.context} leaves nothing of window.length = "
                f"{self.window.length} to be scored; set a smaller one"
            )
