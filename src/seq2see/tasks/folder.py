"""A run folder is the model, whole: configuration, tokenisers, weights, and a manifest that vouches for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seq2see.config.toml import Table, read_toml
from seq2see.errors import InputError
from seq2see.storage.manifest import verify_manifest, write_manifest
from seq2see.storage.tensors import load_tensors, save_tensors
from seq2see.training.checkpoint import expected_weights, newest_weights, restore_weights

CONFIG = "config.toml"
TOKENISER = "tokenizer.json"
WEIGHTS = "weights.safetensors"
METRICS = "metrics.jsonl"
REPORT = "report.html"
FIGURES = "tensorboard"
MANIFEST = "manifest.json"
KIND = "run"


@dataclass(frozen=True)
class RunFolder:
    """A run folder that has been looked at. ``facts`` is what the manifest says; empty for an unfinished run."""

    path: Path
    table: Table
    facts: Mapping[str, Any]
    finished: bool

    @property
    def config(self) -> Path:
        return self.path / CONFIG


def save_run(folder: Path, weights: dict[str, Tensor], files: tuple[str, ...], facts: dict[str, Any]) -> None:
    """Write the weights beside the configuration and ``files`` that are there already, then the manifest."""
    save_tensors(folder / WEIGHTS, weights, {})
    write_manifest(folder, kind=KIND, names=(CONFIG, *files, WEIGHTS), extra=facts)


def require_run(folder: Path) -> None:
    """Raise InputError unless there is a run in ``folder``."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such run folder; `seq2see train` makes one")
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: not a run folder: it has no {CONFIG}; `seq2see train` makes run folders")


def open_folder(folder: Path) -> RunFolder:
    """Check that a run is whole and read its configuration.

    Raises:
        InputError: not a run folder, or a file of it is missing, truncated, altered or from a newer version.
    """
    require_run(folder)
    finished = (folder / MANIFEST).is_file()
    facts = verify_manifest(folder, kind=KIND) if finished else {}
    return RunFolder(folder, read_toml(folder / CONFIG), facts, finished)


def load_weights(found: RunFolder, model: nn.Module, device: torch.device | None = None) -> str:
    """Put a run's weights into its model, ready to predict, on the device (the GPU where there is one).

    An unfinished run gives its last checkpoint, and the sentence that comes back says so; it is empty otherwise.
    """
    expected = expected_weights(model)
    note = ""
    if found.finished:
        tensors = load_tensors(found.path / WEIGHTS, expected)
    else:
        tensors, step = newest_weights(found.path, expected)
        note = f"{found.path}: training has not finished; this is its checkpoint of step {step:,}"
    restore_weights(model, tensors)
    model.to(device or default_device()).eval()
    return note


def default_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
