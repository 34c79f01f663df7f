"""Pictures of every kind become the numbers they show; what is no picture, or too large a one, is refused."""

import io
import struct
import zlib

import pytest
import torch
from PIL import Image
from torch import Tensor

from seq2see.config.images import PictureSize
from seq2see.data.pictures import Raw, fitted, look, png
from seq2see.errors import InputError

MOST = 1_000_000
RGB, GREY = (PictureSize(height=4, width=4, colour=colour) for colour in ("rgb", "grey"))


def saved(image: Image.Image, form: str = "PNG", **options: object) -> Raw:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return Raw(f"x.{form.lower()}", buffer.getvalue())


def at(picture_CHW: Tensor, row: int, column: int) -> list[int]:
    found: list[int] = picture_CHW[:, row, column].tolist()
    return found


def quartered(mode: str, *colours: object) -> Image.Image:
    """4 × 4 pixels, a quarter for each of four colours."""
    image = Image.new(mode, (4, 4))
    for number, colour in enumerate(colours):
        image.paste(colour, (number % 2 * 2, number // 2 * 2, number % 2 * 2 + 2, number // 2 * 2 + 2))  # type: ignore[arg-type]
    return image


def test_rows_columns_and_channels_are_where_they_belong() -> None:
    raw = saved(quartered("RGB", (255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 8, 7)))
    picture_CHW = fitted(raw, RGB, MOST)
    assert picture_CHW.shape == (3, 4, 4) and picture_CHW.dtype == torch.uint8
    assert [at(picture_CHW, *place) for place in ((0, 0), (0, 3), (3, 0), (3, 3))] == [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [9, 8, 7],
    ]
    again = fitted(Raw("again.png", png(picture_CHW)), RGB, MOST)
    assert torch.equal(again, picture_CHW)
    grey_CHW = fitted(raw, GREY, MOST)
    # The weights of ITU-R 601-2, which Pillow states: 0.299, 0.587, 0.114.
    assert [round(255 * share) for share in (0.299, 0.587, 0.114)] == [
        grey_CHW[0, 0, 0].item(),
        grey_CHW[0, 0, 3].item(),
        grey_CHW[0, 3, 0].item(),
    ]


KINDS = {
    "1": (quartered("1", 0, 1, 1, 0), True, [0, 255, 255, 0]),
    "L": (quartered("L", 0, 50, 200, 255), True, [0, 50, 200, 255]),
    "I;16": (quartered("I;16", 0, 257, 257 * 200, 65535), True, [0, 1, 200, 255]),
    "LA": (quartered("LA", (0, 255), (0, 0), (100, 255), (100, 0)), True, [0, 255, 100, 255]),
    "RGBA": (quartered("RGBA", (0, 0, 0, 255), (0, 0, 0, 0), (0, 0, 0, 51), (9, 9, 9, 255)), False, [0, 255, 204, 9]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_png(kind: str) -> None:
    """Transparency becomes white, sixteen bits become eight."""
    image, grey, wanted = KINDS[kind]
    raw = saved(image)
    assert look(raw, MOST).grey == grey
    for size in (RGB, GREY):
        picture_CHW = fitted(raw, size, MOST)
        found = [at(picture_CHW, row, column) for row in (0, 3) for column in (0, 3)]
        assert found == [[value] * len(picture_CHW) for value in wanted]


def test_a_palette_with_a_transparent_colour() -> None:
    image = quartered("P", 0, 1, 2, 3)
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3])
    picture_CHW = fitted(saved(image, transparency=1), RGB, MOST)
    found = [at(picture_CHW, row, column) for row in (0, 3) for column in (0, 3)]
    assert found == [[10, 20, 30], [255, 255, 255], [70, 80, 90], [1, 2, 3]]


def test_jpeg_also_of_four_inks_and_turned_by_its_camera() -> None:
    side = 16
    image = Image.new("RGB", (side, side), (200, 40, 40))
    image.paste((40, 40, 200), (0, 0, side, side // 2))  # blue above
    size = PictureSize(height=side, width=side, colour="rgb")
    for form in (image, image.convert("CMYK")):
        picture_CHW = fitted(saved(form, "JPEG", quality=95), size, MOST)
        assert picture_CHW[2, 2, 8] > 150 > picture_CHW[2, 13, 8]
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture_CHW = fitted(saved(image, "JPEG", quality=95, exif=exif), size, MOST)
    assert picture_CHW[2, 13, 8] > 150 > picture_CHW[2, 2, 8]


def test_proportions_are_kept_and_the_rest_is_the_mean_of_the_border() -> None:
    """6 × 2 pixels in 6 × 6: two rows above and two below are filled."""
    image = Image.new("L", (6, 2), 100)
    image.paste(40, (0, 0, 3, 2))
    picture_CHW = fitted(saved(image), PictureSize(height=6, width=6, colour="grey"), MOST)
    border = round((2 * (3 * 40 + 3 * 100) + 2 * 40 + 2 * 100) / 16)
    assert picture_CHW[0, [0, 1, 4, 5]].unique().tolist() == [border]
    assert picture_CHW[0, 2].tolist() == picture_CHW[0, 3].tolist() == [40, 40, 40, 100, 100, 100]
    tall = fitted(saved(Image.new("L", (1, 8), 7)), PictureSize(height=8, width=8, colour="grey"), MOST)
    assert tall.unique().tolist() == [7]


def test_larger_by_a_scale_is_the_same_picture() -> None:
    raw = saved(quartered("RGB", (255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 8, 7)).resize((64, 64), 0))
    picture_CHW = fitted(raw, RGB, MOST, scale=16)
    assert picture_CHW.shape == (3, 64, 64)
    assert [at(picture_CHW, *place) for place in ((0, 0), (0, 63), (63, 63))] == [[255, 0, 0], [0, 255, 0], [9, 8, 7]]


def test_bare_bytes() -> None:
    raw = Raw("7", bytes(range(12)), (2, 2, 3))
    assert not look(raw, MOST).grey and look(Raw("7", bytes(4), (2, 2, 1)), MOST).grey
    picture_CHW = fitted(raw, PictureSize(height=4, width=4, colour="rgb"), MOST)
    assert picture_CHW.shape == (3, 4, 4)
    exact = fitted(Raw("7", bytes(range(16)), (4, 4, 1)), GREY, MOST)
    assert exact.flatten().tolist() == list(range(16))


def header(width: int, height: int) -> bytes:
    """A PNG file that is nothing but a header and the begin of its pixels."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(bytes(5)))
    parts = [struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data)) for data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


WHOLE = saved(quartered("RGB", (255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 8, 7)).resize((64, 64))).data
BAD = {
    "empty": (b"", "no PNG or JPEG"),
    "text": (b"hello", "no PNG or JPEG"),
    "gif": (b"GIF89a" + bytes(100), "no PNG or JPEG"),
    "svg": (b"<svg/>", "no PNG or JPEG"),
    "a signature alone": (WHOLE[:8], "damaged or cut off"),
    "cut in the middle": (WHOLE[:-120], "damaged or cut off"),
    "nothing but a header": (header(4, 4), "damaged or cut off"),
    "jpeg cut off": (saved(Image.new("RGB", (64, 64)), "JPEG").data[:300], "damaged or cut off"),
    "many pixels": (header(2_000, 2_000), "2,000 × 2,000 pixels, more than 1,000,000"),
    "a bomb": (header(60_000, 60_000), "too large a picture"),
    "no pixels": (header(0, 4), "damaged or cut off"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_a_picture_is_refused_by_name(name: str) -> None:
    data, message = BAD[name]
    with pytest.raises(InputError, match=message) as caught:
        fitted(Raw(f"{name}.png", data), RGB, MOST)
    assert str(caught.value).startswith(f"{name}.png")


def test_random_damage_is_a_clear_error_or_a_picture() -> None:
    generator = torch.Generator().manual_seed(5)
    for _ in range(150):
        data = bytearray(WHOLE)
        for _ in range(3):
            data[int(torch.randint(8, len(data), (), generator=generator))] ^= 1 << int(
                torch.randint(8, (), generator=generator)
            )
        try:
            assert fitted(Raw("x.png", bytes(data)), RGB, MOST).shape == (3, 4, 4)
        except InputError as error:
            assert "x.png" in str(error)
