"""Where training stands: all numbers that a resumed run needs besides tensors, frozen."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from seq2see.errors import InputError
from seq2see.training.progress import Development
from seq2see.training.random_state import RandomState

_MOST_BYTES = 1 << 28  # of a state file; a process needs about 50 kB


@dataclass(frozen=True)
class Tally:
    """Sums since the last line of the journal; ``padding`` of the batches' shares; ``started`` in seconds."""

    loss: float = 0.0
    tokens: int = 0
    padding: float = 0.0
    batches: int = 0
    started: float = 0.0


@dataclass(frozen=True)
class Best:
    """The best evaluation so far."""

    step: int
    development: Development


@dataclass(frozen=True)
class Standing:
    """``epoch`` and ``batch`` are the position of the next batch. ``step`` counts updates, skipped ones too.

    ``mark`` counts the evaluations that were due; ``evaluations`` are the steps of the last ones whose
    weights are kept; ``stale`` counts those since the best. ``split`` of ``batches`` did not fit into
    memory. ``lines`` is the length of the journal.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    target_tokens: int = 0
    bad_in_a_row: int = 0
    skipped: int = 0
    batches: int = 0
    split: int = 0
    mark: int = 0
    evaluated: int = -1
    evaluations: tuple[int, ...] = ()
    best: Best | None = None
    stale: int = 0
    lines: int = 0
    precision: str = ""
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class Snapshot:
    """The content of a checkpoint's ``state.json``: ``random_states`` holds one entry for each process."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, ser_json_inf_nan="constants")

    standing: Standing
    fingerprint: dict[str, str]
    random_states: tuple[RandomState, ...]


_SNAPSHOT = TypeAdapter(Snapshot)


def snapshot_json(snapshot: Snapshot) -> bytes:
    """One line of JSON; floats come back to the last bit."""
    return _SNAPSHOT.dump_json(snapshot, ensure_ascii=False) + b"\n"


def read_snapshot(path: Path) -> Snapshot:
    """Read what :func:`snapshot_json` wrote.

    Raises:
        InputError: the file is missing, too large, or holds anything else.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is too large for the state of a training run")
        return _SNAPSHOT.validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path} is not the state of a training run: {place}: {first['msg']}") from error


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """A line for each key that two fingerprints do not share: ``key: was "a", now "b"``."""
    return [
        f"{key}: was {_shown(before.get(key))}, now {_shown(now.get(key))}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]


def _shown(value: str | None) -> str:
    if value is None:
        return "not there"
    return json.dumps(value if len(value) <= 80 else value[:77] + "…", ensure_ascii=False)
