"""Bytes as characters: the alphabet in which sub-words are learnt, the special pieces, the way back to text.

The ``tokenizers`` package works on characters. For pieces that may end inside a character, each of the 256
bytes is written as one visible character (Radford et al. 2019, section 2.2; the mapping is the one of GPT-2,
which the package's ``ByteLevel`` uses).
"""

import re
from collections.abc import Iterable

PAD, SOS, EOS, UNK = 0, 1, 2, 3
# A blank is in no byte-level piece (it is written "Ġ" there) and in no word, and a character is shorter than
# these names: no text can produce them, whatever the kind of tokeniser.
SPECIAL_NAMES = ("< pad >", "< sos >", "< eos >", "< unk >")
SPECIAL_SHOWN = ("<pad>", "<sos>", "<eos>", "<unk>")

_REPLACEMENT = "\ufffd"
_ESCAPED = re.compile("[\udc80-\udcff]")


def _byte_characters() -> tuple[str, ...]:
    """The character for each byte: itself where it is visible Latin-1, else the next one from U+0100 on."""
    visible = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    rest = (chr(0x100 + number) for number in range(256))
    return tuple(chr(byte) if byte in visible else next(rest) for byte in range(256))


BYTE_CHARACTERS = _byte_characters()
# What the package's byte fallback calls a byte of a character that is not in the vocabulary.
BYTE_NAMES = tuple(f"<0x{byte:02X}>" for byte in range(256))

_TO_ALPHABET = dict(enumerate(BYTE_CHARACTERS))
_TO_BYTE = {char: byte for byte, char in enumerate(BYTE_CHARACTERS)}


def in_alphabet(text: str) -> str:
    """``text`` with each byte of its UTF-8 form written as one character."""
    return text.encode().decode("latin-1").translate(_TO_ALPHABET)


def bytes_of(piece: str) -> bytes:
    """The bytes that a piece in the byte alphabet stands for. Raises KeyError for any other character."""
    return bytes([_TO_BYTE[char] for char in piece])


def escaped(data: bytes) -> str:
    """UTF-8 as text, with each byte that is part of no character as the lone surrogate U+DC00 + byte."""
    return data.decode("utf-8", "surrogateescape")


def unescaped(text: str) -> str:
    """:func:`escaped` text as real text: U+FFFD for each byte that is part of no character."""
    return text if text.isascii() else _ESCAPED.sub(_REPLACEMENT, text)


def legible(data: bytes) -> str:
    """The characters in ``data``; bytes that are part of no character as labels, such as ‹E2›."""
    return _ESCAPED.sub(lambda match: f"‹{ord(match.group()) - 0xDC00:02X}›", escaped(data))


def owners(text: str) -> list[int]:
    """For each byte of :func:`escaped` text, the number of the character it belongs to."""
    if text.isascii():
        return list(range(len(text)))
    numbers: list[int] = []
    for number, char in enumerate(text):
        numbers.extend([number] * _width(ord(char)))
    return numbers


def _width(code: int) -> int:
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:
        return 1
    if code < 0x800:
        return 2
    return 3 if code < 0x10000 else 4


def spans_of(lengths: Iterable[int], owner: list[int], end: int) -> tuple[tuple[int, int], ...]:
    """The characters that pieces of so many bytes cover, one after the other.

    A piece with a part of a character covers that character; a piece of no bytes (a special one) covers
    nothing, at the place reached so far.

    Args:
        lengths: bytes of each piece.
        owner: for each byte, the number of its character.
        end: number of characters in the text; no span goes beyond it.
    """
    spans = []
    at = reached = 0
    for length in lengths:
        if length:
            first, reached = owner[at], min(owner[at + length - 1] + 1, end)
            spans.append((first, reached))
            at += length
        else:
            spans.append((reached, reached))
    return tuple(spans)
