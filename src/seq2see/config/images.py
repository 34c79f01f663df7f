"""Settings of the tasks that read pictures: which pictures, how large, through which network."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from seq2see.config.classify import ClassEvaluationSettings
from seq2see.config.settings import (
    Decoder,
    EvaluationSettings,
    Positive,
    SearchSettings,
    Section,
    Settings,
    Share,
    TextSettings,
)

Colour = Literal["grey", "rgb"]
Pixels = Annotated[int, Field(ge=4, le=1024)]


class PictureData(Section):
    """Which pictures are read, which are held out, and what chance does to them in training."""

    kind: Literal["images"] = "images"
    file: str | None = None  # a folder, tar, zip or IDX file with pictures and what belongs to them, or …
    source: str | None = None  # … the pictures …
    target: str | None = None  # … and the file that has a label or caption for each
    columns: tuple[str, str] | None = None  # names or numbers (from 1) of the columns with file name and text
    dev: Annotated[tuple[str, ...], Field(max_length=2)] = ()  # as `file`, or as `source` and `target`
    held_out: Share = 0.1  # share of the distinct pictures kept for dev where no dev data are given
    held_out_most: Positive = 2_000  # at most about so many are held out
    max_picture_pixels: Positive = 40_000_000  # larger pictures are left out before they are decoded
    max_unpacked_bytes: Positive = 20_000_000_000  # an archive that unpacks to more is refused
    shift: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0  # most a picture is moved, as a share of its sides
    rotate: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0  # most it is turned, in degrees
    erase: Share = 0.0  # chance that a rectangle of it is wiped out (Zhong et al. 2020)
    flip: bool = False  # half of the pictures as in a mirror


class PictureSize(Section):
    """What every picture is made before the model sees it."""

    height: Pixels
    width: Pixels
    colour: Colour

    @property
    def channels(self) -> int:
        """1 for grey, 3 for red, green and blue."""
        return 1 if self.colour == "grey" else 3


class ConvolutionalEncoder(Section):
    """A residual network (He et al. 2016): stages of so many blocks, the first of which divides the picture's sides."""

    kind: Literal["convolutional"] = "convolutional"
    channels: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=8)] = (32, 64, 128)
    strides: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=8)] = (1, 2, 2)
    blocks: Positive = 1
    width: Positive = 256  # of what is handed on: the states a decoder sees, or the features that are classified

    @model_validator(mode="after")
    def _one_stride_each(self) -> Self:
        if len(self.strides) != len(self.channels):
            raise ValueError(f"{len(self.channels)} stages (channels) need as many strides, not {len(self.strides)}")
        return self


class ImageClassifierSettings(Section):
    """A convolutional encoder, the mean over its places, and a linear layer."""

    name: str  # the preset it came from; a label, nothing depends on it
    picture: PictureSize
    encoder: ConvolutionalEncoder
    dropout: Share = 0.1


class CaptionerSettings(Section):
    """A convolutional encoder, and any decoder."""

    name: str  # the preset it came from; a label, nothing depends on it
    picture: PictureSize
    encoder: ConvolutionalEncoder
    decoder: Decoder
    tie: Literal["none", "output"] = "output"  # output: decoder embedding = output layer
    dropout: Share = 0.3


class _PictureSettings(Settings):
    """What both tasks have."""

    data: PictureData = PictureData()

    @model_validator(mode="after")
    def _no_second_pass(self) -> Self:
        if self.training.consistency != "none":
            raise ValueError(f'training.consistency = "{self.training.consistency}" is for text; choose "none"')
        return self


class ClassifyImagesSettings(_PictureSettings):
    """Picture to class."""

    task: Literal["classify"] = "classify"
    model: ImageClassifierSettings
    evaluation: ClassEvaluationSettings = ClassEvaluationSettings()


class CaptionSettings(_PictureSettings):
    """Picture to text."""

    task: Literal["caption"] = "caption"
    text: TextSettings = TextSettings(kind="word")
    model: CaptionerSettings
    search: SearchSettings = SearchSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
