"""Labelled texts: which column is the text, which the label."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from seq2see.data.columns import Wanted, has_header

# Names of columns, the likelier first.
_TEXT_NAMES = """
    text sentence document review utterance comment message tweet content query question body post article title
    headline description abstract source input name word
"""
_LABEL_NAMES = """
    label class category intent sentiment topic emotion target polarity rating stars tag gold answer score output y
"""
_FEWEST = 10  # rows from which it is told that a first row is not like the others
_NAME = re.compile(r"[^\W\d][\w.\-]{0,39}")


def guess_labelled(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> tuple[int, int] | None:
    """The likely columns of text and label, by their names, else by what is in them; None: not clear.

    The text is the longest column. The label is the only other one in which values come again and again. Of two
    columns without a name that tells, the label is the one with fewer different values.
    """
    columns = [_Column.of(rows, column) for column in range(len(names))]
    label = _named(names, _LABEL_NAMES)
    text = _named(names, _TEXT_NAMES)
    if text is None or text == label:
        text = _likely_text(columns, label)
    if label is None and text is not None:
        label = _likely_label(columns, text)
    return None if text is None or label is None else (text, label)


def has_labelled_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: known names, or names above labels of which none is like its own."""
    if has_header(rows):
        return True
    cells, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if len(cells) < 2 or len(set(cells)) < len(cells) or not all(map(_NAME.fullmatch, cells)):
        return False
    if _named(cells, _TEXT_NAMES) is not None and _named(cells, _LABEL_NAMES) is not None:
        return True
    found = guess_labelled([""] * len(cells), rest)
    if found is None:
        return False
    below = Counter(row[found[1]] for row in rest if found[1] < len(row))
    return below.total() >= _FEWEST and cells[found[1]] not in below and len(below) * 4 <= below.total()


LABELLED = Wanted("text", "label", guess_labelled, has_labelled_header, labels=True)


@dataclass(frozen=True)
class _Column:
    """What the first rows have in a column: filled cells, different ones, mean length, whether most have letters."""

    filled: int
    different: int
    length: float
    worded: bool

    @staticmethod
    def of(rows: Sequence[Sequence[str | None]], column: int) -> "_Column":
        cells = [cell for row in rows if column < len(row) and (cell := row[column]) and cell.strip()]
        worded = sum(any(letter.isalpha() for letter in cell) for cell in cells)
        count = max(1, len(cells))
        return _Column(len(cells), len(set(cells)), sum(map(len, cells)) / count, bool(cells) and worded * 2 >= count)


def _likely_text(columns: Sequence[_Column], label: int | None) -> int | None:
    others = [number for number in range(len(columns)) if number != label]
    if len(columns) == 2:
        return max(others, key=lambda number: (columns[number].different, columns[number].length))
    worded = [number for number in others if columns[number].worded]
    return max(worded, key=lambda number: columns[number].length, default=None)


def _likely_label(columns: Sequence[_Column], text: int) -> int | None:
    others = [number for number in range(len(columns)) if number != text]
    repeated = [number for number in others if 2 <= columns[number].different < columns[number].filled]
    likely = others if len(others) == 1 else repeated
    return likely[0] if len(likely) == 1 else None


def _named(names: Sequence[str], known: str) -> int | None:
    """The column whose name is the first of ``known`` that there is; else the one that has it as a word."""
    words = [[word.removesuffix("s") for word in re.split(r"[\s_.\-]+", name.strip().casefold())] for name in names]
    singular = [name.removesuffix("s") for name in known.split()]
    whole = next((words.index([name]) for name in singular if [name] in words), None)
    if whole is not None:
        return whole
    return next((column for name in singular for column, parts in enumerate(words) if name in parts), None)
