"""Every setting of a run: strict, frozen, validated. What is not listed here does not exist.

A run's ``config.toml`` holds exactly these sections. Values that depend on the data (vocabulary, width,
batch) are computed before the settings are made, so a ``Settings`` object never holds a "choose for me",
except where only the machine can answer (precision, compile).
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Cell = Literal["rnn", "lstm", "gru"]
Score = Literal["none", "dot", "general", "additive", "multihead"]
MetricName = Literal["bleu", "bleu1", "bleu2", "bleu3", "chrf", "ter", "exact_match", "cer", "wer"]
TokeniserKind = Literal["char", "word", "byte", "bpe", "unigram"]

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class Section(BaseModel):
    """One table of the configuration: unknown keys and wrong types are errors, values cannot change."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataSettings(Section):
    """Which pairs are read, held out and dropped. Every rule that drops a pair is here, and its count is said."""

    pairs: str | None = None  # one file of pairs, or …
    source: str | None = None  # … two line-parallel files
    target: str | None = None
    columns: tuple[str, str] | None = None  # names or numbers (from 1) of the source and target columns of `pairs`
    dev: Annotated[tuple[str, ...], Field(max_length=2)] = ()  # one file of pairs, or a source and a target file
    held_out: Share = 0.05  # share of distinct sources kept for dev when no dev file is given
    held_out_most: Positive = 2_000  # at most about so many pairs are held out
    drop_empty: bool = True  # pairs with a blank side
    drop_duplicates: bool = False  # exact repetitions of a pair
    max_pieces: Positive = 256  # pairs with a side longer than this, in pieces
    max_ratio: Annotated[float, Field(ge=0.0)] = (
        0.0  # pairs whose sides differ in pieces by more than this factor; 0: never
    )
    max_line_bytes: Positive = 1_000_000  # longer lines are skipped before they are decoded


class TextSettings(Section):
    """How text becomes pieces."""

    kind: TokeniserKind = "bpe"
    vocabulary: Positive = 8_000  # at most; char and word use fewer where there are fewer, byte always 260
    joint: bool = True  # one tokeniser for both sides
    normalisation: Literal["NFC", "NFKC"] = "NFC"
    lowercase: bool = False
    dropout: Share = 0.0  # BPE-dropout (Provilkov et al. 2020): chance that a merge is left out while training


class RecurrentEncoder(Section):
    kind: Literal["recurrent"] = "recurrent"
    cell: Cell = "lstm"
    layers: Positive = 1
    width: Positive = 256  # of the states the decoder sees; two directions share it half and half
    bidirectional: bool = True


class Transformer(Section):
    """What a Transformer encoder and decoder both have (Vaswani et al. 2017)."""

    layers: Positive = 4
    width: Positive = 128
    heads: Positive = 4
    feed_forward: Positive = 256
    norm: Literal["pre", "post"] = "pre"
    position: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class TransformerEncoder(Transformer):
    kind: Literal["transformer"] = "transformer"
    causal: bool = False  # each position looks back only, as in a language model


class EmbeddingEncoder(Section):
    """No context at all: each source position is its own embedding (and position)."""

    kind: Literal["embedding"] = "embedding"
    width: Positive = 256


class RecurrentDecoder(Section):
    kind: Literal["recurrent"] = "recurrent"
    cell: Cell = "lstm"
    layers: Positive = 1
    width: Positive = 256
    attention: Score = "general"
    heads: Positive = 1  # more than one only with "multihead"
    input_feeding: bool = False  # Luong et al. 2015, section 3.3

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.heads > 1 and self.attention != "multihead":
            raise ValueError(f'heads = {self.heads} needs attention = "multihead", not "{self.attention}"')
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.input_feeding and self.attention == "none":
            raise ValueError('input_feeding = true needs an attention; attention = "none" has nothing to feed')
        return self


class TransformerDecoder(Transformer):
    kind: Literal["transformer"] = "transformer"


Encoder = Annotated[RecurrentEncoder | TransformerEncoder | EmbeddingEncoder, Field(discriminator="kind")]
Decoder = Annotated[RecurrentDecoder | TransformerDecoder, Field(discriminator="kind")]


class ModelSettings(Section):
    """An encoder and a decoder; any encoder goes with any decoder."""

    name: str  # the preset it came from; a label, nothing depends on it
    encoder: Encoder
    decoder: Decoder
    tie: Literal["none", "output", "all"] = "output"  # output: decoder embedding = output layer; all: the source's too
    dropout: Share = 0.1


class TrainingSettings(Section):
    """How weights are found. Exactly one of minutes, epochs and steps is the budget; it shapes the schedule."""

    minutes: Annotated[float, Field(gt=0)] | None = None
    epochs: Annotated[float, Field(gt=0)] | None = None
    steps: Positive | None = None
    seed: Annotated[int, Field(ge=0)] = 1
    batch_tokens: Positive = 4_096  # target pieces, padding included, in one batch over all processes
    accumulate: Positive = 1  # batches to one update
    optimiser: Literal["adamw", "muon"] = "adamw"  # muon: hidden matrices by Muon, everything else by AdamW
    learning_rate: Annotated[float, Field(gt=0)] = 0.001  # the highest of the schedule
    warmup: Annotated[float, Field(ge=0)] = 0.1  # below 1: share of the budget; from 1 on: updates
    schedule: Literal["constant", "inverse-square-root", "cosine", "stable-decay"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[Share, Share] = (0.9, 0.98)
    clip: Annotated[float, Field(ge=0)] = 1.0  # largest gradient norm; 0: no clipping
    label_smoothing: Share = 0.1
    consistency: Literal["none", "r-drop", "simcut"] = "none"
    consistency_weight: Annotated[float, Field(ge=0)] = 1.0
    ema: Share = 0.0  # decay of an exponential moving average of the weights; 0: none
    average: Annotated[int, Field(ge=0)] = 0  # the final weights are the mean of the last so many evaluations' weights
    evaluate_every: Positive | None = None  # updates; None: twenty times over the budget
    patience: Annotated[int, Field(ge=0)] = 0  # evaluations without a better dev score before stopping; 0: never
    checkpoint_every: Positive | None = None  # updates; None: at each evaluation and at least every two minutes
    bad_steps: Positive = 5  # non-finite updates in a row before training stops
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    exchange: Literal["float32", "bfloat16"] = "float32"  # how gradients travel between processes
    compile: Literal["auto", "on", "off"] = "auto"  # auto: this package's kernels, where they fit; on: torch.compile
    init_from: str | None = None  # a run whose pieces, model and weights this one begins with

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        given = [name for name in ("minutes", "epochs", "steps") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of minutes, epochs, steps; given: {', '.join(given) or 'none'}")
        return self


class SearchSettings(Section):
    """How a model's distribution becomes text."""

    method: Literal["greedy", "beam", "sample"] = "beam"
    beam: Positive = 5
    nbest: Positive = 1
    length_penalty: Annotated[float, Field(ge=0)] = 1.0  # score = sum of log-probabilities / length ** length_penalty
    patience: Annotated[float, Field(ge=1)] = 2.0  # a beam stops at beam × patience endings (Kasai et al. 2022)
    coverage_penalty: Annotated[float, Field(ge=0)] = 0.0  # Wu et al. 2016, equation 14
    min_length: Annotated[int, Field(ge=0)] = 0  # target pieces before <eos> is allowed
    max_length: Positive | None = None  # None: 2 × the source's pieces + 20
    temperature: Annotated[float, Field(gt=0)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0  # 0: all
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0)] = 1
    no_repeat_ngram: Annotated[int, Field(ge=0)] = 0  # no n-gram of this size twice; 0: allowed
    # Only the so many likeliest translations of each source piece, and frequent pieces, are looked at (faster; `seq2see
    # shortlist` has to learn them first); 0: all pieces.
    shortlist: Annotated[int, Field(ge=0, le=100)] = 0
    # What computes a Transformer on a processor: compiled kernels where there are any, in float32 or rounded; PyTorch.
    kernel: Literal["auto", "plain", "bfloat16", "int8"] = "auto"
    batch_tokens: Positive = 8_192  # source pieces × beam decoded together

    @model_validator(mode="after")
    def _nbest_fits(self) -> Self:
        if self.method == "beam" and self.nbest > self.beam:
            raise ValueError(f"nbest = {self.nbest} is more than beam = {self.beam} can give")
        if self.method == "greedy" and self.nbest > 1:
            raise ValueError(f"nbest = {self.nbest} needs beam search or sampling; greedy finds one")
        return self


class EvaluationSettings(Section):
    """How predictions are compared with references; the first metric chooses between checkpoints."""

    metrics: Annotated[tuple[MetricName, ...], Field(min_length=1)] = ("bleu", "chrf")
    tokenize: Literal["13a", "none", "intl", "char", "zh"] = "13a"  # of BLEU; "none" for text that is tokenised already
    dev_sentences: Positive = 500  # at most so many dev sentences are decoded at each evaluation


class Settings(Section):
    """What every run's ``config.toml`` holds; each task adds its own sections."""

    version: Literal[1] = 1
    task: str
    training: TrainingSettings


class TranslateSettings(Settings):
    """Text to text."""

    task: Literal["translate"] = "translate"
    data: DataSettings = DataSettings()
    text: TextSettings = TextSettings()
    model: ModelSettings
    search: SearchSettings = SearchSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.model.tie == "all" and not self.text.joint:
            raise ValueError('model.tie = "all" needs one vocabulary: text.joint = true')
        if self.text.dropout and self.text.kind != "bpe":
            raise ValueError(f'text.dropout is BPE-dropout: it needs text.kind = "bpe", not "{self.text.kind}"')
        return self
