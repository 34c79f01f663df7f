"""R-Drop, SimCut and divergences in chunks against autograd over the full tables, in float64.

N rows · D width · V vocabulary · B sentences · T positions
"""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2see.errors import InputError
from seq2see.training.consistency import consistent_cross_entropy, cut, kl, r_drop, simcut, symmetric_kl
from seq2see.training.loss import cross_entropy

Loss = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def inputs(N: int, D: int, V: int, seed: int = 0, near: float = 0.7) -> list[Tensor]:
    """Two views, weight and bias."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    first = draw(N, D)
    return [first, first + near * draw(N, D), draw(V, D), draw(V)]


def log_probs(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.log_softmax(F.linear(hidden, weight, bias), 1)


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum()


def smoothed(log_p: Tensor, gold: Tensor, smoothing: float) -> Tensor:
    return -(1 - smoothing) * log_p.gather(1, gold[:, None]).sum() - smoothing * log_p.mean(1).sum()


def assert_same(ours: Loss, oracle: Loss, tensors: list[Tensor | None], tolerance: float = 1e-10) -> None:
    """Equal values and equal gradients, also when what follows scales them."""
    results = []
    for function in (ours, oracle):
        leaves = [None if each is None else each.clone().requires_grad_() for each in tensors]
        loss = function(*leaves)
        (loss * -0.37).backward()
        results.append([loss, *(each.grad for each in leaves if each is not None)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


cases = settings(deadline=None, max_examples=30)
rows = st.sampled_from([1, 2, 7, 13])
sizes = st.sampled_from([2, 3, 17])
chunk_sizes = st.sampled_from([None, 1, 3, 50])
seeds = st.integers(0, 999)


@cases
@given(N=rows, V=sizes, chunk=chunk_sizes, seed=seeds, bias=st.booleans())
def test_divergences(N: int, V: int, chunk: int | None, seed: int, bias: bool) -> None:
    tensors = inputs(N, 5, V, seed)
    given = tensors if bias else [*tensors[:3], None]
    assert_same(
        lambda a, b, w, c: kl(a, b, w, c, chunk),
        lambda a, b, w, c: divergence(log_probs(a, w, c), log_probs(b, w, c)),
        given,
    )
    assert_same(
        lambda a, b, w, c: symmetric_kl(a, b, w, c, chunk),
        lambda a, b, w, c: (
            divergence(log_probs(a, w, c), log_probs(b, w, c)) + divergence(log_probs(b, w, c), log_probs(a, w, c))
        ),
        given,
    )


@cases
@given(
    N=rows,
    V=sizes,
    chunk=chunk_sizes,
    seed=seeds,
    smoothing=st.sampled_from([0.0, 0.1]),
    alpha=st.floats(0, 6),
)
def test_r_drop_is_half_the_papers_loss(
    N: int, V: int, chunk: int | None, seed: int, smoothing: float, alpha: float
) -> None:
    gold = torch.randint(V, (N,), generator=torch.Generator().manual_seed(seed))

    def paper(first: Tensor, second: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        p, q = log_probs(first, weight, bias), log_probs(second, weight, bias)
        likelihood = smoothed(p, gold, smoothing) + smoothed(q, gold, smoothing)
        return likelihood + alpha * 0.5 * (divergence(p, q) + divergence(q, p))

    assert_same(lambda a, b, w, c: 2 * r_drop(a, b, w, c, gold, smoothing, alpha, chunk), paper, inputs(N, 5, V, seed))


@cases
@given(
    N=rows,
    V=sizes,
    chunk=chunk_sizes,
    seed=seeds,
    smoothing=st.sampled_from([0.0, 0.1]),
    alpha=st.floats(0, 6),
)
def test_simcut_is_the_papers_loss_with_gradients_through_both(
    N: int, V: int, chunk: int | None, seed: int, smoothing: float, alpha: float
) -> None:
    gold = torch.randint(V, (N,), generator=torch.Generator().manual_seed(seed))

    def paper(whole: Tensor, with_cuts: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        p, q = log_probs(whole, weight, bias), log_probs(with_cuts, weight, bias)
        return smoothed(p, gold, smoothing) + alpha * divergence(p, q)

    assert_same(lambda a, b, w, c: simcut(a, b, w, c, gold, smoothing, alpha, chunk), paper, inputs(N, 5, V, seed))


@pytest.mark.parametrize("both_ce", [True, False])
def test_gradcheck(both_ce: bool) -> None:
    gold = torch.tensor([0, 6, 2, 3, 3])
    tensors = [each.requires_grad_() for each in inputs(5, 3, 7)]
    assert torch.autograd.gradcheck(
        lambda a, b, w, c: consistent_cross_entropy(a, b, w, c, gold, 0.1, 2.0, both_ce, 2), tensors
    )


def test_hand_derived_divergences() -> None:
    # The logits are the hidden states themselves: p = (0.8, 0.2), q = (0.5, 0.5).
    p, q = torch.tensor([[math.log(4), 0.0]]), torch.zeros(1, 2)
    p_q = 0.8 * math.log(1.6) + 0.2 * math.log(0.4)
    q_p = 0.5 * math.log(0.625) + 0.5 * math.log(2.5)
    weight, gold = torch.eye(2), torch.tensor([0])
    assert kl(p, q, weight).item() == pytest.approx(p_q, rel=1e-5)
    assert kl(q, p, weight).item() == pytest.approx(q_p, rel=1e-5)
    assert symmetric_kl(p, q, weight).item() == pytest.approx(p_q + q_p, rel=1e-5)
    gold_cost = -math.log(0.8)
    assert simcut(p, q, weight, None, gold, 0.0, 3.0).item() == pytest.approx(gold_cost + 3 * p_q, rel=1e-5)
    assert r_drop(p, q, weight, None, gold, 0.0, 5.0).item() == pytest.approx(
        (gold_cost + math.log(2)) / 2 + 5 / 4 * (p_q + q_p), rel=1e-5
    )


def test_equal_views_agree_and_leave_cross_entropy() -> None:
    first, _, weight, bias = inputs(13, 5, 7)
    gold = torch.arange(13) % 7
    plain = cross_entropy(first, weight, bias, gold, 0.1).item()
    assert symmetric_kl(first, first, weight, bias).item() == pytest.approx(0, abs=1e-12)
    assert r_drop(first, first, weight, bias, gold, 0.1, 5.0).item() == pytest.approx(plain)
    assert simcut(first, first, weight, bias, gold, 0.1, 3.0).item() == pytest.approx(plain)


def test_a_common_shift_of_the_logits_changes_no_divergence() -> None:
    first, second, weight, bias = inputs(7, 5, 11)
    moved = kl(first, second, weight, bias + 1000.0).item()
    assert moved == pytest.approx(kl(first, second, weight, bias).item(), rel=1e-9)


def test_extreme_logits_stay_finite() -> None:
    first = torch.tensor([[1e4, 0.0], [0.0, 1e4]], requires_grad=True)
    second = torch.tensor([[0.0, 1e4], [0.0, 1e4]], requires_grad=True)
    loss = r_drop(first, second, torch.eye(2), None, torch.tensor([0, 1]), 0.1, 1.0)
    loss.backward()
    # Row 1: gold in the first view costs 500 (smoothing), in the second 9500; divergences 1e4. Row 2 agrees.
    assert loss.item() == pytest.approx((500 + 9500) / 2 + 2 * 1e4 / 4 + 500, rel=1e-5)
    assert first.grad.isfinite().all()
    assert second.grad.isfinite().all()


def test_no_rows() -> None:
    empty, weight = torch.zeros(0, 3, requires_grad=True), torch.ones(5, 3, requires_grad=True)
    loss = r_drop(empty, empty, weight, None, torch.zeros(0, dtype=torch.int64), 0.1, 5.0)
    loss.backward()
    assert loss.item() == 0.0
    assert weight.grad.abs().sum().item() == 0.0


def test_under_autocast_only_the_products_are_rounded() -> None:
    tensors = inputs(61, 31, 101)
    gold = torch.arange(61)
    ours = [each.float().requires_grad_() for each in tensors]
    theirs = [each.requires_grad_() for each in tensors]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = r_drop(*ours, gold, 0.1, 5.0, 17)
    expected = r_drop(*theirs, gold, 0.1, 5.0, 17)
    loss.backward()
    expected.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=5e-3)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.grad - other.grad).norm() < 0.03 * other.grad.norm()


def test_views_of_different_shape_are_refused() -> None:
    first, second, weight, bias = inputs(7, 5, 11)
    with pytest.raises(InputError, match=r"\(7, 5\) and \(6, 5\)"):
        kl(first, second[:6], weight, bias)
    with pytest.raises(InputError, match="smoothing"):
        r_drop(first, second, weight, bias, torch.arange(7), -0.1, 1.0)


def test_cut_takes_its_share_of_valid_tokens_and_nothing_else() -> None:
    tokens = torch.randint(1, 50, (200, 101), generator=torch.Generator().manual_seed(3))
    valid = torch.rand(200, 101, generator=torch.Generator().manual_seed(4)) < 0.8
    result = cut(tokens, valid, 0.05, torch.Generator().manual_seed(5))
    changed = result != tokens
    assert (result[changed] == 0).all()
    assert not (changed & ~valid).any()
    # 16,000 draws of 0.05: five standard deviations are 0.0086.
    assert changed.sum().item() / valid.sum().item() == pytest.approx(0.05, abs=0.0086)
    assert torch.equal(result, cut(tokens, valid, 0.05, torch.Generator().manual_seed(5)))
    assert not torch.equal(result, cut(tokens, valid, 0.05, torch.Generator().manual_seed(6)))


def test_cutting_nothing_changes_nothing_and_cutting_all_is_refused() -> None:
    tokens = torch.arange(1, 8)[None]
    valid = torch.ones(1, 7, dtype=torch.bool)
    assert torch.equal(cut(tokens, valid, 0.0), tokens)
    with pytest.raises(InputError, match="given: 1"):
        cut(tokens, valid, 1.0)


def test_without_gradients_the_value_is_the_same() -> None:
    first, second, weight, bias = (each.requires_grad_() for each in inputs(7, 5, 11))
    with torch.no_grad():
        loss = kl(first, second, weight, bias)
    assert not loss.requires_grad
    assert loss.item() == kl(first, second, weight, bias).item()
