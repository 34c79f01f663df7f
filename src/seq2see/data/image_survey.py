"""What is in a set of pictures: sizes and colours out of their headers, in one pass, and a hash of all of it."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from seq2see.config.images import Colour, PictureSize
from seq2see.data.images import Named, PictureSet
from seq2see.data.pictures import Raw, look
from seq2see.data.streams import nothing
from seq2see.errors import InputError

AS_THEY_ARE = 128  # pixels; pictures of one size up to this keep it
MADE = 64  # pixels of the longer side of others


@dataclass(frozen=True)
class PictureSurvey:
    """What the headers say.

    Attributes:
        sizes: how many pictures are so many pixels (width, height).
        grey: how many have no colours.
        damaged: those that cannot be used, and why.
        content: SHA-256 of the pictures' bytes, names and texts.
    """

    sizes: Counter[tuple[int, int]]
    grey: int
    damaged: Named
    content: str

    @property
    def pictures(self) -> int:
        """How many can be used, as far as their headers tell."""
        return self.sizes.total()

    def sentences(self) -> list[str]:
        """What a person is told of them."""
        widths, heights = zip(*self.sizes, strict=True)
        span = f"{min(widths):,} × {min(heights):,}"
        if len(self.sizes) > 1:
            span += f" to {max(widths):,} × {max(heights):,}"
        colours = (
            "grey" if self.grey == self.pictures else "in colour" if not self.grey else f"{self.grey:,} of them grey"
        )
        said = [f"{self.pictures:,} pictures, {span} pixels, {colours}"]
        return said + ([f"left out: {self.damaged}"] if self.damaged.count else [])


def survey_pictures(pictures: PictureSet, max_pixels: int, check: Callable[[], None] = nothing) -> PictureSurvey:
    """Look at every picture once.

    Raises:
        InputError: not one can be used.
    """
    sizes, grey, damaged, digest = Counter[tuple[int, int]](), 0, Named(), hashlib.sha256()
    for raw in pictures.raws(check):
        digest.update(_identity(raw, pictures.texts[raw.name]))
        try:
            seen = look(raw, max_pixels)
        except InputError as error:
            damaged.add(str(error))
            continue
        sizes[seen.width, seen.height] += 1
        grey += seen.grey
    if not sizes:
        raise InputError(f"{pictures.name} has no picture that can be used: {damaged}")
    return PictureSurvey(sizes, grey, damaged, digest.hexdigest())


def _identity(raw: Raw, texts: tuple[str, ...]) -> bytes:
    """A hash of a picture with its name and texts."""
    named = repr((raw.name, texts, raw.shape)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(named).digest() + hashlib.sha256(raw.data).digest()


def picture_size(found: PictureSurvey) -> tuple[PictureSize, str]:
    """The size that all pictures are made, and the reason in a sentence."""
    colour: Colour = "grey" if found.grey == found.pictures else "rgb"
    if len(found.sizes) > 1:
        longer = sorted(max(size) for size in found.sizes.elements())[found.pictures // 2]
        side = max(8, min(MADE, longer))
        how = "their proportions are kept, the rest is filled with the mean of their border"
        return PictureSize(height=side, width=side, colour=colour), f"pictures: made {side} × {side} pixels; {how}"
    ((width, height),) = found.sizes
    if max(width, height) <= AS_THEY_ARE and min(width, height) >= 4:
        size = PictureSize(height=height, width=width, colour=colour)
        return size, f"pictures: {width} × {height} pixels, as they are"
    share = MADE / max(width, height)
    high, wide = (max(8, round(share * side / 4) * 4) for side in (height, width))
    return PictureSize(height=high, width=wide, colour=colour), f"pictures: made {wide} × {high} pixels, for speed"
