import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# `death` lives beside the tests of the storage.
sys.path.append(str(Path(__file__).parents[1] / "storage"))


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[object]":
    """Processes that train, ready in no time."""
    from forks import Forks

    with Forks(tmp_path_factory.mktemp("output")) as running:
        yield running


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing matters when the power fails, takes most of the time, and is tested with the storage."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
