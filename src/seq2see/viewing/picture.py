"""A picture that a model looked at, as a record holds it: bounded, checked, and never fetched from anywhere."""

import base64
import binascii
from dataclasses import dataclass

from seq2see.errors import InputError

MOST_CHARACTERS = 8_000_000  # of a picture in Base64
MOST_PIXELS = 4_096  # along a side of it
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


@dataclass(frozen=True)
class Picture:
    """A picture, and the places into which a model cut it: the pieces of the source are its places.

    Attributes:
        width, height: of the picture, in pixels.
        rows, columns: how many places it has each way; source piece r · columns + c is the place in row r, column c.
        png: the picture as a PNG file, in Base64.

    Raises:
        InputError: a number or a size is wrong, or it is no such PNG file; the message names the field.
    """

    width: int
    height: int
    rows: int
    columns: int
    png: str

    def __post_init__(self) -> None:
        for name in ("width", "height", "rows", "columns"):
            number = getattr(self, name)
            if type(number) is not int or not 1 <= number <= MOST_PIXELS:
                raise InputError(f"record: picture.{name}: a whole number from 1 to {MOST_PIXELS:,} is wanted")
        if type(self.png) is not str or len(self.png) > MOST_CHARACTERS:
            raise InputError(f"record: picture.png: Base64 of at most {MOST_CHARACTERS:,} characters is wanted")
        try:
            data = base64.b64decode(self.png, validate=True)
        except (binascii.Error, ValueError):
            raise InputError("record: picture.png: this is not Base64") from None
        size = self.width.to_bytes(4, "big") + self.height.to_bytes(4, "big")
        if not data.startswith(_PNG + size):
            raise InputError(f"record: picture.png: no PNG file of {self.width} × {self.height} pixels")

    @property
    def places(self) -> int:
        """How many there are."""
        return self.rows * self.columns

    @property
    def data(self) -> bytes:
        """The PNG file."""
        return base64.b64decode(self.png)
