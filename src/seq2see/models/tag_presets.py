"""Taggers with a name."""

from collections.abc import Mapping
from dataclasses import dataclass

from seq2see.config.settings import Cell, RecurrentEncoder, TransformerEncoder
from seq2see.config.tag import TagModelSettings
from seq2see.models.naming import named

_WIDTH = 400


@dataclass(frozen=True)
class TagPreset:
    """A name's network, what it is in a sentence, and a dropout for its usual amount of data."""

    summary: str
    encoder: RecurrentEncoder | TransformerEncoder
    dropout: float


def _recurrent(cell: Cell, bidirectional: bool, summary: str) -> TagPreset:
    return TagPreset(
        summary, RecurrentEncoder(cell=cell, layers=2, width=_WIDTH, bidirectional=bidirectional), dropout=0.4
    )


TAG_PRESETS: Mapping[str, TagPreset] = {
    "rnn": _recurrent("rnn", False, "Elman network from the left: labels tokens as they arrive"),
    "lstm": _recurrent("lstm", False, "LSTM from the left: labels tokens as they arrive"),
    "gru": _recurrent("gru", False, "GRU from the left: labels tokens as they arrive"),
    "birnn": _recurrent("rnn", True, "Elman network from both sides"),
    "bilstm": _recurrent("lstm", True, "LSTM from both sides: the best start"),
    "bigru": _recurrent("gru", True, "GRU from both sides"),
    "transformer-tiny": TagPreset(
        "Transformer: every token looks at every other",
        TransformerEncoder(layers=4, width=128, heads=4, feed_forward=256),
        dropout=0.2,
    ),
    "transformer-small": TagPreset(
        "Transformer for hundreds of thousands of sentences",
        TransformerEncoder(layers=4, width=256, heads=4, feed_forward=1024),
        dropout=0.2,
    ),
}


def tag_preset(name: str) -> TagModelSettings:
    """The settings of a name in ``TAG_PRESETS``; ``InputError`` names the nearest to one that is not there."""
    chosen = named(name, TAG_PRESETS, "tagger")
    return TagModelSettings(name=name, encoder=chosen.encoder, dropout=chosen.dropout)
