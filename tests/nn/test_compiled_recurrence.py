"""Recurrent layers in kernels beside PyTorch's: the same states and gradients, as far as bfloat16 goes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from seq2see.config.settings import Cell
from seq2see.nn.cells import CellState
from seq2see.nn.native.library import training_library
from seq2see.nn.native.recurrence import recurrence
from seq2see.nn.recurrent import Recurrent

pytestmark = pytest.mark.skipif(training_library() is None, reason="needs a C compiler and products in bfloat16")
LENGTHS: list[list[int] | None] = [[5, 9, 1, 7, 7], [3, 20, 11, 8], None, [4, 0, 2]]

Run = Callable[[Tensor, CellState, Tensor | None], tuple[Tensor, CellState]]


def layer_of(cell: Cell, inputs: int, width: int) -> Recurrent:
    torch.manual_seed(1)
    layer = Recurrent(cell, inputs, width)
    for bias in (layer.bias_ih_G, layer.bias_hh_G):
        nn.init.normal_(bias, std=0.3)
    return layer


def everything(layer: Recurrent, run: Run, lengths: list[int] | None) -> list[Tensor]:
    """Outputs and last states, and the gradients of inputs, first states and weights."""
    torch.manual_seed(2)
    B, T = (6, 12) if lengths is None else (len(lengths), max(lengths))
    valid_BT = None if lengths is None else torch.arange(T) < torch.tensor(lengths).unsqueeze(1)
    E, D = layer.weight_ih_GE.shape[1], layer.width
    x_BTE, h_BD, c_BD = (torch.randn(*shape, requires_grad=True) for shape in ((B, T, E), (B, D), (B, D)))
    output_BTD, state = run(x_BTE, CellState(h_BD, c_BD if layer.cell == "lstm" else None), valid_BT)
    if valid_BT is not None:
        output_BTD = output_BTD * valid_BT.unsqueeze(-1)
    found = [output_BTD, *(each for each in state if each is not None)]
    layer.zero_grad()
    torch.autograd.backward(found, [torch.randn(each.shape) for each in found])
    inputs = (x_BTE, h_BD, c_BD, *layer.parameters())
    gradients = [each.grad.clone() for each in inputs if each.grad is not None]
    return [each.detach() for each in found] + gradients


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("inputs", "width"), [(64, 64), (48, 96)])
def test_states_and_gradients_are_pytorchs(cell: Cell, lengths: list[int] | None, inputs: int, width: int) -> None:
    layer = layer_of(cell, inputs, width)
    compiled = recurrence(layer)
    assert compiled is not None
    expected = everything(layer, layer, lengths)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found = everything(layer, compiled, lengths)
            assert len(found) == len(expected)
            for own, other in zip(found, expected, strict=True):
                assert float((own - other).norm() / other.norm().clamp(min=1e-6)) < 0.02
    finally:
        torch.set_num_threads(before)


def test_a_sentence_does_not_feel_its_neighbours() -> None:
    layer = layer_of("lstm", 32, 32)
    compiled = recurrence(layer)
    assert compiled is not None
    lengths = [3, 14, 1, 8]
    x_BTE = torch.randn(4, 14, 32)
    valid_BT = torch.arange(14) < torch.tensor(lengths).unsqueeze(1)
    together_BTD, last = compiled(x_BTE, layer.zero_state(4, x_BTE), valid_BT)
    for number, length in enumerate(lengths):
        own_1TD, state = compiled(x_BTE[number : number + 1, :length], layer.zero_state(1, x_BTE), None)
        assert torch.equal(own_1TD[0], together_BTD[number, :length])
        assert torch.equal(state.hidden_ND[0], last.hidden_ND[number])
        assert not together_BTD[number, length:].any()


def test_what_is_no_number_stays_none() -> None:
    for cell in ("rnn", "gru", "lstm"):
        layer = layer_of(cell, 32, 32)  # type: ignore[arg-type]
        compiled = recurrence(layer)
        assert compiled is not None
        x_BTE = torch.zeros(2, 3, 32)
        x_BTE[1, 1, 5] = float("nan")
        output_BTD, _ = compiled(x_BTE, layer.zero_state(2, x_BTE), None)
        assert bool(output_BTD[1, 1:].isnan().all())
        assert bool(output_BTD[0].isfinite().all())


def test_odd_widths_are_left_to_pytorch() -> None:
    assert recurrence(layer_of("gru", 20, 64)) is None
    assert recurrence(layer_of("gru", 64, 48)) is None
    assert recurrence(layer_of("gru", 64, 64).double()) is None
