"""Records whose attention is known because it was put there."""

import math
import re
from collections.abc import Sequence

from seq2see.viewing.record import Record, Rows, Side

EOS = "<eos>"


def side(*words: str, cut: int = 0, end: bool = True, gap: str = " ") -> Side:
    """A side of ``words`` joined by ``gap``, each cut into pieces of ``cut`` characters (0: not cut), and ``<eos>``."""
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    marks: list[tuple[int, int]] = []
    start = 0
    for word in words:
        for at in range(0, len(word), cut or max(1, len(word))):
            piece = word[at : at + cut] if cut else word
            pieces.append(piece)
            spans.append((start + at, start + at + len(piece)))
        marks.append((start, start + len(word)))
        start += len(word) + len(gap)
    text = gap.join(words)
    if end:
        pieces.append(EOS)
        spans.append((len(text), len(text)))
    special = tuple(piece == EOS for piece in pieces)
    return Side(text, tuple(pieces), tuple(spans), tuple(marks), special)


def sentence(text: str, *, cut: int = 0) -> Side:
    """A side of the words and punctuation marks of a text that has single blanks, cut as :func:`side` cuts."""
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    marks = [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]
    for start, stop in marks:
        for at in range(start, stop, cut or max(1, stop - start)):
            end = min(stop, at + cut) if cut else stop
            pieces.append(text[at:end])
            spans.append((at, end))
    special = (*(False for _ in pieces), True)
    return Side(text, (*pieces, EOS), (*spans, (len(text), len(text))), tuple(marks), special)


def peaked(peaks: Sequence[int], columns: int, share: float = 0.9) -> Rows:
    """A row for each peak: ``share`` of the weight there, the rest spread evenly over the other columns."""
    rest = (1 - share) / (columns - 1) if columns > 1 else 0.0
    top = share if columns > 1 else 1.0
    return tuple(tuple(top if column == peak else rest for column in range(columns)) for peak in peaks)


def record(source: Side, target: Side, *heads: Rows, **others: object) -> Record:
    """A record with one layer of the given cross-attention heads; every target piece has probability 0.8."""
    filled: dict[str, object] = {
        "task": "translate",
        "model": "planted",
        "source": source,
        "target": target,
        "attention": {"cross": (heads,)} if heads else {},
        "log_probs": tuple(math.log(0.8) for _ in target.pieces),
        **others,
    }
    return Record(**filled)  # type: ignore[arg-type]


def reversal(*words: str, cut: int = 0, share: float = 0.9) -> Record:
    """Words reversed one for one: each target piece looks at its source piece, ``<eos>`` at ``<eos>``."""
    source = side(*words, cut=cut)
    target = side(*reversed(words), cut=cut)
    size = len(source.pieces)
    reading = {span: piece for piece, span in enumerate(source.spans)}
    length = len(source.text)
    peaks = []
    for start, stop in target.spans[:-1]:
        word = next(mark for mark in target.words if mark[0] <= start and stop <= mark[1])
        origin = length - word[1]  # the same word, from the other end of the text
        peaks.append(reading[origin + start - word[0], origin + stop - word[0]])
    return record(source, target, peaked([*peaks, size - 1], size, share))
