"""Memory that is free goes back to the system."""

import sys
from pathlib import Path

import pytest
import torch

from seq2see.training.memory import give_back


def resident() -> int:
    """Megabytes of this process in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_holes_in_the_heap_are_given_back() -> None:
    before = resident()
    blocks = [torch.ones(15_000) for _ in range(4_000)]  # too small to be given back one by one
    full = resident()
    assert full - before > 150
    last = blocks[-1]  # the heap cannot shrink from its end
    del blocks
    give_back()
    assert resident() < full - 100
    assert bool((last == 1).all())
