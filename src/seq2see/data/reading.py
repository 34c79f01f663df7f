"""Pairs of sentences from whatever file they are in: found out once, read as often as wanted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seq2see.data.columns import PAIRS, Wanted
from seq2see.data.layout import FileKind, find_layout
from seq2see.data.lines import MAX_LINE_BYTES, decoded, lines
from seq2see.data.parallel import check_parallel, parallel_pairs
from seq2see.data.records import Fields, json_pairs, json_records, parquet_pairs
from seq2see.data.streams import (
    PARQUET,
    STANDARD_INPUT,
    InputFile,
    blocks,
    head,
    input_file,
    nothing,
    standard_input,
    stream_blocks,
)
from seq2see.data.tables import Table, csv_rows, table_pairs, too_long, tsv_rows
from seq2see.data.tally import Pair, Tally
from seq2see.errors import InputError

Kind = FileKind | Literal["parallel"]


@dataclass(frozen=True)
class PairSource:
    """Where pairs come from and how they are read. Iterating reads from the start, every time.

    ``notes`` are sentences for a person: what was recognised and guessed. ``called`` is what its two sides are.
    """

    kind: Kind
    files: tuple[InputFile, ...]
    layout: Table | Fields | None  # None: two line-parallel files
    max_line_bytes: int
    notes: tuple[str, ...]
    called: tuple[str, str] = ("source", "target")

    @property
    def name(self) -> str:
        return " and ".join(file.name for file in self.files)

    def __iter__(self) -> Iterator[Pair]:
        return read(self, Tally())


def read(source: PairSource, tally: Tally, check: Callable[[], None] = nothing) -> Iterator[Pair]:
    """The pairs in the order of the file; what is skipped is counted in ``tally``. Memory is one block.

    Raises:
        InputError: the content cannot be read (with file, line and byte), or not one row is a pair.
    """
    found = 0
    for pair in _pairs(source, tally, check):
        found += 1
        tally.pairs += 1
        yield pair
    if not found:
        told = "; ".join(tally.sentences()) or "no row at all"
        raise InputError(f"{source.name} has no pair that can be used: {told}. {_expected(source)}")


def _pairs(source: PairSource, tally: Tally, check: Callable[[], None]) -> Iterator[Pair]:
    first, most = source.files[0], source.max_line_bytes
    match source.layout:
        case None:
            return parallel_pairs(first, source.files[1], most, tally, check)
        case Table() as table:
            text = lines(first, most, check)
            rows = (
                tsv_rows(text, most, tally)
                if table.kind == "tsv"
                else csv_rows(text, table.separator, first.name, most, tally)
            )
            return table_pairs(rows, table, tally)
        case Fields() as fields if source.kind == "parquet":
            return parquet_pairs(first, fields, most, tally, check)
        case Fields() as fields:
            return json_pairs(json_records(lines(first, most, check), first.name, most, tally), fields, tally)


def _expected(source: PairSource) -> str:
    return {
        "tsv": f"Each line is a {source.called[0]}, a tab and a {source.called[1]}.",
        "csv": "Each record has the same columns, separated as in the first one.",
        "jsonl": "Each line is an object with both texts.",
        "parquet": "Each row has both texts.",
        "parallel": "Line n of one file belongs to line n of the other.",
    }[source.kind]


def read_texts(
    path: str | Path,
    tally: Tally,
    *,
    max_line_bytes: int = MAX_LINE_BYTES,
    check: Callable[[], None] = nothing,
) -> Iterator[tuple[int, str]]:
    """Every line of a text file (plain, .gz, .zst; ``-``: standard input, as it comes), numbered from 1.

    Each line gives one item, in order; memory is one block. A line of more than ``max_line_bytes``
    gives an empty text and is counted in ``tally``. Empty standard input is no error: no line, no item.

    Raises:
        InputError: the file is missing, empty, damaged or not UTF-8.
    """
    if str(path) == "-":
        content, name = stream_blocks(standard_input(), STANDARD_INPUT), STANDARD_INPUT
    else:
        file = input_file(path, check)
        content, name = blocks(file), file.name
    number = 0
    for number, text in decoded(content, name, max_line_bytes, check):
        if text is None:
            tally.skip(too_long(max_line_bytes), number)
        else:
            tally.pairs += 1
        yield number, text or ""
    if not number and name != STANDARD_INPUT:
        raise InputError(f"{name} is empty. Each of its lines should be a text.")


def open_pairs(
    data: str | Path | None = None,
    source: str | Path | None = None,
    target: str | Path | None = None,
    *,
    source_column: str | None = None,
    target_column: str | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
    wanted: Wanted = PAIRS,
    check: Callable[[], None] = nothing,
) -> PairSource:
    """Find out how the pairs in ``data``, or in the two line-parallel files, are to be read.

    Columns are given by name or, in TSV and CSV, by number from 1; without them they are guessed, and the
    guess is in ``notes``. ``-`` reads standard input.

    Raises:
        InputError: both or neither were given, a file cannot be used, or no columns can be made out.
    """
    if (source_column is None) != (target_column is None):
        raise InputError(f"Give both columns, the {wanted.first}'s and the {wanted.second}'s, or neither.")
    asked = None if source_column is None or target_column is None else (source_column, target_column)
    if data is not None and source is None and target is None:
        file = input_file(data, check)
        kind, layout, note = find_layout(file, asked, max_line_bytes, wanted)
        return PairSource(kind, (file,), layout, max_line_bytes, (note,), (wanted.first, wanted.second))
    if data is not None or source is None or target is None:
        raise InputError(
            "Give either one file of pairs, or a source file and a target file whose lines belong together."
        )
    if asked:
        raise InputError("Columns are for one file with columns; two line-parallel files have none.")
    return _two_files(source, target, max_line_bytes, check)


def _two_files(source: str | Path, target: str | Path, max_line_bytes: int, check: Callable[[], None]) -> PairSource:
    if str(source) == str(target) == "-":
        raise InputError("Source and target cannot both be standard input; give at least one of them as a file.")
    files = input_file(source, check), input_file(target, check)
    for file in files:
        if head(file).startswith(PARQUET):
            raise InputError(f"{file.name} is Parquet: give it alone as the file of pairs, not as one side.")
    count = check_parallel(*files, max_line_bytes, check)
    if not count:
        raise InputError(f"{files[0].name} and {files[1].name} are empty. Give one sentence a line in each.")
    note = f"{files[0].name} and {files[1].name}: line-parallel, {count:,} lines each."
    return PairSource("parallel", files, None, max_line_bytes, (note,))
