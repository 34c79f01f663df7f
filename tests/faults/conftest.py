"""Commands in processes of their own, and what a run is that nothing disturbed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Commands
from tiny_runs import pairs, train


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Run a command of ``seq2see`` in its own process."""
    with Commands(tmp_path_factory.mktemp("commands")) as commands:
        yield commands


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of pairs. Do not change it."""
    return pairs(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, commands: Commands, data: Path) -> Path:
    """A small run that nothing disturbed. Do not change it."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = commands(*train(data, out))
    assert done.code == 0, done.err
    return out
