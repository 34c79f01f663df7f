"""A run folder is the model, whole: configuration, tokenisers, weights, and a manifest that vouches for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seq2see.config.settings import Settings
from seq2see.config.toml import parse_settings, read_toml
from seq2see.errors import InputError
from seq2see.models.build import build
from seq2see.models.seq2seq import Seq2Seq
from seq2see.storage.manifest import verify_manifest, write_manifest
from seq2see.storage.tensors import load_tensors, save_tensors
from seq2see.text.tokeniser import TokeniserPair
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
class LoadedRun:
    """What a run folder holds. ``facts`` is what the manifest says of it; ``note`` is empty for a finished run."""

    folder: Path
    settings: Settings
    tokenisers: TokeniserPair
    model: Seq2Seq
    facts: Mapping[str, Any]
    note: str = ""


def save_run(folder: Path, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write the weights beside the configuration and tokenisers that are there already, then the manifest."""
    save_tensors(folder / WEIGHTS, weights, {})
    write_manifest(folder, kind=KIND, names=(CONFIG, TOKENISER, WEIGHTS), extra=facts)


def load_run(folder: Path, device: torch.device | None = None) -> LoadedRun:
    """The model in a run folder, ready to predict. An unfinished run gives its last checkpoint, and says so.

    Raises:
        InputError: not a run folder, or a file of it is missing, truncated, altered or from a newer version.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such run folder; `seq2see train` makes one")
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: not a run folder: it has no {CONFIG}; `seq2see train` makes run folders")
    finished = (folder / MANIFEST).is_file()
    facts = verify_manifest(folder, kind=KIND) if finished else {}
    settings = parse_settings(read_toml(folder / CONFIG), folder / CONFIG)
    tokenisers = TokeniserPair.load(folder / TOKENISER)
    model = build(settings.model, tokenisers.source.size, tokenisers.target.size)
    expected = expected_weights(model)
    if finished:
        tensors, note = load_tensors(folder / WEIGHTS, expected), ""
    else:
        tensors, step = newest_weights(folder, expected)
        note = f"{folder}: training has not finished; this is its checkpoint of step {step:,}"
    restore_weights(model, tensors)
    return LoadedRun(folder, settings, tokenisers, model.to(device or default_device()).eval(), facts, note)


def default_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
