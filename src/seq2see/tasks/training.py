"""Training, whatever the task: the folder, what goes into it and when, stopping and going on, the end.

The task prepares; `seq2see.training` descends. Everything that a stop could leave half done is decided here.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch

from seq2see.config.settings import Settings
from seq2see.config.toml import Table, read_toml
from seq2see.errors import InputError, Stopped
from seq2see.models.compiled_training import trained_in_kernels
from seq2see.nn.native.library import training_pays
from seq2see.storage.atomic import clean_leftovers, disk_errors
from seq2see.storage.lock import FolderLock
from seq2see.tasks.catalogue import load, task_of
from seq2see.tasks.donor import open_donor
from seq2see.tasks.folder import CONFIG, FIGURES, default_device
from seq2see.tasks.model_lists import require_known
from seq2see.tasks.outcome import finish, last_words, model_name
from seq2see.tasks.reporting import Reporter, drawn_too, plain, silent
from seq2see.tasks.request import TrainRequest, require_model
from seq2see.tasks.resuming import (
    after_restart,
    finished_already,
    has_checkpoint,
    is_finished,
    refuse_run,
    refuse_to_begin_anew,
    resumed,
    run_folder,
    way_on,
)
from seq2see.tasks.run import Run
from seq2see.tasks.task import Ground, Prepared, Task
from seq2see.training.checkpoint import weights_of
from seq2see.training.distributed import World, join
from seq2see.training.interrupt import Interrupt, catch_signals
from seq2see.training.loop import fit
from seq2see.training.progress import Stopwatch
from seq2see.training.selection import Fitted
from seq2see.training.tensorboard import require_tensorboard


def train(
    data: str | Path | None = None,
    *,
    task: str | None = None,
    source: str | Path | None = None,
    target: str | Path | None = None,
    dev: Sequence[str | Path] = (),
    columns: tuple[str, str] | None = None,
    model: str | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    out: str | Path | None = None,
    seed: int | None = None,
    resume: bool = False,
    force: bool = False,
    tensorboard: bool = False,
    init_from: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Train a model on data of one's own; the same as ``seq2see train``.

    Args:
        task: what to learn, such as ``"translate"`` (pairs of text), which is the default.
        data: a file of the task's kind (for pairs: TSV, CSV, JSON Lines, Parquet), or ``source`` and ``target``, two
            line-parallel files.
        dev: pairs to choose by: one file, or a source and a target file; a share of ``data`` where it is empty.
        settings: single settings by dotted name, such as ``{"training.learning_rate": 0.002}``.
        resume: go on from the last checkpoint in ``out``; ``force``, although settings or data have changed.
        tensorboard: write the figures for TensorBoard too, into ``out/tensorboard``.
        init_from: a run whose pieces, model and weights this one begins with, such as one trained on plain text.
        reporter: where sentences and progress go; plain lines on standard output where there is none.

    Returns:
        The finished run.

    Raises:
        InputError: something given cannot be used; the message says what would work.
        Stopped: a signal came; everything so far is saved.
    """
    request = TrainRequest(
        task=task,
        data=data,
        source=source,
        target=target,
        dev=tuple(dev),
        columns=columns,
        model=model,
        config=Path(config) if config else None,
        settings=settings or {},
        minutes=minutes,
        epochs=epochs,
        steps=steps,
        out=Path(out) if out else None,
        seed=seed,
        resume=resume,
        force=force,
        tensorboard=tensorboard,
        init_from=Path(init_from) if init_from else None,
    )
    with catch_signals() as interrupt:
        return train_run(request, reporter=reporter or plain(), interrupt=interrupt)


def train_run(request: TrainRequest, *, reporter: Reporter, interrupt: Interrupt) -> Run:
    """Train as asked, telling ``reporter``, looking out for ``interrupt``; alone, or as one process of ``torchrun``.

    Going on with a run that is finished changes nothing and says so.
    """
    if request.tensorboard:
        require_tensorboard()
    task = task_of(request.given())
    given = request.given(task.data_key)
    name = task.default_name(given, request.config)
    request = after_restart(request, name)
    folder = run_folder(request, given, name)
    if request.resume:
        task, given = _resumed(request, folder)
        require_model(given, request.model)
        if is_finished(folder) and given == read_toml(folder / CONFIG):
            run = load(folder)
            reporter.say(finished_already(run))
            return run
        refuse_to_begin_anew(folder)
    try:
        _train(task, request, given, folder, reporter, interrupt)
        interrupt.check()
    except Stopped as stopped:
        raise Stopped(f"{stopped}; {way_on(folder, given)}", stopped.signal_number) from stopped
    return load(folder)


def rehearse(request: TrainRequest, interrupt: Interrupt) -> None:
    """Read the data and settle all settings of a new run, then stop: nothing is written.

    Raises:
        InputError: what training would refuse before its first update.
    """
    task = task_of(request.given())
    given = request.given(task.data_key)
    folder = run_folder(request, given, task.default_name(given, request.config))
    _refuse_early(task, request, given)
    prepare = task.open_data(given, request.origin(folder), interrupt)
    world = World(0, 1, default_device())
    ground = _ground(task, request, given, folder, world, silent(), interrupt, [])
    with suppress(_Settled):
        prepare(_Rehearsal(**vars(ground)))


class _Settled(Exception):
    """The settings of a rehearsal are there."""


class _Rehearsal(Ground):
    """Ends where a run would begin to write."""

    def begin(self, settings: Settings) -> None:
        raise _Settled


def _resumed(request: TrainRequest, folder: Path) -> tuple[Task, Table]:
    """The task of the run in ``folder``, and what it was told with what is given now laid over it."""
    task = task_of(read_toml(folder / CONFIG))
    given = request.given(task.data_key)
    if given.get("task", task.name) != task.name:
        raise InputError(f"{folder}: a run of the task {task.name}; {given['task']} needs another --out")
    return task, resumed(folder, given)


def _train(
    task: Task, request: TrainRequest, given: Table, folder: Path, reporter: Reporter, interrupt: Interrupt
) -> None:
    _refuse_early(task, request, given)
    prepare = task.open_data(given, request.origin(folder), interrupt)
    is_new = not folder.exists()
    with disk_errors(folder, 0):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with join(default_device()) as world, FolderLock(folder) if world.main else nullcontext():
            reporter = reporter if world.main else silent()
            notes: list[str] = []
            with _taken_away_again(folder, request) if world.main else nullcontext():
                with world.main_first():
                    ground = _ground(task, request, given, folder, world, reporter, interrupt, notes)
                    prepared = prepare(ground)
                _fit(task, ground, prepared, reporter, notes)
    finally:
        if is_new:
            with suppress(OSError):
                folder.rmdir()  # only if nothing has come into it


def _refuse_early(task: Task, request: TrainRequest, given: Table) -> None:
    """What can be said before anything is read: an unknown model, and a short-list, which is learned afterwards."""
    require_known(task.name, request.model, given.get("model", {}))
    search = given.get("search", {})
    if isinstance(search, Mapping) and search.get("shortlist"):
        raise InputError(
            "search.shortlist: leave it out here; `seq2see shortlist RUN` learns one when a translator is there"
        )


@contextmanager
def _taken_away_again(folder: Path, request: TrainRequest) -> Iterator[None]:
    """What a run has written that was refused before its first checkpoint: the mended command finds its folder free.

    Raises:
        InputError: another process has made a run there meanwhile.
    """
    clean_leftovers(folder)
    if not request.resume:
        refuse_run(folder)
    before = set(folder.iterdir())
    try:
        yield
    except InputError:
        if not request.resume and not has_checkpoint(folder):
            for each in set(folder.iterdir()) - before:
                with suppress(OSError):
                    shutil.rmtree(each) if each.is_dir() else each.unlink()
        raise


def _ground(
    task: Task,
    request: TrainRequest,
    given: Table,
    folder: Path,
    world: World,
    reporter: Reporter,
    interrupt: Interrupt,
    notes: list[str],
) -> Ground:
    def note(sentence: str) -> None:
        notes.append(sentence)
        reporter.say(sentence)

    goes_on = request.resume and has_checkpoint(folder)
    place = given.get("training", {}).get("init_from")
    donor = None if goes_on or place is None else open_donor(str(place), task.name, task.donors)
    if donor is not None and request.model is not None:
        raise InputError(f"--model {request.model}: the model is that of {place} (--init-from); leave --model out")
    if donor is not None:
        note(f"begins with the pieces, the model and the weights of {place}")
    return Ground(
        request=request,
        given=given if donor is None else donor.laid_under(given),
        folder=folder,
        world=world,
        note=note,
        interrupt=interrupt,
        resumed=goes_on or not world.main,
        donor=donor,
    )


def _fit(task: Task, ground: Ground, prepared: Prepared[Any], reporter: Reporter, notes: Sequence[str]) -> None:
    settings, folder, world, request = prepared.settings, ground.folder, ground.world, ground.request
    torch.manual_seed(settings.training.seed)
    model = prepared.model().to(world.device)
    figures = folder / FIGURES if request.tensorboard and world.main else None
    if prepared.solve is not None:  # how large such a model is shows afterwards
        fitted = _solved(prepared.solve, model)
        reporter.say(_model_line(settings, model, world))
    else:
        reporter.say(_model_line(settings, model, world))
        with drawn_too(reporter.progress, figures) as report:
            fitted = fit(
                model,
                prepared.batches,
                prepared.loss,
                settings.training,
                folder,
                develop=prepared.develop,
                report=report,
                interrupt=ground.interrupt,
                device=world.device,
                fingerprint=dict(prepared.fingerprint),
                resume=request.resume,
                force=request.force,
                kernels=trained_in_kernels if training_pays() else None,
            )
    if world.main:
        reporter.say(f"{fitted.reason}; {fitted.steps:,} updates in {fitted.seconds / 60:.1f} minutes")
        evaluation = prepared.evaluate(model.eval())
        finish(folder, model, settings, fitted, evaluation, files=prepared.files, data=prepared.data, notes=notes)
        for sentence in last_words(folder, evaluation, prepared.try_it or task.try_it):
            reporter.say(sentence)
    world.highest([0.0])  # all wait for the first process: the folder they load is whole then


def _model_line(settings: Settings, model: torch.nn.Module, world: World) -> str:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return f"model: {model_name(settings)}, {parameters:,} parameters, on {world.device.type}"


def _solved(solve: Callable[[Any], None], model: torch.nn.Module) -> Fitted:
    """A model with a closed form."""
    stopwatch = Stopwatch(0.0)
    solve(model)
    weights = {name: tensor.to("cpu", copy=True) for name, tensor in weights_of(model).items()}
    return Fitted(0, 1.0, stopwatch.seconds(), None, "found in one pass", weights)
