"""Kernels side by side, and memory for them."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor


def side_by_side(kernels: ctypes.CDLL, name: str, tasks: Sequence[ctypes.Structure]) -> None:
    """The kernel of that name on each of the tasks, a thread each; threads of Python would wait for its lock."""
    places = (ctypes.c_void_p * len(tasks))(*(ctypes.addressof(each) for each in tasks))
    kernels.side_by_side(ctypes.cast(getattr(kernels, name), ctypes.c_void_p), len(tasks), places)


class Rooms:
    """Memory that was worked in and can be worked in again: fresh memory costs as much as a pass over it."""

    def __init__(self) -> None:
        self._free: list[Tensor] = []

    def take(self, size: int) -> Tensor:
        """At least so many bytes, with anything in them."""
        for place, room in enumerate(self._free):
            if len(room) >= size:
                return self._free.pop(place)
        if self._free:
            self._free.pop()  # too small by now
        return torch.empty(size + size // 8, dtype=torch.uint8)

    def give(self, *rooms: Tensor) -> None:
        """They are not needed any more."""
        self._free = sorted([*self._free, *rooms], key=len)
