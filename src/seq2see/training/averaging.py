"""Averages of weights: an exponential moving average while training, and the mean of several states."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from seq2see.errors import InputError
from seq2see.storage.tensors import load_tensors

UPDATES = "updates"  # beside the averages in an Ema's tensors; names of parameters have a dot


class Ema:
    """An exponential moving average of a model's parameters, kept in float32.

    After update t, average ← dₜ · average + (1 − dₜ) · weights, with dₜ = min(decay, (1 + t) / (10 + t)), t
    from 1: the short memory at first forgets the random start. Tied parameters are averaged once.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the model's present weights. Raises InputError unless 0 ≤ decay < 1."""
        if not 0 <= decay < 1:
            raise InputError(f"the decay of an average must be 0 ≤ decay < 1 (0.999 is usual); given: {decay}")
        self.decay, self.updates = decay, 0
        self._averages = {name: each.detach().to(torch.float32, copy=True) for name, each in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the model's weights; once after each update."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        weights = [each.detach().to(torch.float32) for each in self._parameters(model).values()]
        torch._foreach_lerp_(list(self._averages.values()), weights, 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """The averages under the parameters' names, not copies, and the count of updates."""
        return self._averages | {UPDATES: torch.tensor(self.updates, dtype=torch.int64)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what ``tensors`` gave. Raises InputError, with nothing changed, if it does not fit."""
        shapes = {name: tuple(each.shape) for name, each in tensors.items()}
        expected = {name: tuple(each.shape) for name, each in self.tensors().items()}
        if shapes != expected:
            wrong = sorted(name for name in shapes | expected if shapes.get(name) != expected.get(name))
            raise InputError(f"the averaged weights do not fit this model: {', '.join(wrong[:5])}")
        for name, average in self._averages.items():
            average.copy_(tensors[name])
        self.updates = int(tensors[UPDATES])

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Inside the block the model has the averaged weights; afterwards its own again, to the bit."""
        parameters = self._parameters(model)
        own = {name: each.detach().clone() for name, each in parameters.items()}
        try:
            _copy_into(parameters, self._averages)
            yield
        finally:
            _copy_into(parameters, own)

    def _parameters(self, model: nn.Module) -> dict[str, nn.Parameter]:
        parameters = dict(model.named_parameters())
        if list(parameters) != list(self._averages):
            raise InputError("the averaged weights belong to another model: its parameters have other names")
        return parameters


@torch.no_grad()
def _copy_into(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(values[name])


def mean_of(states: Iterable[Mapping[str, Tensor] | Path]) -> dict[str, Tensor]:
    """The mean of the weights of several states (of one run), as new tensors; a path is a safetensors file.

    One state at a time is in memory, beside a float64 running mean, so equal states give exactly themselves.
    Integer and Boolean tensors come from the last state. Names that share memory in every state do so in the
    result. Raises InputError if there is no state or names, shapes or types differ.
    """
    means: dict[str, Tensor] = {}
    kinds: dict[str, tuple[tuple[int, ...], torch.dtype]] = {}
    ties: dict[str, str] = {}
    for count, given in enumerate(states, start=1):
        found_kinds, found_ties = _take_in(means, given, count)
        _check_alike(kinds if count > 1 else found_kinds, found_kinds, count)
        ties = {name: first for name, first in found_ties.items() if count == 1 or ties.get(name) == first}
        kinds = found_kinds
    if not kinds:
        raise InputError("there are no weights to average")
    result = {name: means[name].to(dtype) for name, (_, dtype) in kinds.items()}
    return {name: result[ties.get(name, name)] for name in result}


def _take_in(
    means: dict[str, Tensor], given: Mapping[str, Tensor] | Path, count: int
) -> tuple[dict[str, tuple[tuple[int, ...], torch.dtype]], dict[str, str]]:
    """Move the running means to the ``count``-th state; return the state's shapes and types, and its ties."""
    state = load_tensors(given, None) if isinstance(given, Path) else given
    for name, tensor in state.items():
        known = means.get(name)
        if not tensor.is_floating_point():
            means[name] = tensor.detach().clone()
        elif known is None or known.shape != tensor.shape:
            means[name] = tensor.detach().to(torch.float64, copy=True)
        else:
            known += (tensor.detach().to(torch.float64) - known) / count
    return {name: (tuple(each.shape), each.dtype) for name, each in state.items()}, _ties(state)


def _ties(state: Mapping[str, Tensor]) -> dict[str, str]:
    """For each tensor that is another one's memory under a second name, the first name."""
    firsts: dict[tuple[object, ...], str] = {}
    ties: dict[str, str] = {}
    for name, tensor in state.items():
        key = (tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        first = firsts.setdefault(key, name)
        if first != name and tensor.numel():
            ties[name] = first
    return ties


def _check_alike(before: Mapping[str, object], found: Mapping[str, object], count: int) -> None:
    for name in sorted(before.keys() | found.keys()):
        if before.get(name) != found.get(name):
            raise InputError(
                f"only weights of one model can be averaged: {name} is {found.get(name, 'missing')} "
                f"in state {count} and {before.get(name, 'missing')} before"
            )
