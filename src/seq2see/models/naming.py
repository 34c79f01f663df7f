"""Models by their names: found, or the nearest named; and described with their size."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from seq2see.errors import InputError

AnyPreset = TypeVar("AnyPreset")


@dataclass(frozen=True)
class Description:
    """A row of the table of models."""

    name: str
    summary: str
    parameters: int


def named(name: str, presets: Mapping[str, AnyPreset], what: str = "model") -> AnyPreset:
    """The preset of that name; ``InputError`` names the nearest to one that is not there."""
    if name not in presets:
        nearest = difflib.get_close_matches(name, presets, n=1, cutoff=0.0)
        raise InputError(f'there is no {what} "{name}"; did you mean "{nearest[0]}"? There are: {", ".join(presets)}')
    return presets[name]


def parameters_of(build: Callable[[], nn.Module]) -> int:
    """How many numbers training has to find in a model; shared ones count once. Nothing is allocated."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build().parameters())
