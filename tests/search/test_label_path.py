"""The best path of labels against the enumeration of every path."""

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from seq2see.search.label_path import best_next, best_path


def log_probs(S: int, C: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(S, C, generator=generator)).log_softmax(-1)


def masks(C: int, seed: int, share: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    start_C, end_C = (torch.rand(C, generator=generator) < share for _ in range(2))
    return start_C, torch.rand(C, C, generator=generator) < share, end_C


def enumerated(log_probs_SC: Tensor, start_C: Tensor, follow_CC: Tensor, end_C: Tensor) -> tuple[list[int], int]:
    """The best of all paths by (steps that are not allowed, sum), and how many such steps it has."""
    S, C = log_probs_SC.shape

    def rank(path: tuple[int, ...]) -> tuple[int, float]:
        wrong = (not start_C[path[0]]) + (not end_C[path[-1]]) + sum(not follow_CC[a, b] for a, b in pairwise(path))
        return -int(wrong), sum(float(log_probs_SC[s, c]) for s, c in enumerate(path))

    best = max(product(range(C), repeat=S), key=rank)
    return list(best), -rank(best)[0]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("S", "C"), [(1, 4), (2, 3), (5, 3)])
def test_the_best_of_all_paths(S: int, C: int, seed: int) -> None:
    log_probs_SC, given = log_probs(S, C, seed), masks(C, 100 + seed)
    assert best_path(log_probs_SC, *given) == enumerated(log_probs_SC, *given)[0]


def test_without_rules_it_is_the_likeliest_at_each_token() -> None:
    log_probs_SC = log_probs(40, 7, 1)
    every_C, every_CC = torch.ones(7, dtype=torch.bool), torch.ones(7, 7, dtype=torch.bool)
    assert best_path(log_probs_SC, every_C, every_CC, every_C) == log_probs_SC.argmax(1).tolist()


def test_where_nothing_is_allowed_the_fewest_faults() -> None:
    log_probs_SC = log_probs(4, 3, 2)
    given = (torch.zeros(3, dtype=torch.bool), torch.zeros(3, 3, dtype=torch.bool), torch.zeros(3, dtype=torch.bool))
    expected, faults = enumerated(log_probs_SC, *given)
    assert faults == 5
    assert best_path(log_probs_SC, *given) == expected == log_probs_SC.argmax(1).tolist()


def test_a_long_sentence_keeps_the_rules() -> None:
    log_probs_SC, (start_C, follow_CC, end_C) = log_probs(2_000, 5, 3), masks(5, 4, share=0.6)
    path = best_path(log_probs_SC, start_C, follow_CC, end_C)
    assert bool(start_C[path[0]]) and bool(end_C[path[-1]])
    assert all(bool(follow_CC[a, b]) for a, b in pairwise(path))


def test_the_next_label() -> None:
    log_probs_C = torch.tensor([0.5, 0.2, 0.3]).log()
    assert best_next(log_probs_C, torch.tensor([True, True, True])) == 0
    assert best_next(log_probs_C, torch.tensor([False, True, True])) == 2
    assert best_next(log_probs_C, torch.tensor([False, False, False])) == 0
