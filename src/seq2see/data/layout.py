"""What kind of file holds the pairs, and in which columns: recognised, or guessed and said."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from seq2see.data.columns import PAIRS, Wanted, find_column, listed
from seq2see.data.lines import lines
from seq2see.data.records import (
    Fields,
    field,
    json_names,
    json_records,
    json_text,
    parquet_names,
    parquet_sample,
)
from seq2see.data.streams import PARQUET, InputFile, head
from seq2see.data.tables import Row, Table, csv_rows, tsv_rows
from seq2see.data.tally import Tally
from seq2see.errors import InputError

SAMPLED = 1_000  # rows looked at
SAMPLED_CHARACTERS = 8_000_000  # and no more than this, where rows are long
RARE = 0.05  # below this share of the rows, more cells than usual are a fault and not a habit
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}

Item = TypeVar("Item")
FileKind = Literal["tsv", "csv", "jsonl", "parquet"]
Asked = tuple[str, str] | None  # the columns as a person named them


def find_layout(
    file: InputFile, asked: Asked, max_line_bytes: int, wanted: Wanted = PAIRS
) -> tuple[FileKind, Table | Fields, str]:
    """The kind of a file, where its two texts (or what else is ``wanted``) are, and a sentence that says so.

    Raises:
        InputError: the file is empty or not of a kind that is read, or its columns cannot be made out.
    """
    if asked and asked[0] == asked[1]:
        raise InputError(f'The column "{asked[0]}" cannot be both {wanted.first} and {wanted.second}.')
    kind = _kind(file, max_line_bytes, wanted)
    if kind in ("jsonl", "parquet"):
        fields, said = _fields(file, kind, asked, max_line_bytes, wanted)
        return kind, fields, said
    table, said = _table(file, "tsv" if kind == "tsv" else "csv", asked, max_line_bytes, wanted)
    return kind, table, said


def _kind(file: InputFile, max_line_bytes: int, wanted: Wanted) -> FileKind:
    start = head(file)
    if start.startswith(PARQUET):
        return "parquet"
    name = Path(file.name.lower())
    while name.suffix in (".gz", ".zst", ".zstd"):
        name = name.with_suffix("")
    if start and name.suffix in (".parquet", ".pq"):
        raise InputError(f"{file.name} does not begin like a Parquet file. Fetch it again, or give it its right name.")
    first = _first_text(file, max_line_bytes, wanted)
    match name.suffix:
        case ".tsv" | ".tab":
            return "tsv"
        case ".csv":
            return "csv"
        case ".json" | ".jsonl" | ".ndjson":
            if first.lstrip().startswith("["):
                raise InputError(
                    f"{file.name} is a JSON array; what is read is JSON Lines, one object a line: jq -c '.[]' IN > OUT"
                )
            return "jsonl"
    if "\t" in first:
        return "tsv"
    if first.lstrip().startswith("{"):
        return "jsonl"
    if _is_csv(file, max_line_bytes, wanted):
        return "csv"
    raise InputError(_no_kind(file.name, first, wanted))


def _first_text(file: InputFile, max_line_bytes: int, wanted: Wanted) -> str:
    """The first line that is not blank."""
    too_long = 0
    with closing(lines(file, max_line_bytes)) as found:
        for number, text in found:
            if text is None:
                too_long = too_long or number
            elif text.strip():
                return text
    if too_long:
        raise InputError(
            f"{file.name}: line {too_long:,} is longer than {max_line_bytes:,} bytes and no other has text. "
            "If it is one sentence a line, set data.max_line_bytes higher."
        )
    raise InputError(f"{file.name} is empty. Give a {wanted.first} and its {wanted.second} in each line.")


def _is_csv(file: InputFile, max_line_bytes: int, wanted: Wanted) -> bool:
    """Whether a file without a telling name is surely CSV: a header, and the same cells in every row."""
    try:
        rows = _rows(file, ",", max_line_bytes)
    except InputError:
        return False
    cells = [cells for _, cells in rows]
    return len(cells[0]) > 1 and len(set(map(len, cells))) == 1 and wanted.has_header(cells)


def _no_kind(name: str, first: str, wanted: Wanted) -> str:
    shown = first if len(first) <= 60 else first[:60] + "…"
    old = " Its lines end in carriage returns alone; convert them first: tr '\\r' '\\n'." if "\r" in first else ""
    return (
        f"{name}: no tab in its first line, {shown!r}. A pair a line is {wanted.first}, tab, {wanted.second}; or "
        f"name the file .csv, .jsonl or .parquet after what it is; or give two line-parallel files.{old}"
    )


def _rows(file: InputFile, separator: str, max_line_bytes: int) -> list[Row]:
    """The first rows that are not blank."""
    with closing(lines(file, max_line_bytes)) as text:
        if separator == "\t":
            rows = tsv_rows(text, max_line_bytes, Tally())
        else:
            rows = csv_rows(text, separator, file.name, max_line_bytes, Tally())
        found = _sample(rows, lambda row: sum(map(len, row[1])))
        return [(line, cells) for line, cells in found if any(cell.strip() for cell in cells)]


def _sample(items: Iterable[Item], size: Callable[[Item], int]) -> list[Item]:
    found: list[Item] = []
    room = SAMPLED_CHARACTERS
    for item in islice(items, SAMPLED):
        found.append(item)
        room -= size(item)
        if room < 0:
            break
    return found


def _table(file: InputFile, kind: Literal["tsv", "csv"], asked: Asked, most: int, wanted: Wanted) -> tuple[Table, str]:
    separator, rows = ("\t", _rows(file, "\t", most)) if kind == "tsv" else _separated(file, most)
    widths = Counter(len(cells) for _, cells in rows)
    width = max((width for width in widths if width > 1), key=lambda width: widths[width], default=0)
    if not width:
        raise InputError(_no_kind(file.name, separator.join(rows[0][1]) if rows else "", wanted))
    wider = sum(count for cells, count in widths.items() if cells > width)
    cells = [cells for _, cells in rows]
    header = wanted.has_header(cells) or (asked is not None and any(_names(name, cells[0]) for name in asked))
    names = cells[0] if header else None
    source, target = _columns(file.name, kind, names, cells, width, asked, wanted)
    table = Table(kind, separator, rows[0][0] if header else 0, width, wider < RARE * len(rows), source, target)
    said = _said(file.name, table, names, asked, wanted)
    return table, said if asked or wanted.labels else said + _doubt(table, cells[1:] if header else cells)


def _names(asked: str, first: Sequence[str]) -> bool:
    return not asked.isdecimal() and asked.strip().casefold() in [cell.strip().casefold() for cell in first]


def _separated(file: InputFile, max_line_bytes: int) -> tuple[str, list[Row]]:
    """The separator with which most rows have as many cells as the first; the comma where several do."""
    best: tuple[float, str, list[Row]] | None = None
    fault: InputError | None = None
    for separator in SEPARATORS:
        try:
            rows = _rows(file, separator, max_line_bytes)
        except InputError as error:
            fault = fault or error
            continue
        first = len(rows[0][1]) if rows else 0
        agreeing = sum(len(cells) == first for _, cells in rows) / len(rows) if first > 1 else 0.0
        if best is None or agreeing > best[0]:
            best = agreeing, separator, rows
    if fault and (best is None or best[0] == 0.0):
        raise fault
    assert best is not None
    return best[1], best[2]


def _columns(
    name: str,
    kind: FileKind,
    names: Sequence[str] | None,
    cells: list[list[str]],
    width: int,
    asked: Asked,
    wanted: Wanted,
) -> tuple[int, int]:
    if asked:
        source, target = (find_column(column, names, width, name) for column in asked)
        if source == target:
            raise InputError(f'{name}: "{asked[0]}" and "{asked[1]}" are the same column.')
        return source, target
    if names is None and kind == "tsv" and not wanted.labels:
        return 0, 1
    found = wanted.guess(names or [""] * width, cells[1:] if names else cells)
    if found is None:
        raise InputError(_unclear(name, names or [str(column) for column in range(1, width + 1)], wanted))
    return found


def _unclear(name: str, names: Sequence[str], wanted: Wanted) -> str:
    which = f"which are {wanted.first} and {wanted.second} is not clear"
    return f"{name}: its columns are {listed(names)}; {which}. Name the two."


def _doubt(table: Table, cells: list[list[str]]) -> str:
    """A warning where a column that was guessed holds the same few values again and again."""
    for side, column in (("source", table.source), ("target", table.target)):
        values = [row[column] for row in cells if column < len(row)]
        if len(values) >= 50 and len(set(values)) * 10 <= len(values) and table.width > 2:
            return (
                f" But column {column + 1} has only {len(set(values)):,} different values in the first "
                f"{len(values):,} rows: is it the {side}? If not, name the two columns."
            )
    return ""


def _said(name: str, table: Table, names: Sequence[str] | None, asked: Asked, wanted: Wanted) -> str:
    columns = [f"column {i + 1}" + (f" ({listed([names[i]])})" if names else "") for i in (table.source, table.target)]
    others = [str(i + 1) for i in range(table.width) if i not in (table.source, table.target)]
    return (
        f"{name}: {SEPARATORS[table.separator]} separate {table.width} columns"
        f"{', named in the first line' if names else ', no header'}; "
        f"{wanted.first}: {columns[0]}, {wanted.second}: {columns[1]}, {'as asked' if asked else 'a guess'}."
        + (f" Not read: column {', '.join(others)}." if others else "")
    )


def _fields(file: InputFile, kind: FileKind, asked: Asked, most: int, wanted: Wanted) -> tuple[Fields, str]:
    labels = wanted.labels
    names, rows, others = _parquet_fields(file, labels) if kind == "parquet" else _json_fields(file, most, labels)
    if asked:
        unfit = [name for name in others if name.rpartition(" (")[0] in asked]
        if unfit:
            raise InputError(f"{file.name}: the column {unfit[0]} does not hold text.")
        source, target = (names[find_column(column, names, 0, file.name)] for column in asked)
    else:
        found = wanted.guess(names, rows)
        if found is None:
            raise InputError(_unclear(file.name, names, wanted) if names else f"{file.name} has no column of text.")
        source, target = names[found[0]], names[found[1]]
    rest = [name for name in names if name not in (source, target)] + others
    kind_said = "Parquet" if kind == "parquet" else "JSON Lines"
    said = f"{file.name}: {kind_said}; {wanted.first}: {listed([source])}, {wanted.second}: {listed([target])}, "
    said += "as asked." if asked else "a guess."
    return Fields(source, target, labels), said + (f" Not read: {listed(rest)}." if rest else "")


def _parquet_fields(file: InputFile, labels: bool) -> tuple[list[str], list[list[str | None]], list[str]]:
    names, others = parquet_names(file, labels)
    return names, parquet_sample(file, names, 100) if names else [], others


def _json_fields(file: InputFile, most: int, labels: bool) -> tuple[list[str], list[list[str | None]], list[str]]:
    with closing(lines(file, most)) as text:
        records = _sample(json_records(text, file.name, most, Tally()), lambda record: len(str(record[1])))
    names = json_names(records, labels)
    values = [[field(record, name) for name in names] for _, record in records[:100]]
    return names, [[json_text(value, labels) for value in row] for row in values], []
