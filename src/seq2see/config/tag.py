"""The settings of a run that labels every token: which column, what of a word is looked at, what reads the sentence."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from seq2see.config.settings import (
    Cell,
    Positive,
    RecurrentEncoder,
    Section,
    Settings,
    Share,
    TransformerEncoder,
)

Width = Annotated[int, Field(ge=0)]
TagMetric = Literal["token_accuracy", "span_f1"]


class TagDataSettings(Section):
    """Which sentences are read, held out and dropped."""

    file: str | None = None  # CoNLL-U, or a token and its label a line
    dev: Annotated[tuple[str, ...], Field(max_length=1)] = ()
    columns: tuple[str, str] | None = None  # of tokens and labels: names of CoNLL-U, or numbers from 1
    held_out: Share = 0.05  # share of distinct sentences kept for dev when no dev file is given
    held_out_most: Positive = 2_000  # at most about so many sentences are held out
    max_tokens: Positive = 256  # longer sentences are not trained on
    max_line_bytes: Positive = 1_000_000  # a sentence with a longer line is skipped


class TagTextSettings(Section):
    """What of a word a model can look at. The text is in NFC, letters are those of NFD."""

    least: Positive = 2  # a word seen so often in training gets a vector of its own
    lowercase: bool = True  # … whatever its capitals; n-grams and letters keep them
    letters: Annotated[int, Field(ge=2)] = 32  # of a longer word the first and the last half of so many are read
    ngrams: tuple[Positive, Positive] = (2, 5)  # shortest and longest, < and > at the ends of the word counted
    buckets: Positive = 32_768  # numbers that n-grams are hashed to

    @model_validator(mode="after")
    def _ngrams_rise(self) -> Self:
        if self.ngrams[0] > self.ngrams[1]:
            raise ValueError(f"ngrams = {list(self.ngrams)}: the shortest first, then the longest")
        return self


class WordVectorSettings(Section):
    """What the vector of a word is made of: parts side by side; a width of 0 leaves a part out."""

    word: Width = 128  # of a known word itself; all unknown words share one
    ngram: Width = 64  # the mean over its n-grams (Bojanowski et al. 2017)
    letters: Width = 128  # what a bidirectional recurrent network makes of its letters (Ling et al. 2015)
    letter: Positive = 48  # of one letter
    cell: Cell = "lstm"  # that reads the letters
    word_dropout: Share = 0.2  # while training, chance that a known word counts as unknown

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if not self.word + self.ngram + self.letters:
            raise ValueError("word = ngram = letters = 0 leave nothing of a word; give one of them a width")
        if self.letters % 2:
            raise ValueError(f"letters = {self.letters} cannot be shared by two directions; choose an even width")
        return self


class TagModelSettings(Section):
    """Word vectors, and a network that reads the sentence; recurrent in one direction, it labels as tokens arrive."""

    name: str  # the preset it came from; a label, nothing depends on it
    words: WordVectorSettings = WordVectorSettings()
    encoder: Annotated[RecurrentEncoder | TransformerEncoder, Field(discriminator="kind")]
    dropout: Share = 0.4

    @property
    def streams(self) -> bool:
        """Whether nothing depends on later tokens, so that a label can be given as each token arrives."""
        return isinstance(self.encoder, RecurrentEncoder) and not self.encoder.bidirectional


class TagEvaluationSettings(Section):
    """Which score chooses between checkpoints."""

    metric: TagMetric = "token_accuracy"


class TagSettings(Settings):
    """A label for every token."""

    task: Literal["tag"] = "tag"
    data: TagDataSettings = TagDataSettings()
    text: TagTextSettings = TagTextSettings()
    model: TagModelSettings
    evaluation: TagEvaluationSettings = TagEvaluationSettings()

    @model_validator(mode="after")
    def _consistency_fits(self) -> Self:
        if self.training.consistency == "simcut":
            raise ValueError('training.consistency: a tagger has "none" and "r-drop"; "simcut" is for translation')
        return self
