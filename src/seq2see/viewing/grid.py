"""From a record to one table of weights with its labels: which heads, which layers, words or pieces.

L layers · H heads · T target pieces · S source pieces
"""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import TypeVar

from seq2see.errors import InputError
from seq2see.text.visible import visible
from seq2see.text.words import group_pieces, joined_words
from seq2see.viewing.record import KINDS, Record, Rows, Side, Span, Weights

Groups = tuple[tuple[int, ...], ...]
Part = TypeVar("Part")
START = "<sos>"
CAVEAT = "Attention shows where the model looked, not why it answered as it did."
_CIRCLE = "\u25cc"
_NO_LETTERS = " ›"  # what a piece's first mark stands after: its beginning, or the label of a byte
TITLES = {
    "cross": "target looks at source",
    "encoder": "source looks at source (encoder)",
    "decoder": "target looks at target (decoder)",
}


@dataclass(frozen=True)
class Label:
    """What stands at a row or column: text that is safe to show, and whether it is a piece such as ``<eos>``."""

    text: str
    special: bool = False


@dataclass(frozen=True)
class Grid:
    """Weights as they are drawn: one row for each thing that looks, one column for each that is looked at.

    ``probabilities`` are those of the rows where rows are target words, else empty. ``title`` says what was
    averaged. ``right_to_left`` tells whether the columns' text runs that way.
    """

    title: str
    rows: tuple[Label, ...]
    columns: tuple[Label, ...]
    weights: Rows
    probabilities: tuple[float, ...]
    right_to_left: bool


def right_to_left(text: str) -> bool:
    """Whether the first letter with a direction runs right to left (Unicode UAX #9, rules P2 and P3)."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def shown_piece(piece: str) -> str:
    """A piece as a label: nothing invisible, nothing that acts, never empty.

    Blanks at its ends are ``␣``. A combining mark without a letter stands on the dotted circle that is made for it.
    """
    text = visible(piece)
    inside = text.strip(" ")
    if not inside:
        return "␣" * len(text) or "∅"
    carried = "".join(
        _CIRCLE + each if unicodedata.category(each)[0] == "M" and before in _NO_LETTERS else each
        for before, each in pairwise(f" {inside}")
    )
    return "␣" * (len(text) - len(text.lstrip(" "))) + carried + "␣" * (len(text) - len(text.rstrip(" ")))


def piece_labels(side: Side) -> tuple[Label, ...]:
    """One label for each piece."""
    return tuple(Label(shown_piece(piece), special) for piece, special in zip(side.pieces, side.special, strict=True))


def word_groups(side: Side) -> Groups:
    """The pieces of each word, in order; every piece is in exactly one group, so that no weight is lost.

    A special piece stands alone. A piece in no word (white space, say) goes with the word after it, or with the
    last one. Words that share a piece are one.
    """
    owners = _owners(side, joined_words(side.spans, side.words))
    return tuple(tuple(run) for _, run in groupby(range(len(owners)), key=owners.__getitem__))


def _owners(side: Side, words: Sequence[Span]) -> list[int | None]:
    """The number of each piece's word; special pieces have numbers below zero, None is for pieces without any word."""
    owners: list[int | None] = [None] * len(side.pieces)
    for word, pieces in enumerate(group_pieces(side.spans, words)):
        for piece in pieces:
            owners[piece] = word
    for order in (range(len(owners) - 1, -1, -1), range(len(owners))):
        near: int | None = None
        for piece in order:
            if side.special[piece]:
                owners[piece], near = -1 - piece, None
            elif owners[piece] is None:
                owners[piece] = near
            else:
                near = owners[piece]
    return owners


def word_spans_of(side: Side, groups: Groups) -> tuple[Span, ...]:
    """Where each group of :func:`word_groups` stands in the side's text."""
    words = joined_words(side.spans, side.words)
    owners = _owners(side, words)
    spans = []
    for group in groups:
        owner = owners[group[0]]
        spans.append(side.spans[group[0]] if owner is None or owner < 0 else words[owner])
    return tuple(spans)


def word_texts(side: Side, groups: Groups) -> tuple[str, ...]:
    """The text of each group of :func:`word_groups`, as it stands in the sentence; special pieces keep their names."""
    return tuple(
        (not side.special[group[0]] and side.text[start:end]) or "".join(side.pieces[piece] for piece in group)
        for group, (start, end) in zip(groups, word_spans_of(side, groups), strict=True)
    )


def read_groups(groups: Groups) -> Groups:
    """The groups of what a decoder had read: ``<sos>`` first, each piece one place later, the last never read."""
    last = max((piece for group in groups for piece in group), default=-1)
    later = (tuple(piece + 1 for piece in group if piece < last) for group in groups)
    return ((0,), *(group for group in later if group)) if last >= 0 else ()


def merged_rows(rows: Rows, looking: Groups, looked_at: Groups) -> Rows:
    """Weights between words: averaged over the pieces of a word that looks, added over those of one looked at."""
    return tuple(
        tuple(sum(rows[row][column] for row in group for column in columns) / len(group) for columns in looked_at)
        for group in looking
    )


def merged(record: Record, words: bool = True) -> Record:
    """The record with words for pieces; with ``words=False``, the record itself.

    Attention is added over the pieces of a word that is looked at and averaged over the pieces of a word that
    looks; log-probabilities are added. Runners-up stay with words of one piece. Traces belong to pieces and are
    left out, and so is the decoder's attention to itself where the last word broke off between two pieces.
    """
    if not words:
        return record
    sources, targets = word_groups(record.source), word_groups(record.target)
    read = read_groups(targets)
    between = {"cross": (targets, sources), "encoder": (sources, sources), "decoder": (targets, read)}
    runners_up = record.runners_up or ((),) * len(record.target.pieces)
    return replace(
        record,
        source=_merged_side(record.source, sources),
        target=_merged_side(record.target, targets),
        attention={
            kind: tuple(tuple(merged_rows(head, *between[kind]) for head in layer) for layer in weights)
            for kind, weights in record.attention.items()
            if kind != "decoder" or len(read) == len(targets)
        },
        log_probs=tuple(sum(record.log_probs[piece] for piece in group) for group in targets),
        runners_up=tuple(runners_up[group[0]] if len(group) == 1 else () for group in targets),
        traces={},
    )


def _merged_side(side: Side, groups: Groups) -> Side:
    spans = word_spans_of(side, groups)
    special = tuple(side.special[group[0]] for group in groups)
    return Side(side.text, word_texts(side, groups), spans, side.words, special)


def averaged(record: Record, kind: str = "cross", *, layer: int | None = None, head: int | None = None) -> Rows:
    """The weights of one kind, averaged over layers and heads, or of the chosen ones. Both count from 1.

    Raises:
        InputError: the record has no such attention, layer or head; the message says which there are.
    """
    if kind not in KINDS:
        raise InputError(f"attention {kind!r} is unknown; there are {', '.join(KINDS)}")
    weights = record.attention.get(kind)
    if weights is None:
        has = ", ".join(record.attention) or "none: a model without attention, of which text, page and record show more"
        raise InputError(f"the record has no {kind} attention; it has {has}")
    heads = [matrix for each in _chosen("layer", weights, layer) for matrix in _chosen("head", each, head)]
    if len(heads) == 1:
        return heads[0]
    return tuple(
        tuple(sum(column) / len(heads) for column in zip(*same_row, strict=True))
        for same_row in zip(*heads, strict=True)
    )


def _chosen(what: str, parts: Sequence[Part], number: int | None) -> Sequence[Part]:
    if number is None:
        return parts
    if not 1 <= number <= len(parts):
        raise InputError(f"{what} {number} was asked for; this attention has {what}s 1 to {len(parts)}")
    return parts[number - 1 : number]


def grid(
    record: Record, *, kind: str = "cross", words: bool = True, layer: int | None = None, head: int | None = None
) -> Grid:
    """What a view draws: averaged or chosen weights, merged to words or not, with labels that are safe to show.

    Raises:
        InputError: the record has no such attention, layer or head.
    """
    rows = averaged(record, kind, layer=layer, head=head)
    looking = record.source if kind == "encoder" else record.target
    looked_at = record.target if kind == "decoder" else record.source
    row_groups, column_groups = _groups(looking, words), _groups(looked_at, words)
    row_labels, column_labels = _labels(looking, row_groups, words), _labels(looked_at, column_groups, words)
    if kind == "decoder":
        column_groups = read_groups(column_groups)
        column_labels = (Label(START, True), *column_labels)[: len(column_groups)]
    log_probs = [sum(record.log_probs[piece] for piece in group) for group in _groups(record.target, words)]
    return Grid(
        title=_title(record.attention[kind], kind, layer, head),
        rows=row_labels,
        columns=column_labels,
        weights=merged_rows(rows, row_groups, column_groups),
        probabilities=() if kind == "encoder" else tuple(probability(log_prob) for log_prob in log_probs),
        right_to_left=right_to_left(looked_at.text),
    )


def probability(log_prob: float) -> float:
    """e to the power of a log-probability; rounding may not make it more than 1."""
    return math.exp(min(0.0, log_prob))


def _groups(side: Side, words: bool) -> Groups:
    return word_groups(side) if words else tuple((piece,) for piece in range(len(side.pieces)))


def _labels(side: Side, groups: Groups, words: bool) -> tuple[Label, ...]:
    if not words:
        return piece_labels(side)
    texts = word_texts(side, groups)
    return tuple(Label(shown_piece(text), side.special[group[0]]) for text, group in zip(texts, groups, strict=True))


def _title(weights: Weights, kind: str, layer: int | None, head: int | None) -> str:
    layers, heads = len(weights), len(weights[0])
    parts = [TITLES[kind]]
    if layers > 1:
        parts.append(f"mean of {layers} layers" if layer is None else f"layer {layer} of {layers}")
    if heads > 1:
        parts.append(f"mean of {heads} heads" if head is None else f"head {head} of {heads}")
    return ", ".join(parts)
