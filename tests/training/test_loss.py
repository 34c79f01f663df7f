"""Cross-entropy in chunks against torch's own over the table of all logits, in float64.

N rows · D width · V vocabulary · K best
"""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from seq2see.errors import InputError
from seq2see.training.loss import (
    accuracy_count,
    cross_entropy,
    token_log_probs,
    token_scores,
    top_predictions,
)

Inputs = tuple[Tensor, Tensor, Tensor | None, Tensor]


def inputs(N: int, D: int, V: int, seed: int = 0, bias: bool = True, scale: float = 1.0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64) * scale  # noqa: E731
    gold_N = torch.randint(V, (N,), generator=generator)
    return draw(N, D), draw(V, D), draw(V) if bias else None, gold_N


def leaves(*tensors: Tensor | None, dtype: torch.dtype = torch.float64) -> list[Tensor | None]:
    return [None if each is None else each.detach().to(dtype).requires_grad_() for each in tensors]


def oracle(hidden: Tensor, weight: Tensor, bias: Tensor | None, gold: Tensor, smoothing: float) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight, bias), gold, label_smoothing=smoothing, reduction="sum")


def gradients(tensors: list[Tensor | None]) -> list[Tensor]:
    return [each.grad for each in tensors if each is not None and each.grad is not None]


def both(given: Inputs, smoothing: float, chunk: int | None, factor: float = 1.0) -> list[tuple[Tensor, Tensor]]:
    """(ours, the oracle's) for the value and each gradient."""
    *tensors, gold = given
    ours, theirs = leaves(*tensors), leaves(*tensors)
    loss = cross_entropy(ours[0], ours[1], ours[2], gold, smoothing, chunk)
    expected = oracle(theirs[0], theirs[1], theirs[2], gold, smoothing)
    (loss * factor).backward()
    (expected * factor).backward()
    return [(loss, expected), *zip(gradients(ours), gradients(theirs), strict=True)]


@settings(deadline=None, max_examples=60)
@given(
    N=st.sampled_from([1, 2, 7, 13, 31]),
    D=st.sampled_from([1, 5, 11]),
    V=st.sampled_from([2, 3, 17, 37]),
    smoothing=st.sampled_from([0.0, 0.1, 0.7]),
    chunk=st.sampled_from([None, 1, 3, 7, 100]),
    bias=st.booleans(),
    factor=st.sampled_from([1.0, -0.3, 0.0]),
    seed=st.integers(0, 1000),
)
def test_value_and_gradients_are_those_of_full_logits(
    N: int, D: int, V: int, smoothing: float, chunk: int | None, bias: bool, factor: float, seed: int
) -> None:
    compared = both(inputs(N, D, V, seed, bias), smoothing, chunk, factor)
    assert len(compared) == (4 if bias else 3)
    for ours, theirs in compared:
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradcheck(smoothing: float) -> None:
    hidden, weight, bias, gold = inputs(5, 3, 7)
    assert torch.autograd.gradcheck(
        lambda h, w, b: cross_entropy(h, w, b, gold, smoothing, 2), leaves(hidden, weight, bias)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_equal_logits_cost_the_logarithm_of_the_vocabulary(smoothing: float) -> None:
    zeros = torch.zeros(4, 3)
    loss = cross_entropy(zeros, torch.ones(11, 3), None, torch.tensor([0, 3, 7, 10]), smoothing)
    assert loss.item() == pytest.approx(4 * math.log(11), rel=1e-6)


def test_hand_derived_loss_and_gradient() -> None:
    # z = (ln 2, 0, 0): p = (1/2, 1/4, 1/4), gold 1, smoothing 0.3: target (0.1, 0.8, 0.1).
    hidden = torch.tensor([[1.0]], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([[math.log(2)], [0.0], [0.0]], dtype=torch.float64)
    loss = cross_entropy(hidden, weight, bias, torch.tensor([1]), 0.3)
    loss.backward()
    assert loss.item() == pytest.approx(0.1 * math.log(2) + 0.9 * math.log(4))
    assert bias.grad.tolist() == pytest.approx([0.4, -0.55, 0.15])
    assert hidden.grad.item() == pytest.approx(0.4 * math.log(2))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_extreme_logits_stay_finite_and_right(smoothing: float) -> None:
    bias = torch.tensor([1e4, -1e4, 0.0, 9999.0, -1e4])
    gold = torch.tensor([0, 1, 2, 3, 4, 0, 1])
    tensors = leaves(torch.zeros(7, 3), torch.ones(5, 3), bias, dtype=torch.float32)
    theirs = leaves(torch.zeros(7, 3), torch.ones(5, 3), bias)
    loss = cross_entropy(tensors[0], tensors[1], tensors[2], gold, smoothing, 2)
    expected = oracle(theirs[0], theirs[1], theirs[2], gold, smoothing)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=1e-3)
    for ours, other in zip(gradients(tensors), gradients(theirs), strict=True):
        torch.testing.assert_close(ours.double(), other, rtol=1e-5, atol=1e-6)


def test_small_differences_between_large_logits_are_kept() -> None:
    # In float32, lse(z) - z_y at z = 10000 would be a multiple of 0.001.
    bias = torch.tensor([10000.0, 10000.0 - 8.0])
    loss = cross_entropy(torch.zeros(1, 1), torch.zeros(2, 1), bias, torch.tensor([0]))
    assert loss.item() == pytest.approx(math.log1p(math.exp(-8)), rel=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_no_rows_give_zero_and_zero_gradients(smoothing: float) -> None:
    tensors = leaves(torch.zeros(0, 3), torch.ones(5, 3), torch.ones(5))
    loss = cross_entropy(tensors[0], tensors[1], tensors[2], torch.zeros(0, dtype=torch.int64), smoothing)
    loss.backward()
    assert loss.item() == 0.0
    assert [each.abs().sum().item() for each in gradients(tensors)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("needed", [0, 1, 2])
def test_only_what_is_needed_gets_a_gradient(needed: int) -> None:
    hidden, weight, bias, gold = inputs(7, 3, 5)
    every = leaves(hidden, weight, bias)
    cross_entropy(every[0], every[1], every[2], gold, 0.1, 3).backward()
    one = [each.clone() for each in (hidden, weight, bias)]
    one[needed].requires_grad_()
    cross_entropy(one[0], one[1], one[2], gold, 0.1, 3).backward()
    assert [each.grad is not None for each in one] == [index == needed for index in range(3)]
    torch.testing.assert_close(one[needed].grad, every[needed].grad)


def test_weights_shared_with_an_embedding_get_both_gradients() -> None:
    _, weight, _, gold = inputs(7, 3, 5)
    tokens = torch.tensor([0, 1, 1, 4, 2, 3, 0])
    ours, theirs = leaves(weight)[0], leaves(weight)[0]
    cross_entropy(F.embedding(tokens, ours).tanh(), ours, None, gold, 0.1).backward()
    oracle(F.embedding(tokens, theirs).tanh(), theirs, None, gold, 0.1).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_two_backward_passes_give_the_same() -> None:
    tensors = leaves(*inputs(7, 3, 5)[:3])
    loss = cross_entropy(tensors[0], tensors[1], tensors[2], torch.arange(7) % 5) * 0.5
    first = torch.autograd.grad(loss, tensors, retain_graph=True)
    second = torch.autograd.grad(loss, tensors)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


class Watch(TorchDispatchMode):
    """Notes the size of the largest tensor that anything returns, and how many matrix products there were."""

    largest = products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.largest = max(self.largest, result.numel())
        self.products += str(func).startswith(("aten.mm", "aten.addmm"))
        return result


def test_the_table_of_all_logits_never_exists() -> None:
    hidden, weight, bias, gold = inputs(997, 3, 101)
    tensors = leaves(hidden, weight, bias)
    saved: list[int] = []
    note = lambda tensor: (saved.append(tensor.numel()), tensor)[1]  # noqa: E731
    with Watch() as watch, torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        cross_entropy(tensors[0], tensors[1], tensors[2], gold, 0.1, 53).backward()
    assert watch.largest < 997 * 101 / 4
    assert sum(saved) == 997 * 3 + 101 * 3 + 101


@pytest.mark.parametrize(("needed", "products"), [((), 1), ((2,), 1), ((0,), 2), ((1,), 2), ((0, 1, 2), 3)])
def test_only_the_products_that_are_needed_are_computed(needed: tuple[int, ...], products: int) -> None:
    hidden, weight, bias, gold = inputs(7, 3, 5)
    tensors = [each.requires_grad_(index in needed) for index, each in enumerate((hidden, weight, bias))]
    with Watch() as watch:
        cross_entropy(tensors[0], tensors[1], tensors[2], gold, 0.1, 7)
    assert watch.products == products


def test_without_gradients_the_value_is_the_same_and_nothing_more_is_computed() -> None:
    hidden, weight, bias, gold = inputs(13, 3, 7)
    tensors = leaves(hidden, weight, bias)
    with torch.no_grad(), Watch() as watch:
        loss = cross_entropy(tensors[0], tensors[1], tensors[2], gold, 0.1, 13)
    assert not loss.requires_grad
    assert watch.products == 1
    assert loss.item() == cross_entropy(tensors[0], tensors[1], tensors[2], gold, 0.1, 13).item()


def autocast() -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16)


def test_under_autocast_the_products_are_rounded_and_little_else() -> None:
    hidden, weight, bias, gold = inputs(61, 31, 101, scale=0.5)
    ours, theirs = leaves(hidden, weight, bias, dtype=torch.float32), leaves(hidden, weight, bias)
    with autocast():
        loss = cross_entropy(ours[0], ours[1], ours[2], gold, 0.1, 17)
    expected = oracle(theirs[0], theirs[1], theirs[2], gold, 0.1)
    loss.backward()
    expected.backward()
    assert loss.dtype == torch.float32
    assert loss.item() != cross_entropy(ours[0], ours[1], ours[2], gold, 0.1, 17).item()
    assert loss.item() == pytest.approx(expected.item(), rel=3e-3)
    for one, other in zip(gradients(ours), gradients(theirs), strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.01 * other.norm()


def test_under_autocast_the_softmax_is_float32() -> None:
    # bfloat16 would say 8.3125; and 1 - p of a sure word would be 0.
    bias = torch.zeros(4096)
    with autocast():
        loss = cross_entropy(torch.zeros(3, 5), torch.zeros(4096, 5), bias, torch.tensor([0, 1, 2]))
    assert loss.item() == pytest.approx(3 * math.log(4096), rel=1e-6)
    # The bias is not rounded either: in bfloat16 it would be 8.
    hidden, sure = torch.ones(1, 1), torch.tensor([8.01, 0.0, 0.0], requires_grad=True)
    with autocast():
        cross_entropy(hidden, torch.zeros(3, 1), sure, torch.tensor([0])).backward()
    rest = 2 * math.exp(-8.01) / (1 + 2 * math.exp(-8.01))
    assert sure.grad.tolist() == pytest.approx([-rest, rest / 2, rest / 2], rel=1e-4)


def test_gradients_have_the_types_of_the_inputs() -> None:
    hidden = torch.randn(5, 3, dtype=torch.bfloat16, requires_grad=True)
    weight = torch.randn(7, 3, requires_grad=True)
    with autocast():
        cross_entropy(hidden, weight, None, torch.arange(5), 0.1).backward()
    assert (hidden.grad.dtype, weight.grad.dtype) == (torch.bfloat16, torch.float32)


def test_float64_is_not_lowered_by_autocast() -> None:
    given = inputs(7, 3, 5)
    with autocast():
        lowered = cross_entropy(*given, 0.1)
    assert lowered.item() == cross_entropy(*given, 0.1).item()


@settings(deadline=None, max_examples=25)
@given(N=st.integers(0, 23), chunk=st.sampled_from([None, 1, 5, 50]), seed=st.integers(0, 99), bias=st.booleans())
def test_scores_of_tokens(N: int, chunk: int | None, seed: int, bias: bool) -> None:
    hidden, weight, bias_V, gold = inputs(N, 5, 11, seed, bias)
    logits = F.linear(hidden, weight, bias_V)
    expected = F.log_softmax(logits, 1).gather(1, gold[:, None])[:, 0]
    log_probs, right = token_scores(hidden, weight, bias_V, gold, chunk)
    torch.testing.assert_close(log_probs, expected)
    torch.testing.assert_close(token_log_probs(hidden, weight, bias_V, gold, chunk), expected)
    assert torch.equal(right, logits.argmax(1) == gold)
    assert accuracy_count(hidden, weight, bias_V, gold, chunk).item() == right.sum().item()


def test_scores_keep_no_graph() -> None:
    tensors = leaves(*inputs(5, 3, 7)[:3])
    gold = torch.arange(5)
    assert not token_log_probs(tensors[0], tensors[1], tensors[2], gold).requires_grad
    assert not top_predictions(tensors[0], tensors[1], tensors[2], 2)[0].requires_grad


def test_a_tie_is_right_and_nan_is_wrong() -> None:
    hidden = torch.tensor([[0.0], [math.nan]])
    assert accuracy_count(hidden, torch.ones(3, 1), None, torch.tensor([2, 2])).item() == 1
    assert token_scores(hidden, torch.ones(3, 1), None, torch.tensor([2, 2]))[1].tolist() == [True, False]


@settings(deadline=None, max_examples=25)
@given(N=st.integers(0, 13), k=st.integers(1, 11), chunk=st.sampled_from([None, 1, 5]), seed=st.integers(0, 99))
def test_top_predictions(N: int, k: int, chunk: int | None, seed: int) -> None:
    hidden, weight, bias, _ = inputs(N, 5, 11, seed)
    every = F.log_softmax(F.linear(hidden, weight, bias), 1)
    expected, ids = every.sort(dim=1, descending=True)
    log_probs_NK, ids_NK = top_predictions(hidden, weight, bias, k, chunk)
    torch.testing.assert_close(log_probs_NK, expected[:, :k])
    assert torch.equal(ids_NK, ids[:, :k])


@pytest.mark.parametrize("k", [0, 12])
def test_more_predictions_than_words_are_refused(k: int) -> None:
    hidden, weight, bias, _ = inputs(3, 5, 11)
    with pytest.raises(InputError, match="1 to 11 work"):
        top_predictions(hidden, weight, bias, k)


def test_wrong_inputs_are_refused_with_what_was_given() -> None:
    hidden, weight, bias, gold = inputs(5, 3, 7)
    with pytest.raises(InputError, match=r"\(5, 3\), \(7, 2\)"):
        cross_entropy(hidden, weight[:, :2], bias, gold)
    with pytest.raises(InputError, match=r"\(6,\)"):
        cross_entropy(hidden, weight, bias[:6], gold)
    with pytest.raises(InputError, match=r"\(4,\)"):
        token_log_probs(hidden, weight, bias, gold[:4])
    with pytest.raises(InputError, match="given: 0"):
        cross_entropy(hidden, weight, bias, gold, chunk=0)
    with pytest.raises(InputError, match="smoothing < 1; given: 1"):
        cross_entropy(hidden, weight, bias, gold, 1.0)
