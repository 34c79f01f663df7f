"""Checkpoints: everything that training needs to go on bit for bit, each complete and verified or not there.

RUN/checkpoints/latest          the name of the newest, for people and other programs
RUN/checkpoints/step-000100/    weights.safetensors, optimiser.safetensors, (ema.safetensors), state.json,
                                manifest.json
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seq2see.errors import InputError
from seq2see.storage.atomic import AtomicFolder, disk_errors, remove_folder, write_atomic
from seq2see.storage.manifest import verify_manifest, write_manifest
from seq2see.storage.tensors import Expected, load_tensors, save_tensors
from seq2see.training.averaging import Ema
from seq2see.training.optimiser import optimiser_tensors, restore_optimiser
from seq2see.training.standing import Snapshot, read_snapshot, snapshot_json

KIND = "checkpoint"
KEPT = 2  # the newest and, should the disk lie, the one before
WEIGHTS = "weights.safetensors"
OPTIMISER = "optimiser.safetensors"
EMA = "ema.safetensors"
STATE = "state.json"
LATEST = "latest"

_PREFIX = "step-"


def checkpoints_of(run: Path) -> Path:
    """Where a run keeps its checkpoints."""
    return run / "checkpoints"


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and lasting buffer once, by its first name (of tied weights); no copies."""
    names = {name for name, _ in model.named_parameters()} | {name for name, _ in model.named_buffers()}
    return {name: tensor.detach() for name, tensor in model.state_dict().items() if name in names}


def expected_weights(model: nn.Module) -> Expected:
    """Shape and type of each of :func:`weights_of`, as :func:`load_tensors` asks for them."""
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in weights_of(model).items()}


def restore_weights(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy ``tensors``, named as in :func:`weights_of`, into the model; tied weights stay tied."""
    with torch.no_grad():
        for name, tensor in weights_of(model).items():
            tensor.copy_(tensors[name])


def save_checkpoint(run: Path, snapshot: Snapshot, model: nn.Module, optimiser: Optimizer, ema: Ema | None) -> Path:
    """Write a checkpoint of this step, read it back, and only then delete those it makes superfluous.

    Raises:
        Seq2seeError: the disk is full or a weight is not finite; the checkpoints before are as they were.
    """
    folder, step = checkpoints_of(run), snapshot.standing.step
    final = folder / f"{_PREFIX}{step:06d}"
    with AtomicFolder(final) as temporary:
        save_tensors(temporary / WEIGHTS, weights_of(model), {})
        save_tensors(temporary / OPTIMISER, optimiser_tensors(optimiser, model), {})
        if ema is not None:
            save_tensors(temporary / EMA, ema.tensors(), {})
        write_atomic(temporary / STATE, snapshot_json(snapshot))
        write_manifest(temporary, kind=KIND, extra={"step": step})
    verify_manifest(final, kind=KIND)
    write_atomic(folder / LATEST, final.name + "\n")
    # Those of later steps belong to a course of the run that was left when it went back to an earlier one.
    kept = [number for number in _steps(folder) if number <= step][:KEPT]
    for number in _steps(folder):
        if number not in kept:
            remove_folder(_path(folder, number))
    return final


def newest_checkpoint(run: Path, say: Callable[[str], None]) -> tuple[Path, Snapshot] | None:
    """The newest checkpoint whose files are all as they were written; each that is not is ``say``-d.

    None: the run has no checkpoint at all.

    Raises:
        InputError: it has some, but none can be used.
    """
    folder = checkpoints_of(run)
    steps = _steps(folder)
    for step in steps:
        path = _path(folder, step)
        try:
            verify_manifest(path, kind=KIND)
            return path, read_snapshot(path / STATE)
        except InputError as error:
            say(f"checkpoint of step {step:,} cannot be used, going back to the one before: {error}")
    if steps:
        raise InputError(f"{folder}: none of the {len(steps)} checkpoints can be used; start the run again")
    return None


def restore_checkpoint(path: Path, model: nn.Module, optimiser: Optimizer) -> None:
    """Put a checkpoint's tensors back into a model and an optimiser of the same kinds.

    Raises:
        InputError: they do not fit.
    """
    restore_weights(model, load_tensors(path / WEIGHTS, expected_weights(model)))
    restore_optimiser(optimiser, model, load_tensors(path / OPTIMISER, None))


def restore_average(path: Path, ema: Ema) -> None:
    """Put a checkpoint's average back; one of a run that was forced on without it goes on as it is."""
    if (path / EMA).is_file():
        ema.restore(load_tensors(path / EMA, None))


def newest_weights(run: Path, expected: Expected) -> tuple[dict[str, Tensor], int]:
    """The weights of the newest usable checkpoint of an unfinished run, and its step.

    Raises:
        InputError: there is none, or it is of another model.
    """
    found = newest_checkpoint(run, lambda text: None)
    if found is None:
        raise InputError(f"{run} holds no weights yet: training has not come to its first checkpoint")
    path, snapshot = found
    return load_tensors(path / WEIGHTS, expected), snapshot.standing.step


def snapshots(run: Path) -> list[Snapshot]:
    """The states of all checkpoints that can be read, newest first."""
    found = []
    for step in _steps(checkpoints_of(run)):
        try:
            found.append(read_snapshot(_path(checkpoints_of(run), step) / STATE))
        except InputError:
            continue
    return found


def remove_checkpoints(run: Path) -> None:
    """Remove all of them, as when a run is started anew or its final weights are written."""
    folder = checkpoints_of(run)
    if folder.exists():
        remove_folder(folder)


def _steps(folder: Path) -> list[int]:
    """Steps with a checkpoint, newest first."""
    with disk_errors(folder, 0):
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    numbers = [name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX)]
    return sorted((int(number) for number in numbers if number.isdecimal()), reverse=True)


def _path(folder: Path, step: int) -> Path:
    return folder / f"{_PREFIX}{step:06d}"
