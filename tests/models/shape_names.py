"""Proves, for tests, that names which carry shapes do not lie.

Under ``checked()`` every call of a function of ``seq2see.nn`` and ``seq2see.models`` is watched: whenever a
local variable, an argument or a field of a dataclass is a tensor whose name ends in letters of the shape
alphabet (``query_BTD``, ``allowed_B1S``), it must have as many dimensions as letters, a digit must be its
size, and within one call one letter has one size. A Boolean mask may have size 1 where it is broadcast.
"""

import dataclasses
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

NAMED = re.compile(r"_([A-Z0-9]*[A-Z][A-Z0-9]*)$")


class NameLies(AssertionError):
    """A tensor is not what its name says."""


class Checker:
    """Counts what it has looked at, so that a test can tell that it has looked."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self.modules = modules
        self.seen: set[tuple[str, str]] = set()

    def start(self, frame: FrameType, event: str, _: Any) -> Any:
        """For ``sys.settrace``: follows the functions of the watched modules."""
        if not frame.f_globals.get("__name__", "").startswith(self.modules):
            return None
        sizes: dict[str, tuple[int, str]] = {}

        def follow(frame: FrameType, event: str, _: Any) -> Any:
            if event in ("line", "return"):
                self.look(frame, sizes)
            return follow

        return follow

    def look(self, frame: FrameType, sizes: dict[str, tuple[int, str]]) -> None:
        """All variables of a call, and the fields and parameters one level below them."""
        where = f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}"
        for name, value in frame.f_locals.items():
            if isinstance(value, Tensor):
                self.compare(where, name, value, sizes)
            elif dataclasses.is_dataclass(value) and not isinstance(value, type):
                for field in dataclasses.fields(value):
                    self.compare(f"{where}, {name}", field.name, getattr(value, field.name, None), {})
            elif isinstance(value, tuple) and hasattr(value, "_fields"):
                own: dict[str, tuple[int, str]] = {}
                for field, part in zip(value._fields, value, strict=True):
                    self.compare(f"{where}, {name}", field, part, own)
            elif isinstance(value, nn.Module):
                for parameter_name, parameter in value._parameters.items():
                    self.compare(f"{where}, {name}", parameter_name, parameter, {})

    def compare(self, where: str, name: str, value: Any, sizes: dict[str, tuple[int, str]]) -> None:
        """One name with one tensor; ``sizes`` are the letters of this call up to now."""
        match = NAMED.search(name)
        if match is None or not isinstance(value, Tensor):
            return
        self.seen.add((where, name))
        letters, shape = match[1], tuple(value.shape)
        if len(letters) != len(shape):
            raise NameLies(f"{where}: {name} has shape {shape}")
        for letter, size in zip(letters, shape, strict=True):
            if size == 1 and value.dtype is torch.bool:
                continue
            known, witness = sizes.setdefault(letter, (int(letter) if letter.isdigit() else size, name))
            if known != size:
                raise NameLies(f"{where}: {name} has shape {shape}, but {witness} says {letter} = {known}")


@contextmanager
def checked(*modules: str) -> Iterator[Checker]:
    """Watches every call of the modules whose names start so, in this block and this thread."""
    checker = Checker(modules or ("seq2see.nn", "seq2see.models"))
    before = sys.gettrace()
    sys.settrace(checker.start)
    try:
        yield checker
    finally:
        sys.settrace(before)
