r"""Lines of UTF-8 text. Only ``\n`` and ``\r\n`` end a line.

U+2028, U+0085, vertical tab, file separator, NUL and a lone carriage return stay inside their sentence, so
that the number of lines is the number of ``\n`` and files that belong together stay together.
"""

import re
from collections.abc import Callable, Generator, Iterator

from seq2see.data.streams import InputFile, blocks, nothing
from seq2see.errors import InputError

MAX_LINE_BYTES = 1_000_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def lines(
    file: InputFile, max_line_bytes: int, check: Callable[[], None] = nothing
) -> Generator[tuple[int, str | None], None, None]:
    """Line numbers from 1 and the lines without their ends; None for a line of more than ``max_line_bytes``.

    Over-long lines are never held in memory. A byte order mark at the start is left out.

    Raises:
        InputError: bytes that are not UTF-8 (with line and byte), UTF-16, no text at all, a damaged file.
    """
    return decoded(blocks(file), file.name, max_line_bytes, check)


def decoded(
    content: Iterator[bytes], name: str, max_line_bytes: int, check: Callable[[], None] = nothing
) -> Generator[tuple[int, str | None], None, None]:
    """Like `lines`, from blocks of bytes."""
    for number, start, line in _split(content, name, max_line_bytes, check):
        if line is None:
            yield number, None
            continue
        if number == 1 and line.startswith(BYTE_ORDER_MARK):
            line = line[len(BYTE_ORDER_MARK) :]
        try:
            yield number, line.decode()
        except UnicodeDecodeError as error:
            around = line[max(0, error.start - 200) : error.start + 200]
            raise not_utf8(name, number, start, error.start, around, error) from None


def _split(
    content: Iterator[bytes], name: str, most: int, check: Callable[[], None]
) -> Iterator[tuple[int, int, bytes | None]]:
    number, start, rest, lost = 0, 0, b"", 0
    for block in content:
        check()
        if not (number or rest or lost):
            refuse_utf16(block[:4096], name)
        parts = block.split(b"\n")
        if rest:
            parts[0] = rest + parts[0]
        rest = parts.pop()
        for part in parts:
            number += 1
            size = lost + len(part)
            yield number, start, None if size > most else part[:-1] if part.endswith(b"\r") else part
            start += size + 1
            lost = 0
        if lost or len(rest) > most:
            lost += len(rest)
            rest = b""
    if rest or lost:
        yield number + 1, start, None if lost else rest


def refuse_utf16(start: bytes, name: str) -> None:
    """Raise InputError if the first bytes of a text are UTF-16."""
    marked = start.startswith((b"\xff\xfe", b"\xfe\xff"))
    first, second = start[0::2].count(0), start[1::2].count(0)
    patterned = len(start) >= 16 and max(first, second) * 4 > len(start) and min(first, second) == 0
    if marked or patterned:
        raise InputError(
            f"{name} is UTF-16, not UTF-8. Save it as UTF-8, for example: iconv -f UTF-16 -t UTF-8 IN > OUT"
        )


def not_utf8(name: str, number: int, start: int, place: int, around: bytes, error: UnicodeDecodeError) -> InputError:
    """What to say of bytes that are not UTF-8.

    Args:
        number: of the line, from 1; ``start`` is its first byte in the text, ``place`` the wrong one in the line.
        around: bytes near the wrong one, from which the encoding is guessed.
    """
    where = f"{name}, line {number:,}, byte {place + 1:,} of the line (byte {start + place + 1:,} of the text)"
    guess = _encoding_guess(around)
    advice = (
        f"It looks like {guess}: iconv -f {guess} -t UTF-8 IN > OUT"
        if guess
        else "Save the file as UTF-8, or repair that line."
    )
    return InputError(f"{where}: 0x{error.object[error.start]:02X} is not UTF-8 ({error.reason}). {advice}")


def _encoding_guess(around: bytes) -> str:
    """A modest guess: Korean in its old encoding, or Western European; else nothing."""
    high = re.findall(rb"[\x80-\xff]+", around)
    if high and all(len(run) % 2 == 0 for run in high[1:-1] or high):
        text = b"".join(run for run in high if len(run) % 2 == 0).decode("euc_kr", errors="replace")
        hangul = sum("가" <= letter <= "힣" for letter in text)
        if hangul * 2 > len(text):
            return "CP949"
    if high and all(len(run) <= 2 for run in high) and re.search(rb"[A-Za-z][\x80-\xff]|[\x80-\xff][A-Za-z]", around):
        return "ISO-8859-1"
    return ""
