"""The training loop: batches → gradient → clip and check → update → journal → evaluate → checkpoint.

It knows a model's parameters, batches and a loss function, and nothing of architectures or of search. All
decisions that depend on a clock or a signal are taken together by all processes.
"""

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from torch import nn
from torch.autograd.graph import increment_version
from torch.optim import Optimizer

from seq2see.config.settings import TrainingSettings
from seq2see.errors import Seq2seeError, Stopped
from seq2see.training.averaging import Ema
from seq2see.training.batch import AnyBatch, Batches, Group, LossFunction, groups
from seq2see.training.checkpoint import (
    restore_average,
    restore_checkpoint,
    save_checkpoint,
    snapshots,
    weights_of,
)
from seq2see.training.distributed import World, join
from seq2see.training.evaluation_weights import drop_evaluations
from seq2see.training.gradient import Computation
from seq2see.training.interrupt import Interrupt, name_of
from seq2see.training.job import Develop, Job, Report, with_event
from seq2see.training.journal import Journal, interval, training_line
from seq2see.training.memory import EVERY, give_back
from seq2see.training.optimiser import build_optimiser, clip_and_check, set_rate
from seq2see.training.preparation import Say, largest_batch, prepared, starting_point
from seq2see.training.progress import Development, Progress, Said, Saved, Stopwatch
from seq2see.training.random_state import RandomState, read_random_state, seed, write_random_state
from seq2see.training.schedule import learning_rate
from seq2see.training.selection import Fitted, evaluate, evaluation_due, finish
from seq2see.training.standing import Snapshot, Standing, Tally

__all__ = ["Development", "Fitted", "LossFunction", "Progress", "fit"]

METRICS = "metrics.jsonl"

_CHECKPOINT_SECONDS = 120.0  # without settings.checkpoint_every, at most so much work is lost
_MOST_SPLIT = 0.1  # of all batches may be too large for memory …
_FEWEST_SPLIT = 10  # … once so many have been
_ADVICE = (
    "a smaller training.learning_rate, a longer training.warmup, training.clip = 1.0 or training.precision = "
    '"float32" helps most often; --resume goes back to the last checkpoint'
)


def fit(
    model: nn.Module,
    batches: Batches[AnyBatch],
    loss: LossFunction[AnyBatch],
    settings: TrainingSettings,
    folder: Path,
    *,
    develop: Develop | None,
    report: Report,
    interrupt: Interrupt,
    device: torch.device,
    fingerprint: dict[str, str],
    resume: bool,
    force: bool = False,
    kernels: Callable[[nn.Module], nn.Module | None] | None = None,
) -> Fitted:
    """Train ``model`` until the budget of ``settings`` is spent; the weights that did best come back.

    Args:
        loss: (module, batch) -> the loss summed over the batch's gold tokens, with its gradient.
        folder: the run folder; gets ``metrics.jsonl`` and ``checkpoints/``. Lock it before.
        develop: evaluates the model (in evaluation mode; may raise ``Stopped``); None: the last weights.
        report: called after each update and at each event, in the first process only.
        device: the kind of device; of several GPUs each process takes its own.
        fingerprint: hashes of everything that must not change between a run and its resumption.
        resume: go on from the newest checkpoint, bit for bit; from the beginning if there is none.
        force: resume in spite of a changed fingerprint; without ``resume``, delete older checkpoints.
        kernels: gives the twin of a model that computes the same in bfloat16 faster, if there is one.

    Raises:
        Stopped: a signal came; a checkpoint has been saved.
        InputError: the folder or its checkpoints do not allow what was asked.
        Seq2seeError: the loss is not finite again and again, or memory or disk is too small.
    """
    with join(device) as world:
        say = _speaker(report, world)
        start = starting_point(folder, world, fingerprint, resume=resume, force=force, say=say)
        standing = start[1].standing if start is not None else Standing()
        optimiser, ema = _learner(model, settings, world, start[0] if start is not None else None)
        _set_random_state(world, settings.seed, start[1] if start is not None else None, say)
        twin = kernels(model) if kernels is not None and settings.compile == "auto" else None
        plain = Computation(model, loss, "float32", world.device, twin)
        largest = largest_batch(batches, standing.epoch)
        computation = prepared(plain, largest, settings, world, standing.precision, say)
        standing = replace(standing, precision=computation.precision)
        stopwatch = Stopwatch(standing.seconds)  # from here on: the trials above are no training
        metrics = folder / METRICS if world.main else None
        with Journal(metrics, lines=standing.lines, step=standing.step) as journal:
            job = Job(
                model=model,
                batches=batches,
                count=cache(batches.count),  # it can take a pass over all lengths
                settings=settings,
                run=folder,
                develop=develop,
                report=report,
                interrupt=interrupt,
                fingerprint=fingerprint,
                world=world,
                optimiser=optimiser,
                ema=ema,
                computation=computation,
                journal=journal,
                stopwatch=stopwatch,
            )
            if start is not None and start[1].fingerprint != fingerprint:
                standing = _save(job, standing)  # forced on: from now on it is a run of these settings
            return finish(job, *_train(job, standing, resumed=start is not None))


def _speaker(report: Report, world: World) -> Say:
    """How sentences are told before there is anything else to tell."""

    def say(text: str, warning: bool) -> None:
        if world.main:
            report(Progress(0, 0.0, 0.0, 0.0, None, 0.0, 0, events=(Said(text, warning),)))

    return say


def _learner(
    model: nn.Module, settings: TrainingSettings, world: World, checkpoint: Path | None
) -> tuple[Optimizer, Ema | None]:
    """The model in its place, the same in all processes, with its optimiser and moving average."""
    model.to(world.device).train()
    world.copy_from_main(model)
    optimiser = build_optimiser(model, settings)
    if checkpoint is not None:
        restore_checkpoint(checkpoint, model, optimiser)
    ema = Ema(model, settings.ema) if settings.ema else None
    if checkpoint is not None and ema is not None:
        restore_average(checkpoint, ema)
    return optimiser, ema


def _set_random_state(world: World, number: int, snapshot: Snapshot | None, say: Say) -> None:
    seed(number, world.rank)
    if snapshot is None:
        return
    states = snapshot.random_states
    if len(states) != world.size:
        say(
            f"the checkpoint is of {len(states)} processes, now there are {world.size}: training goes on, "
            "but not with the same random numbers",
            True,
        )
    if world.rank < len(states):
        write_random_state(states[world.rank], world.device)


def _train(job: Job[AnyBatch], standing: Standing, *, resumed: bool) -> tuple[Standing, str]:
    """Update until there is a reason to end; returns where training stands then, saved, and the reason."""
    standing = _paused(job, standing, standing.seconds)
    saved, saved_at = (_place(standing) if resumed else None), standing.seconds
    made_ahead = job.world.device.type != "cpu"
    size, place = job.settings.accumulate, (standing.epoch, standing.batch)
    with closing(groups(job.batches, job.count, size, *place, made_ahead=made_ahead)) as supply:
        while True:
            standing, signal_number = _agreed(job, standing)
            if not signal_number and evaluation_due(job, standing):
                _check_weights(job, standing)
                standing, cut_short = evaluate(job, standing)
                standing, signal_number = _agreed(job, _paused(job, standing, standing.seconds))
                signal_number = cut_short or signal_number
            reason = _ended(job, standing)
            due = reason or signal_number or _checkpoint_due(job, standing, saved_at)
            if due and saved != _place(standing):
                standing = _save(job, standing)
                saved, saved_at = _place(standing), standing.seconds
            if signal_number:
                raise Stopped(
                    f"stopped by {name_of(signal_number)} after step {standing.step:,}; "
                    f"everything is saved in {job.run}",
                    signal_number,
                )
            if reason:
                return standing, reason
            standing = _update(job, standing, next(supply))


def _agreed(job: Job[AnyBatch], standing: Standing) -> tuple[Standing, int]:
    """The time and the signal (0: none) that all processes go by."""
    own = [job.stopwatch.seconds(), float(job.interrupt.signal_number)]
    seconds, signal_number = job.world.highest(own)
    return replace(standing, seconds=seconds), int(signal_number)


def _paused(job: Job[AnyBatch], standing: Standing, since: float) -> Standing:
    """The same, but what has passed since ``since`` does not count in tokens per second."""
    pause = job.stopwatch.seconds() - since
    return replace(standing, tally=replace(standing.tally, started=standing.tally.started + pause))


def _place(standing: Standing) -> tuple[int, int]:
    """What makes one checkpoint different from another."""
    return standing.step, standing.evaluated


def _ended(job: Job[AnyBatch], standing: Standing) -> str:
    """Why training is over; empty while it is not."""
    if job.done(standing):
        return "the budget is spent"
    patience = job.settings.patience
    if job.develop is not None and patience and standing.stale >= patience:
        return f"no better score on the held-out data in {patience} evaluations"
    return ""


def _checkpoint_due(job: Job[AnyBatch], standing: Standing, saved_at: float) -> bool:
    every = job.settings.checkpoint_every
    if every is not None:
        return standing.step > 0 and standing.step % every == 0
    return standing.evaluated == standing.step or standing.seconds - saved_at >= _CHECKPOINT_SECONDS


def _save(job: Job[AnyBatch], standing: Standing) -> Standing:
    """Write a checkpoint; afterwards drop the evaluations that none of the kept ones needs."""
    since = job.stopwatch.seconds()
    _check_weights(job, standing)
    job.journal.sync()
    standing = replace(standing, lines=job.journal.lines)
    own = read_random_state(job.world.device)
    states = zip(job.world.gather(bytes(own.cpu)), job.world.gather(bytes(own.device)), strict=True)
    random_states = tuple(RandomState(tuple(cpu), tuple(on_device)) for cpu, on_device in states)
    if job.world.main:
        snapshot = Snapshot(standing, job.fingerprint, random_states)
        path = save_checkpoint(job.run, snapshot, job.model, job.optimiser, job.ema)
        kept = [found.standing for found in snapshots(job.run)]
        best = {found.best.step for found in kept if found.best is not None}
        drop_evaluations(job.run, best | {step for found in kept for step in found.evaluations})
        job.tell(with_event(job.progress(standing), Saved(standing.step, path)))
    return _paused(job, standing, since)


def _check_weights(job: Job[AnyBatch], standing: Standing) -> None:
    """Raise if a weight is no longer a number: such a state is neither evaluated nor saved."""
    tensors = [tensor for tensor in weights_of(job.model).values() if tensor.is_floating_point()]
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
        raise Seq2seeError(
            f"the weights are no longer finite at step {standing.step:,} and have not been saved; {_ADVICE}"
        )


def _update(job: Job[AnyBatch], standing: Standing, group: Group[AnyBatch]) -> Standing:
    """One update from a group of batches, or none where loss or gradient is not finite."""
    rate = learning_rate(job.settings, update=standing.step + 1, fraction=job.fraction(standing))
    set_rate(job.optimiser, rate)
    loss, split = _gradient(job, group)
    norm, finite = clip_and_check(job.model.parameters(), job.settings.clip)
    standing = replace(
        standing,
        step=standing.step + 1,
        epoch=group.after[0],
        batch=group.after[1],
        batches=standing.batches + len(group.batches),
        split=standing.split + split,
    )
    if finite and math.isfinite(loss):
        job.optimiser.step()
        # torch's fused updates do not count as changes, and what is laid out from the weights goes by that count.
        for parameter in job.model.parameters():
            increment_version(parameter)
        if job.ema is not None:
            job.ema.update(job.model)
        standing = _counted(standing, group, loss)
    else:
        standing = _skipped(job, standing, group, loss, norm)
    job.optimiser.zero_grad(set_to_none=True)
    progress = job.progress(standing, norm)
    job.tell(progress)
    if split:
        _check_split(job, standing, group)
    if not standing.step % EVERY:
        give_back()
    if standing.tally.tokens and standing.step % interval(standing.step) == 0:
        job.journal.write(training_line(progress))
        standing = replace(standing, tally=Tally(started=progress.seconds))
    return standing


def _gradient(job: Job[AnyBatch], group: Group[AnyBatch]) -> tuple[float, int]:
    """The gradient of the group's mean loss, summed over all processes; its summed loss, and how many were split."""
    world, parts = job.world, group.batches
    if world.size > 1:
        parts = [batch.shard(world.rank, world.size) for batch in group.batches]
    gradient = job.computation.gradient(parts, max(1, group.tokens))
    world.sum_gradients(job.model.parameters(), rounded=job.settings.exchange == "bfloat16")
    loss, split = world.totals([gradient.loss, gradient.split])
    return loss, min(int(split), len(group.batches))


def _counted(standing: Standing, group: Group[AnyBatch], loss: float) -> Standing:
    """After an update that was made."""
    tally = replace(
        standing.tally,
        loss=standing.tally.loss + loss,
        tokens=standing.tally.tokens + group.tokens,
        padding=standing.tally.padding + sum(batch.padding_share for batch in group.batches),
        batches=standing.tally.batches + len(group.batches),
    )
    tokens = standing.target_tokens + group.tokens
    return replace(standing, bad_in_a_row=0, target_tokens=tokens, tally=tally)


def _skipped(job: Job[AnyBatch], standing: Standing, group: Group[AnyBatch], loss: float, norm: float) -> Standing:
    """After an update that was not made, because its loss or gradient is not finite."""
    standing = replace(standing, bad_in_a_row=standing.bad_in_a_row + 1, skipped=standing.skipped + 1)
    most = job.settings.bad_steps
    text = f"no update at step {standing.step:,}: loss {loss:g}, gradient norm {norm:g}; {group}"
    job.say(standing, f"{text}; {standing.bad_in_a_row} in a row, training stops at {most}", warning=True)
    if standing.bad_in_a_row >= most:
        raise Seq2seeError(
            f"loss or gradient was not finite {most} times in a row, the last time in {group}; the weights "
            f"from before are intact. {_ADVICE}"
        )
    return standing


def _check_split(job: Job[AnyBatch], standing: Standing, group: Group[AnyBatch]) -> None:
    """Say that a batch did not fit into memory; save and raise if that has happened too often."""
    job.say(standing, f"out of memory, computed in halves: {group}", warning=True)
    if standing.split < _FEWEST_SPLIT or standing.split <= _MOST_SPLIT * standing.batches:
        return
    _save(job, standing)
    raise Seq2seeError(
        f"{standing.split:,} of {standing.batches:,} batches did not fit into memory; make them smaller "
        f"(training.batch_tokens = {job.settings.batch_tokens // 2}, training.accumulate = "
        f"{job.settings.accumulate * 2}), or the model"
    )
