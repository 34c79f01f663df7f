"""Classifiers with a name: the ways to read a text, in the order in which each cures the one before."""

from collections.abc import Mapping
from dataclasses import dataclass

from seq2see.config.classify import (
    BagEncoder,
    ClassifierSettings,
    ConvolutionEncoder,
    Pooling,
    TextEncoder,
)
from seq2see.config.settings import RecurrentEncoder, TransformerEncoder
from seq2see.models.naming import named


@dataclass(frozen=True)
class ClassifierPreset:
    """A name's architecture, what it is in a sentence, and a dropout for its usual amount of data."""

    summary: str
    encoder: TextEncoder
    pooling: Pooling
    dropout: float


CLASSIFIERS: Mapping[str, ClassifierPreset] = {
    "bag": ClassifierPreset(
        "embeddings of pieces and of pairs of pieces, averaged: no order beyond pairs; the quickest by far",
        BagEncoder(),
        "mean",
        dropout=0.3,
    ),
    "cnn": ClassifierPreset(
        "convolutions over three, four and five pieces, and of each the largest value (Kim 2014)",
        ConvolutionEncoder(),
        "max",
        dropout=0.5,
    ),
    "rnn": ClassifierPreset(
        "Elman network of one direction whose last state must hold the text: many to one as the textbook draws it",
        RecurrentEncoder(cell="rnn", bidirectional=False),
        "last",
        dropout=0.3,
    ),
    "lstm": ClassifierPreset(
        "LSTM from both sides, and an attention over its states (Yang et al. 2016)",
        RecurrentEncoder(cell="lstm"),
        "attention",
        dropout=0.5,
    ),
    "gru": ClassifierPreset(
        "GRU from both sides, and an attention over its states", RecurrentEncoder(cell="gru"), "attention", dropout=0.5
    ),
    "transformer-tiny": ClassifierPreset(
        "Transformer of two layers for thousands of texts, and an attention over its states",
        TransformerEncoder(layers=2, width=128, heads=4, feed_forward=256),
        "attention",
        dropout=0.3,
    ),
    "transformer-small": ClassifierPreset(
        "Transformer of four layers for hundreds of thousands of texts, and an attention over its states",
        TransformerEncoder(layers=4, width=256, heads=4, feed_forward=1024),
        "attention",
        dropout=0.2,
    ),
}


def classifier_preset(name: str) -> ClassifierSettings:
    """The settings of a name in ``CLASSIFIERS``; ``InputError`` names the nearest to one that is not there."""
    chosen = named(name, CLASSIFIERS, "classifier")
    return ClassifierSettings(name=name, encoder=chosen.encoder, pooling=chosen.pooling, dropout=chosen.dropout)
