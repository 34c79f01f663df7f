"""Making things ahead of their use, in one thread."""

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")

_PATIENCE = 0.1  # seconds after which a full queue is looked at again for the end
_FAREWELL = 5.0  # seconds that an item in the making may take; then the thread is left to end by itself


@dataclass(frozen=True)
class _End:
    """Nothing more will come; ``error`` is what ended it, if not the end itself."""

    error: BaseException | None


def ahead(items: Iterable[Item], depth: int = 4) -> Iterator[Item]:
    """The same items in the same order, up to ``depth`` of them made before they are asked for.

    They are made in a thread of their own. An error there is raised here, after the items before it. Closing
    the generator, or leaving the loop and letting go of it, ends the thread.
    """
    made: queue.Queue[Item | _End] = queue.Queue(depth)
    stopped = threading.Event()
    maker = threading.Thread(target=_make, args=(items, made, stopped), name="ahead", daemon=True)
    maker.start()
    try:
        while not isinstance(item := made.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        maker.join(_FAREWELL)


def _make(items: Iterable[Item], made: "queue.Queue[Item | _End]", stopped: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            if not _put(made, item, stopped):
                return
    except BaseException as caught:
        error = caught
    _put(made, _End(error), stopped)


def _put(made: "queue.Queue[Item | _End]", item: "Item | _End", stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            made.put(item, timeout=_PATIENCE)
        except queue.Full:
            continue
        return True
    return False
