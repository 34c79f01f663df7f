"""Named tensors in safetensors files, which hold numbers and names only: nothing in them can run.

The header is checked by hand before anything is allocated or used; pickles are never read, whatever their
name. Written by hand too, because the library's writer replaces devices and makes files that only their owner
can read.

Format: 8 bytes (little-endian) length of the header, the header in JSON, the bytes of the tensors.
"""

import ctypes
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from seq2see.errors import InputError, Seq2seeError
from seq2see.storage.atomic import write_parts_atomic

Expected = Mapping[str, tuple[tuple[int, ...], torch.dtype]]

_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_NEWEST_PICKLE = b"\x05"  # protocols 2 to 5 begin with 0x80 and their number
_MOST_HEADER = 1 << 23  # bytes; about a hundred for each tensor are used
_REMEDY = "the file is damaged or not a safetensors file; use a copy, an older checkpoint, or train again"
_ONE_RUN = "the configuration and the weights must come from one run"


@dataclass(frozen=True)
class _Entry:
    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write ``tensors`` from any device to ``path``, whole or not at all; values stay bit for bit.

    Raises:
        Seq2seeError: a floating-point tensor holds NaN or infinity (nothing is written), or the disk is full.
        InputError: the file cannot be written.
    """
    for name, tensor in tensors.items():
        _check_finite(tensor, f"{path}: not saved: {name}", Seq2seeError)
    # The largest items first, as the library does it: so each tensor starts at a multiple of its item's size.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header = _header(ordered, metadata)
    need = 8 + len(header) + sum(tensor.nbytes for _, tensor in ordered)
    write_parts_atomic(path, _parts(header, [tensor for _, tensor in ordered]), need)


def load_tensors(path: Path, expected: Expected | None) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU: with ``expected``, exactly those names, shapes, types.

    Raises:
        InputError: not a safetensors file, truncated, damaged, made to mislead, not as ``expected``, or a
            value is NaN or infinite. The message names the file and what is wrong.
    """
    entries = _checked_entries(path)
    if expected is not None:
        _check_expected(path, entries, expected)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            # A copy each: what the library hands out stays tied to the file, which may be removed.
            tensors = {entry.name: file.get_tensor(entry.name).clone() for entry in entries}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: {error}; {_REMEDY}") from error
    for name, tensor in tensors.items():
        _check_finite(tensor, f"{path}: {name}", InputError)
    return tensors


def _header(ordered: list[tuple[str, Tensor]], metadata: Mapping[str, str]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **metadata}}
    start = 0
    for name, tensor in ordered:
        stop = start + tensor.nbytes
        dtype = _NAMES[tensor.dtype]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [start, stop]}
        start = stop
    content = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return content + b" " * (-len(content) % 8)


def _parts(header: bytes, tensors: list[Tensor]) -> Iterator[memoryview]:
    yield memoryview(len(header).to_bytes(8, "little") + header)
    for tensor in tensors:
        on_cpu = tensor.detach().cpu().contiguous()
        if on_cpu.nbytes:
            # The tensor's own memory, no copy; `on_cpu` keeps it alive until the next part is asked for.
            yield memoryview((ctypes.c_ubyte * on_cpu.nbytes).from_address(on_cpu.data_ptr())).cast("B")


def _check_finite(tensor: Tensor, what: str, error: type[Seq2seeError]) -> None:
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        raise error(f"{what} holds {bad:,} values that are NaN or infinite, out of {tensor.numel():,}")


def _checked_entries(path: Path) -> list[_Entry]:
    """The header's entries, proven to be sane and to cover the file's data without gap or overlap."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            first = file.read(8)
            length = int.from_bytes(first, "little")
            if len(first) < 8 or length > min(_MOST_HEADER, size - 8) or length < 2:
                raise InputError(f"{path}: {_what_it_is(first, size, length)}; {_REMEDY}")
            content = file.read(length)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    header = _parsed(path, content)
    header.pop("__metadata__", None)
    entries = sorted((_entry(path, name, fields) for name, fields in header.items()), key=_place)
    end = 0
    for entry in entries:
        if entry.start != end:
            raise InputError(f"{path}: {entry.name!r:.80} overlaps another tensor or leaves a gap; {_REMEDY}")
        end = entry.stop
    if end != size - 8 - length:
        raise InputError(f"{path}: {size - 8 - length:,} bytes of tensors, but the header says {end:,}; {_REMEDY}")
    return entries


def _place(entry: _Entry) -> tuple[int, int]:
    return entry.start, entry.stop


def _what_it_is(first: bytes, size: int, length: int) -> str:
    if size == 0:
        return "the file is empty"
    if first[:2] == b"PK" or (first[:1] == b"\x80" and first[1:2] <= _NEWEST_PICKLE):
        return "this is a pickle (.pt, .pkl); seq2see never reads those, because loading one runs its code"
    if first.startswith(b"\x89PNG"):
        return "this is a picture (PNG)"
    if not any(first):
        return "the file begins with zeros"
    return f"no safetensors header: it would be {length:,} bytes long in a file of {size:,}"


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        header = json.loads(content.decode(), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: the header is not JSON ({error!s:.80}); {_REMEDY}") from error
    if not isinstance(header, dict):
        raise InputError(f"{path}: the header is not a table of tensors; {_REMEDY}")
    return header


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name comes twice")
    return table


def _entry(path: Path, name: str, fields: Any) -> _Entry:
    if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise InputError(f"{path}: {name!r:.80} has no dtype, shape and data_offsets; {_REMEDY}")
    dtype = _DTYPES.get(fields["dtype"]) if isinstance(fields["dtype"], str) else None
    if dtype is None:
        known = ", ".join(_DTYPES)
        raise InputError(f"{path}: {name!r:.80} is of type {fields['dtype']!r:.40}; known are {known}")
    shape, offsets = fields["shape"], fields["data_offsets"]
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise InputError(f"{path}: {name!r:.80} has a senseless shape or offsets; {_REMEDY}")
    if offsets[1] - offsets[0] != prod(shape) * dtype.itemsize:
        raise InputError(
            f"{path}: {name!r:.80} has {offsets[1] - offsets[0]:,} bytes for shape {shape!s:.80}; {_REMEDY}"
        )
    return _Entry(name, dtype, tuple(shape), offsets[0], offsets[1])


def _are_counts(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= 16
        and all(type(value) is int and 0 <= value < 1 << 62 for value in values)
    )


def _check_expected(path: Path, entries: list[_Entry], expected: Expected) -> None:
    found = {entry.name: entry for entry in entries}
    missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or extra:
        raise InputError(
            f"{path}: not the tensors of this model: missing {_some(missing)}; not expected {_some(extra)}; {_ONE_RUN}"
        )
    for name, (shape, dtype) in expected.items():
        entry = found[name]
        if entry.shape != tuple(shape) or entry.dtype != dtype:
            found_type, wanted = f"{_type(entry.dtype)} {list(entry.shape)}", f"{_type(dtype)} {list(shape)}"
            raise InputError(f"{path}: {name} is {found_type}, expected {wanted}; {_ONE_RUN}")


def _type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _some(names: list[str]) -> str:
    shown = ", ".join(f"{name:.60}" for name in names[:3]) or "nothing"
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
