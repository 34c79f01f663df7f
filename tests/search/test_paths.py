"""Paths: what is drawn is read, with noise that belongs to a path and a step."""

import torch
from torch import Tensor

from seq2see.search.paths import path_noise, sample_paths


def step(value_N: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """The next value is the sum of all values read so far."""
    total_N = state + value_N
    return total_N.unsqueeze(1), total_N, None


def test_every_value_drawn_is_read_next() -> None:
    noise = torch.tensor([[[0.0, 0.5], [1.0, 0.0]], [[0.25, 0.0], [0.5, 0.0]]])
    last = torch.tensor([3.0, 4.0])
    values, weights = sample_paths(step, torch.tensor([1.0, 2.0]), last, noise, lambda raw, n: raw[:, 0] + n[:, 0])
    # Path 1: read 3 → 4, drawn 4 + 0; read 4 → 8, drawn 8 + 1. Path 2: read 4 → 6.25; read it → 12.25 + 0.5.
    assert values.tolist() == [[4, 9], [6.25, 12.75]] and weights == []


def test_paths_stay_within_bounds() -> None:
    values, _ = sample_paths(step, torch.ones(1), torch.ones(1), torch.zeros(1, 20, 2), lambda raw, n: raw[:, 0] * 9)
    assert values.abs().max() == 50


def test_noise_is_the_same_for_a_seed_and_grows_with_the_steps() -> None:
    noise = path_noise(3, 4, seed=1)
    assert torch.equal(noise, path_noise(3, 4, seed=1)) and not torch.equal(noise, path_noise(3, 4, seed=2))
    assert torch.equal(noise, path_noise(3, 9, seed=1)[:, :4])
    assert noise.min() >= 0 and noise.max() < 1


def test_weights_are_handed_back_step_by_step() -> None:
    def looking(value_N: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        return value_N.unsqueeze(1), state + 1, state[:, None]

    _, weights = sample_paths(looking, torch.zeros(2), torch.zeros(2), torch.zeros(2, 3, 2), lambda raw, n: raw[:, 0])
    assert [each[0, 0].item() for each in weights] == [0, 1, 2]
