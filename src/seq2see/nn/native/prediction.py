"""An output layer's cross-entropy and its gradients by kernels in C (``prediction.c``); beside it training/loss.py.

N rows · D width · V vocabulary
"""

import ctypes
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from seq2see.nn.native.library import pointer, training_library
from seq2see.nn.native.threads import Rooms, side_by_side

LEAST_WORDS = 512  # a smaller vocabulary is not worth it
_LANES = 16  # the width is a multiple of it


class _Prediction(ctypes.Structure):
    """``struct prediction`` of prediction.c."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("N", "D", "V")),
        ("smoothing", ctypes.c_float),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("hidden", "gold", "weight", "bias", "mean", "forward", "back"),
                *("loss", "coefficient", "hidden_gradient", "gradient", "space"),
            )
        ),
    ]


class _Collection(ctypes.Structure):
    """``struct collection`` of prediction.c."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("count", "D", "V", "start", "end")),
        ("uniform_bias", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("parts", "uniform", "weight", "bias")),
    ]


@dataclass(frozen=True, eq=False)
class Predictor:
    """The kernels, and memory that they work in again and again."""

    kernels: ctypes.CDLL
    rooms: Rooms = field(default_factory=Rooms)

    def gradients(
        self, hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, gold_N: Tensor, smoothing: float
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor | None]]:
        """The loss of each row (N), in nats, and the gradients of their sum: of hidden, weight and bias."""
        (N, D), V = hidden_ND.shape, len(weight_VD)
        hidden_ND, weight_VD = hidden_ND.float().contiguous(), weight_VD.contiguous()
        size = 2 * self.kernels.prediction_room(V, D)
        packed = self.rooms.take(size), self.rooms.take(size)
        self.kernels.prediction_pack(V, D, *(ctypes.c_void_p(pointer(each)) for each in (weight_VD, *packed)))
        loss_N, coefficient_N, hidden_gradient_ND = torch.empty(N), torch.empty(N), torch.empty(N, D)
        mean_D = weight_VD.mean(0)
        threads = min(torch.get_num_threads(), N)
        cuts = [N * part // threads for part in range(threads + 1)]
        flats = [self.rooms.take(4 * (D + 1) * V) for _ in range(threads)]
        tasks, spaces = [], []
        for start, end, flat in zip(cuts[:-1], cuts[1:], flats, strict=True):
            task = _Prediction(
                N=end - start,
                D=D,
                V=V,
                smoothing=smoothing,
                hidden=pointer(hidden_ND[start:]),
                gold=pointer(gold_N[start:]),
                weight=pointer(weight_VD),
                bias=pointer(bias_V),
                mean=pointer(mean_D),
                forward=pointer(packed[0]),
                back=pointer(packed[1]),
                loss=pointer(loss_N[start:]),
                coefficient=pointer(coefficient_N[start:]),
                hidden_gradient=pointer(hidden_gradient_ND[start:]),
                gradient=pointer(flat),
            )
            spaces.append(self.rooms.take(self.kernels.prediction_space(ctypes.byref(task))))
            task.space = pointer(spaces[-1])
            tasks.append(task)
        side_by_side(self.kernels, "predict", tasks)
        # What is the same for all words, and the gold entries.
        uniform_D = hidden_ND.sum(0) * (-smoothing / V)
        weight_gradient_VD, bias_gradient_V = torch.empty(V, D), None if bias_V is None else torch.empty(V)
        places = (ctypes.c_void_p * threads)(*(pointer(each) for each in flats))
        words = [V * part // threads for part in range(threads + 1)]
        collections = [
            _Collection(
                count=threads,
                D=D,
                V=V,
                start=start,
                end=end,
                uniform_bias=-smoothing * N / V,
                parts=ctypes.addressof(places),
                uniform=pointer(uniform_D),
                weight=pointer(weight_gradient_VD),
                bias=pointer(bias_gradient_V),
            )
            for start, end in pairwise(words)
        ]
        side_by_side(self.kernels, "collect", collections)
        weight_gradient_VD.index_add_(0, gold_N, hidden_ND * coefficient_N[:, None])
        if bias_gradient_V is not None:
            bias_gradient_V.index_add_(0, gold_N, coefficient_N)
        self.rooms.give(*packed, *flats, *spaces)
        return loss_N, (hidden_gradient_ND, weight_gradient_VD, bias_gradient_V)


def predictor(weight_VD: Tensor) -> Predictor | None:
    """The kernels for such an output layer; None where they do not pay, or cannot be had."""
    V, D = weight_VD.shape
    if weight_VD.device.type != "cpu" or weight_VD.dtype is not torch.float32 or D % _LANES or V < LEAST_WORDS:
        return None
    kernels = training_library()
    return None if kernels is None else Predictor(kernels)
