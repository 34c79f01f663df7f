"""Words as a reader sees them, and the pieces that make each: what a view shows when it merges sub-words.

A display rule, not linguistics: white space separates words; signs at the edges of a word stand by
themselves; scripts that write without spaces are cut where it is simple.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

# One letter for each class of characters. A text becomes a string of classes, and words are matches in it.
_WHITE, _MARK, _JOINER, _HAN, _KANA, _UNSPACED = " ", "m", "j", "h", "k", "u"
_LETTER, _DIGIT, _INNER, _BETWEEN_DIGITS, _PICTURE, _FLAG, _SIGN = "w", "d", "i", "n", "e", "f", "s"

_INNER_SIGNS = "'’ʼ.-‐‑·׳״"  # part of a word between letters or digits: don't, co-op, 3.14
_BETWEEN_DIGITS_SIGNS = ",:/"  # 1,000 and 12:30 and 3/4

_HAN_RANGES = ((0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
               (0xF900, 0xFAFF), (0x20000, 0x323AF))  # fmt: skip
_KANA_RANGES = ((0x3031, 0x3035), (0x3041, 0x3096), (0x309B, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x30FF),
                (0x31F0, 0x31FF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F))  # fmt: skip
# Thai and Lao, Myanmar, Khmer, New Tai Lue and Tai Tham, Myanmar and Tai Viet further on.
_UNSPACED_RANGES = ((0x0E01, 0x0EDF), (0x1000, 0x109F), (0x1780, 0x17D3), (0x1950, 0x19DF), (0x1A20, 0x1AAF),
                    (0xA9E0, 0xA9FF), (0xAA60, 0xAADF))  # fmt: skip

_WORD = re.compile(
    r"h[mj]*"
    r"|k[kmj]*"
    r"|u[umj]*"
    r"|[wd][wdmj]*(?:i[wd][wdmj]*|(?<=d)n(?=d)[wdmj]+)*"
    r"|ff[mj]*"
    r"|[ef]m*(?:jem*)*[mj]*"
    r"|[ins][mj]*"
    r"|[mj]+"
)


def word_spans(text: str) -> tuple[tuple[int, int], ...]:
    """(start, end) of each word in ``text``, in characters, in order and without overlap.

    Every character but white space (and the zero-width space) is in exactly one word. Each Han character is a
    word; so is a run of kana, of Thai, Lao, Khmer or Burmese letters, of one and the same sign (``...``), and
    an emoji of whatever length. Marks stay with the character they stand on.
    """
    classes = "".join(map(_class, text))
    spans: list[tuple[int, int]] = []
    for match in _WORD.finditer(classes):
        start, end = match.span()
        if spans and classes[start] in "ins" and _continues(text, spans[-1], start):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return tuple(spans)


def _continues(text: str, last: tuple[int, int], start: int) -> bool:
    """Whether the sign at ``start`` repeats the word before it."""
    return last[1] == start and text[last[0]] == text[start]


@lru_cache(maxsize=8_192)
def _class(char: str) -> str:
    code, category = ord(char), unicodedata.category(char)
    if char.isspace() or category in ("Zl", "Zp") or char == "\u200b":
        return _WHITE
    if char == "\u200d":
        return _JOINER
    if category[0] == "M" or category == "Cf" or 0x1F3FB <= code <= 0x1F3FF:
        return _MARK
    for ranges, name in ((_HAN_RANGES, _HAN), (_KANA_RANGES, _KANA), (_UNSPACED_RANGES, _UNSPACED)):
        if any(first <= code <= last for first, last in ranges) and category[0] in "LN":
            return name
    if char in _INNER_SIGNS:
        return _INNER
    if category[0] == "L" or category in ("Nl", "No", "Pc", "Co", "Cn"):
        return _LETTER
    if category == "Nd":
        return _DIGIT
    if 0x1F1E6 <= code <= 0x1F1FF:
        return _FLAG
    if category == "So":
        return _PICTURE
    return _BETWEEN_DIGITS if char in _BETWEEN_DIGITS_SIGNS else _SIGN


def group_pieces(spans: Sequence[tuple[int, int]], words: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """For each word, the numbers of the pieces that make it.

    A piece belongs to the word with which it shares most characters, the first of equals; a piece of white
    space only, to the word that follows (after the last word: to the last). A piece that covers nothing, as
    the special ones do, belongs to none. A word may have no piece, where one piece covers several words:
    :func:`joined_words` gives words that each have one.

    Args:
        spans: (start, end) of each piece, in order.
        words: (start, end) of each word, in order, without overlap.
    """
    groups: list[list[int]] = [[] for _ in words]
    first = 0  # words before this one end before the piece begins
    for number, (start, end) in enumerate(spans):
        if start == end or not words:
            continue
        while first < len(words) and words[first][1] <= start:
            first += 1
        groups[_most_shared(start, end, words, first)].append(number)
    return tuple(map(tuple, groups))


def _most_shared(start: int, end: int, words: Sequence[tuple[int, int]], first: int) -> int:
    best, most = min(first, len(words) - 1), 0
    for number in range(first, len(words)):
        if words[number][0] >= end:
            break
        shared = min(end, words[number][1]) - max(start, words[number][0])
        if shared > most:
            best, most = number, shared
    return best


def joined_words(spans: Sequence[tuple[int, int]], words: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """``words`` with those that share a piece made one, so that :func:`group_pieces` leaves none empty.

    Arguments as there; the pieces must cover all words.
    """
    joined: list[tuple[int, int]] = []
    shared_until = 0
    piece = 0
    for start, end in words:
        if joined and start < shared_until:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
        while piece < len(spans) and spans[piece][0] < end:
            shared_until = max(shared_until, spans[piece][1])
            piece += 1
    return tuple(joined)
