"""The recurrent cells written out from their formulas, one gate and one time step after the other.

They are slow and obvious. ``recurrent.py`` computes the same with fused kernels; the tests hold both
together. What the kernels do not tell, the gates and states at each moment, comes from here.

N rows · T time steps · E width of the input · D width of the state · G = D for each gate.
The parts of a weight matrix stand in torch's order: lstm input, forget, candidate, output; gru reset,
update, candidate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from seq2see.config.settings import Cell

# How many matrices of D rows a cell's weights are made of.
PARTS: Mapping[Cell, int] = {"rnn": 1, "lstm": 4, "gru": 3}


class CellWeights(NamedTuple):
    """``weight_ih`` reads the input, ``weight_hh`` the state before; each has its bias, as in torch."""

    weight_ih_GE: Tensor
    weight_hh_GD: Tensor
    bias_ih_G: Tensor
    bias_hh_G: Tensor


class CellState(NamedTuple):
    """What goes from one time step to the next; only an LSTM has a cell state."""

    hidden_ND: Tensor
    cell_ND: Tensor | None


Gates = dict[str, Tensor]


@dataclass(frozen=True)
class Trace:
    """A sentence's passage through a cell: its gates by name and its states, each ``[N, T, D]``.

    Gates lie between 0 and 1, the candidate between −1 and 1. At padding the states stay, the gates are zero.
    """

    gates: Mapping[str, Tensor]
    hidden_NTD: Tensor
    cell_NTD: Tensor | None


def elman(input_NE: Tensor, state: CellState, weights: CellWeights) -> tuple[CellState, Gates]:
    """h_t = tanh(W_xh x_t + b_xh + W_hh h_{t−1} + b_hh) (Elman 1990)."""
    W_xh, W_hh, b_xh, b_hh = weights
    h_ND = torch.tanh(input_NE @ W_xh.T + b_xh + state.hidden_ND @ W_hh.T + b_hh)
    return CellState(h_ND, None), {}


def lstm(input_NE: Tensor, state: CellState, weights: CellWeights) -> tuple[CellState, Gates]:
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers et al. 2000).

    i, f, o = σ(W x_t + U h_{t−1} + b), g = tanh(W x_t + U h_{t−1} + b), each with its own W, U and b;
    c_t = f ⊙ c_{t−1} + i ⊙ g;  h_t = o ⊙ tanh(c_t)
    """
    h_ND, c_ND = state
    assert c_ND is not None, "an LSTM state has a cell"
    W_i, W_f, W_g, W_o = weights.weight_ih_GE.chunk(4)
    U_i, U_f, U_g, U_o = weights.weight_hh_GD.chunk(4)
    b_i, b_f, b_g, b_o = (weights.bias_ih_G + weights.bias_hh_G).chunk(4)
    input_gate_ND = torch.sigmoid(input_NE @ W_i.T + h_ND @ U_i.T + b_i)
    forget_gate_ND = torch.sigmoid(input_NE @ W_f.T + h_ND @ U_f.T + b_f)
    candidate_ND = torch.tanh(input_NE @ W_g.T + h_ND @ U_g.T + b_g)
    output_gate_ND = torch.sigmoid(input_NE @ W_o.T + h_ND @ U_o.T + b_o)
    c_ND = forget_gate_ND * c_ND + input_gate_ND * candidate_ND
    h_ND = output_gate_ND * torch.tanh(c_ND)
    return CellState(h_ND, c_ND), {
        "input": input_gate_ND,
        "forget": forget_gate_ND,
        "candidate": candidate_ND,
        "output": output_gate_ND,
    }


def gru(input_NE: Tensor, state: CellState, weights: CellWeights) -> tuple[CellState, Gates]:
    """Gated recurrent unit (Cho et al. 2014), with the reset gate after the product, as in cuDNN.

    r, z = σ(W x_t + U h_{t−1} + b);  n = tanh(W x_t + b_x + r ⊙ (U h_{t−1} + b_h));
    h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}
    """
    h_ND = state.hidden_ND
    W_r, W_z, W_n = weights.weight_ih_GE.chunk(3)
    U_r, U_z, U_n = weights.weight_hh_GD.chunk(3)
    b_xr, b_xz, b_xn = weights.bias_ih_G.chunk(3)
    b_hr, b_hz, b_hn = weights.bias_hh_G.chunk(3)
    reset_gate_ND = torch.sigmoid(input_NE @ W_r.T + b_xr + h_ND @ U_r.T + b_hr)
    update_gate_ND = torch.sigmoid(input_NE @ W_z.T + b_xz + h_ND @ U_z.T + b_hz)
    candidate_ND = torch.tanh(input_NE @ W_n.T + b_xn + reset_gate_ND * (h_ND @ U_n.T + b_hn))
    h_ND = (1 - update_gate_ND) * candidate_ND + update_gate_ND * h_ND
    return CellState(h_ND, None), {
        "reset": reset_gate_ND,
        "update": update_gate_ND,
        "candidate": candidate_ND,
    }


CELLS = {"rnn": elman, "lstm": lstm, "gru": gru}


def unroll(
    cell: Cell, input_NTE: Tensor, state: CellState, weights: CellWeights, valid_NT: Tensor | None = None
) -> Trace:
    """The same cell with the same weights at every time step; where ``valid_NT`` is False the state stays."""
    hidden: list[Tensor] = []
    cells: list[Tensor] = []
    gates: dict[str, list[Tensor]] = {}
    for t in range(input_NTE.shape[1]):
        new, gates_now = CELLS[cell](input_NTE[:, t], state, weights)
        if valid_NT is not None:
            valid_N1 = valid_NT[:, t, None]
            new = keep(valid_N1, new, state)
            gates_now = {name: gate_ND * valid_N1 for name, gate_ND in gates_now.items()}
        state = new
        hidden.append(state.hidden_ND)
        if state.cell_ND is not None:
            cells.append(state.cell_ND)
        for name, gate_ND in gates_now.items():
            gates.setdefault(name, []).append(gate_ND)
    return Trace(
        gates={name: torch.stack(steps, dim=1) for name, steps in gates.items()},
        hidden_NTD=torch.stack(hidden, dim=1),
        cell_NTD=torch.stack(cells, dim=1) if cells else None,
    )


def keep(chosen_N1: Tensor, new: CellState, old: CellState) -> CellState:
    """The new state in the chosen rows, the old one in the others."""
    cell_ND = None
    if new.cell_ND is not None and old.cell_ND is not None:
        cell_ND = torch.where(chosen_N1, new.cell_ND, old.cell_ND)
    return CellState(torch.where(chosen_N1, new.hidden_ND, old.hidden_ND), cell_ND)
