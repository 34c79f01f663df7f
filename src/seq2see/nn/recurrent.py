"""Recurrent networks on torch's fused kernels: one function, one set of weights, called at every time step.

B sentences · T time steps · N rows · E width of the input · D width of the state · K width of one direction ·
L layers · G = D for each gate. Padding stands at the end of a sentence; ``valid_BT`` is True before it.

Padding is exact without packing (PackedSequence runs step by step on a processor, many times slower). What
stands at the end cannot reach the states before it, so the outputs need no care, and the last hidden state is
the output at the last valid position. Only the LSTM's last cell state is not among the outputs: there a
further input, "this is padding", shuts the input gate and opens the forget gate so far that their sigmoids
are exactly 0 and 1, and the kernel's last cell state is that of the last valid position, bit for bit.
A backward layer reads each sentence reversed within its own length.
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from seq2see.config.settings import Cell
from seq2see.nn.cells import PARTS, CellState, CellWeights, Trace, unroll
from seq2see.nn.dropout import Dropout

SATURATED = 1e4  # σ(±SATURATED) is exactly 1 or 0 in every precision, and SATURATED is finite in float16


class RecurrentState(NamedTuple):
    """The states of all layers of a stack; only LSTMs have cells."""

    hidden_LND: Tensor
    cell_LND: Tensor | None

    def layers(self) -> list[CellState]:
        """One state a layer, from the bottom."""
        hidden = self.hidden_LND.unbind()
        cells = [None] * len(hidden) if self.cell_LND is None else self.cell_LND.unbind()
        return [CellState(h_ND, c_ND) for h_ND, c_ND in zip(hidden, cells, strict=True)]

    def take(self, rows_N: Tensor) -> "RecurrentState":
        """The states of the given rows, in their order."""
        cell_LND = None if self.cell_LND is None else self.cell_LND.index_select(1, rows_N)
        return RecurrentState(self.hidden_LND.index_select(1, rows_N), cell_LND)


def stack_states(layers: list[CellState]) -> RecurrentState:
    """The inverse of ``RecurrentState.layers``."""
    cells = [layer.cell_ND for layer in layers if layer.cell_ND is not None]
    hidden_LND = torch.stack([layer.hidden_ND for layer in layers])
    return RecurrentState(hidden_LND, torch.stack(cells) if cells else None)


def padded(valid_BT: Tensor) -> Tensor | None:
    """None where nothing is padded, which saves work. A GPU is not asked: it would have to finish first."""
    return None if valid_BT.device.type == "cpu" and bool(valid_BT.all()) else valid_BT


def reverse(values_BTD: Tensor, valid_BT: Tensor | None) -> Tensor:
    """Each sentence backwards within its length; padding stays where it is. Twice gives the sentence back."""
    if valid_BT is None:
        return values_BTD.flip(1)
    B, T = valid_BT.shape
    time_T = torch.arange(T, device=valid_BT.device)
    source_BT = torch.where(valid_BT, valid_BT.sum(1, keepdim=True) - 1 - time_T, time_T)
    rows = (source_BT + T * torch.arange(B, device=valid_BT.device).unsqueeze(1)).flatten()
    return values_BTD.flatten(0, 1).index_select(0, rows).view_as(values_BTD)


def last(values_BTD: Tensor, length_B1: Tensor) -> Tensor:
    """``[B, D]``: the values at each sentence's last valid position (at the first if it has none)."""
    B, T = values_BTD.shape[:2]
    rows = torch.arange(B, device=values_BTD.device) * T + (length_B1.flatten() - 1).clamp(min=0)
    return values_BTD.flatten(0, 1).index_select(0, rows)


class Recurrent(nn.Module):
    """One cell run over time in one direction.

    Recurrent matrices start orthogonal, gate by gate (Saxe et al. 2014), input matrices Glorot uniform,
    biases zero, and the LSTM's forget gate at bias 1, so that it remembers from the start (Jozefowicz et al.
    2015).
    """

    def __init__(self, cell: Cell, input_width: int, width: int) -> None:
        super().__init__()
        self.cell = cell
        self.width = width
        G = PARTS[cell] * width
        self.weight_ih_GE = nn.Parameter(torch.empty(G, input_width))
        self.weight_hh_GD = nn.Parameter(torch.empty(G, width))
        self.bias_ih_G = nn.Parameter(torch.zeros(G))
        self.bias_hh_G = nn.Parameter(torch.zeros(G))
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        for part in self.weight_ih_GE.chunk(PARTS[self.cell]):
            nn.init.xavier_uniform_(part)
        for part in self.weight_hh_GD.chunk(PARTS[self.cell]):
            nn.init.orthogonal_(part)
        if self.cell == "lstm":
            self.bias_ih_G[self.width : 2 * self.width] = 1.0

    @property
    def weights(self) -> CellWeights:
        """The parameters, as the written-out cells take them."""
        return CellWeights(self.weight_ih_GE, self.weight_hh_GD, self.bias_ih_G, self.bias_hh_G)

    def zero_state(self, rows: int, like: Tensor) -> CellState:
        """The state before anything was read."""
        zero_ND = like.new_zeros(rows, self.width)
        return CellState(zero_ND, zero_ND if self.cell == "lstm" else None)

    def forward(
        self, input_BTE: Tensor, initial: CellState | None = None, valid_BT: Tensor | None = None
    ) -> tuple[Tensor, CellState]:
        """The outputs ``[B, T, D]`` (at padding: anything finite) and the state at the last valid position.

        ``initial`` None: zeros. ``valid_BT`` None: nothing is padded.
        """
        start = self.zero_state(input_BTE.shape[0], input_BTE) if initial is None else initial
        output_BTD, final = self._kernel(input_BTE, start, valid_BT)
        if valid_BT is None:
            return output_BTD, final
        length_B1 = valid_BT.sum(1, keepdim=True)
        hidden_ND = torch.where(length_B1 > 0, last(output_BTD, length_B1), start.hidden_ND)
        return output_BTD, CellState(hidden_ND, final.cell_ND)

    def _kernel(self, input_BTE: Tensor, start: CellState, valid_BT: Tensor | None) -> tuple[Tensor, CellState]:
        """torch's kernel for one layer. ``train`` keeps what a gradient needs; a GPU insists on it."""
        inputs, weights, train = input_BTE, self.weights, torch.is_grad_enabled()
        hidden_1ND = start.hidden_ND.unsqueeze(0)
        if start.cell_ND is not None:
            if valid_BT is not None:
                inputs, weights = self._tell_padding(input_BTE, valid_BT)
            state = [hidden_1ND, start.cell_ND.unsqueeze(0)]
            output_BTD, hidden_1ND, cell_1ND = torch.lstm(
                inputs, state, list(weights), True, 1, 0.0, train, False, True
            )
            return output_BTD, CellState(hidden_1ND.squeeze(0), cell_1ND.squeeze(0))
        kernel = torch.gru if self.cell == "gru" else torch.rnn_tanh
        output_BTD, hidden_1ND = kernel(inputs, hidden_1ND, list(weights), True, 1, 0.0, train, False, True)
        return output_BTD, CellState(hidden_1ND.squeeze(0), None)

    def _tell_padding(self, input_BTE: Tensor, valid_BT: Tensor) -> tuple[Tensor, CellWeights]:
        """One more input, 1 at padding, whose weights close the input gate and open the forget gate."""
        padding_BT1 = (~valid_BT).to(input_BTE.dtype).unsqueeze(-1)
        column_G1 = self.weight_ih_GE.new_zeros(4 * self.width, 1)
        column_G1[: self.width] = -SATURATED
        column_G1[self.width : 2 * self.width] = SATURATED
        wider = torch.cat((self.weight_ih_GE, column_G1), dim=1)
        return torch.cat((input_BTE, padding_BT1), dim=-1), self.weights._replace(weight_ih_GE=wider)

    def step(self, input_NE: Tensor, state: CellState) -> CellState:
        """One time step of every row."""
        hidden_ND, cell_ND = state
        match self.cell:
            case "lstm":
                assert cell_ND is not None, "an LSTM state has a cell"
                return CellState(*torch.lstm_cell(input_NE, (hidden_ND, cell_ND), *self.weights))
            case "gru":
                return CellState(torch.gru_cell(input_NE, hidden_ND, *self.weights), None)
            case "rnn":
                return CellState(torch.rnn_tanh_cell(input_NE, hidden_ND, *self.weights), None)

    def trace(self, input_BTE: Tensor, initial: CellState | None = None, valid_BT: Tensor | None = None) -> Trace:
        """What ``forward`` computes, by the written-out cell, with gates and states over time."""
        start = self.zero_state(input_BTE.shape[0], input_BTE) if initial is None else initial
        return unroll(self.cell, input_BTE, start, self.weights, valid_BT)

    def extra_repr(self) -> str:
        return f"{self.cell}, {self.weight_ih_GE.shape[1]} → {self.width}"


class RecurrentLayer(nn.Module):
    """One layer in one direction, or in both, each with half of the width (Schuster and Paliwal 1997)."""

    def __init__(self, cell: Cell, input_width: int, width: int, *, bidirectional: bool = False) -> None:
        super().__init__()
        own_width = width // 2 if bidirectional else width
        self.forwards = Recurrent(cell, input_width, own_width)
        self.backwards = Recurrent(cell, input_width, own_width) if bidirectional else None

    def forward(
        self, input_BTE: Tensor, initial: CellState | None = None, valid_BT: Tensor | None = None
    ) -> tuple[Tensor, CellState]:
        """Outputs ``[B, T, D]`` and final state; that of the backward half is the one at the first token."""
        output_BTK, final = self.forwards(input_BTE, initial, valid_BT)
        if self.backwards is None:
            return output_BTK, final
        reversed_BTK, first = self.backwards(reverse(input_BTE, valid_BT), None, valid_BT)
        output_BTD = torch.cat((output_BTK, reverse(reversed_BTK, valid_BT)), dim=-1)
        cell_ND = None if final.cell_ND is None else torch.cat((final.cell_ND, first.cell_ND), dim=-1)
        return output_BTD, CellState(torch.cat((final.hidden_ND, first.hidden_ND), dim=-1), cell_ND)

    def trace(self, input_BTE: Tensor, initial: CellState | None = None, valid_BT: Tensor | None = None) -> list[Trace]:
        """One trace a direction, both in the order of the sentence."""
        traces = [self.forwards.trace(input_BTE, initial, valid_BT)]
        if self.backwards is not None:
            backwards = self.backwards.trace(reverse(input_BTE, valid_BT), None, valid_BT)
            cell_NTD = None if backwards.cell_NTD is None else reverse(backwards.cell_NTD, valid_BT)
            gates = {name: reverse(gate_NTD, valid_BT) for name, gate_NTD in backwards.gates.items()}
            traces.append(Trace(gates, reverse(backwards.hidden_NTD, valid_BT), cell_NTD))
        return traces


class RecurrentStack(nn.Module):
    """Layers above one another, dropout between them.

    From the second layer on a layer's input is added to its output, so that gradients have a short way down a
    deep stack (Wu et al. 2016, section 3.1). The states handed on are the cells' own, before that sum.
    """

    def __init__(
        self,
        cell: Cell,
        input_width: int,
        width: int,
        layers: int,
        dropout: float,
        *,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            RecurrentLayer(cell, input_width if index == 0 else width, width, bidirectional=bidirectional)
            for index in range(layers)
        )
        self.dropout = Dropout(dropout)

    def zero_state(self, rows: int, like: Tensor) -> RecurrentState:
        """Every layer's state before anything was read."""
        return stack_states([layer.forwards.zero_state(rows, like) for layer in self._upwards()])

    def _upwards(self) -> Iterable[RecurrentLayer]:
        return cast(Iterable[RecurrentLayer], self.layers)

    def forward(
        self, input_BTE: Tensor, initial: RecurrentState | None = None, valid_BT: Tensor | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """The top layer's outputs ``[B, T, D]``, and every layer's final state."""
        starts = [None] * len(self.layers) if initial is None else initial.layers()
        below, finals = input_BTE, []
        for index, (layer, start) in enumerate(zip(self._upwards(), starts, strict=True)):
            output_BTD, final = layer(self.dropout(below) if index else below, start, valid_BT)
            below = below + output_BTD if index else output_BTD
            finals.append(final)
        return below, stack_states(finals)

    def step(self, input_NE: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """One time step of a stack of one direction: the top layer's output ``[N, D]`` and the new states."""
        below, news = input_NE, []
        for index, (layer, old) in enumerate(zip(self._upwards(), state.layers(), strict=True)):
            new = layer.forwards.step(self.dropout(below) if index else below, old)
            below = below + new.hidden_ND if index else new.hidden_ND
            news.append(new)
        return below, stack_states(news)

    def trace(
        self, input_BTE: Tensor, initial: RecurrentState | None = None, valid_BT: Tensor | None = None
    ) -> list[list[Trace]]:
        """For each layer one trace a direction. For views: dropout must be off."""
        starts = [None] * len(self.layers) if initial is None else initial.layers()
        below, traces = input_BTE, []
        for index, (layer, start) in enumerate(zip(self._upwards(), starts, strict=True)):
            directions = layer.trace(below, start, valid_BT)
            output_BTD = torch.cat([trace.hidden_NTD for trace in directions], dim=-1)
            below = below + output_BTD if index else output_BTD
            traces.append(directions)
        return traces
