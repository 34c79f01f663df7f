"""Settings of the task ``masked``: plain text, and in it hidden pieces, foretold from both sides."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from seq2see.config.lm import MOST_LEARNED, PlainTextSettings, refuse_pairs_only
from seq2see.config.settings import (
    Positive,
    RecurrentEncoder,
    Section,
    Settings,
    Share,
    TextSettings,
    TransformerEncoder,
)

Part = Annotated[float, Field(ge=0.0, le=1.0)]
TextReader = Annotated[TransformerEncoder | RecurrentEncoder, Field(discriminator="kind")]


class MaskedModelSettings(Section):
    """An encoder, and an output layer over the pieces."""

    name: str  # the preset it came from; a label, nothing depends on it
    encoder: TextReader
    tie: Literal["none", "output"] = "output"  # output: the embedding is the output layer
    dropout: Share = 0.1

    @model_validator(mode="after")
    def _reads_both_sides(self) -> Self:
        one_way = "causal = true" if isinstance(self.encoder, TransformerEncoder) else "bidirectional = false"
        blind = self.encoder.causal if isinstance(self.encoder, TransformerEncoder) else not self.encoder.bidirectional
        if blind:
            raise ValueError(
                f"model.encoder.{one_way} reads one side alone, and a hidden piece is foretold from both; leave it "
                "out, or train the task lm"
            )
        return self


class MaskedWindowSettings(Section):
    """How the text is cut."""

    length: Annotated[int, Field(ge=2, le=8_192)] = 128  # pieces that are read together


class MaskingSettings(Section):
    """Which pieces are hidden, and what is read in their place (Devlin et al. 2019, section 3.1).

    A hidden piece that is neither masked nor replaced is read as it is, and foretold nevertheless.
    """

    share: Annotated[float, Field(gt=0.0, le=0.5)] = 0.15  # of the pieces of a window that are hidden
    masked: Part = 0.8  # of those, read as <unk>
    replaced: Part = 0.1  # of those, read as another piece, drawn at random

    @model_validator(mode="after")
    def _parts_of_one(self) -> Self:
        if self.masked + self.replaced > 1 + 1e-9:
            raise ValueError(
                f"masked = {self.masked:g} and replaced = {self.replaced:g} are shares of the hidden pieces and "
                "more than all of them together; lower one"
            )
        return self

    @property
    def passes(self) -> int:
        """How often a text is read until each piece was hidden once, about ``share`` of them at a time."""
        return round(1 / self.share)


class MaskedEvaluationSettings(Section):
    """How hidden pieces of held-out text are counted."""

    dev_pieces: Positive = 10_000  # evenly spread, at each evaluation on the way; at the end all of them count


class MaskedSettings(Settings):
    """Plain text to its hidden pieces."""

    task: Literal["masked"] = "masked"
    data: PlainTextSettings = PlainTextSettings()
    text: TextSettings = TextSettings(kind="bpe")
    model: MaskedModelSettings
    window: MaskedWindowSettings = MaskedWindowSettings()
    masking: MaskingSettings = MaskingSettings()
    evaluation: MaskedEvaluationSettings = MaskedEvaluationSettings()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        refuse_pairs_only(self.task, self.training, self.text)
        if self.text.kind == "word":
            raise ValueError(
                'text.kind = "word" reads unknown words as <unk>, which stands here for a hidden piece; choose "bpe", '
                '"unigram", "char" or "byte", to which no piece is unknown'
            )
        encoder = self.model.encoder
        learned = isinstance(encoder, TransformerEncoder) and encoder.position == "learned"
        if learned and self.window.length > MOST_LEARNED:
            raise ValueError(
                f"window.length = {self.window.length} is more than the {MOST_LEARNED} learned positions there are; "
                'shorten it, or set model.encoder.position = "rotary"'
            )
        return self
