"""Cross-entropy of an output layer, in chunks of rows: the table of all logits is never kept.

Shapes: N rows (target positions that count) · n rows of one chunk · D width · V vocabulary · K best.

With z = W h + b, p = softmax(z), gold y and smoothing ε (Szegedy et al. 2016, section 7), a row's loss and
its gradient with respect to the logits are

    loss = lse(z) − (1 − ε) z_y − ε mean_v z_v            d loss / d z = p − (1 − ε) 1_y − ε / V

Neither needs a smoothed target as wide as the vocabulary: mean_v z_v = h · mean(W) + mean(b), and the
constant −ε/V gives each gradient a rank-1 part, added once per call. The gradients are computed in the
forward pass, while a chunk's logits are still in the cache; backward only scales them. The gold entry of the
gradient is formed in float32 before it is rounded for a product in bfloat16 (see projection.py).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seq2see.errors import InputError
from seq2see.nn.embedding import OutputLayer
from seq2see.nn.native.prediction import Predictor
from seq2see.training.projection import (
    Projection,
    ProjectionGradients,
    check_inputs,
    check_smoothing,
    chunk_rows,
    chunks,
    scale_gradients,
    softmax_and_lse,
    subtract_gold,
)


def cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    gold_N: Tensor,
    smoothing: float = 0.0,
    chunk: int | None = None,
    predictor: Predictor | None = None,
) -> Tensor:
    """The sum over rows of the label-smoothed cross-entropy of ``hidden @ weight.T + bias``; in nats.

    Equal to ``F.cross_entropy(hidden @ weight.T + bias, gold, label_smoothing=smoothing, reduction="sum")``.
    ``gold_N``: int64 in [0, V). ``chunk``: rows at a time; None chooses. ``predictor``: kernels that compute it where
    gradients are wanted in bfloat16. No rows give 0 and zero gradients.
    The result can be differentiated once. Raises InputError for shapes that do not fit.
    """
    check_inputs(hidden_ND, weight_VD, bias_V, gold_N, chunk)
    check_smoothing(smoothing)
    loss: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden_ND, weight_VD, bias_V, gold_N, smoothing, chunk, predictor, torch.is_grad_enabled()
    )
    return loss


def output_cross_entropy(output: OutputLayer, hidden_ND: Tensor, gold_N: Tensor, smoothing: float) -> Tensor:
    """:func:`cross_entropy` of an output layer, by its kernels if it has any."""
    weight_VD, bias_V = output.weight_VD, output.bias_V
    return cross_entropy(hidden_ND, weight_VD, bias_V, gold_N, smoothing, predictor=output.predictor)


class _CrossEntropy(torch.autograd.Function):
    """Loss and gradients in one sweep; what is kept for backward are the gradients, not the logits."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        gold_N: Tensor,
        smoothing: float,
        chunk: int | None,
        predictor: Predictor | None,
        wanted: bool,
    ) -> Tensor:
        ctx.dtypes = [None if each is None else each.dtype for each in (hidden_ND, weight_VD, bias_V)]
        if predictor is not None and wanted and len(gold_N) and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                found_N, found = predictor.gradients(hidden_ND, weight_VD, bias_V, gold_N, smoothing)
            ctx.save_for_backward(*found)
            return found_N.sum()
        layer = Projection.of(hidden_ND, weight_VD, bias_V)
        with torch.autocast(hidden_ND.device.type, enabled=False):
            if not (wanted and any(ctx.needs_input_grad)):
                return _losses(layer, hidden_ND, gold_N, smoothing, chunk).sum()
            needs = ctx.needs_input_grad[:3]
            loss_N, gradients = _losses_and_gradients(layer, hidden_ND, gold_N, smoothing, chunk, needs)
        ctx.save_for_backward(*gradients)
        return loss_N.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        scaled = scale_gradients(ctx.saved_tensors, upstream, ctx.dtypes)
        return (*scaled, None, None, None, None, None)


def _losses(layer: Projection, hidden_ND: Tensor, gold_N: Tensor, smoothing: float, chunk: int | None) -> Tensor:
    """The loss of each row (N), without gradients."""
    rows = hidden_ND.shape[0]
    size = chunk_rows(layer, rows, chunk, tables=2)
    tables = layer.tables(2, size)
    loss_N = hidden_ND.new_zeros(rows, dtype=layer.sums)
    for part in chunks(rows, size):
        loss_N[part] = _chunk_losses(layer, hidden_ND[part], gold_N[part], smoothing, tables)[0]
    return loss_N.sub_(layer.mean_logits(hidden_ND), alpha=smoothing) if smoothing else loss_N


def _losses_and_gradients(
    layer: Projection,
    hidden_ND: Tensor,
    gold_N: Tensor,
    smoothing: float,
    chunk: int | None,
    needs: tuple[bool, bool, bool],
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """The loss of each row (N), and the gradients of their sum with respect to hidden, weight and bias."""
    rows, vocabulary = hidden_ND.shape[0], layer.weight_VD.shape[0]
    size = chunk_rows(layer, rows, chunk, tables=2)
    tables = layer.tables(2, size)
    uniform = -smoothing / vocabulary
    gradients = ProjectionGradients(layer, hidden_ND.sum(0, dtype=layer.sums) * uniform, rows * uniform, needs)
    hidden_gradient_ND = hidden_ND.new_zeros(hidden_ND.shape, dtype=layer.sums) if needs[0] else None
    loss_N = hidden_ND.new_zeros(rows, dtype=layer.sums)
    for part in chunks(rows, size):
        loss_N[part], gradient_nV = _chunk_losses(layer, hidden_ND[part], gold_N[part], smoothing, tables)
        subtract_gold(gradient_nV, gold_N[part], 1.0 - smoothing)
        hidden_gradient_nD = gradients.add(gradient_nV, hidden_ND[part])
        if hidden_gradient_ND is not None and hidden_gradient_nD is not None:
            hidden_gradient_ND[part] = hidden_gradient_nD
    if smoothing:
        loss_N.sub_(layer.mean_logits(hidden_ND), alpha=smoothing)
        if hidden_gradient_ND is not None:
            hidden_gradient_ND.sub_(layer.mean_weight_D(), alpha=smoothing)
    return loss_N, (hidden_gradient_ND, gradients.weight_VD, gradients.bias_V)


def _chunk_losses(
    layer: Projection, hidden_nD: Tensor, gold_n: Tensor, smoothing: float, tables: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """lse − (1 − ε) z_y of each row (n), and softmax (n × V)."""
    logits_nV, softmax_nV = (table[: len(gold_n)] for table in tables)
    layer.logits(hidden_nD, logits_nV)
    gold_logit_n1 = logits_nV.gather(1, gold_n[:, None])
    largest_n1, rest_n1 = softmax_and_lse(logits_nV, softmax_nV)
    loss_n1 = (largest_n1 - gold_logit_n1) + rest_n1 + smoothing * gold_logit_n1
    return loss_n1[:, 0], softmax_nV


@torch.no_grad()
def token_log_probs(
    hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, gold_N: Tensor, chunk: int | None = None
) -> Tensor:
    """log p(gold) of each row (N), in nats; without gradients, in chunks."""
    return token_scores(hidden_ND, weight_VD, bias_V, gold_N, chunk)[0]


@torch.no_grad()
def token_scores(
    hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, gold_N: Tensor, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """From one sweep: log p(gold) of each row (N), and whether no logit is larger than gold's (N, bool).

    A tie for the largest counts as right: to find which comes first costs fifteen times the pass that finds
    the largest. NaN logits count as wrong.
    """
    check_inputs(hidden_ND, weight_VD, bias_V, gold_N, chunk)
    layer = Projection.of(hidden_ND, weight_VD, bias_V)
    rows = hidden_ND.shape[0]
    log_probs_N = hidden_ND.new_zeros(rows, dtype=layer.sums)
    right_N = torch.zeros(rows, dtype=torch.bool, device=hidden_ND.device)
    with torch.autocast(hidden_ND.device.type, enabled=False):
        size = chunk_rows(layer, rows, chunk, tables=2)
        tables = layer.tables(2, size)
        for part in chunks(rows, size):
            logits_nV, softmax_nV = (table[: part.stop - part.start] for table in tables)
            layer.logits(hidden_ND[part], logits_nV)
            gold_logit_n1 = logits_nV.gather(1, gold_N[part][:, None])
            largest_n1, rest_n1 = softmax_and_lse(logits_nV, softmax_nV)
            log_probs_N[part] = ((gold_logit_n1 - largest_n1) - rest_n1)[:, 0]
            right_N[part] = (gold_logit_n1 >= largest_n1)[:, 0]
    return log_probs_N, right_N


@torch.no_grad()
def accuracy_count(
    hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, gold_N: Tensor, chunk: int | None = None
) -> Tensor:
    """How many rows have no larger logit than the gold one's; an int64 scalar on the device.

    Without a softmax, so cheaper than ``token_scores``, whose rule for ties it shares.
    """
    check_inputs(hidden_ND, weight_VD, bias_V, gold_N, chunk)
    layer = Projection.of(hidden_ND, weight_VD, bias_V)
    rows = hidden_ND.shape[0]
    right = torch.zeros((), dtype=torch.int64, device=hidden_ND.device)
    with torch.autocast(hidden_ND.device.type, enabled=False):
        size = chunk_rows(layer, rows, chunk, tables=1)
        (table,) = layer.tables(1, size)
        for part in chunks(rows, size):
            gold_n1 = gold_N[part][:, None]
            logits_nV = layer.logits(hidden_ND[part], table[: len(gold_n1)])
            right += (logits_nV.gather(1, gold_n1) >= logits_nV.amax(1, keepdim=True)).sum()
    return right


@torch.no_grad()
def top_predictions(
    hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, k: int, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """The k most probable words of each row, best first: log-probabilities (N × K) and ids (N × K, int64)."""
    check_inputs(hidden_ND, weight_VD, bias_V, None, chunk)
    layer = Projection.of(hidden_ND, weight_VD, bias_V)
    rows, vocabulary = hidden_ND.shape[0], weight_VD.shape[0]
    if not 1 <= k <= vocabulary:
        raise InputError(f"the {k} best of {vocabulary} words were asked for; 1 to {vocabulary} work")
    log_probs_NK = hidden_ND.new_zeros((rows, k), dtype=layer.sums)
    ids_NK = torch.zeros((rows, k), dtype=torch.int64, device=hidden_ND.device)
    with torch.autocast(hidden_ND.device.type, enabled=False):
        size = chunk_rows(layer, rows, chunk, tables=2)
        tables = layer.tables(2, size)
        for part in chunks(rows, size):
            logits_nV, softmax_nV = (table[: part.stop - part.start] for table in tables)
            layer.logits(hidden_ND[part], logits_nV)
            largest_n1, rest_n1 = softmax_and_lse(logits_nV, softmax_nV)
            best_nK, ids_NK[part] = logits_nV.topk(k, dim=1)
            log_probs_NK[part] = (best_nK - largest_n1) - rest_n1
    return log_probs_NK, ids_NK
