"""Evaluating while training goes on, and choosing the weights that are handed over at its end."""

import math
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seq2see.errors import Stopped
from seq2see.training.averaging import mean_of
from seq2see.training.batch import AnyBatch
from seq2see.training.checkpoint import expected_weights, restore_weights, weights_of
from seq2see.training.evaluation_weights import keep_evaluation, load_evaluation
from seq2see.training.interrupt import name_of
from seq2see.training.job import Job, with_event
from seq2see.training.journal import evaluation_line
from seq2see.training.progress import Development, Evaluated
from seq2see.training.random_state import unchanged_random_state
from seq2see.training.standing import Best, Standing

EVALUATIONS = 20  # over the budget, unless settings.evaluate_every says otherwise


@dataclass(frozen=True)
class Fitted:
    """A finished training. ``weights`` are on the CPU, named as by ``weights_of``, and in the model too.

    ``reason`` says why it ended and which weights these are; ``best`` is their evaluation.
    """

    steps: int
    epochs: float
    seconds: float
    best: Development | None
    reason: str
    weights: dict[str, Tensor]


def evaluation_due(job: Job[AnyBatch], standing: Standing) -> bool:
    """Whether these weights are to be evaluated, or kept for the mean, before training goes on."""
    if standing.step == standing.evaluated or (job.develop is None and not job.settings.average):
        return False
    return mark_of(job, standing) > standing.mark or job.done(standing)


def mark_of(job: Job[AnyBatch], standing: Standing) -> int:
    """How many evaluations have been due so far."""
    if job.settings.evaluate_every is not None:
        return standing.step // job.settings.evaluate_every
    return int(job.fraction(standing) * EVALUATIONS + 1e-9)


def evaluate(job: Job[AnyBatch], standing: Standing) -> tuple[Standing, int]:
    """Evaluate the weights of the moment (their moving average, if there is one).

    Returns where training stands now, and the number of a signal that cut the evaluation short (0: none), in
    which case nothing has changed.
    """
    keep = job.settings.average
    before = standing.best.development if standing.best is not None else None
    averaged = job.ema.applied(job.model) if job.ema is not None else nullcontext()
    with averaged:
        development, signal_number = _developed(job)
        if signal_number:
            return standing, signal_number
        better = job.develop is not None and _is_better(development, before)
        if job.world.main and (better or keep):
            keep_evaluation(job.run, standing.step, weights_of(job.model))
    if development is not None and job.world.main:
        progress = job.progress(standing)
        job.journal.write(evaluation_line(progress, development))
        job.tell(with_event(progress, Evaluated(standing.step, development, better)))
    best = Best(standing.step, development) if better and development is not None else standing.best
    return replace(
        standing,
        mark=mark_of(job, standing),
        evaluated=standing.step,
        evaluations=(*standing.evaluations, standing.step)[-keep:] if keep else (),
        best=best,
        stale=0 if better else standing.stale + 1,
    ), 0


def finish(job: Job[AnyBatch], standing: Standing, reason: str) -> Fitted:
    """Choose the final weights, put them into the model, and hand them over.

    The mean of the last evaluations' weights is evaluated as well and taken if it is at least as good as the
    best of them (Vaswani et al. 2017, section 6.1, average without looking; a dev score costs little).

    Raises:
        Stopped: a signal came during that evaluation; a resumed run repeats only this.
    """
    weights, development, chosen = _best_single(job, standing)
    if len(standing.evaluations) > 1:
        mean, found = _mean(job, standing)
        if _is_better(found, development, or_equal=True):
            weights, development = mean, found
            chosen = f"the mean of the weights of the last {len(standing.evaluations)} evaluations"
    restore_weights(job.model, weights)
    job.world.copy_from_main(job.model)
    return Fitted(
        steps=standing.step,
        epochs=job.epochs(standing),
        seconds=job.stopwatch.seconds(),
        best=development,
        reason=f"{reason}; these are {chosen}",
        weights=_copies(job),
    )


def _best_single(job: Job[AnyBatch], standing: Standing) -> tuple[dict[str, Tensor], Development | None, str]:
    """The weights to hand over if there were no mean, how good they are if that is known, and their name."""
    best = standing.best
    if best is not None:
        weights = _kept(job, best.step) if job.world.main else _copies(job)
        return weights, best.development, f"the weights of step {best.step:,}, the best of the evaluations"
    if job.ema is None:
        return _copies(job), None, "the last weights"
    with job.ema.applied(job.model):
        return _copies(job), None, "the moving average of the weights"


def _mean(job: Job[AnyBatch], standing: Standing) -> tuple[dict[str, Tensor], Development | None]:
    """The mean of the kept evaluations' weights and, if there is a way to tell, how good it is.

    Only the first process reads and evaluates; the others learn the key. The model holds the mean afterwards.
    """
    if job.world.main:
        mean = mean_of(_kept(job, step) for step in standing.evaluations)
        restore_weights(job.model, mean)
    development, signal_number = _developed(job)
    if signal_number:
        raise Stopped(
            f"stopped by {name_of(signal_number)} while the mean of the weights was evaluated; training is "
            "complete and saved",
            signal_number,
        )
    if development is not None and job.world.main:
        progress = job.progress(standing)
        job.journal.write(evaluation_line(progress, development, averaged=len(standing.evaluations)))
    return _copies(job), development


def _developed(job: Job[AnyBatch]) -> tuple[Development | None, int]:
    """Evaluate in the first process; the others learn the key. Also the signal that cut it short, or 0."""
    if job.develop is None:
        return None, 0
    development, signal_number = Development(math.nan, {}, -math.inf, []), 0
    if job.world.main:
        job.model.eval()
        try:
            with torch.no_grad(), unchanged_random_state(job.world.device):
                development = job.develop(job.model)
        except Stopped as stopped:
            signal_number = stopped.signal_number
        finally:
            job.model.train()
    key = development.key if not math.isnan(development.key) else -math.inf
    key, stop = job.world.from_main([key, float(signal_number)])
    return replace(development, key=key), int(stop)


def _is_better(found: Development | None, than: Development | None, *, or_equal: bool = False) -> bool:
    """Whether the key is higher; where nothing can be said of one side, yes."""
    if found is None or than is None:
        return True
    return found.key >= than.key if or_equal else found.key > than.key


def _kept(job: Job[AnyBatch], step: int) -> dict[str, Tensor]:
    return load_evaluation(job.run, step, expected_weights(job.model))


def _copies(job: Job[AnyBatch]) -> dict[str, Tensor]:
    return {name: tensor.to("cpu", copy=True) for name, tensor in weights_of(job.model).items()}
