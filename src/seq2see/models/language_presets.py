"""Language models with a name, in the order in which each cures the one before, and how one is built."""

from collections.abc import Mapping
from typing import Any

from seq2see.config.lm import LanguageModelSettings, MarkovModel, RecurrentModel
from seq2see.config.settings import TransformerDecoder
from seq2see.models.language_model import LanguageModel, build_neural
from seq2see.models.markov import MarkovChain
from seq2see.models.naming import named

RECURRENT_WIDTH = 384


def _gpt(width: int, layers: int, heads: int) -> TransformerDecoder:
    return TransformerDecoder(layers=layers, width=width, heads=heads, feed_forward=4 * width, position="rotary")


LANGUAGE_PRESETS: Mapping[str, LanguageModelSettings] = {
    settings.name: settings
    for settings in (
        LanguageModelSettings(name="markov", decoder=MarkovModel(order=5)),
        LanguageModelSettings(name="rnn", decoder=RecurrentModel(cell="rnn", width=RECURRENT_WIDTH), dropout=0.1),
        LanguageModelSettings(name="lstm", decoder=RecurrentModel(cell="lstm", width=RECURRENT_WIDTH), dropout=0.1),
        LanguageModelSettings(name="gru", decoder=RecurrentModel(cell="gru", width=RECURRENT_WIDTH), dropout=0.1),
        LanguageModelSettings(name="gpt-tiny", decoder=_gpt(128, layers=4, heads=4), dropout=0.1),
        LanguageModelSettings(name="gpt-small", decoder=_gpt(384, layers=6, heads=6), dropout=0.2),
    )
}

LANGUAGE_SUMMARIES: Mapping[str, str] = {
    "markov": "Markov chain: how often each piece followed the five before it, smoothed (Chen and Goodman 1999)",
    "rnn": "Elman network: one state is carried from piece to piece, and forgets soon",
    "lstm": "LSTM: gates keep the state over long distances; learns the most from a short text",
    "gru": "GRU: the LSTM's idea with two gates",
    "gpt-tiny": "Transformer that looks back over its window (Radford et al. 2018), for up to 20 million characters",
    "gpt-small": "Transformer that looks back over its window, for more",
}


def language_preset(name: str) -> LanguageModelSettings:
    """The settings of a name; ``InputError`` names the nearest to one that is not there."""
    return named(name, LANGUAGE_PRESETS, "language model")


def build_language_model(settings: LanguageModelSettings, vocabulary: int, context: int) -> LanguageModel[Any]:
    """A fresh model; a Transformer looks back to ``context`` pieces."""
    if isinstance(settings.decoder, MarkovModel):
        return MarkovChain(settings.decoder.order, vocabulary)
    return build_neural(settings, vocabulary, context)
