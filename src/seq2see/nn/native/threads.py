"""Kernels side by side, and memory for them."""

import ctypes
from collections.abc import Callable, Sequence

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


def summed(rooms: Rooms, count: int, size: int, compute: Callable[[list[Tensor]], None]) -> Tensor:
    """Gradients ``[size]`` of ``count`` tasks, each of which fills numbers of its own, added up."""
    others = [rooms.take(4 * size) for _ in range(1, count)]
    flats = [torch.empty(size), *(each[: 4 * size].view(torch.float32) for each in others)]
    compute(flats)
    for flat in flats[1:]:
        flats[0] += flat
    rooms.give(*others)
    return flats[0]


def cut_like(flat: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """Numbers one after the other, as gradients of these weights."""
    parts = torch.split(flat, [each.numel() for each in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]
