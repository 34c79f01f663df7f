"""Going on with a run: what was asked the first time, what may not change, and the way back after a stop."""

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from seq2see.config.settings import Settings
from seq2see.config.toml import Table, merged, read_toml, to_toml
from seq2see.errors import InputError
from seq2see.storage.atomic import disk_errors, write_atomic
from seq2see.tasks.folder import CONFIG, MANIFEST
from seq2see.tasks.request import BUDGETS, PLACES, TrainRequest, with_sections
from seq2see.tasks.run import Run
from seq2see.training.checkpoint import snapshots
from seq2see.training.standing import differences

# What the weights of a checkpoint fit to; only these keys of the two sections can be changed under them.
_FITTED = ("model.", "text.", "tokenisers")
_LOOSE = ("model.name", "model.dropout", "text.dropout")


def run_folder(request: TrainRequest, given: Table, name: str) -> Path:
    """Where the run goes: ``--out``, or a folder of that name under ``runs``. What is there is never written over.

    Raises:
        InputError: it holds a run and ``--resume`` is not given, or the other way round; or it holds other things.
    """
    if request.force and not request.resume:
        raise InputError("--force is for --resume: it goes on although settings or data have changed")
    folder = request.out or Path("runs") / name
    has_run = (folder / CONFIG).exists()
    if request.resume and not has_run:
        raise InputError(f"{folder}: there is no run to go on with; leave --resume out, or name the folder with --out")
    if has_run and not request.resume:
        if request.out is not None:
            refuse_run(folder)
        numbered = (folder.with_name(f"{folder.name}-{number}") for number in range(2, 10_000))
        return next(each for each in numbered if not (each / CONFIG).exists())
    if not has_run and folder.is_dir():
        data = given.get("data", {})
        _refuse_strange(folder, [request.config, *(data.get(key) for key in PLACES), *data.get("dev", ())])
    return folder


def refuse_to_begin_anew(folder: Path) -> None:
    """Raise if there are finished weights in ``folder``, and no checkpoint to go on from."""
    if is_finished(folder) and not has_checkpoint(folder):
        raise InputError(
            f"{folder} is finished, and has no checkpoint to go on from: training would begin anew, over its "
            "weights; choose another --out (--init-from begins with them)"
        )


def _refuse_strange(folder: Path, own: Iterable[object]) -> None:
    """Files that no run has made would be mixed with its own, or written over; what it is to read may lie there."""
    whole = folder.resolve()
    places = (Path(str(each)).resolve() for each in own if each is not None)
    expected = {each.relative_to(whole).parts[:1] for each in places if each.is_relative_to(whole)}
    strange = sorted(each.name for each in folder.iterdir() if (each.name,) not in expected and _holds_something(each))
    if strange:
        raise InputError(
            f"{folder} holds {strange[0]!r}{' and more' if len(strange) > 1 else ''}, and no run; choose another "
            "--out, or a folder with nothing in it"
        )


def _holds_something(path: Path) -> bool:
    """Not a lock, nor the log that a shell has just opened for this command."""
    return not path.name.startswith(".") and (path.is_dir() or path.stat().st_size > 0)


def after_restart(request: TrainRequest, name: str) -> TrainRequest:
    """The request of a process that torchrun has started again: it goes on with the run it was training."""
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") in ("", "0") or request.resume:
        return request
    folder = request.out or Path("runs") / name
    if request.out is None:
        numbered = (folder.with_name(f"{folder.name}-{number}") for number in range(2, 10_000))
        later = takewhile(lambda each: (each / CONFIG).exists(), numbered)
        folder = [folder, *later][-1]
    return replace(request, resume=True, out=folder) if (folder / CONFIG).exists() else request


def refuse_run(folder: Path) -> None:
    """Raise if there is a run in ``folder``."""
    if (folder / CONFIG).exists():
        raise InputError(f"{folder}: holds a run already; go on with --resume, or choose another --out")


def resumed(folder: Path, given: Table) -> Table:
    """What the run in ``folder`` was told, with what is ``given`` now laid over it.

    Another budget, or data of another form, takes the place of the one before instead of standing beside it.
    """
    before = with_sections(read_toml(folder / CONFIG), folder / CONFIG)
    for section, keys in (("training", BUDGETS), ("data", PLACES)):
        now, old = given.get(section), before.get(section)
        if isinstance(now, Mapping) and isinstance(old, dict) and any(key in now for key in keys):
            before[section] = {key: value for key, value in old.items() if key not in keys}
    return merged(before, given)


def is_finished(folder: Path) -> bool:
    """Whether the run has been trained to its end."""
    return (folder / MANIFEST).is_file()


def finished_already(run: Run) -> str:
    """What to say to somebody who goes on with a run that is finished: nothing is done, and how to train longer."""
    folder, training = run.folder, run.settings.training
    budget = next(name for name in BUDGETS if getattr(training, name) is not None)
    longer = f"{2 * getattr(training, budget):g}"
    told = f"{folder} is finished: {run.facts.get('updates', 0):,} updates; nothing has been changed"
    if not has_checkpoint(folder):
        return told
    return f"{told}. To train longer, from its last checkpoint: {_command(folder)} --force --{budget} {longer}"


DATA = "content of the data"  # in a fingerprint


def fingerprint(settings: Settings, parts: Mapping[str, str]) -> dict[str, str]:
    """What must not change between a checkpoint and its resumption, by name: the settings, and ``parts``.

    ``settings`` come without the places of the data, which may change; what is in the data is one of ``parts``.
    """
    table = settings.model_dump(mode="json", exclude={"version"})
    return {**{name: json.dumps(each) for name, each in _flat(table)}, **parts}


def digest(value: object) -> str:
    """SHA-256 of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in table.items():
        if isinstance(each, Mapping):
            yield from _flat(each, f"{prefix}{name}.")
        else:
            yield prefix + name, each


def has_checkpoint(folder: Path) -> bool:
    """Whether there is anything that the settings of now have to fit."""
    return bool(snapshots(folder))


def refuse_changes(folder: Path, now: Mapping[str, str], *, force: bool) -> None:
    """Compare with the newest checkpoint before anything in ``folder`` is written.

    Raises:
        InputError: something is not as it was; ``force`` allows it where the weights still fit.
    """
    known = snapshots(folder)
    changed = differences(known[0].fingerprint, now) if known else []
    fixed = [line for line in changed if line.startswith(_FITTED) and not line.startswith(_LOOSE)]
    if changed and not force:
        lines = "\n  ".join(changed)
        raise InputError(
            f"{folder} was started with other settings or data:\n  {lines}\nGo back to those, start another run "
            "(another --out), or go on all the same: train --resume --force (force=True)"
        )
    if fixed:
        lines = "\n  ".join(fixed)
        raise InputError(
            f"{folder}: its weights do not fit what has been changed, --force or not:\n  {lines}\n"
            "Go back to those, or start another run (another --out)"
        )


def write_config(folder: Path, settings: Settings) -> None:
    """Keep the settings of a run that begins or goes on; from now on it is not finished (any more)."""
    with disk_errors(folder / MANIFEST, 0):
        (folder / MANIFEST).unlink(missing_ok=True)
    write_atomic(folder / CONFIG, to_toml(settings))


def way_on(folder: Path, given: Table) -> str:
    """What to do after a stop."""
    if is_finished(folder):
        return f"the run is finished and saved in {folder}"
    if not (folder / CONFIG).is_file():
        return "nothing was begun yet: to start again, give the same command"
    data = given.get("data")
    piped = isinstance(data, Mapping) and "-" in [data.get(key) for key in PLACES]
    return f"to go on: {_command(folder)}{' < THE-SAME-DATA' if piped else ''}"


def _command(folder: Path) -> str:
    return f"seq2see train --resume --out {shlex.quote(str(folder))}"
