"""A run so small that it trains in tenths of a second, with all that has to survive a fault: dropout, averages."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from seq2see.storage.manifest import write_manifest
from small_task import reversed_pairs, write_pairs

_SETTINGS = (
    "model.encoder.width=16",
    "model.decoder.width=16",
    "model.dropout=0.2",
    "training.batch_tokens=256",
    "training.learning_rate=0.01",
    "training.precision=float32",
    "training.evaluate_every=4",
    "training.checkpoint_every=3",
    "training.average=2",
    "text.kind=word",
)
SETTINGS = tuple(part for setting in _SETTINGS for part in ("--set", setting))
STEPS = 9  # of about five batches an epoch: the run ends in the middle of its second


def train(data: Path, out: Path, *more: object) -> tuple[object, ...]:
    """The arguments of a training."""
    return ("train", data, "--model", "lstm-attention", "--steps", STEPS, "--out", out, *SETTINGS, *more)


def pairs(folder: Path) -> Path:
    """The data of it."""
    return write_pairs(folder / "pairs.tsv", reversed_pairs(80))


def weights(run: Path) -> str:
    """What the weights of a finished run are, as a hash."""
    return hashlib.sha256((run / "weights.safetensors").read_bytes()).hexdigest()


def journal(run: Path) -> list[dict[str, Any]]:
    """The journal without what depends on the clock."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: row[name] for name in row if name not in ("seconds", "target_tokens_per_second")} for row in rows]


def leftovers(run: Path) -> list[str]:
    """What a crash has left behind."""
    return [path.name for path in run.rglob("*") if path.name.startswith((".tmp-", ".old-", ".lock"))]


def vouched(run: Path) -> Path:
    """The run with a manifest that vouches for whatever is in it now, as a forger would write it."""
    extra = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["extra"]
    write_manifest(run, kind="run", names=("config.toml", "tokenizer.json", "weights.safetensors"), extra=extra)
    return run


class Trap:
    """A pickle that would make a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)
