"""``metrics.jsonl``: one JSON object a line, appended as training goes.

Training lines: step, epoch, seconds, loss, learning_rate, target_tokens (all so far),
target_tokens_per_second, padding_share, gradient_norm. Evaluations: step, epoch, seconds, dev_loss, dev_key,
dev_<score> for each score, samples. Warnings: step, epoch, seconds, warning. What is not a number
is null.
"""

import json
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from seq2see.storage.atomic import disk_errors, write_atomic
from seq2see.training.progress import Development, Progress


class Journal:
    """The open journal of a run. ``lines`` counts what it holds: a resume cuts off what came later."""

    def __init__(self, path: Path | None, *, lines: int = 0, step: int = 0) -> None:
        """Keep the first ``lines`` lines, up to ``step``; ``path`` None writes nothing (other ranks)."""
        self._file = None
        self.lines = 0
        if path is None:
            return
        kept = _kept(path, lines, step)
        write_atomic(path, b"".join(kept))
        with disk_errors(path, 0):
            self._file = path.open("ab")
        self._path = path
        self.lines = len(kept)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, line: dict[str, Any]) -> None:
        """Append one object and hand it to the system; :meth:`sync` flushes it to the disk."""
        if self._file is None:
            return
        content = (json.dumps(_finite(line), ensure_ascii=False, allow_nan=False) + "\n").encode()
        with disk_errors(self._path, len(content)):
            self._file.write(content)
            self._file.flush()
        self.lines += 1

    def sync(self) -> None:
        """Flush to the disk: a checkpoint that counts these lines comes next."""
        if self._file is not None:
            with disk_errors(self._path, 0):
                os.fsync(self._file.fileno())


def interval(step: int) -> int:
    """Every so many updates comes a training line: each of the first thousand, then fewer.

    It depends on nothing but the step, so that a resumed run writes the same lines.
    """
    return 1 if step <= 1_000 else 10 if step <= 10_000 else 100


def training_line(progress: Progress) -> dict[str, Any]:
    """The line of the updates since the last one."""
    return {
        "step": progress.step,
        "epoch": progress.epoch,
        "seconds": progress.seconds,
        "loss": progress.loss,
        "learning_rate": progress.learning_rate,
        "target_tokens": progress.target_tokens,
        "target_tokens_per_second": progress.target_tokens_per_second,
        "padding_share": progress.padding_share,
        "gradient_norm": progress.gradient_norm,
    }


def evaluation_line(progress: Progress, development: Development, averaged: int = 0) -> dict[str, Any]:
    """The line of an evaluation; ``averaged``: of the mean of so many evaluations' weights."""
    scores = {f"dev_{name}": value for name, value in development.scores.items()}
    return {
        "step": progress.step,
        "epoch": progress.epoch,
        "seconds": progress.seconds,
        **({"averaged": averaged} if averaged else {}),
        **scores,
        "dev_loss": development.loss,
        "dev_key": development.key,
        "samples": development.samples,
    }


def warning_line(progress: Progress, text: str) -> dict[str, Any]:
    """The line of something that went wrong and was survived."""
    return {"step": progress.step, "epoch": progress.epoch, "seconds": progress.seconds, "warning": text}


def _kept(path: Path, lines: int, step: int) -> list[bytes]:
    """Of the first ``lines`` lines those of ``step`` or before; a torn last line is none."""
    if lines == 0 or not path.is_file():
        return []
    found = path.read_bytes().splitlines(keepends=True)[:lines]
    return [line for line in found if line.endswith(b"\n") and 0 <= _step(line) <= step]


def _step(line: bytes) -> int:
    try:
        found = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return -1
    return found if isinstance(found, int) else -1


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null says that there is no number."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
