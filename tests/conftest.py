"""What many tests need: a small run that has been trained, and the command line called in this process."""

import os
from pathlib import Path

# Sums depend on the number of threads in their last bits; before torch is imported, for child processes too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from small_task import SMALL, Answer, Command, reversed_pairs, write_pairs

# The same examples in every run: a change, not chance, makes a test fail.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture
def seq2see(capsys: pytest.CaptureFixture[str]) -> Command:
    """Call a command as the shell would; the arguments are turned into strings."""
    from seq2see.cli.app import app
    from seq2see.cli.outcome import run

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        code = run(app, [str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: reverses a few words, trained for some seconds. Do not change it."""
    from seq2see.tasks.reporting import silent
    from seq2see.tasks.training import train

    folder = tmp_path_factory.mktemp("trained")
    data = write_pairs(folder / "pairs.tsv", reversed_pairs(600))
    settings = dict(assignment.split("=") for assignment in SMALL)
    train(
        data,
        model="lstm-attention",
        settings={name: _value(text) for name, text in settings.items()},
        steps=120,
        out=folder / "run",
        reporter=silent(),
    )
    return folder / "run"


def _value(text: str) -> float | int | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text else number
