"""Positions against the papers' formulas, and what they promise."""

import math

import pytest
import torch

from seq2see.errors import InputError
from seq2see.nn.position import LearnedPosition, RotaryPosition, SinusoidalPosition, position


@pytest.mark.parametrize("width", [6, 7])
def test_sines_and_cosines_of_the_paper(width: int) -> None:
    added, rotation = SinusoidalPosition()(torch.zeros(1, 5, width, dtype=torch.float64), offset=2)
    for t in range(5):
        for component in range(width):
            angle = (t + 2) / 10_000 ** (2 * (component // 2) / width)
            expected = math.cos(angle) if component % 2 else math.sin(angle)
            assert added[0, t, component].item() == pytest.approx(expected, abs=1e-12)
    assert rotation is None


def test_what_is_added_does_not_depend_on_what_it_is_added_to() -> None:
    values = torch.randn(2, 3, 4, dtype=torch.float64)
    zero = torch.zeros_like(values)
    module = SinusoidalPosition()
    torch.testing.assert_close(module(values)[0], values + module(zero)[0])


@pytest.mark.parametrize("kind", ["sinusoidal", "learned"])
def test_step_by_step_is_the_same_as_at_once(kind: str) -> None:
    module, values = position(kind, 6, 3), torch.randn(2, 5, 6)
    whole, _ = module(values)
    for t in range(5):
        torch.testing.assert_close(module(values[:, t : t + 1], t)[0], whole[:, t : t + 1])
    assert not torch.allclose(whole[:, 0] - values[:, 0], whole[:, 1] - values[:, 1])


def test_learned_positions_end_with_a_clear_message() -> None:
    module = LearnedPosition(3, limit=5)
    assert module(torch.zeros(1, 2, 3), 3)[0].shape == (1, 2, 3)
    with pytest.raises(InputError, match=r"needs 6 positions.*learned 5.*rotary"):
        module(torch.zeros(1, 2, 3), 4)
    with pytest.raises(InputError, match="needs 6 positions"):
        module(torch.zeros(1, 6, 3))


def turned(vector_K: torch.Tensor, place: int) -> torch.Tensor:
    _, rotation = RotaryPosition(len(vector_K))(torch.zeros(1, 1, 1, dtype=vector_K.dtype), place)
    return rotation.turn(vector_K.view(1, 1, 1, -1)).flatten()


def test_rotary_turns_pairs_by_the_papers_angles() -> None:
    vector, place = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64), 3
    expected = []
    for pair, (x, y) in enumerate([(1.0, 2.0), (3.0, 4.0)]):
        angle = place / 10_000 ** (2 * pair / 4)
        expected += [x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)]
    torch.testing.assert_close(turned(vector, place), torch.tensor(expected, dtype=torch.float64))
    assert torch.equal(turned(vector, 0), vector)


def test_rotary_products_depend_on_the_distance_only() -> None:
    query, key = torch.randn(2, 6, dtype=torch.float64)
    near = turned(query, 7) @ turned(key, 4)
    torch.testing.assert_close(turned(query, 107) @ turned(key, 104), near)
    assert abs(turned(query, 7) @ turned(key, 5) - near) > 1e-6


def test_rotary_needs_pairs() -> None:
    with pytest.raises(InputError, match="width 5 has an odd one left"):
        position("rotary", 15, 3)
