"""From settings to a model."""

from typing import Any

from torch import nn

from seq2see.config import settings as config
from seq2see.errors import InputError
from seq2see.models.contracts import Decoder, Encoder, MemoryShape
from seq2see.models.embedding_encoder import EmbeddingEncoder
from seq2see.models.naming import parameters_of
from seq2see.models.recurrent_decoder import RecurrentDecoder
from seq2see.models.recurrent_encoder import RecurrentEncoder
from seq2see.models.seq2seq import Seq2Seq
from seq2see.models.transformer_decoder import TransformerDecoder
from seq2see.models.transformer_encoder import TransformerEncoder
from seq2see.nn.embedding import OutputLayer, token_weights


def build(settings: config.ModelSettings, source_vocabulary: int, target_vocabulary: int) -> Seq2Seq:
    """A fresh model, its weights drawn from torch's generator.

    ``InputError`` where the settings and the vocabularies do not fit each other.
    """
    _check_tie(settings, source_vocabulary, target_vocabulary)
    encoder, decoder, tie = settings.encoder, settings.decoder, settings.tie
    output = OutputLayer(token_weights(target_vocabulary, decoder.width))
    source_VD = output.weight_VD if tie == "all" else token_weights(source_vocabulary, encoder.width)
    target_VD = token_weights(target_vocabulary, decoder.width) if tie == "none" else output.weight_VD
    reader = _encoder(encoder, source_VD, settings.dropout)
    return Seq2Seq(reader, _decoder(decoder, target_VD, output, reader.shape, settings.dropout))


def count_parameters(settings: config.ModelSettings, source_vocabulary: int, target_vocabulary: int) -> int:
    """How many numbers training has to find; shared ones count once. Nothing is allocated."""
    return parameters_of(lambda: build(settings, source_vocabulary, target_vocabulary))


def _check_tie(settings: config.ModelSettings, source_vocabulary: int, target_vocabulary: int) -> None:
    if settings.tie != "all":
        return
    if settings.encoder.width != settings.decoder.width:
        raise InputError(
            f'tie = "all" needs one width, but encoder.width = {settings.encoder.width} and decoder.width = '
            f'{settings.decoder.width}; make them equal, or choose tie = "output"'
        )
    if source_vocabulary != target_vocabulary:
        raise InputError(
            f'tie = "all" needs one vocabulary, but the source has {source_vocabulary} pieces and the target '
            f'{target_vocabulary}; use text.joint = true, or choose tie = "output"'
        )


def _encoder(settings: config.Encoder, weight_VD: nn.Parameter, dropout: float) -> Encoder:
    match settings:
        case config.RecurrentEncoder():
            return RecurrentEncoder(settings, weight_VD, dropout)
        case config.TransformerEncoder():
            return TransformerEncoder(settings, weight_VD, dropout)
        case config.EmbeddingEncoder():
            return EmbeddingEncoder(settings, weight_VD, dropout)


def _decoder(
    settings: config.Decoder,
    weight_VD: nn.Parameter,
    output: OutputLayer,
    memory: MemoryShape,
    dropout: float,
) -> Decoder[Any]:
    match settings:
        case config.RecurrentDecoder():
            return RecurrentDecoder(settings, weight_VD, output, memory, dropout)
        case config.TransformerDecoder():
            return TransformerDecoder(settings, weight_VD, output, memory, dropout)
