"""A heat map made of text, for a terminal of any width, with colour or without.

Target rows, source columns. Labels of columns hang on lines like flags on a staircase, so that every script
stays upright; columns of one character each have them directly above. Long sentences fold into several blocks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from seq2see.text.visible import visible
from seq2see.viewing.grid import (
    CAVEAT,
    Grid,
    Label,
    grid,
    probability,
    right_to_left,
    shown_piece,
    word_groups,
    word_texts,
)
from seq2see.viewing.palette import DARK, DARK_256, Colour, contrast, shade
from seq2see.viewing.record import Record

MOST_WIDTH = 240
LEAST_WIDTH = 24
CELL = 2  # width of a column
_PROBABILITY = 6
_LEVELS = (0.05, 0.25, 0.5, 0.75)  # of the darkest shade; below the first there is next to nothing
_LEFT_TO_RIGHT = "\u200e"  # after a right-to-left label, so that a terminal that reorders leaves the row alone
_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class _Style:
    """How things are written: characters, and escape codes or none."""

    shades: Sequence[str]
    corner: str
    line: str
    cut: str
    colour: bool
    truecolour: bool

    def faint(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[22m" if self.colour and text else text

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[22m" if self.colour and text else text


_UNICODE = (("· ", "░░", "▒▒", "▓▓", "██"), "┌─ ", "│ ", "…")
_ASCII = (("  ", "..", "++", "%%", "##"), ",- ", "| ", "~")


def heat_map(
    record: Record,
    *,
    words: bool = True,
    layer: int | None = None,
    head: int | None = None,
    width: int = 80,
    colour: bool = False,
    unicode: bool = True,
    kind: str = "cross",
    truecolour: bool = False,
) -> str:
    """The attention of a record as lines of text, none wider than ``width`` cells (at least 24); no newline at the end.

    Args:
        record: what to show. Without attention to the source: words with their probabilities and runners-up; of
            labels for tokens, each beside its token, and then what the tokens looked at.
        words: merge sub-words to words.
        layer, head: which ones, counted from 1; None: their mean.
        colour: use escape codes for 256 colours, or with ``truecolour`` for all; without, shades of grey characters.
        unicode: False: nothing but ASCII in the drawing itself (texts stay what they are).
        kind: ``"cross"``, ``"encoder"`` or ``"decoder"``.

    Raises:
        InputError: the record has no such attention, layer or head.
    """
    style = _Style(*(_UNICODE if unicode else _ASCII), colour, truecolour)
    width = max(LEAST_WIDTH, min(width, MOST_WIDTH))
    if kind == "cross" and record.task == "tag":
        return "\n".join(_in_step(record, layer, head, width, style))
    if kind == "cross" and "cross" not in record.attention:
        return "\n".join(_without_attention(record, words, layer, head, width, style))
    return "\n".join(_map(record, grid(record, kind=kind, words=words, layer=layer, head=head), width, style))


def _map(record: Record, shown: Grid, width: int, style: _Style) -> list[str]:
    """The map itself, what its signs mean, and what else is to be said."""
    lines = [*folded(f"{visible(record.model)}: {shown.title}", width), ""]
    full = _full(shown)
    for start, stop in _blocks(shown, width):
        lines += _block(shown, start, stop, width, full, style)
        lines.append("")
    lines += [style.faint(line) for line in _legend(shown, full, width, style)]
    lines += [style.faint(line) for line in (*_closing(record, width), *folded(CAVEAT, width))]
    return [line.rstrip() if not style.colour else line for line in lines]


def _full(shown: Grid) -> float:
    """The weight of the darkest shade: the largest, ``<eos>`` and the like aside, lest they swamp the map."""
    plain = [
        weight for row in shown.weights for weight, column in zip(row, shown.columns, strict=True) if not column.special
    ]
    return max(plain, default=0.0) or max((weight for row in shown.weights for weight in row), default=0.0) or 1.0


def _label_width(shown: Grid, width: int) -> int:
    return min(max((cell_len(label.text) for label in shown.rows), default=0), max(6, width // 4))


def _upright(shown: Grid) -> bool:
    """Whether every column's label fits right above its column."""
    return all(column.special or cell_len(column.text) <= CELL for column in shown.columns)


def _blocks(shown: Grid, width: int) -> Iterator[tuple[int, int]]:
    """Runs of columns that fit side by side, of about equal size."""
    room = width - _label_width(shown, width) - 1 - (_PROBABILITY if shown.probabilities else 0)
    if not _upright(shown):
        # The last label needs a place to the right of its line, wherever its column is.
        longest = min(max((cell_len(column.text) for column in shown.columns), default=0), 12)
        spare = _PROBABILITY if shown.probabilities else 0
        room = min(room, room + spare - longest - 1)
    most = max(1, room // CELL)
    columns = len(shown.columns)
    blocks = max(1, -(-columns // most))
    for block in range(blocks):
        yield block * columns // blocks, (block + 1) * columns // blocks


def _block(shown: Grid, start: int, stop: int, width: int, full: float, style: _Style) -> Iterator[str]:
    """Column labels and rows of one run of columns."""
    side = _label_width(shown, width)
    columns = shown.columns[start:stop]
    if stop - start < len(shown.columns):
        unit = "columns" if len(columns) > 1 else "column"
        numbers = f"{start + 1}-{stop}" if len(columns) > 1 else str(stop)
        yield style.faint(set_cell_size(f"{unit} {numbers} of {len(shown.columns)}", width).rstrip())
    if _upright(shown):
        yield " " * (side + 1) + "".join(_above(column, style) for column in columns)
    else:
        for at, column in enumerate(columns):
            lines = style.faint(style.line * at + style.corner)
            room = width - side - 1 - CELL * at - len(style.corner)
            yield " " * (side + 1) + lines + _named(column, room, style)
    for number, label in enumerate(shown.rows):
        cells = "".join(
            _cell(weight, full, label.special or column.special, style)
            for weight, column in zip(shown.weights[number][start:stop], columns, strict=True)
        )
        chance = _percent(shown.probabilities[number]).rjust(_PROBABILITY) if shown.probabilities else ""
        likely = (
            style.bold(chance) if shown.probabilities and shown.probabilities[number] < 0.5 else style.faint(chance)
        )
        yield _named(label, side, style, right=True) + " " + cells + likely


def _above(column: Label, style: _Style) -> str:
    if column.special:
        return style.faint("<>")
    mark = _LEFT_TO_RIGHT if right_to_left(column.text) else ""
    return set_cell_size(column.text, CELL) + mark


def _named(label: Label, room: int, style: _Style, *, right: bool = False) -> str:
    text = _fitted(label.text, room, style)
    padding = " " * (room - cell_len(text)) if right else ""
    if right_to_left(text):
        text += _LEFT_TO_RIGHT
    return padding + (style.faint(text) if label.special else text)


def _fitted(text: str, room: int, style: _Style) -> str:
    """The text, cut with a sign if it is wider than ``room`` cells."""
    if cell_len(text) <= room:
        return text
    return set_cell_size(text, max(0, room - 1)).rstrip() + style.cut if room > 0 else ""


def _cell(weight: float, full: float, dimmed: bool, style: _Style) -> str:
    share = min(1.0, weight / full)
    if not style.colour:
        return style.shades[sum(share >= level for level in _LEVELS)]
    strength = share * 0.45 if dimmed else share
    colour = shade(DARK, strength)
    bright = contrast(_BLACK, colour) < contrast(_WHITE, colour)
    digits = f"{min(99, round(100 * weight)):2}" if weight >= 0.095 else "  "
    if style.truecolour:
        ink = _WHITE if bright else _BLACK
        codes = f"48;2;{colour[0]};{colour[1]};{colour[2]};38;2;{ink[0]};{ink[1]};{ink[2]}"
    else:
        codes = f"48;5;{DARK_256[round(strength * (len(DARK_256) - 1))]};38;5;{231 if bright else 16}"
    return f"\x1b[{codes}m{digits}\x1b[39;49m"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.005 else "<1%"


def _legend(shown: Grid, full: float, width: int, style: _Style) -> list[str]:
    largest = _percent(full)
    if style.colour:
        cells = f"numbers: per cent (99: 99 or more; none: under 10); brightest: {largest}, the largest"
    else:
        steps = [_percent(level * full).rstrip("%") for level in _LEVELS]
        names = [f"{mark} {step}" for mark, step in zip(style.shades[1:], steps, strict=True)]
        cells = f"shades, from so many per cent on: {', '.join(names)}; the largest is {largest}"
    parts = [cells]
    if _upright(shown) and any(column.special for column in shown.columns):
        parts.append(f"<>: {', '.join(dict.fromkeys(c.text for c in shown.columns if c.special))}")
    if shown.right_to_left:
        parts.append("columns in reading order: the first word stands left")
    if shown.probabilities:
        parts.append("right: how sure the model was")
    return [line for part in parts for line in folded(part, width)]


def _closing(record: Record, width: int) -> Iterator[str]:
    if record.log_probs:
        how = "given and scored" if record.given else "found"
        each = 100 * probability(sum(record.log_probs) / len(record.log_probs))
        score = f", score {record.score:.4g}" if record.score is not None else ""
        yield from folded(
            f"target {how}: log-probability {sum(record.log_probs):.4g} ({each:.0f}% a piece){score}", width
        )
    if record.signature:
        yield from folded(f"search: {visible(record.signature)}", width)
    for note in record.notes:
        yield from folded(visible(note), width)


def folded(text: str, width: int) -> list[str]:
    """Text in lines of at most ``width`` cells, cut at blanks where there are any."""
    lines, line = [], ""
    for word in text.split(" "):
        while cell_len(word) > width:
            head = set_cell_size(word, width).rstrip() or word[:1]
            lines += [line] if line else []
            line, word = "", word[len(head) :]
            lines.append(head)
        if line and cell_len(line) + 1 + cell_len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line] if line else lines


def _in_step(record: Record, layer: int | None, head: int | None, width: int, style: _Style) -> Iterator[str]:
    """Each token with its label, how sure the model was, and what came next; a Transformer's attention below."""
    yield from folded(f"{visible(record.model)}: each token with its label and how sure the model was of it", width)
    yield ""
    tokens, labels = ([Label(shown_piece(piece)) for piece in side.pieces] for side in (record.source, record.target))
    room, beside = (min(max(cell_len(each.text) for each in column), width // 3) for column in (tokens, labels))
    for token, label, chosen in zip(tokens, labels, record.predictions, strict=True):
        chance = f"{_percent(probability(chosen.log_prob)):>{_PROBABILITY}}"
        runners = ", ".join(
            f"{shown_piece(piece)} {_percent(probability(log_prob))}" for piece, log_prob in chosen.runners_up[:3]
        )
        rest = _fitted(chance + (f"  not {runners}" if runners else ""), width - room - beside - 2, style)
        named = _fitted(label.text, beside, style)
        padding = " " * (beside - cell_len(named))
        yield f"{_named(token, room, style, right=True)}  {named}{padding}{style.faint(rest)}".rstrip()
    yield ""
    if "encoder" in record.attention:
        yield from _map(record, grid(record, kind="encoder", words=False, layer=layer, head=head), width, style)
    else:
        yield from _closing(record, width)


def _without_attention(
    record: Record, words: bool, layer: int | None, head: int | None, width: int, style: _Style
) -> Iterator[str]:
    """The words of the target, how sure the model was of each, and what came next to it.

    Of a text with hidden pieces, what a Transformer's pieces looked at stands below.
    """
    what = "each piece of the text, how likely it was, and what else was likely"
    if record.task not in ("lm", "masked"):
        what = "a model without attention from target to source; no map to draw"
    yield from folded(f"{visible(record.model)}: {what}", width)
    yield ""
    side = record.target
    groups = word_groups(side) if words else tuple((piece,) for piece in range(len(side.pieces)))
    texts = word_texts(side, groups) if words else side.pieces
    labels = [Label(shown_piece(text), side.special[group[0]]) for text, group in zip(texts, groups, strict=True)]
    room = min(max((cell_len(label.text) for label in labels), default=0), max(6, width // 2))
    for label, group in zip(labels, groups, strict=True):
        chance = _percent(probability(sum(record.log_probs[piece] for piece in group)))
        runners = record.predictions[group[0]].runners_up[:3] if len(group) == 1 else ()
        others = ", ".join(f"{shown_piece(piece)} {_percent(probability(log_prob))}" for piece, log_prob in runners)
        line = f"{chance:>{_PROBABILITY}}" + (f"  not {others}" if others else "")
        yield _named(label, room, style, right=True) + style.faint(_fitted(line, width - room, style))
    yield ""
    if record.task == "masked" and "encoder" in record.attention:
        yield from _map(record, grid(record, kind="encoder", words=words, layer=layer, head=head), width, style)
    else:
        yield from _closing(record, width)
