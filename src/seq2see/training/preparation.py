"""What comes before the first update: an old checkpoint, the precision, the compiler, the largest batch.

The trials here compute gradients of real batches and throw them away; weights, random numbers and the
position in the data are as if they had not happened.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import torch
from torch import nn

from seq2see.config.settings import TrainingSettings
from seq2see.errors import InputError, Seq2seeError
from seq2see.storage.atomic import clean_leftovers, disk_errors
from seq2see.training.batch import AnyBatch, Batches
from seq2see.training.checkpoint import checkpoints_of, newest_checkpoint, remove_checkpoints
from seq2see.training.distributed import World
from seq2see.training.gradient import Computation, is_out_of_memory
from seq2see.training.precision import Precision, choose_precision
from seq2see.training.random_state import unchanged_random_state
from seq2see.training.standing import Snapshot, differences, read_snapshot

_LOOKED_AT = 256  # batches among which the largest is looked for

Say = Callable[[str, bool], None]


def starting_point(
    run: Path, world: World, fingerprint: dict[str, str], *, resume: bool, force: bool, say: Say
) -> tuple[Path, Snapshot] | None:
    """The checkpoint to go on from; None: from the beginning.

    Raises:
        InputError: there are checkpoints but nobody said ``resume``; none of them can be used; or the run was
            started with another fingerprint. ``force`` starts anew or goes on all the same.
    """
    folder, step = checkpoints_of(run), -1
    if world.main:
        with disk_errors(folder, 0):
            folder.mkdir(parents=True, exist_ok=True)
        for path in (*clean_leftovers(run), *clean_leftovers(folder)):
            say(f"removed {path.name}, left behind by a run that was cut off", False)
        step = _step_to_resume(run, resume=resume, force=force, say=say)
    step = int(world.from_main([float(step)])[0])
    if step < 0:
        return None
    path = folder / f"step-{step:06d}"
    snapshot = read_snapshot(path / "state.json")
    changed = differences(snapshot.fingerprint, fingerprint)
    if changed and not force:
        lines = "\n  ".join(changed)
        raise InputError(
            f"{run} was started with other settings or data:\n  {lines}\nGo back to those, start another "
            "run, or go on all the same: train --resume --force (force=True)"
        )
    if world.main:
        for line in changed:
            say(f"resumed although it has changed: {line}", True)
        say(f"resumed from the checkpoint of step {step:,}", False)
    return path, snapshot


def _step_to_resume(run: Path, *, resume: bool, force: bool, say: Say) -> int:
    if not resume:
        if any(checkpoints_of(run).glob("step-*")):
            if not force:
                raise InputError(f"{run} holds checkpoints already: resume it (--resume), or give another folder")
            remove_checkpoints(run)
            checkpoints_of(run).mkdir()
        return -1
    found = newest_checkpoint(run, lambda text: say(text, True))
    if found is None:
        say("there is no checkpoint to resume from: training starts from the beginning", True)
        return -1
    return found[1].standing.step


def largest_batch(batches: Batches[AnyBatch], epoch: int) -> AnyBatch:
    """The batch with the most positions, padding included, among the first ones of the epoch.

    Raises:
        InputError: the epoch has no batch.
    """
    found = islice(batches.epoch(epoch), _LOOKED_AT)
    largest = max(found, key=lambda batch: batch.tokens / max(1e-3, 1 - batch.padding_share), default=None)
    if largest is None:
        raise InputError("there is nothing to train on: the data gave no batch")
    return largest


def prepared(
    computation: Computation[AnyBatch],
    batch: AnyBatch,
    settings: TrainingSettings,
    world: World,
    known: str,
    say: Say,
) -> Computation[AnyBatch]:
    """Settle the precision (``known`` from a checkpoint, or chosen), compile, and try the largest batch."""
    part = batch.shard(world.rank, world.size) if world.size > 1 else batch
    with unchanged_random_state(world.device):
        precision, sentence = _precision(computation, part, settings.precision, world, known)
        if sentence:
            say(sentence, False)
        computation = replace(computation, precision=precision)
        computation = _compiled(computation, part, settings.compile, say)
        too_large = _discarded(computation, part)
    if too_large:
        say(
            f"the largest batch ({part.rows_B.numel():,} pairs) does not fit into memory and is computed in "
            "parts; a smaller training.batch_tokens is faster",
            True,
        )
    return computation


def _precision(
    computation: Computation[AnyBatch],
    part: AnyBatch,
    setting: Literal["auto", "float32", "bfloat16"],
    world: World,
    known: str,
) -> tuple[Precision, str]:
    if known in {"float32", "bfloat16"}:
        return ("float32" if known == "float32" else "bfloat16"), ""

    def measure(precision: Precision) -> float:
        start = time.perf_counter()
        _discarded(replace(computation, precision=precision), part)
        return time.perf_counter() - start

    chosen, sentence = choose_precision(setting, world.device, measure) if world.main else ("float32", "")
    low = world.from_main([float(chosen == "bfloat16")])[0]
    return ("bfloat16" if low else "float32"), sentence


def _compiled(
    computation: Computation[AnyBatch], part: AnyBatch, setting: Literal["auto", "on", "off"], say: Say
) -> Computation[AnyBatch]:
    """With "on", the model's ``forward`` compiled by torch, if this machine can.

    Nothing else asks for it: Dynamo breaks at recurrent layers, every new batch shape compiles again, and on a CPU it
    needs a C++ compiler; whoever has measured a gain sets "on".
    """
    if setting != "on":
        return computation
    compiled = replace(computation, module=cast(nn.Module, torch.compile(computation.module)))
    try:
        _discarded(compiled, part)
    except Seq2seeError:
        raise
    except Exception as error:  # the compilers behind torch raise whatever they like
        if is_out_of_memory(error):
            raise
        reason = str(error).strip().split("\n")[0][:200]
        say(f"torch.compile does not work here ({reason}): training goes on without it", True)
        computation.module.zero_grad(set_to_none=True)
        return computation
    return compiled


def _discarded(computation: Computation[AnyBatch], part: AnyBatch) -> bool:
    """Compute a gradient, wait for it, throw it away; returns whether the batch had to be split."""
    gradient = computation.gradient([part], max(1, part.tokens))
    if computation.device.type != "cpu":
        torch.get_device_module(computation.device).synchronize()
    computation.module.zero_grad(set_to_none=True)
    return gradient.split > 0
