"""A recurrent layer in training, computed by kernels in C (``recurrence.c``), with its gradients.

B sentences · T time steps · E width of the input · D width of the state · G = D for each gate
"""

import ctypes
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seq2see.nn.cells import CellState
from seq2see.nn.native.library import pointer, training_library
from seq2see.nn.native.threads import Rooms, cut_like, side_by_side, summed
from seq2see.nn.recurrent import Recurrent

_CELLS = ("rnn", "gru", "lstm")
_PANEL, _LANES = 32, 16


class _Layer(ctypes.Structure):
    """``struct layer`` of recurrence.c."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("cell", "E", "D")),
        *((name, ctypes.c_void_p) for name in ("input_weight", "hidden_weight", "input_bias", "hidden_bias", "packed")),
    ]


class _Reading(ctypes.Structure):
    """``struct reading`` of recurrence.c."""

    _fields_ = [
        ("layer", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in ("B", "T")),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("first", "place", "sentence", "x", "h", "c", "out", "h_last", "c_last"),
                *("out_gradient", "h_gradient", "c_gradient", "dx", "dh", "dc", "gradients", "kept", "space"),
            )
        ),
    ]


@dataclass(frozen=True, eq=False)
class Recurrence:
    """The layer as the kernels compute it."""

    kernels: ctypes.CDLL
    layer: Recurrent
    rooms: Rooms = field(default_factory=Rooms)

    def __call__(self, input_BTE: Tensor, start: CellState, valid_BT: Tensor | None) -> tuple[Tensor, CellState]:
        """As :class:`Recurrent`: outputs ``[B, T, D]``, zero at padding, and the state at the last valid position."""
        weights = self.layer.weights
        output_BTD, hidden_BD, cell_BD = _Layers.apply(  # type: ignore[no-untyped-call]
            self, valid_BT, input_BTE, start.hidden_ND, start.cell_ND, *weights
        )
        return output_BTD, CellState(hidden_BD, None if start.cell_ND is None else cell_BD)


def recurrence(layer: Recurrent) -> Recurrence | None:
    """The layer for the kernels; None where these do not fit or cannot be had."""
    weights = list(layer.weights)
    E = layer.weight_ih_GE.shape[1]
    fits = layer.width % _PANEL == 0 and E % _LANES == 0
    if not fits or any(each.device.type != "cpu" or each.dtype is not torch.float32 for each in weights):
        return None
    kernels = training_library()
    return None if kernels is None else Recurrence(kernels, layer)


class _Layers(torch.autograd.Function):
    """All steps of all sentences; each thread has some of the sentences."""

    @staticmethod
    def forward(
        ctx: Any,
        owner: Recurrence,
        valid_BT: Tensor | None,
        input_BTE: Tensor,
        hidden_BD: Tensor,
        cell_BD: Tensor | None,
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        cell_BD = None if cell_BD is None else _numbers(cell_BD)
        ctx.run = run = _Run(owner, valid_BT, _numbers(input_BTE), _numbers(hidden_BD), cell_BD)
        ctx.save_for_backward(*weights)  # so that a change in between is found out
        return run.forward()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        weights, run = ctx.saved_tensors, ctx.run
        ctx.run = None  # it works in what it kept: there is no second time
        dx_BTE, dh_BD, dc_BD, flat = run.backward(*given)
        return (None, None, dx_BTE, dh_BD, dc_BD, *cut_like(flat, weights))


class _Run:
    """One pass forward and back over a batch."""

    def __init__(
        self, owner: Recurrence, valid_BT: Tensor | None, x_BTE: Tensor, h_BD: Tensor, c_BD: Tensor | None
    ) -> None:
        self.owner, self.x_BTE, self.h_BD, self.c_BD = owner, x_BTE, h_BD, c_BD
        self.whole = valid_BT is None
        (B, T, E), D = x_BTE.shape, h_BD.shape[1]
        layer, kernels, rooms = owner.layer, owner.kernels, owner.rooms
        weights = [each.detach().contiguous() for each in layer.weights]
        names = ("input_weight", "hidden_weight", "input_bias", "hidden_bias")
        self.weights = weights
        self.shape = _Layer(
            cell=_CELLS.index(layer.cell),
            E=E,
            D=D,
            **{name: pointer(each) for name, each in zip(names, weights, strict=True)},
        )
        self.size = sum(each.numel() for each in weights)
        self.packed = rooms.take(2 * kernels.recurrence_room(ctypes.byref(self.shape)))
        self.shape.packed = pointer(self.packed)
        kernels.recurrence_pack(ctypes.byref(self.shape))
        lengths_B = torch.full((B,), T) if valid_BT is None else valid_BT.sum(1)
        order_B = torch.argsort(lengths_B, descending=True, stable=True)
        threads = min(torch.get_num_threads(), B)
        self.shares = [_Share(order_B[part::threads], lengths_B, T) for part in range(threads)]
        readings = [self._reading(share) for share in self.shares]
        self.kept = [rooms.take(kernels.recurrence_kept(ctypes.byref(each))) for each in readings]
        self.spaces = [kernels.recurrence_space(ctypes.byref(each)) for each in readings]

    def forward(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Outputs, and the last states."""
        B, T, _ = self.x_BTE.shape
        D = self.h_BD.shape[1]
        out_BTD = torch.empty(B, T, D) if self.whole else torch.zeros(B, T, D)
        h_BD, c_BD = self.h_BD.clone(), None if self.c_BD is None else self.c_BD.clone()
        self._compute("recurrence_forward", {"out": out_BTD, "h_last": h_BD, "c_last": c_BD}, [])
        return out_BTD, h_BD, c_BD

    def backward(
        self, out_BTD: Tensor | None, h_BD: Tensor | None, c_BD: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """The gradients of inputs, first states and weights from those of outputs and last states."""
        B, T, _ = self.x_BTE.shape
        D = self.h_BD.shape[1]
        given = {
            "out_gradient": _or_zeros(out_BTD, (B, T, D)),
            "h_gradient": _or_zeros(h_BD, (B, D)),
            "c_gradient": None if self.c_BD is None else _or_zeros(c_BD, (B, D)),
        }
        dx_BTE = torch.empty_like(self.x_BTE) if self.whole else torch.zeros_like(self.x_BTE)
        dh_BD, dc_BD = torch.empty_like(self.h_BD), None if self.c_BD is None else torch.empty_like(self.c_BD)
        tensors = {**given, "dx": dx_BTE, "dh": dh_BD, "dc": dc_BD}
        rooms = self.owner.rooms
        flat = summed(rooms, len(self.shares), self.size, partial(self._compute, "recurrence_backward", tensors))
        rooms.give(self.packed, *self.kept)
        return dx_BTE, dh_BD, dc_BD, flat

    def _compute(self, kernel: str, tensors: dict[str, Tensor | None], flats: list[Tensor]) -> None:
        rooms = [self.owner.rooms.take(size) for size in self.spaces]
        readings = []
        for number, share in enumerate(self.shares):
            reading = self._reading(share)
            reading.x, reading.h, reading.c = pointer(self.x_BTE), pointer(self.h_BD), pointer(self.c_BD)
            reading.kept, reading.space = pointer(self.kept[number]), pointer(rooms[number])
            reading.gradients = pointer(flats[number]) if flats else None
            for name, tensor in tensors.items():
                setattr(reading, name, pointer(tensor))
            readings.append(reading)
        side_by_side(self.owner.kernels, kernel, readings)
        self.owner.rooms.give(*rooms)

    def _reading(self, share: "_Share") -> _Reading:
        return _Reading(
            layer=ctypes.addressof(self.shape),
            B=len(share.sentences),
            T=len(share.first) - 1,
            first=pointer(share.first),
            place=pointer(share.places),
            sentence=pointer(share.sentences),
        )


class _Share:
    """Some sentences, longest first, and their rows step by step."""

    def __init__(self, sentences: Tensor, lengths_B: Tensor, T: int) -> None:
        self.sentences = sentences.contiguous()
        lengths = lengths_B.index_select(0, sentences)
        reads_TB = torch.arange(int(lengths.max())).unsqueeze(1) < lengths
        self.first = torch.zeros(len(reads_TB) + 1, dtype=torch.int32)
        self.first[1:] = reads_TB.sum(1).cumsum(0)
        step_R, share_R = reads_TB.nonzero(as_tuple=True)
        self.places = self.sentences.index_select(0, share_R) * T + step_R


def _numbers(values: Tensor) -> Tensor:
    """As the kernels read them."""
    return values.detach().float().contiguous()


def _or_zeros(gradient: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    return torch.zeros(shape) if gradient is None else _numbers(gradient)
