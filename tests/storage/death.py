"""A process that dies at a chosen system call: nothing after that call happens, clean-up included."""

import os
from collections.abc import Callable
from typing import Any

CALLS = ("write", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir")


class Killed(BaseException):
    """Stands for SIGKILL: not an Exception, so that no handler turns it into something else."""


class Death:
    """Kills before (or, for a write, half-way through) the ``at``-th hooked call; counts the calls."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.calls: list[str] = []

    def hook(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def hooked(*arguments: Any, **named: Any) -> Any:
            if len(self.calls) >= self.at:
                raise Killed
            self.calls.append(name)
            if len(self.calls) == self.at:
                if name == "write":
                    original(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                raise Killed
            return original(*arguments, **named)

        return hooked


def killed_at(at: int, work: Callable[[], object]) -> list[str]:
    """Run ``work`` and kill it at call ``at``; returns the calls that were made, "lived" last if it did."""
    death = Death(at)
    originals = {name: getattr(os, name) for name in CALLS}
    for name, original in originals.items():
        # Flushing is slow, and a process that is killed loses nothing that was not flushed.
        setattr(os, name, death.hook(name, original if name != "fsync" else lambda descriptor: None))
    try:
        work()
    except Killed:
        return death.calls
    finally:
        for name, original in originals.items():
            setattr(os, name, original)
    return [*death.calls, "lived"]
