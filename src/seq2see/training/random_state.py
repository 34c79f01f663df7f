"""The states of the random generators that training draws from (dropout), as plain numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2see.errors import InputError


@dataclass(frozen=True)
class RandomState:
    """torch's generators of one process, byte by byte; ``device`` is empty when training runs on the CPU."""

    cpu: tuple[int, ...]
    device: tuple[int, ...]


def read_random_state(device: torch.device) -> RandomState:
    """The states of this moment."""
    cpu = tuple(torch.get_rng_state().tolist())
    if device.type == "cpu":
        return RandomState(cpu, ())
    module = torch.get_device_module(device)
    on_device: Tensor = module.get_rng_state(device) if device.type == "cuda" else module.get_rng_state()
    return RandomState(cpu, tuple(on_device.tolist()))


def write_random_state(state: RandomState, device: torch.device) -> None:
    """Go on from ``state``. A state of another kind of device is left out: its numbers would mean nothing.

    Raises:
        InputError: the numbers are not a generator's state.
    """
    try:
        torch.set_rng_state(torch.tensor(state.cpu, dtype=torch.uint8))
        if device.type != "cpu" and state.device:
            module, bytes_ = torch.get_device_module(device), torch.tensor(state.device, dtype=torch.uint8)
            if device.type == "cuda":
                module.set_rng_state(bytes_, device)
            else:
                module.set_rng_state(bytes_)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"the checkpoint's random state cannot be used here: {error}") from error


@contextmanager
def unchanged_random_state(device: torch.device) -> Iterator[None]:
    """Whatever is drawn in the block, the numbers after it are those that would have come anyway."""
    state = read_random_state(device)
    try:
        yield
    finally:
        write_random_state(state, device)


def seed(number: int, rank: int) -> None:
    """Seed all of torch's generators; each process draws numbers of its own."""
    torch.manual_seed((number << 16) + rank + 1)
