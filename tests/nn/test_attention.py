"""Attention against loops over the formulas; both computing paths together; nothing allowed, nothing seen."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from seq2see.nn import attention as subject
from seq2see.nn.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    KeyValue,
    MultiHeadAttention,
    attend,
    attend_together,
    masked_softmax,
)

B, T, S, D, M = 2, 3, 5, 6, 7


def make(kind: str, width: int = D, memory_width: int = M) -> Attention:
    torch.manual_seed(3)
    attention = {
        "dot": lambda: DotAttention(width, memory_width),
        "general": lambda: GeneralAttention(width, memory_width),
        "additive": lambda: AdditiveAttention(width, memory_width),
        "multihead": lambda: MultiHeadAttention(width, memory_width, heads=3),
    }[kind]()
    return attention.double()


def score(attention: Attention, kind: str, query: Tensor, state: Tensor) -> list[float]:
    """One score a head, from the formula, for one query vector and one memory vector."""
    if kind == "dot":
        projected = attention.memory.weight @ state if query.shape != state.shape else state
        return [float(sum(q * s for q, s in zip(query, projected, strict=True)))]
    if kind == "general":
        return [float(query @ (attention.key.weight @ state))]
    if kind == "additive":
        inner = attention.query.weight @ query + attention.key.weight @ state
        return [sum(float(v) * math.tanh(float(x)) for v, x in zip(attention.score_D, inner, strict=True))]
    K = D // attention.heads
    q, k = attention.query.weight @ query, attention.key.weight @ state
    return [float(q[h * K : (h + 1) * K] @ k[h * K : (h + 1) * K]) / math.sqrt(K) for h in range(attention.heads)]


def by_loops(
    attention: Attention, kind: str, query_BTD: Tensor, memory_BSM: Tensor, allowed_BTS: Tensor
) -> tuple[Tensor, Tensor]:
    """Context and weights one number at a time."""
    heads = attention.heads if kind == "multihead" else 1
    weights = torch.zeros(B, heads, T, S, dtype=torch.float64)
    contexts = torch.zeros(B, T, attention.context_width, dtype=torch.float64)
    for b in range(B):
        for t in range(T):
            keys = [s for s in range(S) if allowed_BTS[b, t, s]]
            scores = {s: score(attention, kind, query_BTD[b, t], memory_BSM[b, s]) for s in keys}
            for h in range(heads):
                total = sum(math.exp(scores[s][h]) for s in keys)
                for s in keys:
                    weights[b, h, t, s] = math.exp(scores[s][h]) / total
            contexts[b, t] = mix(attention, kind, weights[b, :, t], memory_BSM[b])
    return contexts, weights


def mix(attention: Attention, kind: str, weights_HS: Tensor, memory_SM: Tensor) -> Tensor:
    if kind != "multihead":
        project = attention.memory if kind == "dot" else torch.nn.Identity()
        return sum(w * project(state) for w, state in zip(weights_HS[0], memory_SM, strict=True))
    K = D // attention.heads
    heads = []
    for h, weights_S in enumerate(weights_HS):
        values = [(attention.value.weight @ state)[h * K : (h + 1) * K] for state in memory_SM]
        heads.append(sum(w * value for w, value in zip(weights_S, values, strict=True)))
    return attention.output.weight @ torch.cat(heads)


KINDS = ["dot", "general", "additive", "multihead"]


@pytest.mark.parametrize("memory_width", [D, M])
@pytest.mark.parametrize("kind", KINDS)
def test_each_score_follows_its_formula(kind: str, memory_width: int) -> None:
    attention = make(kind, memory_width=memory_width)
    query_BTD = torch.randn(B, T, D, dtype=torch.float64)
    memory_BSM = torch.randn(B, S, memory_width, dtype=torch.float64)
    allowed_BTS = torch.rand(B, T, S) < 0.6
    allowed_BTS[1, 2] = False
    with torch.no_grad():
        expected_context, expected_weights = by_loops(attention, kind, query_BTD, memory_BSM, allowed_BTS)
        context, weights = attention(query_BTD, *attention.project(memory_BSM), allowed_BTS, True)
        plain, nothing = attention(query_BTD, *attention.project(memory_BSM), allowed_BTS)
    torch.testing.assert_close(weights, expected_weights)
    torch.testing.assert_close(context, expected_context)
    torch.testing.assert_close(plain, expected_context)
    assert nothing is None


def test_softmax_of_known_scores() -> None:
    scores = torch.tensor([0.0, math.log(2.0), math.log(3.0), 99.0]).view(1, 1, 1, 4)
    allowed = torch.tensor([True, True, True, False]).view(1, 1, 4)
    expected = torch.tensor([1 / 6, 2 / 6, 3 / 6, 0.0])
    torch.testing.assert_close(masked_softmax(scores, allowed).flatten(), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_memory_projected_once_serves_queries_one_by_one(kind: str) -> None:
    attention = make(kind)
    query_BTD = torch.randn(B, T, D, dtype=torch.float64)
    memory = attention.project(torch.randn(B, S, M, dtype=torch.float64))
    allowed_B1S = torch.tensor([[True, True, True, False, False], [True] * 5]).unsqueeze(1)
    together, weights = attention(query_BTD, *memory, allowed_B1S, True)
    for t in range(T):
        alone, own_weights = attention(query_BTD[:, t : t + 1], *memory, allowed_B1S, True)
        torch.testing.assert_close(alone, together[:, t : t + 1])
        torch.testing.assert_close(own_weights, weights[:, :, t : t + 1])


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_allowed_gives_zero_and_never_nan(kind: str, fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "fused_pays", lambda *_: fused)
    attention = make(kind)
    query_BTD = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    memory_BSM = torch.randn(B, S, M, dtype=torch.float64, requires_grad=True)
    allowed_BTS = torch.ones(B, T, S, dtype=torch.bool)
    allowed_BTS[0] = False
    allowed_BTS[1, 2] = False
    context, weights = attention(query_BTD, *attention.project(memory_BSM), allowed_BTS, not fused)
    context.square().sum().backward()
    assert not context[0].any() and not context[1, 2].any()
    assert context[1, :2].all()
    assert weights is None or not weights[0].any()
    assert not query_BTD.grad[0].any() and not memory_BSM.grad[0].any()
    assert query_BTD.grad.isfinite().all() and memory_BSM.grad.isfinite().all()
    assert memory_BSM.grad[1].any()


def both_paths(
    inputs: tuple[Tensor, Tensor, Tensor], allowed: Tensor | None, causal: bool, monkeypatch: pytest.MonkeyPatch
) -> list[list[Tensor]]:
    """Context and gradients, written out and fused."""
    results = []
    for fused in (False, True):
        monkeypatch.setattr(subject, "fused_pays", lambda *_, fused=fused: fused)
        query, key, value = (tensor.clone().requires_grad_() for tensor in inputs)
        context, _ = attend(query, KeyValue(key, value), allowed, scale=0.3, causal=causal)
        (context * torch.linspace(-1, 1, context.numel(), dtype=context.dtype).view_as(context)).sum().backward()
        results.append([context.detach(), query.grad, key.grad, value.grad])
    return results


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mask", ["none", "padding", "rows", "causal"])
@pytest.mark.parametrize("length", [7, 71])
def test_fused_and_written_out_attention_agree_with_gradients(
    length: int, mask: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(5)
    inputs = tuple(torch.randn(2, 3, length, 8, dtype=dtype) for _ in range(3))
    allowed = {
        "none": None,
        "causal": None,
        "padding": (torch.arange(length) < torch.tensor([[length], [length // 2]])).unsqueeze(1),
        "rows": torch.rand(2, length, length) < 0.5,
    }[mask]
    written, fused = both_paths(inputs, allowed, mask == "causal", monkeypatch)
    tolerance = {"rtol": 1e-4, "atol": 2e-6} if dtype is torch.float32 else {"rtol": 1e-9, "atol": 1e-12}
    for one, other in zip(written, fused, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


def test_causal_looks_back_only() -> None:
    query, key, value = (torch.randn(2, 3, 5, 4, dtype=torch.float64) for _ in range(3))
    triangle = torch.ones(2, 5, 5, dtype=torch.bool).tril()
    context, weights = attend(query, KeyValue(key, value), None, scale=0.5, causal=True, want_weights=True)
    expected, expected_weights = attend(query, KeyValue(key, value), triangle, scale=0.5, want_weights=True)
    torch.testing.assert_close(context, expected)
    assert torch.equal(weights, expected_weights)
    assert torch.equal(weights, weights.tril()) and weights[:, :, -1].all()


def test_long_sequences_use_the_fused_kernel_and_short_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    kernel = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        subject.F, "scaled_dot_product_attention", lambda *a, **k: (calls.append(a[1].shape[2]), kernel(*a, **k))[1]
    )
    for length in (subject.FUSED_FROM - 1, subject.FUSED_FROM):
        vectors = torch.randn(1, 1, length, 4)
        attend(vectors, KeyValue(vectors, vectors), None, scale=1.0)
        attend(vectors, KeyValue(vectors, vectors), None, scale=1.0, want_weights=True)
    assert calls == [subject.FUSED_FROM]


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_weights_sum_to_one_over_what_is_allowed(data: st.DataObject) -> None:
    S = data.draw(st.integers(1, 6))
    rows = data.draw(st.lists(st.lists(st.booleans(), min_size=S, max_size=S), min_size=1, max_size=4))
    numbers = st.floats(-1e4, 1e4, width=32)
    scores = data.draw(st.lists(st.lists(numbers, min_size=S, max_size=S), min_size=len(rows), max_size=len(rows)))
    allowed = torch.tensor(rows).unsqueeze(0)
    weights = masked_softmax(torch.tensor(scores, dtype=torch.float32).view(1, 1, -1, S), allowed)[0, 0]
    assert not weights[~allowed[0]].any()
    torch.testing.assert_close(weights.sum(-1), allowed[0].any(-1).float())


class Largest(TorchDispatchMode):
    """Notes the number of elements of the largest tensor computed."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


def test_additive_attention_in_chunks_is_the_same_and_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    attention, results = make("additive"), []
    query_BTD = torch.randn(B, 23, D, dtype=torch.float64)
    memory_BSM = torch.randn(B, S, M, dtype=torch.float64)
    for chunk in (1 << 20, 8 * B * S * D):
        monkeypatch.setattr(subject, "ADDITIVE_CHUNK", chunk)
        query, memory = query_BTD.clone().requires_grad_(), memory_BSM.clone().requires_grad_()
        attention.zero_grad()
        with Largest() as largest:
            context, _ = attention(query, *attention.project(memory), None)
            context.square().sum().backward()
        gradients = [parameter.grad.clone() for parameter in attention.parameters()]
        results.append((largest.elements, [context, query.grad, memory.grad, *gradients]))
    (whole, expected), (chunked, actual) = results
    assert whole == B * 23 * S * D
    assert chunked <= 8 * B * S * D
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_sentence_share_its_memory(kind: str) -> None:
    attention, W = make(kind), 3
    query_NTD = torch.randn(B * W, T, D, dtype=torch.float64)
    memory_BSM = torch.randn(B, S, M, dtype=torch.float64)
    allowed_BS = torch.tensor([[True, True, True, False, False], [True] * 5])
    context, weights = attend_together(
        attention, query_NTD, attention.project(memory_BSM), allowed_BS.unsqueeze(1), True
    )
    expected, expected_weights = attention(
        query_NTD,
        *attention.project(memory_BSM.repeat_interleave(W, 0)),
        allowed_BS.repeat_interleave(W, 0).unsqueeze(1),
        True,
    )
    torch.testing.assert_close(context, expected)
    torch.testing.assert_close(weights, expected_weights)
