r"""Tables as text: TSV and CSV, row by row.

TSV has no quoting: a tab always separates, a ``"`` is a letter like any other. One thing a spreadsheet writes
cannot be read that way, a cell with a tab inside quotes: such a row has more cells than the others, and it is
skipped and listed rather than read wrongly. CSV is RFC 4180: a cell that starts with ``"`` goes on to the
closing ``"``, separators, line breaks (given back as ``\n``) and doubled quotes included; elsewhere a ``"``
is a letter.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from seq2see.data.tally import Pair, Tally
from seq2see.errors import InputError

Row = tuple[int, list[str]]  # the line it starts on, its cells


@dataclass(frozen=True)
class Table:
    """How a text table is laid out, and which of its columns (from 0) are read."""

    kind: Literal["tsv", "csv"]
    separator: str
    header_line: int  # 0: there is none
    width: int  # cells of most rows
    regular: bool  # hardly any row has more cells than that
    source: int
    target: int


def too_long(max_line_bytes: int) -> str:
    return f"line longer than {max_line_bytes:,} bytes"


def tsv_rows(lines: Iterable[tuple[int, str | None]], max_line_bytes: int, tally: Tally) -> Iterator[Row]:
    """Each line cut at every tab."""
    for number, text in lines:
        if text is None:
            tally.skip(too_long(max_line_bytes), number)
        else:
            yield number, text.split("\t")


def csv_rows(
    lines: Iterable[tuple[int, str | None]], separator: str, name: str, max_line_bytes: int, tally: Tally
) -> Iterator[Row]:
    """Records of RFC 4180; one with text behind a closing quote is skipped.

    Raises:
        InputError: a quote that is not closed (within ``max_line_bytes``), naming the line where it opened.
    """
    record: _Record | None = None
    for number, text in lines:
        if text is None:
            if record:
                raise _not_closed(name, record.line, f"line {number:,} is a {too_long(max_line_bytes)}")
            tally.skip(too_long(max_line_bytes), number)
            continue
        if record is None and '"' not in text:
            yield number, text.split(separator)
            continue
        record = record or _Record(number)
        match record.add(text, separator):
            case "whole":
                yield record.line, record.cells
                record = None
            case "broken" if record.line == number:
                tally.skip("text after a closing quote", number)
                record = None
            case "broken":
                raise _not_closed(name, record.line, f"line {number:,} has text after the next quote")
            case "open" if record.size > max_line_bytes:
                raise _not_closed(name, record.line, f"it goes on for more than {max_line_bytes:,} characters")
    if record:
        raise _not_closed(name, record.line, "the file ends first")


class _Record:
    """A CSV record while its lines come in."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.cells: list[str] = []
        self.size = 0
        self._open: list[str] | None = None  # what a quoted cell has so far

    def add(self, text: str, separator: str) -> Literal["whole", "open", "broken"]:
        self.size += len(text) + 1
        if self._open is not None:
            self._open.append("\n")
        position = 0
        while True:
            if self._open is None and text.startswith('"', position):
                self._open = []
                position += 1
            if self._open is not None:
                closed = self._to_closing_quote(text, position)
                if closed < 0:
                    return "open"
                position = closed
                if position < len(text) and text[position] != separator:
                    return "broken"
            else:
                end = text.find(separator, position)
                self.cells.append(text[position:] if end < 0 else text[position:end])
                position = len(text) if end < 0 else end
            if position == len(text):
                return "whole"
            position += 1

    def _to_closing_quote(self, text: str, position: int) -> int:
        """The position behind the closing quote, its cell being added; -1 when it is not on this line."""
        assert self._open is not None
        while (quote := text.find('"', position)) >= 0:
            self._open.append(text[position:quote])
            position = quote + 1
            if not text.startswith('"', position):
                self.cells.append("".join(self._open))
                self._open = None
                return position
            self._open.append('"')
            position += 1
        self._open.append(text[position:])
        return -1


def _not_closed(name: str, line: int, why: str) -> InputError:
    return InputError(
        f"{name}, line {line:,}: the quote that opens a cell there is not closed: {why}. "
        'In CSV a quote inside a cell is written twice (""), and such a cell stands in quotes as a whole.'
    )


def table_pairs(rows: Iterable[Row], table: Table, tally: Tally) -> Iterator[Pair]:
    """The two columns of each row; rows that cannot be read without guessing are skipped and counted."""
    source, target, width = table.source, table.target, table.width
    for number, cells in rows:
        if number == table.header_line:
            continue
        if len(cells) != width:
            fault = _fault(cells, table)
            if fault:
                tally.skip(fault, number)
                continue
            if len(cells) > width:
                tally.remark(f"{_cells(len(cells))} where most rows have {width}; the further ones are ignored", number)
        yield Pair(cells[source], cells[target], number)


def _fault(cells: list[str], table: Table) -> str:
    """Why a row with an unusual number of cells cannot be used; empty when it can."""
    instead = f"{_cells(len(cells))} instead of {table.width}"
    if len(cells) == 1 and not cells[0].strip():
        return "blank line"
    if table.kind == "csv" or len(cells) <= max(table.source, table.target):
        return instead
    if len(cells) > table.width:
        if has_quoted_tab(cells):
            return "a tab inside quotes, which TSV cannot hold (save as CSV)"
        if table.regular:
            return instead
    return ""


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def has_quoted_tab(cells: list[str]) -> bool:
    """Whether a cell opens a quote that a later cell closes, as spreadsheets write a tab in a cell."""
    opened = False
    for cell in cells:
        odd = cell.count('"') % 2 == 1
        if opened and odd and cell.endswith('"'):
            return True
        opened = opened or (odd and cell.startswith('"'))
    return False
