"""Records with named fields: JSON Lines and Parquet.

A field is named by its key, or by a path of two (``translation.en``) where records are nested once.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from seq2see.data.streams import InputFile, nothing
from seq2see.data.tables import too_long
from seq2see.data.tally import Pair, Tally
from seq2see.errors import InputError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

PARQUET_ROWS = 4_096  # decoded at a time

Record = tuple[int, dict[str, Any]]  # line, object


@dataclass(frozen=True)
class Fields:
    """The two fields that are read; a name with one dot may be a path. A target of ``labels`` may be a number."""

    source: str
    target: str
    labels: bool = False


def json_records(
    lines: Iterable[tuple[int, str | None]], name: str, max_line_bytes: int, tally: Tally
) -> Iterator[Record]:
    """One object a line; blank lines are skipped.

    Raises:
        InputError: a line that is not a JSON object, with its number.
    """
    for number, text in lines:
        if text is None:
            tally.skip(too_long(max_line_bytes), number)
        elif not text.strip():
            tally.skip("blank line", number)
        else:
            yield number, _parsed(text, f"{name}, line {number:,}")


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: not JSON ({error.msg}, character {error.colno}). Each line is one object."
        ) from None
    except (RecursionError, ValueError) as error:  # nested too deep; a number of thousands of digits
        raise InputError(f"{where}: JSON that cannot be read ({error}). Each line is one object.") from None
    if not isinstance(found, dict):
        kinds = {list: "an array", str: "a string", type(None): "null", bool: "a truth value"}
        raise InputError(f"{where}: {kinds.get(type(found), 'a number')} where an object {{…}} is needed.")
    return found


def json_pairs(records: Iterable[Record], fields: Fields, tally: Tally) -> Iterator[Pair]:
    for number, record in records:
        source = json_text(field(record, fields.source))
        target = json_text(field(record, fields.target), fields.labels)
        if source is None or target is None:
            tally.skip(f'no text in "{fields.source if source is None else fields.target}"', number)
        elif not (_is_unicode(source) and _is_unicode(target)):
            tally.skip("half of a surrogate pair (\\ud800 … \\udfff), which is no character", number)
        else:
            yield Pair(source, target, number)


def json_text(value: Any, labels: bool = False) -> str | None:
    """A value as text, None if it is none. Where ``labels`` may stand, numbers and truth values are text too."""
    if isinstance(value, str):
        return value
    return str(value) if labels and isinstance(value, int | float) else None


def field(record: dict[str, Any], name: str) -> Any:
    """The value at a key or a path of two keys; None when there is none."""
    if name in record:
        return record[name]
    outer, _, inner = name.partition(".")
    nested = record.get(outer)
    return nested.get(inner) if isinstance(nested, dict) else None


def json_names(records: Iterable[Record], labels: bool = False) -> list[str]:
    """The names of all fields that hold text (or ``labels``) in some record, in order of appearance.

    Nested ones are paths.
    """
    names: dict[str, None] = {}
    for _, record in records:
        for key, value in record.items():
            if json_text(value, labels) is not None:
                names[key] = None
            elif isinstance(value, dict):
                inside = [inner for inner, each in value.items() if json_text(each, labels) is not None]
                names.update({f"{key}.{inner}": None for inner in inside})
    return list(names)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parquet_names(file: InputFile, labels: bool = False) -> tuple[list[str], list[str]]:
    """Names of the columns that hold text (nested ones as paths), and of all the others with their types.

    Where ``labels`` are wanted, numbers and truth values count as text.
    """
    texts: list[str] = []
    others: list[str] = []
    with _parquet(file) as table:
        for column in table.schema_arrow:
            inner = (
                [column.type.field(i) for i in range(column.type.num_fields)] if pa.types.is_struct(column.type) else []
            )
            parts = [(f"{column.name}.{part.name}", part.type) for part in inner] or [(column.name, column.type)]
            for name, kind in parts:
                fits = _is_text(kind) or (labels and _is_label(kind))
                (texts if fits else others).append(name if fits else f"{name} ({kind})")
    return texts, others


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_label(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind))


def parquet_pairs(
    file: InputFile, fields: Fields, max_line_bytes: int, tally: Tally, check: Callable[[], None] = nothing
) -> Iterator[Pair]:
    """Two columns of a Parquet file, a few thousand rows at a time.

    Raises:
        InputError: the file is damaged, cut off, or its text is not UTF-8 (with the row).
    """
    row = 0
    for batch in _parquet_batches(file, fields):
        check()
        sides = [_texts(batch, name, file.name, row) for name in (fields.source, fields.target)]
        for source, target in zip(*sides, strict=True):
            row += 1
            if source is None or target is None:
                tally.skip(f'no text in "{fields.source if source is None else fields.target}"', row)
            elif max(len(source), len(target)) * 4 > max_line_bytes and (
                max(len(source.encode()), len(target.encode())) > max_line_bytes
            ):
                tally.skip(too_long(max_line_bytes).replace("line", "text"), row)
            else:
                yield Pair(source, target, row)


def parquet_sample(file: InputFile, names: list[str], rows: int) -> list[list[str | None]]:
    with _parquet(file) as table:
        for batch in table.iter_batches(batch_size=rows, columns=names):
            return list(map(list, zip(*(_texts(batch, name, file.name, 0) for name in names), strict=True)))
    return []


def _parquet_batches(file: InputFile, fields: Fields) -> Iterator[pa.RecordBatch]:
    with _parquet(file) as table:
        yield from table.iter_batches(batch_size=PARQUET_ROWS, columns=[fields.source, fields.target])


@contextmanager
def _parquet(file: InputFile) -> "Iterator[pq.ParquetFile]":
    """An open Parquet file; whatever its reader finds wrong with it is one error."""
    import pyarrow.parquet as pq  # takes a tenth of a second, and most files are text

    try:
        with pq.ParquetFile(file.path) as table:
            yield table
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{file.name} cannot be read as Parquet: it is damaged or cut off ({' '.join(str(error).split())}). "
            "Fetch it again."
        ) from None


def _texts(batch: pa.RecordBatch, name: str, file: str, row: int) -> list[str | None]:
    if name in batch.schema.names:
        column = batch.column(name)
    else:
        outer, _, inner = name.partition(".")
        import pyarrow.compute as pc  # another tenth of a second

        column = pc.struct_field(batch.column(outer), inner)
    try:
        return [None if text is None else str(text) for text in column.to_pylist()]
    except UnicodeDecodeError:
        for offset in range(len(column)):
            try:
                column[offset].as_py()
            except UnicodeDecodeError as error:
                raise InputError(f'{file}, row {row + offset + 1:,}, column "{name}": not UTF-8 ({error}).') from None
        raise
