"""What each word of an answer looked at in a picture: one small map a word, and all of them as lines of text.

S places, row by row · T target pieces
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from seq2see.errors import InputError
from seq2see.text.visible import visible
from seq2see.viewing.grid import (
    CAVEAT,
    averaged,
    merged_rows,
    piece_labels,
    probability,
    shown_piece,
    word_groups,
    word_texts,
)
from seq2see.viewing.palette import DARK, DARK_256, shade
from seq2see.viewing.picture import Picture
from seq2see.viewing.record import Record, Rows
from seq2see.viewing.terminal import folded

LEAST_WIDTH, MOST_WIDTH = 24, 240
_SHADES, _ASCII = ("· ", "░░", "▒▒", "▓▓", "██"), ("  ", "..", "++", "%%", "##")
_LEVELS = (0.05, 0.25, 0.5, 0.75)  # of a map's largest weight; below the first there is next to nothing
_GAP = 2
GLOW = "#c026d3"  # over a picture: a colour that few pictures have
EVIDENCE = "The map shows which places speak for this class rather than for another, not why they do."


@dataclass(frozen=True)
class Panel:
    """One word of an answer: how sure the model was, and how much it looked at each place; no rows: nowhere."""

    label: str
    special: bool
    probability: float
    weights: Rows

    @property
    def largest(self) -> float:
        """The weight of the darkest shade."""
        return max((weight for row in self.weights for weight in row), default=0.0)


def picture_of(record: Record) -> Picture:
    """The record's picture; InputError where it has none."""
    if record.picture is None:
        raise InputError("this record is of a text; there is no picture in it to draw on")
    return record.picture


def caveat(record: Record) -> str:
    """What a reader must know of the maps."""
    return EVIDENCE if record.task == "classify" else CAVEAT


def panels(
    record: Record, *, words: bool = True, layer: int | None = None, head: int | None = None
) -> tuple[Panel, ...]:
    """A map for each word of the target, or for each piece; layers and heads are averaged, or one is chosen.

    Raises:
        InputError: no picture, or no such layer or head.
    """
    picture, target = picture_of(record), record.target
    groups = word_groups(target) if words else tuple((piece,) for piece in range(len(target.pieces)))
    texts = word_texts(target, groups) if words else tuple(label.text for label in piece_labels(target))
    maps: list[Rows] = [()] * len(groups)
    if "cross" in record.attention:
        rows = averaged(record, layer=layer, head=head)
        flat = merged_rows(rows, groups, tuple((place,) for place in range(picture.places)))
        wide = picture.columns
        maps = [tuple(each[start : start + wide] for start in range(0, len(each), wide)) for each in flat]
    chances = [probability(sum(record.log_probs[piece] for piece in group)) for group in groups]
    return tuple(
        Panel(shown_piece(text), target.special[group[0]], chance, weights)
        for text, group, chance, weights in zip(texts, groups, chances, maps, strict=True)
    )


def coarser(weights: Rows, most_rows: int, most_columns: int) -> Rows:
    """The map with neighbouring places added together until it is no larger than that."""
    while weights and (len(weights) > most_rows or len(weights[0]) > most_columns):
        down, across = 1 + (len(weights) > most_rows), 1 + (len(weights[0]) > most_columns)
        weights = tuple(
            tuple(
                sum(sum(row[column : column + across]) for row in weights[start : start + down])
                for column in range(0, len(weights[0]), across)
            )
            for start in range(0, len(weights), down)
        )
    return weights


def picture_text(
    record: Record,
    *,
    words: bool = True,
    layer: int | None = None,
    head: int | None = None,
    width: int = 80,
    colour: bool = False,
    unicode: bool = True,
    truecolour: bool = False,
) -> str:
    """The maps of a record side by side as lines of text, none wider than ``width`` cells; no newline at the end.

    Arguments as of ``terminal.heat_map``. Each map's darkest shade is its own largest weight.

    Raises:
        InputError: no picture, or no such layer or head.
    """
    width = max(LEAST_WIDTH, min(width, MOST_WIDTH))
    shown, picture = panels(record, words=words, layer=layer, head=head), picture_of(record)
    title = f"{visible(record.model)}: {visible(record.source.text)} → {visible(record.target.text)}"
    lines = [_fitted(title, width, "…" if unicode else "~"), ""]
    maps = [coarser(panel.weights, 16, width // 2) for panel in shown]
    room = max((2 * len(each[0]) for each in maps if each), default=10)
    room = max(room, min(14, max((cell_len(panel.label) for panel in shown), default=0) + 5))
    across = max(1, (width + _GAP) // (room + _GAP))
    for start in range(0, len(shown), across):
        part = slice(start, start + across)
        lines += _beside(
            [_block(*each, room, colour, unicode, truecolour) for each in zip(shown[part], maps[part], strict=True)],
            room,
        )
        lines.append("")
    if "cross" not in record.attention:
        lines += [*folded("a model without attention: every word comes from one state of the picture", width), ""]
    lines += [line for fact in _facts(record, picture, maps) for line in folded(fact, width)]
    return "\n".join(line.rstrip() if not colour else line for line in lines)


def _fitted(text: str, room: int, cut: str) -> str:
    """The text, with a sign at its end if it had to be cut."""
    return text if cell_len(text) <= room else set_cell_size(text, max(0, room - 1)).rstrip() + cut


def _block(panel: Panel, weights: Rows, room: int, colour: bool, unicode: bool, truecolour: bool) -> list[str]:
    """A word with its probability, and its map below; every line takes ``room`` cells."""
    chance = _percent(panel.probability)
    name = _fitted(panel.label, room - len(chance) - 1, "…" if unicode else "~")
    lines = [set_cell_size(f"{name} {chance}", room)]
    largest = max((weight for row in weights for weight in row), default=0.0) or 1.0
    for row in weights:
        cells = "".join(_cell(weight / largest, colour, unicode, truecolour) for weight in row)
        lines.append(cells + " " * (room - 2 * len(row)))
    return lines


def _beside(blocks: list[list[str]], room: int) -> Iterator[str]:
    for number in range(max(map(len, blocks))):
        yield (" " * _GAP).join(block[number] if number < len(block) else " " * room for block in blocks)


def _cell(share: float, colour: bool, unicode: bool, truecolour: bool) -> str:
    if not colour:
        return (_SHADES if unicode else _ASCII)[sum(share >= level for level in _LEVELS)]
    if truecolour:
        red, green, blue = shade(DARK, share)
        return f"\x1b[48;2;{red};{green};{blue}m  \x1b[49m"
    return f"\x1b[48;5;{DARK_256[round(share * (len(DARK_256) - 1))]}m  \x1b[49m"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.005 else "<1%"


def _facts(record: Record, picture: Picture, maps: list[Rows]) -> Iterator[str]:
    """What the drawing itself does not say."""
    for runners in record.runners_up[:1] if len(record.target.pieces) == 1 else ():
        yield "likeliest: " + ", ".join(
            f"{shown_piece(name)} {_percent(probability(value))}" for name, value in runners
        )
    if any(maps):
        drawn = next(each for each in maps if each)
        merged = "" if len(drawn) == picture.rows else f", drawn as {len(drawn)} × {len(drawn[0])}"
        yield f"{picture.rows} × {picture.columns} places{merged}; each map's darkest shade is its largest weight"
    if record.reference is not None:
        yield f"reference: {visible(record.reference)}"
    if record.signature:
        yield visible(record.signature)
    yield from (visible(note) for note in record.notes)
    yield caveat(record)
