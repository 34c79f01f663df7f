"""The fused kernels against the cells written out; padding and direction exact; numbers known by hand."""

import math

import pytest
import torch
from torch import Tensor

from seq2see.nn.cells import PARTS, CellState, CellWeights, unroll
from seq2see.nn.recurrent import (
    Recurrent,
    RecurrentLayer,
    RecurrentStack,
    RecurrentState,
    padded,
    reverse,
    stack_states,
)

B, T, E, D = 3, 7, 5, 4
CELLS = ["rnn", "lstm", "gru"]
LENGTHS = [7, 3, 5]
VALID_BT = torch.arange(T) < torch.tensor(LENGTHS).unsqueeze(1)


def make(cell: str, dtype: torch.dtype = torch.float64) -> Recurrent:
    torch.manual_seed(7)
    recurrent = Recurrent(cell, E, D)
    with torch.no_grad():
        for parameter in recurrent.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)  # no bias is zero
    return recurrent.to(dtype)


def a_state(cell: str, dtype: torch.dtype = torch.float64) -> CellState:
    torch.manual_seed(8)
    hidden, cells = torch.randn(2, B, D).tanh().to(dtype)
    return CellState(hidden, cells if cell == "lstm" else None)


def gradients(loss: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, tensors))


@pytest.mark.parametrize("valid_BT", [None, VALID_BT], ids=["full", "padded"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cell", CELLS)
def test_kernel_and_formulas_agree_with_gradients(cell: str, dtype: torch.dtype, valid_BT: Tensor | None) -> None:
    recurrent, start = make(cell, dtype), a_state(cell, dtype)
    input_BTE = torch.randn(B, T, E, dtype=dtype, requires_grad=True)
    mask = 1.0 if valid_BT is None else valid_BT.unsqueeze(-1)
    output_BTD, final = recurrent(input_BTE, start, valid_BT)
    trace = recurrent.trace(input_BTE, start, valid_BT)
    cells = [final.cell_ND, trace.cell_NTD[:, -1]] if cell == "lstm" else []
    pairs = [(output_BTD * mask, trace.hidden_NTD * mask), (final.hidden_ND, trace.hidden_NTD[:, -1])]
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype is torch.float32 else {"rtol": 1e-9, "atol": 1e-11}
    wanted = [input_BTE, *recurrent.parameters()]
    losses: list[Tensor] = []
    for side in range(2):
        parts = [pair[side] for pair in pairs] + cells[side : side + 1]
        losses.append(sum((part.square() * torch.arange(1, D + 1)).sum() for part in parts))
    for fused, written in [*pairs, tuple(cells)] if cells else pairs:
        torch.testing.assert_close(fused, written, **tolerance)
    for fused, written in zip(*(gradients(loss, wanted) for loss in losses), strict=True):
        torch.testing.assert_close(fused, written, **tolerance)


def test_lstm_by_hand() -> None:
    """σ(ln 3) = 3/4, σ(0) = 1/2, tanh(atanh 1/2) = 1/2: c₁ = 1/2·1/2, c₂ = 3/4·1/4 + 1/4, h = 1/2·tanh c."""
    bias = torch.tensor([0.0, math.log(3), math.atanh(0.5), 0.0], dtype=torch.float64)
    zero = torch.zeros(1, 1, dtype=torch.float64)
    weights = CellWeights(zero.expand(4, 1), zero.expand(4, 1), bias, torch.zeros_like(bias))
    trace = unroll("lstm", torch.ones(1, 2, 1, dtype=torch.float64), CellState(zero, zero), weights)
    assert trace.cell_NTD.flatten().tolist() == pytest.approx([0.25, 0.4375])
    assert trace.hidden_NTD.flatten().tolist() == pytest.approx([math.tanh(0.25) / 2, math.tanh(0.4375) / 2])
    assert trace.gates["forget"].flatten().tolist() == pytest.approx([0.75, 0.75])


def test_gru_by_hand() -> None:
    """r = 1/2, z = 3/4, n = tanh(b_x + r·b_h) = 1/2: h₁ = 1/4·1/2 + 3/4·h₀ with h₀ = 1."""
    ones = torch.ones(1, 1, dtype=torch.float64)
    bias_x = torch.tensor([0.0, math.log(3), math.atanh(0.5) - 1.0], dtype=torch.float64)
    bias_h = torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64)
    weights = CellWeights(0 * ones.expand(3, 1), 0 * ones.expand(3, 1), bias_x, bias_h)
    trace = unroll("gru", ones.view(1, 1, 1), CellState(ones, None), weights)
    assert trace.hidden_NTD.item() == pytest.approx(0.875)


def test_elman_by_hand() -> None:
    weights = CellWeights(*(torch.tensor(x, dtype=torch.float64) for x in ([[2.0]], [[3.0]], [0.5], [0.25])))
    start = CellState(torch.tensor([[0.1]], dtype=torch.float64), None)
    trace = unroll("rnn", torch.tensor([[[0.2], [0.3]]], dtype=torch.float64), start, weights)
    first = math.tanh(2 * 0.2 + 3 * 0.1 + 0.75)
    assert trace.hidden_NTD.flatten().tolist() == pytest.approx([first, math.tanh(0.6 + 3 * first + 0.75)])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_at_padding_changes_no_bit(cell: str, precision: str) -> None:
    recurrent, start = make(cell, torch.float32), a_state(cell, torch.float32)
    clean = torch.randn(B, T, E)
    dirty = torch.where(VALID_BT.unsqueeze(-1), clean, 100 * torch.randn(B, T, E))
    results = []
    for values in (clean, dirty):
        values.requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            output_BTD, final = recurrent(values, start, VALID_BT)
        loss = output_BTD[VALID_BT].float().square().sum() + final.hidden_ND.float().sum()
        loss = loss if final.cell_ND is None else loss + final.cell_ND.float().square().sum()
        grads = gradients(loss, [values, *recurrent.parameters()])
        assert not grads[0][~VALID_BT].any() and grads[0][VALID_BT].all()
        results.append([output_BTD[VALID_BT], *(part for part in final if part is not None), *grads])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("cell", CELLS)
def test_a_padded_sentence_ends_as_it_ends_alone(cell: str) -> None:
    layer = RecurrentLayer(cell, E, 2 * D, bidirectional=True).double()
    input_BTE = torch.randn(B, T, E, dtype=torch.float64)
    output_BTD, final = layer(input_BTE, None, VALID_BT)
    for b, length in enumerate(LENGTHS):
        alone, end = layer(input_BTE[b : b + 1, :length])
        torch.testing.assert_close(output_BTD[b : b + 1, :length], alone)
        for part, own in zip(final, end, strict=True):
            if part is not None:
                torch.testing.assert_close(part[b : b + 1], own)


@pytest.mark.parametrize("cell", CELLS)
def test_an_empty_sentence_leaves_the_state_as_it_was(cell: str) -> None:
    start = a_state(cell)
    valid_BT = VALID_BT.clone()
    valid_BT[1] = False
    _, final = make(cell)(torch.randn(B, T, E, dtype=torch.float64), start, valid_BT)
    assert torch.equal(final.hidden_ND[1], start.hidden_ND[1])
    assert cell != "lstm" or torch.equal(final.cell_ND[1], start.cell_ND[1])
    assert not torch.equal(final.hidden_ND[0], start.hidden_ND[0])


def test_reversal_within_the_length_by_hand() -> None:
    values = torch.tensor([[1, 2, 3, 8, 9], [1, 2, 3, 4, 5], [6, 7, 8, 9, 5]]).unsqueeze(-1)
    valid = torch.arange(5) < torch.tensor([[3], [5], [0]])
    expected = [[3, 2, 1, 8, 9], [5, 4, 3, 2, 1], [6, 7, 8, 9, 5]]
    assert reverse(values, valid).squeeze(-1).tolist() == expected
    assert torch.equal(reverse(reverse(values, valid), valid), values)
    assert torch.equal(reverse(values, None), values.flip(1))


@pytest.mark.parametrize("cell", CELLS)
def test_the_backward_half_reads_from_the_end(cell: str) -> None:
    layer = RecurrentLayer(cell, E, 2 * D, bidirectional=True).double()
    input_1TE = torch.randn(1, T, E, dtype=torch.float64)
    output_1TD, final = layer(input_1TE)
    onwards, end = layer.backwards(input_1TE.flip(1))
    torch.testing.assert_close(output_1TD[..., D:], onwards.flip(1))
    torch.testing.assert_close(final.hidden_ND[:, D:], end.hidden_ND)
    torch.testing.assert_close(output_1TD[:, 0, D:], end.hidden_ND)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_steps_unrolled_are_the_whole(cell: str, layers: int) -> None:
    stack = RecurrentStack(cell, E, D, layers, dropout=0.5).double().eval()
    input_BTE = torch.randn(B, T, E, dtype=torch.float64)
    start = stack_states([a_state(cell)] * layers)
    output_BTD, final = stack(input_BTE, start)
    state = start
    for t in range(T):
        top_BD, state = stack.step(input_BTE[:, t], state)
        torch.testing.assert_close(top_BD, output_BTD[:, t])
    torch.testing.assert_close(state.hidden_LND, final.hidden_LND)
    assert (state.cell_LND is None) == (cell != "lstm")
    if cell == "lstm":
        torch.testing.assert_close(state.cell_LND, final.cell_LND)


@pytest.mark.parametrize("cell", CELLS)
def test_layers_add_their_input_from_the_second_on(cell: str) -> None:
    stack = RecurrentStack(cell, E, 2 * D, 2, dropout=0.0, bidirectional=True).double()
    input_BTE = torch.randn(B, T, E, dtype=torch.float64)
    output_BTD, final = stack(input_BTE, None, VALID_BT)
    first, first_end = stack.layers[0](input_BTE, None, VALID_BT)
    second, second_end = stack.layers[1](first, None, VALID_BT)
    torch.testing.assert_close(output_BTD, first + second)
    torch.testing.assert_close(final.hidden_LND, torch.stack([first_end.hidden_ND, second_end.hidden_ND]))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_trace_tells_every_gate_and_state(cell: str, bidirectional: bool) -> None:
    stack = RecurrentStack(cell, E, 2 * D, 2, dropout=0.0, bidirectional=bidirectional).double()
    input_BTE = torch.randn(B, T, E, dtype=torch.float64)
    output_BTD, _ = stack(input_BTE, None, VALID_BT)
    traces = stack.trace(input_BTE, None, VALID_BT)
    hidden = [torch.cat([trace.hidden_NTD for trace in directions], dim=-1) for directions in traces]
    torch.testing.assert_close(sum(hidden)[VALID_BT], output_BTD[VALID_BT])
    names = {"rnn": set(), "lstm": {"input", "forget", "candidate", "output"}, "gru": {"reset", "update", "candidate"}}
    for directions in traces:
        assert len(directions) == 1 + bidirectional
        for trace in directions:
            assert set(trace.gates) == names[cell]
            for name, gate_NTD in trace.gates.items():
                assert not gate_NTD[~VALID_BT].any()
                assert (gate_NTD[VALID_BT] > (-1 if name == "candidate" else 0)).all() and (gate_NTD < 1).all()


def test_states_are_taken_by_row() -> None:
    hidden = torch.arange(12.0).view(2, 3, 2)
    taken = RecurrentState(hidden, -hidden).take(torch.tensor([2, 0, 0, 1]))
    assert torch.equal(taken.hidden_LND, hidden[:, [2, 0, 0, 1]])
    assert torch.equal(taken.cell_LND, -taken.hidden_LND)


@pytest.mark.parametrize("cell", CELLS)
def test_start_values(cell: str) -> None:
    recurrent = Recurrent(cell, E, D)
    for part_DD in recurrent.weight_hh_GD.chunk(PARTS[cell]):
        torch.testing.assert_close(part_DD @ part_DD.T, torch.eye(D), rtol=0, atol=1e-5)
    assert not recurrent.bias_hh_G.any()
    bias = recurrent.bias_ih_G.view(PARTS[cell], D)
    assert [part.tolist() for part in bias] == [
        [1.0] * D if cell == "lstm" and index == 1 else [0.0] * D for index in range(PARTS[cell])
    ]


def test_nothing_padded_is_noticed() -> None:
    assert padded(torch.ones(2, 3, dtype=torch.bool)) is None
    assert padded(VALID_BT) is VALID_BT


def test_dropout_falls_between_layers_only() -> None:
    one = RecurrentStack("gru", E, D, 1, dropout=0.9)
    two = RecurrentStack("gru", E, D, 2, dropout=0.9)
    input_BTE = torch.randn(B, T, E)
    assert torch.equal(one(input_BTE)[0], one(input_BTE)[0])
    assert not torch.equal(two(input_BTE)[0], two(input_BTE)[0])
    assert torch.equal(two.eval()(input_BTE)[0], two(input_BTE)[0])
