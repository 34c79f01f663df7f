"""Weights of past evaluations, kept as files: the best one, and the last ones for their mean."""

from collections.abc import Collection
from pathlib import Path

from torch import Tensor

from seq2see.storage.atomic import AtomicFolder, remove_folder
from seq2see.storage.manifest import verify_manifest, write_manifest
from seq2see.storage.tensors import Expected, load_tensors, save_tensors
from seq2see.training.checkpoint import WEIGHTS, checkpoints_of

KIND = "evaluation"

_PREFIX = "evaluation-"


def keep_evaluation(run: Path, step: int, weights: dict[str, Tensor]) -> None:
    """Write the weights that were evaluated at ``step``."""
    with AtomicFolder(_path(run, step)) as temporary:
        save_tensors(temporary / WEIGHTS, weights, {})
        write_manifest(temporary, kind=KIND, extra={"step": step})


def load_evaluation(run: Path, step: int, expected: Expected) -> dict[str, Tensor]:
    """Read them back.

    Raises:
        InputError: they are missing or damaged.
    """
    verify_manifest(_path(run, step), kind=KIND)
    return load_tensors(_path(run, step) / WEIGHTS, expected)


def drop_evaluations(run: Path, needed: Collection[int]) -> None:
    """Remove those that no checkpoint needs any more."""
    for path in sorted(checkpoints_of(run).glob(_PREFIX + "*")):
        number = path.name.removeprefix(_PREFIX)
        if number.isdecimal() and int(number) not in needed:
            remove_folder(path)


def _path(run: Path, step: int) -> Path:
    return checkpoints_of(run) / f"{_PREFIX}{step:06d}"
