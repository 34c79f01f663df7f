"""Standard output and error as they may be: closed, narrow in their letters, or left by their reader."""

import io
import os
import sys


def prepare_streams() -> None:
    """Make output and error usable. What they cannot spell is escaped; where they are closed, nothing is kept."""
    descriptor = 0
    while descriptor <= 2:  # the numbers of closed streams: a file that got one would be written into by libraries
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_output() -> None:
    """Give up standard output, whose reader is gone or whose disk is full: from now on it swallows everything.

    Otherwise Python would complain once more when it flushes at its end.
    """
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.close(descriptor)
