"""The kernels in C: compiled once for this processor by the system's compiler, kept in the user's cache, loaded.

Without a compiler everything runs in PyTorch. What is compiled is this package's own; what is loaded is a
file that this user has made, in a folder that nobody else may write to.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

_HERE = Path(__file__).parent
SEARCH, TRAINING = ("kernels.c", "beam.c"), ("training.c", "prediction.c", "recurrence.c", "threads.c")
_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC")
_SECONDS = 120.0  # a compiler that takes longer is not waited for

LARGEST_COUNT = 64  # values of a row that ``largest`` can find


class Layer(ctypes.Structure):
    """``struct layer`` of kernels.c."""

    _fields_ = [
        (name, ctypes.c_void_p)
        for name in (
            *("own", "own_out", "cross", "cross_out", "inner", "outer", "inner_bias", "outer_bias"),
            *("own_scale", "own_shift", "cross_scale", "cross_shift", "inner_scale", "inner_shift"),
        )
    ]


class Shape(ctypes.Structure):
    """``struct shape`` of kernels.c."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("D", "H", "F", "L", "pre", "kind")),
        ("epsilon", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("layers", "last_scale", "last_shift")),
    ]


class Step(ctypes.Structure):
    """``struct step`` of kernels.c."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("N", "P", "S", "B", "stride")),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("cosine", "sine", "past", "past_rows", "path", "present", "memory", "sentence", "first"),
                *("x", "weights", "space"),
            )
        ),
    ]


class Lists(ctypes.Structure):
    """``struct lists`` of decoder.h."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("tokens", "first", "count", "end", "weights", "biases")]


class Writing(ctypes.Structure):
    """``struct writing`` of kernels.c."""

    _fields_ = [
        ("step", Step),
        *((name, ctypes.c_int32) for name in ("V", "T", "start", "end", "refused", "least")),
        ("scale", ctypes.c_float),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("never", "embedding", "positions", "cosine", "sine", "output", "bias", "limits", "lists", "cache"),
                *("rows", "values", "columns", "tokens", "log_probs", "lengths"),
            )
        ),
    ]


class Beams(ctypes.Structure):
    """``struct beams`` of beam.c."""

    _fields_ = [
        ("writing", Writing),
        *((name, ctypes.c_int32) for name in ("W", "nbest", "most_rows")),
        ("enough", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("norms", "ended", "count", "rows", "chosen", "scores")),
    ]


@cache
def library() -> ctypes.CDLL | None:
    """The kernels for use, compiled now if they have not been yet; None where that cannot be done."""
    kernels = _library(SEARCH)
    if kernels is not None:
        kernels.room.restype = kernels.packed_bytes.restype = ctypes.c_int64
        _loaded.append(kernels)
    return kernels


@cache
def training_library() -> ctypes.CDLL | None:
    """The kernels for training; None where they cannot be had, or the processor has no products in bfloat16."""
    kernels = _library(TRAINING)
    if kernels is None or not hasattr(kernels, "part_forward"):
        return None
    for name in ("stack_room", "part_kept", "part_space", "prediction_room", "prediction_space"):
        getattr(kernels, name).restype = ctypes.c_int64
    for name in ("recurrence_room", "recurrence_kept", "recurrence_space"):
        getattr(kernels, name).restype = ctypes.c_int64
    return kernels


def training_pays() -> bool:
    """Whether the kernels for training are the fastest there is: not where the processor has tiles (AMX), by which
    PyTorch's products in bfloat16 are several times as fast as those with vectors."""
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return not capabilities.get("amx_bf16")


def _library(sources: Sequence[str]) -> ctypes.CDLL | None:
    compiler = next((path for name in _compilers() if (path := shutil.which(name))), None)
    if compiler is None or os.name != "posix":
        return None
    try:
        return ctypes.CDLL(str(_compiled(compiler, [_HERE / name for name in sources])))
    except (OSError, subprocess.SubprocessError):
        return None


_loaded: list[ctypes.CDLL] = []


def loaded() -> ctypes.CDLL | None:
    """The kernels if they are loaded already: what is small is not worth compiling anything."""
    return _loaded[0] if _loaded else None


def pointer(tensor: Tensor | None) -> int | None:
    """Where a tensor's numbers lie; the caller keeps the tensor until the kernel is done."""
    return None if tensor is None else tensor.data_ptr()


def _compilers() -> tuple[str, ...]:
    return (os.environ.get("CC", "cc"), "gcc", "clang")


def _compiled(compiler: str, sources: Sequence[Path]) -> Path:
    """The library in the cache; made under another name and renamed, so that it is there whole or not at all."""
    made_of = [each.read_bytes() for each in (*sources, *sorted(_HERE.glob("*.h")))]
    made_of += [" ".join((compiler, *_FLAGS)).encode(), _processor().encode()]
    name = hashlib.sha256(b"\0".join(made_of)).hexdigest()[:24]
    folder = _own_folder()
    path = folder / f"kernels-{name}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as work:
            made = Path(work) / path.name
            command = [compiler, *_FLAGS, "-o", str(made), *map(str, sources), "-lm", "-pthread"]
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
            made.replace(path)
    return path


def _own_folder() -> Path:
    """A folder of this user's cache that is theirs alone.

    Raises:
        PermissionError: it belongs to somebody else, or others may write to it.
    """
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "seq2see"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.stat()
    if state.st_uid != os.getuid() or state.st_mode & 0o022:
        raise PermissionError(f"{folder}: not this user's alone")
    return folder


def _processor() -> str:
    """What ``-march=native`` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n")
    except OSError:
        return platform.processor() + platform.machine()
    told = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(told)}))
