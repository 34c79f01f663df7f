"""A label for every token: word vectors, a network that reads the sentence, and scores of the labels.

B sentences · S tokens · U different words · N rows · E width of word vectors · D width · H heads · C labels ·
L layers.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2see.config import settings as config
from seq2see.config.tag import TagModelSettings, WordVectorSettings
from seq2see.data.tagging import Words
from seq2see.errors import InputError
from seq2see.nn.attention import linear
from seq2see.nn.cells import Trace
from seq2see.nn.dropout import Dropout
from seq2see.nn.embedding import OutputLayer, token_weights, zero_padding
from seq2see.nn.position import position
from seq2see.nn.recurrent import RecurrentStack, RecurrentState, padded
from seq2see.nn.transformer import EncoderBlock, visible
from seq2see.nn.words import KnownWords, LetterReader, NgramVectors, WordVectors
from seq2see.text.spelling import UNKNOWN_WORD


class TaggerSizes(NamedTuple):
    """How many numbers of words, letters, buckets of n-grams and labels there are."""

    words: int
    letters: int
    buckets: int
    labels: int


class Passage(NamedTuple):
    """What reading gives: hidden states (zero at padding), the final state if it can be gone on from, and weights."""

    hidden_BSD: Tensor
    final: RecurrentState | None
    weights: Mapping[str, Tensor]  # "encoder": [B, L, H, S, S], from a Transformer that was asked for them


class RecurrentReader(nn.Module):
    """Reads from the left, or from both sides (Graves and Schmidhuber 2005)."""

    def __init__(self, settings: config.RecurrentEncoder, inputs: int, dropout: float) -> None:
        super().__init__()
        if settings.bidirectional and settings.width % 2:
            raise InputError(
                f"encoder.width = {settings.width} cannot be shared by two directions; "
                "choose an even width, or bidirectional = false"
            )
        self.bidirectional = settings.bidirectional
        self.stack = RecurrentStack(
            settings.cell, inputs, settings.width, settings.layers, dropout, bidirectional=settings.bidirectional
        )

    def forward(
        self, vectors_BSE: Tensor, valid_BS: Tensor, start: RecurrentState | None, want_weights: bool
    ) -> Passage:
        """There are no weights to want."""
        states_BSD, final = self.stack(vectors_BSE, start, padded(valid_BS))
        return Passage(zero_padding(states_BSD, valid_BS), None if self.bidirectional else final, {})


class TransformerReader(nn.Module):
    """Every token looks at every other (Vaswani et al. 2017, section 3.1); pre-norm ends with one more norm."""

    def __init__(self, settings: config.TransformerEncoder, inputs: int, dropout: float) -> None:
        super().__init__()
        self.causal = settings.causal
        self.inputs = linear(inputs, settings.width)
        self.position = position(settings.position, settings.width, settings.heads)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(
            EncoderBlock(settings.width, settings.heads, settings.feed_forward, settings.norm, dropout)
            for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(settings.width) if settings.norm == "pre" else nn.Identity()
        self.scale = settings.width**0.5

    def forward(
        self, vectors_BSE: Tensor, valid_BS: Tensor, start: RecurrentState | None, want_weights: bool
    ) -> Passage:
        """There is no state to start from."""
        # Unit variance, to stand beside positions (section 3.4).
        x_BSD, rotation = self.position(self.inputs(vectors_BSE) * self.scale)
        x_BSD = self.dropout(x_BSD)
        allowed = visible(valid_BS, self.causal)
        layers: list[Tensor] = []
        for block in self.blocks:
            x_BSD, weights_BHSS = block(x_BSD, allowed, rotation, want_weights)
            if weights_BHSS is not None:
                layers.append(weights_BHSS)
        weights = {"encoder": torch.stack(layers, dim=1)} if want_weights else {}
        return Passage(zero_padding(self.norm(x_BSD), valid_BS), None, weights)


class Tagger(nn.Module):
    """See the top of the file. ``forward`` is for training; the loss applies ``output`` itself, in chunks."""

    def __init__(self, settings: TagModelSettings, sizes: TaggerSizes) -> None:
        super().__init__()
        self.streams = settings.streams
        self.words = _word_vectors(settings.words, sizes)
        inputs = settings.words.word + settings.words.ngram + settings.words.letters
        self.dropout = Dropout(settings.dropout)
        self.reader = _reader(settings.encoder, inputs, settings.dropout)
        self.output = OutputLayer(token_weights(sizes.labels, settings.encoder.width))

    def forward(self, words: Words, index_BS: Tensor, valid_BS: Tensor) -> Tensor:
        """Hidden states ``[B, S, D]``, zero at padding; dropped out as the loss needs them."""
        hidden_BSD: Tensor = self.dropout(self.read(words, index_BS, valid_BS).hidden_BSD)
        return hidden_BSD

    def read(
        self,
        words: Words,
        index_BS: Tensor,
        valid_BS: Tensor,
        start: RecurrentState | None = None,
        want_weights: bool = False,
    ) -> Passage:
        """Whole sentences; ``start`` is the final state of what came before, for a model that streams."""
        passage: Passage = self.reader(self._vectors(words, index_BS), valid_BS, start, want_weights)
        return passage

    def start(self) -> RecurrentState:
        """The state before the first token of one sentence, for a model that streams."""
        return self._streaming().zero_state(1, self.output.weight_VD)

    def step(self, words: Words, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """One token, the only one of ``words``: the scores of its labels ``[1, C]``, and the new state."""
        index_BS = torch.zeros(1, 1, dtype=torch.long, device=words.word_U.device)
        hidden_ND, state = self._streaming().step(self._vectors(words, index_BS).squeeze(1), state)
        logits_NC: Tensor = self.output(hidden_ND)
        return logits_NC, state

    def trace(self, words: Words, index_BS: Tensor, valid_BS: Tensor) -> list[list[Trace]]:
        """Gates and states while reading: for each layer one trace a direction; of a Transformer nothing."""
        if not isinstance(self.reader, RecurrentReader):
            return []
        return self.reader.stack.trace(self._vectors(words, index_BS), None, valid_BS)

    def _vectors(self, words: Words, index_BS: Tensor) -> Tensor:
        vectors_BSE: Tensor = self.words(
            words.word_U, words.letters_UT, words.letter_valid_UT, words.ngrams_I, words.starts_U, index_BS
        )
        dropped_BSE: Tensor = self.dropout(vectors_BSE)
        return dropped_BSE

    def _streaming(self) -> RecurrentStack:
        if not isinstance(self.reader, RecurrentReader) or self.reader.bidirectional:
            raise ValueError("only a recurrent tagger of one direction goes on token by token")
        return self.reader.stack


def build_tagger(settings: TagModelSettings, sizes: TaggerSizes) -> Tagger:
    """A fresh model, its weights drawn from torch's generator. InputError where the settings do not fit each other."""
    return Tagger(settings, sizes)


def require_buildable(settings: TagModelSettings) -> None:
    """Raise InputError where the settings do not fit each other. Nothing is allocated."""
    with torch.device("meta"):
        build_tagger(settings, TaggerSizes(8, 8, 8, 8))


def _word_vectors(settings: WordVectorSettings, sizes: TaggerSizes) -> WordVectors:
    known = KnownWords(sizes.words, settings.word, UNKNOWN_WORD, settings.word_dropout) if settings.word else None
    ngrams = NgramVectors(sizes.buckets, settings.ngram) if settings.ngram else None
    letters = (
        LetterReader(sizes.letters, settings.letter, settings.cell, settings.letters, 0.0) if settings.letters else None
    )
    return WordVectors(known, ngrams, letters)


def _reader(settings: config.RecurrentEncoder | config.TransformerEncoder, inputs: int, dropout: float) -> nn.Module:
    match settings:
        case config.RecurrentEncoder():
            return RecurrentReader(settings, inputs, dropout)
        case config.TransformerEncoder():
            return TransformerReader(settings, inputs, dropout)
