"""One to many: a picture to a text (Vinyals et al. 2015; with attention over places Xu et al. 2015).

B pictures · C colour channels · H height · W width · T target positions · D width · V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor, nn

from seq2see.config.images import CaptionerSettings
from seq2see.config.settings import RecurrentDecoder as RecurrentDecoderSettings
from seq2see.config.settings import TransformerDecoder as TransformerDecoderSettings
from seq2see.models.contracts import Decoder, Memory
from seq2see.models.image_encoder import ImageEncoder
from seq2see.models.recurrent_decoder import RecurrentDecoder
from seq2see.models.transformer_decoder import TransformerDecoder
from seq2see.nn.embedding import OutputLayer, token_weights


class Captioner(nn.Module):
    """A convolutional encoder with any decoder.

    ``forward`` is for training; for use, ``encode`` once, then ``decoder.start`` and ``decoder.step``.
    """

    def __init__(self, encoder: ImageEncoder, decoder: Decoder[Any]) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, pictures_BCHW: Tensor) -> Memory:
        """What the encoder makes of the pictures (uint8): a state for each place."""
        memory: Memory = self.encoder(pictures_BCHW)
        return memory

    def forward(self, pictures_BCHW: Tensor, input_BT: Tensor) -> Tensor:
        """Hidden states ``[B, T, D]`` for a caption that is given, shifted by one: ``<sos>`` stands first."""
        hidden_BTD: Tensor
        hidden_BTD, _ = self.decoder(input_BT, self.encode(pictures_BCHW))
        return hidden_BTD


def build_captioner(settings: CaptionerSettings, vocabulary: int) -> Captioner:
    """A fresh model, its weights drawn from torch's generator."""
    width = settings.decoder.width
    output = OutputLayer(token_weights(vocabulary, width))
    weight_VD = output.weight_VD if settings.tie == "output" else token_weights(vocabulary, width)
    encoder = ImageEncoder(settings.encoder, settings.picture, settings.dropout)
    decoder: Decoder[Any]
    match settings.decoder:
        case RecurrentDecoderSettings() as recurrent:
            decoder = RecurrentDecoder(recurrent, weight_VD, output, encoder.shape, settings.dropout)
        case TransformerDecoderSettings() as transformer:
            decoder = TransformerDecoder(transformer, weight_VD, output, encoder.shape, settings.dropout)
    return Captioner(encoder, decoder)


def check_captioner(settings: CaptionerSettings) -> None:
    """Raise InputError for settings whose parts do not fit together; nothing is allocated."""
    with torch.device("meta"):
        build_captioner(settings, vocabulary=8)
