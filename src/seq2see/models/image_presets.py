"""Networks for pictures with a name, and what their sizes follow from."""

from collections.abc import Mapping
from dataclasses import dataclass

from seq2see.config.images import (
    CaptionerSettings,
    ConvolutionalEncoder,
    ImageClassifierSettings,
    PictureSize,
)
from seq2see.models.naming import named
from seq2see.models.presets import preset
from seq2see.nn.convolution import places

FINEST = 10  # places at most along a side of the map, where nobody asks for more
_MOST_STAGES = 6


@dataclass(frozen=True)
class ImagePreset:
    """A name's network: what it is in a sentence, channels of its first stage, blocks a stage, dropout."""

    summary: str
    channels: int
    blocks: int
    dropout: float


IMAGE_PRESETS: Mapping[str, ImagePreset] = {
    "cnn-tiny": ImagePreset(
        "Residual network with a block a stage, from 16 channels on: for thousands of pictures", 16, 1, 0.1
    ),
    "cnn-small": ImagePreset(
        "Residual network with a block a stage, from 32 channels on: for ten thousands", 32, 1, 0.2
    ),
    "cnn-base": ImagePreset("Residual network with two blocks a stage, from 32 channels on: for more", 32, 2, 0.2),
}


def encoder_for(
    picture: PictureSize, channels: int, blocks: int, width: int, finest: int = FINEST
) -> ConvolutionalEncoder:
    """A network that halves the picture until its map has at most ``finest`` places along a side; twice at least.

    Channels double with every halving, up to eight times the first ones.
    """
    strides: tuple[int, ...] = (1,)
    while len(strides) < _MOST_STAGES and max(places(picture.height, picture.width, strides)) > finest:
        strides = (*strides, 2)
    if len(strides) < 3:
        strides = (*strides, *(1,) * (3 - len(strides)))
    stages = tuple(channels * min(8, 2**stage) for stage in range(len(strides)))
    return ConvolutionalEncoder(channels=stages, strides=strides, blocks=blocks, width=width)


def classifier_preset(name: str, picture: PictureSize) -> ImageClassifierSettings:
    """The settings of a name in ``IMAGE_PRESETS``; ``InputError`` names the nearest to one that is not there."""
    chosen = named(name, IMAGE_PRESETS, "model for pictures")
    encoder = encoder_for(picture, chosen.channels, chosen.blocks, width=8 * chosen.channels)
    return ImageClassifierSettings(name=name, picture=picture, encoder=encoder, dropout=chosen.dropout)


def captioner_preset(name: str, picture: PictureSize) -> CaptionerSettings:
    """The decoder of a preset for text (``models.presets``) behind a residual network."""
    text = preset(name)
    encoder = encoder_for(picture, 32, 1, width=text.decoder.width)
    return CaptionerSettings(name=name, picture=picture, encoder=encoder, decoder=text.decoder, dropout=text.dropout)
