"""Answers to files of any length: window by window, by several processes, in the order of the inputs.

One process with one thread for each core answers faster than one process with all the threads: the products of a
small model are too small to be shared out.
"""

import gc
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from seq2see.errors import Seq2seeError
from seq2see.tasks.catalogue import load
from seq2see.tasks.run import Answer, Asked, Run
from seq2see.training.distributed import rank_and_size
from seq2see.training.interrupt import obey_parent, signals_held

WINDOW = 512  # inputs that are answered together


@dataclass(frozen=True)
class Window:
    """Some inputs in a row.

    Attributes:
        first: the number of the first input among all.
        start, end: where they stand in all inputs, in bytes of UTF-8 with one line end each.
    """

    number: int
    first: int
    inputs: tuple[str, ...]
    start: int
    end: int


def windows(inputs: Iterable[str], size: int = WINDOW) -> Iterator[Window]:
    """All inputs, ``size`` at a time."""
    remaining, number, start = iter(inputs), 0, 0
    while several := tuple(islice(remaining, size)):
        end = start + sum(len(text.encode("utf-8", "surrogatepass")) + 1 for text in several)
        yield Window(number, number * size, several, start, end)
        number, start = number + 1, end


@dataclass(frozen=True)
class Share:
    """Which windows are this process's: every ``of``-th, from number ``rank`` on."""

    rank: int = 0
    of: int = 1

    @classmethod
    def of_environment(cls) -> "Share":
        """What torchrun has said; alone, everything. See :func:`rank_and_size`."""
        return cls(*rank_and_size())

    def has(self, window: Window) -> bool:
        """Whether this process answers the window."""
        return window.number % self.of == self.rank

    def file(self, path: Path) -> Path:
        """Where this process's answers go."""
        return path if self.of == 1 else path.with_name(f"{path.name}.{self.rank + 1}-of-{self.of}")


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Answerers:
    """Processes that have opened one run each, and answer what they are given; alone, this process does it."""

    def __init__(self, run: Run, asked: Asked, workers: int) -> None:
        self.run, self.asked, self.workers = run, asked, workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self.workers > 1:
            # A fresh interpreter: a copy of this one would inherit threads that are not there.
            self._pool = ProcessPoolExecutor(
                self.workers, get_context("spawn"), initializer=_open, initargs=(self.run.folder, self.asked)
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool is None:
            return
        if error is not None:
            # Nobody waits for these answers any more, and signals do not reach the processes.
            for process in tuple(self._pool._processes.values()):
                process.kill()
        self._pool.shutdown(wait=error is None, cancel_futures=True)

    def answers(self, asked: Iterable[Window]) -> Iterator[tuple[Window, Sequence[Answer]]]:
        """The answers to each window, in order; two windows a process are read ahead.

        Raises:
            Seq2seeError: a process was killed, for lack of memory most likely.
        """
        if self._pool is None:
            for window in asked:
                yield window, _answered(self.run, self.asked, window)
            return
        waiting: deque[tuple[Window, Future[list[Answer]]]] = deque()
        try:
            for window in asked:
                with signals_held():  # this may start a process
                    future = self._pool.submit(_answer, window)
                waiting.append((window, future))
                if len(waiting) >= 2 * self.workers:
                    yield _next(waiting)
            while waiting:
                yield _next(waiting)
        except BrokenProcessPool as error:
            raise Seq2seeError(
                "a worker process ended without a word, for lack of memory most likely; try fewer with --workers"
            ) from error


def _next(waiting: "deque[tuple[Window, Future[list[Answer]]]]") -> tuple[Window, list[Answer]]:
    window, future = waiting.popleft()
    return window, future.result()


def _answered(run: Run, asked: Asked, window: Window) -> list[Answer]:
    return list(run.answers(window.inputs, replace(asked, first=window.first), window=len(window.inputs)))


_opened: list[tuple[Run, Asked]] = []  # of a worker process: what it was started for


def _open(folder: Path, asked: Asked) -> None:
    obey_parent()
    torch.set_num_threads(1)
    _opened.append((load(folder), asked))
    gc.freeze()  # what is loaded stays: looking through it again and again takes a tenth of the time


def _answer(window: Window) -> list[Answer]:
    return _answered(*_opened[0], window)
