"""Language models with a name, in the order in which each cures the one before, and how one is built."""

import difflib
from collections.abc import Mapping
from typing import Any

from seq2see.config.lm import LanguageModelSettings, MarkovModel, RecurrentModel
from seq2see.config.settings import TransformerDecoder
from seq2see.errors import InputError
from seq2see.models.language_model import LanguageModel, build_neural
from seq2see.models.markov import MarkovChain

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


def language_preset(name: str) -> LanguageModelSettings:
    """The settings of a name; ``InputError`` names the nearest to one that is not there."""
    if name not in LANGUAGE_PRESETS:
        nearest = difflib.get_close_matches(name, LANGUAGE_PRESETS, n=1, cutoff=0.0)
        raise InputError(
            f'there is no language model "{name}"; did you mean "{nearest[0]}"? '
            f"There are: {', '.join(LANGUAGE_PRESETS)}"
        )
    return LANGUAGE_PRESETS[name]


def build_language_model(settings: LanguageModelSettings, vocabulary: int, context: int) -> LanguageModel[Any]:
    """A fresh model; a Transformer looks back to ``context`` pieces."""
    if isinstance(settings.decoder, MarkovModel):
        return MarkovChain(settings.decoder.order, vocabulary)
    return build_neural(settings, vocabulary, context)
