"""From the bytes of a picture to numbers of one size: decoded with bounds, fitted without distortion.

Shapes: C colour channels (1 grey, 3 red, green and blue), H height, W width.
"""

import io
import warnings
from dataclasses import dataclass

import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from seq2see.config.images import PictureSize
from seq2see.errors import InputError

FORMATS = ("PNG", "JPEG")
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
ENDINGS = (".png", ".jpg", ".jpeg")
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")


@dataclass(frozen=True)
class Raw:
    """A picture as it was stored: a PNG or JPEG file, or, with a ``shape``, bare bytes (height, width, channels)."""

    name: str
    data: bytes
    shape: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Look:
    """What a picture's header says of it, in pixels; ``grey``: it has no colours."""

    width: int
    height: int
    grey: bool


def look(raw: Raw, max_pixels: int) -> Look:
    """Size and kind of a picture, without decoding it.

    Raises:
        InputError: it is no PNG or JPEG, or has more than ``max_pixels``.
    """
    image = _opened(raw, max_pixels)
    return Look(image.width, image.height, image.mode in _GREY)


def fitted(raw: Raw, size: PictureSize, max_pixels: int, scale: int = 1) -> Tensor:
    """The picture as ``[C, H, W]`` numbers from 0 to 255 (uint8), ``scale`` times the sides of ``size``.

    It is turned upright as its camera noted, transparency becomes white, and it is made as large as fits with
    its proportions kept; what is left at two sides is filled with the mean of its border.

    Raises:
        InputError: it cannot be decoded, or has more than ``max_pixels``.
    """
    image = _opened(raw, max_pixels)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = ImageOps.exif_transpose(image) if raw.shape is None else image
            image = _on_white(image).convert("L" if size.colour == "grey" else "RGB")
            picture_CHW = _numbers(_resized(image, size.height * scale, size.width * scale))
    except Exception as error:  # a decoder raises whatever it likes at hostile or broken bytes
        raise _damaged(raw, error) from None
    return _padded(picture_CHW, size.height * scale, size.width * scale)


def png(picture_CHW: Tensor) -> bytes:
    """Numbers from 0 to 255 as a PNG file."""
    channels, height, width = picture_CHW.shape
    data = bytes(picture_CHW.permute(1, 2, 0).contiguous().flatten().tolist())
    buffer = io.BytesIO()
    Image.frombytes("L" if channels == 1 else "RGB", (width, height), data).save(buffer, format="PNG")
    return buffer.getvalue()


def _opened(raw: Raw, max_pixels: int) -> Image.Image:
    """The picture, its header read."""
    if raw.shape is not None:
        height, width, channels = raw.shape
        return Image.frombytes("L" if channels == 1 else "RGB", (width, height), raw.data)
    if not raw.data.startswith(SIGNATURES):
        raise InputError(f"{raw.name} is no PNG or JPEG picture: it does not begin like one")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels, which are counted below
            image = Image.open(io.BytesIO(raw.data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise InputError(f"{raw.name} is too large a picture: {error}") from None
    except Exception as error:
        raise _damaged(raw, error) from None
    if image.width * image.height > max_pixels:
        raise InputError(
            f"{raw.name} has {image.width:,} × {image.height:,} pixels, more than {max_pixels:,} "
            "(data.max_picture_pixels); make it smaller"
        )
    return image


def _damaged(raw: Raw, error: Exception) -> InputError:
    unread = isinstance(error, UnidentifiedImageError)  # whose message is about an object in memory
    said = "its header" if unread else " ".join(str(error).split())[:100] or type(error).__name__
    return InputError(f"{raw.name} cannot be decoded: it is damaged or cut off ({said})")


def _on_white(image: Image.Image) -> Image.Image:
    """Without transparency and without more than 8 bits a channel."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image


def _resized(image: Image.Image, height: int, width: int) -> Image.Image:
    """As large as fits into ``height`` × ``width`` with its proportions kept."""
    share = min(height / image.height, width / image.width)
    size = max(1, min(width, round(image.width * share))), max(1, min(height, round(image.height * share)))
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)


def _numbers(image: Image.Image) -> Tensor:
    channels = len(image.getbands())
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return values.view(image.height, image.width, channels).permute(2, 0, 1).contiguous()


def _padded(picture_CHW: Tensor, height: int, width: int) -> Tensor:
    """In the middle of ``height`` × ``width``; around it the mean of its own border."""
    channels, high, wide = picture_CHW.shape
    if (high, wide) == (height, width):
        return picture_CHW
    edges = [picture_CHW[:, 0], picture_CHW[:, -1], picture_CHW[:, :, 0], picture_CHW[:, :, -1]]
    border_C = torch.cat(edges, dim=1).float().mean(1).round().to(torch.uint8)
    whole_CHW = border_C[:, None, None].expand(channels, height, width).clone()
    top, left = (height - high) // 2, (width - wide) // 2
    whole_CHW[:, top : top + high, left : left + wide] = picture_CHW
    return whole_CHW
