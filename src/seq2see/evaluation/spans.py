"""Spans in a row of labels, by the rules of conlleval, the script of the CoNLL shared tasks.

The rules are lenient: a label that cannot stand where it is, such as I-PER after O, begins a span all the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

from seq2see.data.label_scheme import OUTSIDE, parts


class Span(NamedTuple):
    """Tokens ``start`` to before ``stop``, of a ``type``."""

    start: int
    stop: int
    type: str


def spans_of(labels: Sequence[str]) -> list[Span]:
    """The spans of a sentence in BIO (either kind) or BIOES, in order."""
    found: list[Span] = []
    start = -1  # of the span that is open; -1: none
    before, before_type = OUTSIDE, ""
    for place, label in enumerate([*labels, OUTSIDE]):
        mark, kind = parts(label)
        if start >= 0 and _ends(before, mark, before_type, kind):
            found.append(Span(start, place, before_type))
            start = -1
        if _begins(before, mark, before_type, kind):
            start = place
        before, before_type = mark, kind
    return found


def _ends(before: str, mark: str, before_type: str, kind: str) -> bool:
    """Whether the span of the token before ends there (conlleval: endOfChunk)."""
    if before in ("E", "S") or (before != OUTSIDE and before_type != kind):
        return True
    return before in ("B", "I") and mark in ("B", "S", OUTSIDE)


def _begins(before: str, mark: str, before_type: str, kind: str) -> bool:
    """Whether a span begins at this token (conlleval: startOfChunk)."""
    if mark in ("B", "S") or (mark != OUTSIDE and before_type != kind):
        return True
    return mark in ("E", "I") and before in ("E", "S", OUTSIDE)
