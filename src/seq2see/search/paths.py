"""Paths into the future: a value is drawn, read, and the next one drawn from what the model says then.

N rows, one a path · H steps ahead · P parameters of a distribution
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

AnyState = TypeVar("AnyState")
ValueStep = Callable[[Tensor, AnyState], tuple[Tensor, AnyState, Tensor | None]]
Draw = Callable[[Tensor, Tensor], Tensor]

_MOST = 50.0  # standard deviations that a path may stray: beyond, it would only feed on itself


def sample_paths(
    step: ValueStep[AnyState],
    state: AnyState,
    last_N: Tensor,
    noise_NH2: Tensor,
    draw: Draw,
    check: Callable[[], None] = lambda: None,
) -> tuple[Tensor, list[Tensor]]:
    """The values ``[N, H]`` of N paths, and the weights of attention of each step where ``step`` gives them.

    Args:
        step: (the value just read, state) → parameters ``[N, P]`` of the next value, the new state, weights.
        last_N: the last known value of each path, which the first step reads.
        noise_NH2: uniform numbers from [0, 1), two for each value.
        draw: (parameters ``[N, P]``, noise ``[N, 2]``) → values ``[N]``; a pure function.
    """
    value_N, values, every = last_N, [], []
    for noise_N2 in noise_NH2.unbind(1):
        check()
        raw_NP, state, weights = step(value_N, state)
        value_N = draw(raw_NP, noise_N2).clamp(-_MOST, _MOST)
        values.append(value_N)
        every += [] if weights is None else [weights]
    return torch.stack(values, dim=1), every


def path_noise(paths: int, steps: int, seed: int) -> Tensor:
    """``[paths, steps, 2]`` uniform numbers; the same for the same seed, more steps only add to them."""
    random = torch.Generator().manual_seed(seed)
    return torch.stack([torch.rand(paths, 2, generator=random) for _ in range(steps)], dim=1)
