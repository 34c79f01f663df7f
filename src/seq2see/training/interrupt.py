"""Ctrl-C and SIGTERM as a request that long loops look at, so that work is saved before the process ends.

A handler may run between any two operations, in the middle of a write: here it only sets a flag. A second
signal ends the process at once, as if there were no handler; files are written atomically, so nothing breaks.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from types import FrameType

from seq2see.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_ECHO_SECONDS = 2.0  # torchrun hands a terminal's Ctrl-C on to processes that have had it already


class Interrupt:
    """Whether a signal has asked this process to stop. ``check`` suits any ``check: Callable[[], None]``."""

    def __init__(self) -> None:
        self.signal_number = 0  # 0: none has come

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal_number != 0

    def check(self) -> None:
        """Raise :class:`Stopped` if a signal has come."""
        if self.signal_number:
            raise Stopped(f"stopped by {name_of(self.signal_number)}", self.signal_number)


@contextmanager
def catch_signals() -> Iterator[Interrupt]:
    """Turn the first SIGINT or SIGTERM inside the block into a request; the second one ends the process.

    Outside the main thread, where Python allows no handlers, the request simply never comes. The handlers
    that were there before are put back.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    first_at = [0.0]
    echoed = "TORCHELASTIC_RUN_ID" in os.environ

    def handle(number: int, frame: FrameType | None) -> None:
        if not interrupt.requested:
            first_at[0] = time.monotonic()
            interrupt.signal_number = number
        elif not echoed or time.monotonic() - first_at[0] > _ECHO_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            # None: a handler that was not set from Python and cannot be put back.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


@contextmanager
def stop_at_once() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM inside the block into :class:`Stopped`, raised wherever the program is.

    For work that saves nothing on the way, and for waiting for input, which no ``check`` could end. Outside
    the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        raise Stopped(f"stopped by {name_of(number)}", number)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let signals wait while worker processes are started: what reaches those in their first moments waits too."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # may run the handler of a signal that has come already
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def obey_parent() -> None:
    """For worker processes, as their initialiser: only their parent decides when to stop; without it they end."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # whoever waits for the answers is gone, and the main thread may wait for ever


def name_of(number: int) -> str:
    """``SIGTERM`` for 15."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
