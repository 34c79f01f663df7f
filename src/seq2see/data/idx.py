"""IDX files: bare numbers behind a small header, as MNIST is published (plain or gzip).

Header: two zero bytes, a byte for the kind of number (8: one byte without sign), a byte for how many
dimensions; then each dimension in four bytes, most significant first (LeCun et al., "THE MNIST DATABASE").
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from seq2see.data.pictures import Raw
from seq2see.data.streams import InputFile, blocks, nothing
from seq2see.errors import InputError

UNSIGNED_BYTE = 8
MAGIC = b"\x00\x00"
_MOST_DIMENSIONS = 4
_MOST_SIDE = 1 << 16
_MOST_ENTRY = 1 << 27  # bytes of one entry, which is held in memory


@dataclass(frozen=True)
class IdxHeader:
    """The dimensions an IDX file states, the number of entries first."""

    dimensions: tuple[int, ...]

    @property
    def entry(self) -> int:
        """Bytes of one entry."""
        return math.prod(self.dimensions[1:])

    @property
    def total(self) -> int:
        """Bytes of all entries."""
        return math.prod(self.dimensions)


def is_idx(start: bytes) -> bool:
    """Whether a file that begins so can be an IDX file of bytes."""
    return len(start) >= 4 and start[:2] == MAGIC and start[2] == UNSIGNED_BYTE and 1 <= start[3] <= _MOST_DIMENSIONS


def first_bytes(file: InputFile, size: int = 20) -> bytes:
    """The beginning of the content, decompressed."""
    found = b""
    for block in blocks(file):
        found += block[:size]
        if len(found) >= size:
            break
    return found[:size]


def idx_header(file: InputFile, most_bytes: int) -> IdxHeader:
    """What the file says it holds; nothing is allocated for it.

    Raises:
        InputError: no IDX file of bytes, more than ``most_bytes``, or a plain file that is not as long as it says.
    """
    start = first_bytes(file)
    if not is_idx(start):
        raise InputError(f"{file.name} is no IDX file of bytes: it begins with {start[:4].hex(' ') or 'nothing'}")
    count = start[3]
    if len(start) < 4 + 4 * count:
        raise InputError(f"{file.name} is cut off inside its header of {count} dimensions")
    dimensions = tuple(int.from_bytes(start[4 + 4 * at : 8 + 4 * at], "big") for at in range(count))
    header = IdxHeader(dimensions)
    said = " × ".join(f"{each:,}" for each in dimensions)
    if min(dimensions) < 1 or max(dimensions[1:], default=1) > _MOST_SIDE:
        raise InputError(f"{file.name} states {said} entries: there is nothing such a file could hold")
    if header.total > most_bytes or header.entry > _MOST_ENTRY:
        raise InputError(
            f"{file.name} states {said} = {header.total:,} bytes; at most {most_bytes:,} are read, and at most "
            f"{_MOST_ENTRY:,} of one entry"
        )
    return header


def _entries(file: InputFile, header: IdxHeader, check: Callable[[], None]) -> Iterator[bytes]:
    """Each entry's bytes in order; memory is a block and an entry."""
    buffer, found, skip = bytearray(), 0, 4 + 4 * len(header.dimensions)
    for block in blocks(file):
        check()
        buffer += block[skip:]
        skip = max(0, skip - len(block))
        whole, rest = divmod(len(buffer), header.entry)
        if found + whole + (rest > 0) > header.dimensions[0]:
            raise InputError(f"{file.name} holds more than the {header.dimensions[0]:,} entries that it states")
        for at in range(whole):
            yield bytes(buffer[at * header.entry : (at + 1) * header.entry])
        del buffer[: whole * header.entry]
        found += whole
    if found < header.dimensions[0]:
        raise InputError(
            f"{file.name} is cut off: it states {header.dimensions[0]:,} entries and has {found:,}. Fetch it again"
        )


def picture_header(file: InputFile, most_bytes: int) -> IdxHeader:
    """The header of a file of pictures: number × height × width, and × 3 where they have colours.

    Raises:
        InputError: it holds something else.
    """
    header = idx_header(file, most_bytes)
    dimensions = header.dimensions
    if len(dimensions) == 3 or (len(dimensions) == 4 and dimensions[3] in (1, 3)):
        return header
    what = "labels, not pictures" if len(dimensions) == 1 else f"{len(dimensions)} dimensions"
    raise InputError(f"{file.name} holds {what}; pictures are number × height × width (× 3)")


def idx_pictures(file: InputFile, header: IdxHeader, check: Callable[[], None] = nothing) -> Iterator[Raw]:
    """The pictures of a file in order; each is called by its number, from 0.

    Raises:
        InputError: there are fewer or more than the header states, or the file is damaged.
    """
    height, width = header.dimensions[1:3]
    channels = header.dimensions[3] if len(header.dimensions) == 4 else 1
    for number, data in enumerate(_entries(file, header, check)):
        yield Raw(str(number), data, (height, width, channels))


def idx_labels(file: InputFile, most_bytes: int, check: Callable[[], None] = nothing) -> list[int]:
    """The labels of a file in order, 0 to 255.

    Raises:
        InputError: it holds pictures, is damaged, or states other numbers than it has.
    """
    header = idx_header(file, most_bytes)
    if len(header.dimensions) != 1:
        raise InputError(
            f"{file.name} holds {len(header.dimensions)} dimensions; labels have one: a byte for each picture"
        )
    return [entry[0] for entry in _entries(file, header, check)]
