"""Labels that mark spans: B-PER begins one, I-PER goes on, O is outside (Ramshaw and Marcus 1995).

With E- for the last token of a span and S- for a span of one token it is BIOES; L- and U- are other names for those.
"""

import re
from collections.abc import Collection, Iterable
from typing import Literal

Scheme = Literal["none", "bio", "bioes"]
OUTSIDE = "O"

_MARKED = re.compile(r"([BIESLU])-(.+)")
_SAME = {"L": "E", "U": "S"}


def parts(label: str) -> tuple[str, str]:
    """The mark of a label (B, I, E, S or O) and the type of its span; a label that marks nothing is outside."""
    found = _MARKED.fullmatch(label)
    return (_SAME.get(found[1], found[1]), found[2]) if found else (OUTSIDE, "")


def scheme_of(labels: Collection[str]) -> Scheme:
    """Whether labels mark spans: all but O have a mark, and some has one that begins or continues a span."""
    marks = {parts(label)[0] for label in labels if label != OUTSIDE}
    if not marks or OUTSIDE in marks or not marks & {"B", "I", "S"}:
        return "none"
    return "bioes" if marks & {"E", "S"} else "bio"


def may_follow(before: str | None, label: str | None, scheme: Scheme) -> bool:
    """Whether a label may stand behind another; None: the sentence begins (``before``) or ends (``label``) there."""
    if scheme == "none":
        return True
    old, old_type = (OUTSIDE, "") if before is None else parts(before)
    new, new_type = (OUTSIDE, "") if label is None else parts(label)
    inside = old in ("B", "I")
    if new in ("I", "E"):
        return inside and old_type == new_type
    # In BIO a span ends where it is not continued; in BIOES an E- or S- has to end it.
    return scheme == "bio" or not inside


def keeps_rules(sentences: Iterable[Iterable[str]], scheme: Scheme) -> bool:
    """Whether every label in some sentences may stand where it does."""
    followed: set[tuple[str | None, str | None]] = set()
    for labels in sentences:
        before: str | None = None
        for label in labels:
            followed.add((before, label))
            before = label
        followed.add((before, None))
    return all(may_follow(before, label, scheme) for before, label in followed)
