"""What many tests need: a small run that has been trained, and the command line called in this process."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
SMALL = (
    "model.encoder.width=64",
    "model.decoder.width=64",
    "model.dropout=0.0",
    "training.batch_tokens=512",
    "training.learning_rate=0.01",
    "training.precision=float32",
    "text.kind=word",
)


def reversed_pairs(count: int, seed: int = 1) -> list[tuple[str, str]]:
    """Sentences of counting words, and the same words from the last to the first."""
    chance = random.Random(seed)
    rows = [[chance.choice(WORDS) for _ in range(chance.randint(2, 5))] for _ in range(count)]
    return [(" ".join(row), " ".join(reversed(row))) for row in rows]


def write_pairs(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Answer:
    """What a command did: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


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
    from seq2see.tasks.translate import train

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
