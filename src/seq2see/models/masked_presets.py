"""Masked language models with a name."""

from collections.abc import Mapping

from seq2see.config.masked import MaskedModelSettings
from seq2see.config.settings import TransformerEncoder
from seq2see.models.naming import named


def _bert(width: int, layers: int, heads: int) -> TransformerEncoder:
    return TransformerEncoder(layers=layers, width=width, heads=heads, feed_forward=4 * width, position="rotary")


MASKED_PRESETS: Mapping[str, MaskedModelSettings] = {
    settings.name: settings
    for settings in (
        MaskedModelSettings(name="bert-tiny", encoder=_bert(128, layers=4, heads=4), dropout=0.1),
        MaskedModelSettings(name="bert-small", encoder=_bert(384, layers=6, heads=6), dropout=0.1),
    )
}

MASKED_SUMMARIES: Mapping[str, str] = {
    "bert-tiny": "Transformer that looks to both sides of a hole (Devlin et al. 2019), small",
    "bert-small": "Transformer that looks to both sides of a hole, for more text",
}


def masked_preset(name: str) -> MaskedModelSettings:
    """The settings of a name; ``InputError`` names the nearest to one that is not there."""
    return named(name, MASKED_PRESETS, "masked language model")
