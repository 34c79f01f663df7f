"""Training a model to give one prediction for two views of a sentence: R-Drop and SimCut.

Shapes: B sentences · T positions · N rows (target positions that count) · n rows of one chunk · D width ·
V vocabulary.

Both views go through the model in one batch (``torch.cat`` of the two, ``chunk(2)`` of the hidden states), so
that each has a dropout of its own. With z₁, z₂ the logits of a row, p = softmax(z₁), q = softmax(z₂),
d = z₁ − z₂, and E_p the mean under p,

    KL(p‖q) = E_p d − lse(z₁) + lse(z₂)        its gradient: p (d − E_p d) for z₁,  q − p for z₂
    KL(q‖p) = −E_q d + lse(z₁) − lse(z₂)       its gradient: p − q for z₁,  −q (d − E_q d) for z₂

so cross-entropies and divergences come from one sweep over chunks of rows, gradients included, without a
table of all logits (see loss.py). Gradients flow through both views: Gao et al. 2022 show that this matters.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seq2see.errors import InputError
from seq2see.nn.embedding import PAD
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

CUT_SHARE = 0.05  # p_cut of Gao et al. 2022, section 3.3


def cut(tokens_BT: Tensor, valid_BT: Tensor, share: float, generator: torch.Generator | None = None) -> Tensor:
    """Tokens with each valid one replaced by PAD with probability ``share``; the masks stay as they are.

    PAD's embedding is zero and its position remains valid, which is the token cutoff of Gao et al. 2022
    (section 3.1; of source and target input). Random numbers come from ``generator``, on the tokens' device,
    or from that device's default. Raises InputError if ``share`` is not in [0, 1).
    """
    if not 0.0 <= share < 1.0:
        raise InputError(f"the share of tokens to cut must be 0 ≤ share < 1; given: {share}")
    chance_BT = torch.rand(tokens_BT.shape, generator=generator, device=tokens_BT.device)
    return tokens_BT.masked_fill((chance_BT < share) & valid_BT, PAD)


def r_drop(
    hidden_1_ND: Tensor,
    hidden_2_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    gold_N: Tensor,
    smoothing: float,
    alpha: float,
    chunk: int | None = None,
) -> Tensor:
    """R-Drop (Wu et al. 2021, equations 1 to 4), summed over rows: two passes of a batch through dropout.

    The paper's loss of a row is [CE₁ + CE₂] + α · ½ [KL(p‖q) + KL(q‖p)]. This is half of it,
    ½ [CE₁ + CE₂] + α/4 [KL(p‖q) + KL(q‖p)], so that a loss per gold token compares with plain cross-entropy
    while α keeps the paper's meaning (5 for translation there). CE is label-smoothed, as in the paper's code.
    """
    return consistent_cross_entropy(
        hidden_1_ND, hidden_2_ND, weight_VD, bias_V, gold_N, smoothing, alpha, both_ce=True, chunk=chunk
    )


def simcut(
    hidden_ND: Tensor,
    hidden_cut_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    gold_N: Tensor,
    smoothing: float,
    alpha: float,
    chunk: int | None = None,
) -> Tensor:
    """SimCut (Gao et al. 2022, section 3.1), summed over rows: CE(p, gold) + α KL(p‖q).

    p is the prediction for the sentence, q that for the sentence with tokens cut off (see ``cut``). Both get
    gradients ("bidirectional backpropagation"). The paper's α is 3 for small corpora.
    """
    return consistent_cross_entropy(
        hidden_ND, hidden_cut_ND, weight_VD, bias_V, gold_N, smoothing, alpha, both_ce=False, chunk=chunk
    )


def consistent_cross_entropy(
    hidden_1_ND: Tensor,
    hidden_2_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    gold_N: Tensor,
    smoothing: float,
    weight_of_kl: float,
    both_ce: bool,
    chunk: int | None = None,
) -> Tensor:
    """Cross-entropy and divergence from one computation of both views' logits; a scalar in nats.

    ``both_ce``: the loss of ``r_drop``; otherwise that of ``simcut``. Raises InputError for wrong shapes.
    """
    check_smoothing(smoothing)
    quarter = weight_of_kl / 4
    shares = Shares(0.5, 0.5, quarter, quarter) if both_ce else Shares(1.0, 0.0, weight_of_kl, 0.0)
    return _pair_loss(hidden_1_ND, hidden_2_ND, weight_VD, bias_V, gold_N, smoothing, shares, chunk)


def kl(
    hidden_1_ND: Tensor,
    hidden_2_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Σ over rows of KL(softmax(z₁) ‖ softmax(z₂)), in nats; gradients through both."""
    shares = Shares(0.0, 0.0, 1.0, 0.0)
    return _pair_loss(hidden_1_ND, hidden_2_ND, weight_VD, bias_V, None, 0.0, shares, chunk)


def symmetric_kl(
    hidden_1_ND: Tensor,
    hidden_2_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Σ over rows of KL(p‖q) + KL(q‖p), not halved, in nats; gradients through both."""
    shares = Shares(0.0, 0.0, 1.0, 1.0)
    return _pair_loss(hidden_1_ND, hidden_2_ND, weight_VD, bias_V, None, 0.0, shares, chunk)


@dataclass(frozen=True)
class Shares:
    """What each part of the loss counts: cross-entropies of the two views, KL(p‖q) and KL(q‖p)."""

    ce_1: float
    ce_2: float
    kl_12: float
    kl_21: float


def _pair_loss(
    hidden_1_ND: Tensor,
    hidden_2_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    gold_N: Tensor | None,
    smoothing: float,
    shares: Shares,
    chunk: int | None,
) -> Tensor:
    check_inputs(hidden_1_ND, weight_VD, bias_V, gold_N, chunk)
    if hidden_1_ND.shape != hidden_2_ND.shape:
        raise InputError(
            f"the two views must have the same shape; given: {tuple(hidden_1_ND.shape)} and {tuple(hidden_2_ND.shape)}"
        )
    loss: Tensor = _PairLoss.apply(  # type: ignore[no-untyped-call]
        torch.stack((hidden_1_ND, hidden_2_ND)),
        weight_VD,
        bias_V,
        gold_N,
        smoothing,
        shares,
        chunk,
        torch.is_grad_enabled(),
    )
    return loss


class _PairLoss(torch.autograd.Function):
    """Loss and gradients of two views in one sweep. ``hidden_2ND``: the two views, stacked."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_2ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        gold_N: Tensor | None,
        smoothing: float,
        shares: Shares,
        chunk: int | None,
        wanted: bool,
    ) -> Tensor:
        layer = Projection.of(hidden_2ND, weight_VD, bias_V)
        ctx.dtypes = [None if each is None else each.dtype for each in (hidden_2ND, weight_VD, bias_V)]
        with torch.autocast(hidden_2ND.device.type, enabled=False):
            needs = ctx.needs_input_grad[:3] if wanted else (False, False, False)
            loss, gradients = _sweep(layer, hidden_2ND, gold_N, smoothing, shares, chunk, needs)
        ctx.save_for_backward(*gradients)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        scaled = scale_gradients(ctx.saved_tensors, upstream, ctx.dtypes)
        return (*scaled, None, None, None, None, None)


def _sweep(
    layer: Projection,
    hidden_2ND: Tensor,
    gold_N: Tensor | None,
    smoothing: float,
    shares: Shares,
    chunk: int | None,
    needs: tuple[bool, bool, bool],
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """The summed loss, and its gradients with respect to hidden (2 × N × D), weight and bias."""
    rows, width = hidden_2ND.shape[1:]
    share_2 = hidden_2ND.new_tensor((shares.ce_1, shares.ce_2), dtype=layer.sums)
    uniform = -smoothing / layer.weight_VD.shape[0]
    uniform_D = share_2 @ hidden_2ND.sum(1, dtype=layer.sums) * uniform
    gradients = ProjectionGradients(layer, uniform_D, rows * uniform * (shares.ce_1 + shares.ce_2), needs)
    hidden_gradient_2ND = hidden_2ND.new_zeros(hidden_2ND.shape, dtype=layer.sums) if needs[0] else None
    loss_N = hidden_2ND.new_zeros(rows, dtype=layer.sums)
    size = chunk_rows(layer, rows, chunk, tables=4)
    tables = layer.tables(2, 2 * size)
    for part in chunks(rows, size):
        hidden_mD = hidden_2ND[:, part].reshape(-1, width)
        gold_n = None if gold_N is None else gold_N[part]
        loss_N[part], gradient_mV = _chunk(layer, hidden_mD, gold_n, smoothing, shares, tables)
        hidden_gradient_mD = gradients.add(gradient_mV, hidden_mD)
        if hidden_gradient_2ND is not None and hidden_gradient_mD is not None:
            hidden_gradient_2ND[:, part] = hidden_gradient_mD.view(2, -1, width)
    if smoothing:
        loss_N -= smoothing * (share_2 @ layer.mean_logits(hidden_2ND))
        if hidden_gradient_2ND is not None:
            hidden_gradient_2ND -= smoothing * share_2[:, None, None] * layer.mean_weight_D()
    return loss_N.sum(), (hidden_gradient_2ND, gradients.weight_VD, gradients.bias_V)


def _chunk(
    layer: Projection,
    hidden_mD: Tensor,
    gold_n: Tensor | None,
    smoothing: float,
    shares: Shares,
    tables: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor]:
    """A chunk's losses (n) and the gradient of its logits (m × V); m = 2n, first view above second."""
    logits_mV, softmax_mV = (table[: len(hidden_mD)] for table in tables)
    layer.logits(hidden_mD, logits_mV)
    gold_2n = None if gold_n is None else logits_mV.gather(1, gold_n.repeat(2)[:, None]).view(2, -1)
    largest_m1, rest_m1 = softmax_and_lse(logits_mV, softmax_mV)
    largest_2n, rest_2n = largest_m1.view(2, -1), rest_m1.view(2, -1)
    p_nV, q_nV = softmax_mV.chunk(2)
    # The logits' own table becomes d, then the first view's gradient, above; the second view's below.
    gradient_1_nV, gradient_2_nV = logits_mV.chunk(2)
    d_nV = gradient_1_nV.sub_(gradient_2_nV)
    mean_p_n, mean_q_n = torch.linalg.vecdot(p_nV, d_nV), torch.linalg.vecdot(q_nV, d_nV)
    _second_gradient(p_nV, q_nV, d_nV, mean_q_n, shares, gradient_2_nV)
    _first_gradient(p_nV, q_nV, d_nV, mean_p_n, shares)
    lse_difference_n = (largest_2n[0] - largest_2n[1]) + (rest_2n[0] - rest_2n[1])
    loss_n = shares.kl_12 * (mean_p_n - lse_difference_n) + shares.kl_21 * (lse_difference_n - mean_q_n)
    if gold_n is not None and gold_2n is not None:
        ce_2n = (largest_2n - gold_2n) + rest_2n + smoothing * gold_2n
        loss_n += shares.ce_1 * ce_2n[0] + shares.ce_2 * ce_2n[1]
        subtract_gold(gradient_1_nV, gold_n, (1.0 - smoothing) * shares.ce_1)
        subtract_gold(gradient_2_nV, gold_n, (1.0 - smoothing) * shares.ce_2)
    return loss_n, logits_mV


def _first_gradient(p_nV: Tensor, q_nV: Tensor, d_nV: Tensor, mean_p_n: Tensor, shares: Shares) -> None:
    """Turn d into the gradient for z₁, but for gold: p (ce₁ + kl₂₁ + kl₁₂ (d − E_p d)) − kl₂₁ q."""
    constant_n1 = (shares.ce_1 + shares.kl_21 - shares.kl_12 * mean_p_n)[:, None]
    torch.add(constant_n1, d_nV, alpha=shares.kl_12, out=d_nV).mul_(p_nV)
    if shares.kl_21:
        d_nV.sub_(q_nV, alpha=shares.kl_21)


def _second_gradient(
    p_nV: Tensor, q_nV: Tensor, d_nV: Tensor, mean_q_n: Tensor, shares: Shares, out_nV: Tensor
) -> None:
    """Write the gradient for z₂, but for gold: q (ce₂ + kl₁₂ − kl₂₁ (d − E_q d)) − kl₁₂ p."""
    constant_n1 = (shares.ce_2 + shares.kl_12 + shares.kl_21 * mean_q_n)[:, None]
    if shares.kl_21:
        torch.add(constant_n1, d_nV, alpha=-shares.kl_21, out=out_nV).mul_(q_nV)
    else:
        torch.mul(q_nV, constant_n1, out=out_nV)
    if shares.kl_12:
        out_nV.sub_(p_nV, alpha=shares.kl_12)
