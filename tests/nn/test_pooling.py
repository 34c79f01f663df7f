"""Pooling against the formulas in loops; what may not be used is not."""

import math

import pytest
import torch
from torch import Tensor

from seq2see.nn.pooling import AttentionPooling, maximum, mean

B, S, D = 3, 5, 7
LENGTHS = (5, 2, 0)


def states() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    states_BSD = (
        torch.randn(B, S, D, generator=generator, dtype=torch.float64) - 2.0
    )  # below 0: padding would be largest
    allowed_BS = torch.arange(S) < torch.tensor(LENGTHS)[:, None]
    return states_BSD, allowed_BS


def pooling() -> AttentionPooling:
    torch.manual_seed(5)
    made = AttentionPooling(D).double()
    with torch.no_grad():
        made.query_D.normal_()
    return made


def test_the_mean_and_the_largest_are_those_of_the_allowed_states() -> None:
    states_BSD, allowed_BS = states()
    for b, length in enumerate(LENGTHS[:2]):
        for d in range(D):
            values = [float(states_BSD[b, s, d]) for s in range(length)]
            assert float(mean(states_BSD, allowed_BS)[b, d]) == pytest.approx(sum(values) / length)
            assert float(maximum(states_BSD, allowed_BS)[b, d]) == max(values)


def test_attention_is_the_formula() -> None:
    states_BSD, allowed_BS = states()
    made = pooling()
    pooled_BD, weights_BS = (each.detach() for each in made(states_BSD, allowed_BS))
    query, score, key = made.query_D.tolist(), made.score_D.tolist(), made.key.weight.tolist()
    for b, length in enumerate(LENGTHS[:2]):
        scores = []
        for s in range(length):
            h = states_BSD[b, s].tolist()
            inner = [query[i] + sum(key[i][j] * h[j] for j in range(D)) for i in range(D)]
            scores.append(sum(v * math.tanh(x) for v, x in zip(score, inner, strict=True)))
        total = sum(map(math.exp, scores))
        wanted = [math.exp(each) / total for each in scores]
        assert weights_BS[b, :length].tolist() == pytest.approx(wanted)
        assert not weights_BS[b, length:].any()
        for d in range(D):
            total = sum(weight * float(states_BSD[b, s, d]) for s, weight in enumerate(wanted))
            assert float(pooled_BD[b, d]) == pytest.approx(total)


def test_a_text_of_which_nothing_may_be_used_gives_zeros_and_finite_gradients() -> None:
    states_BSD, allowed_BS = states()
    states_BSD.requires_grad_()
    made = pooling()
    pooled_BD, weights_BS = made(states_BSD, allowed_BS)
    results = [pooled_BD, mean(states_BSD, allowed_BS), maximum(states_BSD, allowed_BS)]
    assert all(not each[2].any() for each in results)
    assert not weights_BS[2].any()
    sum(each.square().sum() for each in results).backward()
    assert states_BSD.grad is not None
    assert states_BSD.grad.isfinite().all()
    assert not states_BSD.grad[~allowed_BS].any()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in made.parameters())
