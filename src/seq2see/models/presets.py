"""Models with a name: the architectures of the field, in the order in which each cures the one before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from seq2see.config.settings import (
    Cell,
    ModelSettings,
    RecurrentDecoder,
    RecurrentEncoder,
    Score,
    TransformerDecoder,
    TransformerEncoder,
)
from seq2see.models.naming import named

RECURRENT_WIDTH = 256


@dataclass(frozen=True)
class Preset:
    """A name's architecture, what it is in a sentence, and a dropout for its usual amount of data."""

    summary: str
    encoder: RecurrentEncoder | TransformerEncoder
    decoder: RecurrentDecoder | TransformerDecoder
    dropout: float


def recurrent(cell: Cell, attention: Score, summary: str) -> Preset:
    """One bidirectional layer reads, one layer writes."""
    return Preset(
        summary,
        RecurrentEncoder(cell=cell, layers=1, width=RECURRENT_WIDTH, bidirectional=True),
        RecurrentDecoder(cell=cell, layers=1, width=RECURRENT_WIDTH, attention=attention),
        dropout=0.3,
    )


def transformer(width: int, feed_forward: int, heads: int, layers: int, dropout: float, summary: str) -> Preset:
    """The same sizes on both sides."""
    encoder = TransformerEncoder(layers=layers, width=width, heads=heads, feed_forward=feed_forward)
    decoder = TransformerDecoder(layers=layers, width=width, heads=heads, feed_forward=feed_forward)
    return Preset(summary, encoder, decoder, dropout)


PRESETS: Mapping[str, Preset] = {
    "rnn": recurrent(
        "rnn", "none", "Elman network without attention: one state must hold the sentence, and it forgets soon"
    ),
    "lstm": recurrent(
        "lstm",
        "none",
        "LSTM without attention: gates keep the state over long distances; still one state for a sentence",
    ),
    "gru": recurrent(
        "gru", "none", "GRU without attention: the LSTM's idea with two gates; still one state for a sentence"
    ),
    "rnn-attention": recurrent(
        "rnn", "general", "Elman network with attention: every source position can be looked at again"
    ),
    "lstm-attention": recurrent(
        "lstm", "general", "LSTM with attention (Luong et al. 2015): small, quick to train, a good start"
    ),
    "gru-attention": recurrent(
        "gru", "general", "GRU with attention: two gates instead of three, a little smaller than the LSTM"
    ),
    "transformer-tiny": transformer(128, 256, 4, 4, 0.3, "Transformer for tens of thousands of pairs (Wu et al. 2021)"),
    "transformer-small": transformer(256, 1024, 4, 4, 0.2, "Transformer for hundreds of thousands of pairs"),
    "transformer-base": transformer(
        512, 2048, 8, 6, 0.1, "Transformer of Vaswani et al. 2017, base size, for millions of pairs"
    ),
    "transformer-big": transformer(
        1024, 4096, 16, 6, 0.3, "Transformer of Vaswani et al. 2017, big size, for millions of pairs and a large GPU"
    ),
    "hybrid": Preset(
        "Transformer reads, LSTM with attention writes, which moves two vectors a step instead of a cache",
        TransformerEncoder(layers=4, width=RECURRENT_WIDTH, heads=4, feed_forward=1024),
        RecurrentDecoder(cell="lstm", layers=1, width=RECURRENT_WIDTH, attention="general"),
        dropout=0.2,
    ),
}


def preset(
    name: str, *, tie: Literal["none", "output", "all"] = "output", dropout: float | None = None
) -> ModelSettings:
    """The settings of a name in ``PRESETS``; ``InputError`` names the nearest to one that is not there.

    ``tie = "all"`` wants one vocabulary for both sides. ``dropout`` None: the preset's own.
    """
    chosen = named(name, PRESETS)
    share = chosen.dropout if dropout is None else dropout
    return ModelSettings(name=name, encoder=chosen.encoder, decoder=chosen.decoder, tie=tie, dropout=share)
