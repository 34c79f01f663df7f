r"""Plain text as one stream of characters, in which ``\n`` is a character like any other.

A text may be larger than the memory: it is read block by block, as often as somebody wants it. ``\r\n`` is read
as ``\n``, and a byte order mark at the beginning is left out; nothing else is changed.
"""

import codecs
import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from seq2see.data.lines import not_utf8, refuse_utf16
from seq2see.data.streams import PARQUET, InputFile, blocks, head, nothing
from seq2see.errors import InputError

PART_CHARACTERS = 1 << 16
_BYTE_ORDER_MARK = "\ufeff"
_AROUND = 200  # bytes on either side of a wrong one, from which its encoding is guessed


def characters(file: InputFile, check: Callable[[], None] = nothing) -> Iterator[str]:
    """The text in pieces of any length; memory is one block.

    Raises:
        InputError: bytes that are not UTF-8 (with line and byte), UTF-16, no text at all, a damaged file.
    """
    if head(file).startswith(PARQUET):
        raise InputError(f"{file.name} is Parquet, not plain text; give the text alone, as a file of text.")
    decoder = codecs.getincrementaldecoder("utf-8")()
    place, begun = _Place(), False
    returned = ""  # a carriage return whose line feed may stand in the next block
    for block in blocks(file):
        check()
        if not place.byte:
            refuse_utf16(block[:4096], file.name)
        try:
            text = returned + decoder.decode(block)
        except UnicodeDecodeError as error:
            raise place.wrong(file.name, error) from None
        if text and not begun:
            text, begun = text.removeprefix(_BYTE_ORDER_MARK), True
        place.pass_over(block, len(decoder.getstate()[0]))
        returned = "\r" if text.endswith("\r") else ""
        yield text.removesuffix(returned).replace("\r\n", "\n")
    yield returned
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise place.wrong(file.name, error) from None


@dataclass
class _Place:
    """How far a file has been decoded, for errors.

    ``byte`` bytes have been given to the decoder, which has kept the last ``kept`` of them, the beginning of a
    character. They are in line number ``line``, which begins at byte ``line_byte``.
    """

    byte: int = 0
    kept: int = 0
    line: int = 1
    line_byte: int = 0

    def pass_over(self, block: bytes, kept: int) -> None:
        """A block has been decoded."""
        feeds = block.count(b"\n")
        if feeds:
            self.line += feeds
            self.line_byte = self.byte + block.rfind(b"\n") + 1
        self.byte += len(block)
        self.kept = kept

    def wrong(self, name: str, error: UnicodeDecodeError) -> InputError:
        """What to say of a byte; ``error.object`` begins with what was kept of the block before."""
        first = self.byte - self.kept
        before = error.object[: error.start]
        number = self.line + before.count(b"\n")
        start = first + before.rfind(b"\n") + 1 if b"\n" in before else self.line_byte
        around = error.object[max(0, error.start - _AROUND) : error.start + _AROUND]
        return not_utf8(name, number, start, first + error.start - start, around, error)


@dataclass(frozen=True)
class TextSurvey:
    """What is in a text. ``words`` is what stands between white space; ``sha256`` is of the text in UTF-8."""

    characters: int
    bytes: int
    lines: int
    words: int
    distinct: int
    sha256: str

    def sentence(self, name: str) -> str:
        """For a person."""
        return (
            f"{name}: {self.characters:,} characters ({self.distinct:,} different ones), {self.lines:,} lines, "
            f"about {self.words:,} words"
        )


def survey_text(text: Iterable[str]) -> TextSurvey:
    """One pass over a text; memory is one block, and one entry for each different character."""
    length = size = lines = words = 0
    distinct: set[str] = set()
    digest = hashlib.sha256()
    for part in text:
        content = part.encode()
        digest.update(content)
        length, size = length + len(part), size + len(content)
        lines += part.count("\n")
        words += len(part.split())
        distinct.update(part)
    return TextSurvey(length, size, lines, words, len(distinct), digest.hexdigest())


def span(text: Iterable[str], start: int, stop: int) -> Iterator[str]:
    """The characters from number ``start`` to before number ``stop``."""
    at = 0
    for part in text:
        if at >= stop:
            return
        if at + len(part) > start:
            yield part[max(0, start - at) : stop - at]
        at += len(part)


def parts(text: Iterable[str], most: int = PART_CHARACTERS) -> Iterator[str]:
    """The text in parts of at most ``most`` characters, which depend on the text alone, not on its blocks.

    A part ends behind a line break, or else before a blank, or else anywhere, but not before a combining mark.
    """
    held, at = "", 0
    for block in text:
        held, at = held[at:] + block, 0
        while len(held) - at > most:
            end = _end_of_part(held, at, most)
            yield held[at:end]
            at = end
    if at < len(held):
        yield held[at:]


def _end_of_part(text: str, start: int, most: int) -> int:
    line = text.rfind("\n", start, start + most)
    if line >= start:
        return line + 1
    blank = text.rfind(" ", start + 1, start + most)
    if blank > start:
        return blank
    end = start + most
    while end > start + 1 and unicodedata.combining(text[end]):
        end -= 1
    return end


def held_out_from(length: int, share: float, most: int) -> int:
    """The number of the first character that is held out, when the last ``share`` of ``length`` is to be.

    At most ``most`` are; and where any is wanted, at least one is held out and at least one is left.
    """
    if not share or length < 2:
        return length
    start = max(int(length * (1 - share)), length - most)
    return min(max(start, 1), length - 1)
