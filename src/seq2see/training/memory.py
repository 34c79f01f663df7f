"""Memory that is free goes back to the system.

Batches of many shapes leave holes in the C library's heap; without a hint it keeps them, and a long training grows by
gigabytes though it needs no more than at its beginning.
"""

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import cast

EVERY = 50  # updates; giving back takes about 50 ms after the largest steps, and less after small ones


def give_back() -> None:
    """Return free memory to the system, where the C library is one that holds it back (glibc)."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return cast(Callable[[int], int] | None, getattr(ctypes.CDLL(None), "malloc_trim", None))
