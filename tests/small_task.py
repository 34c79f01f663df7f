"""A small task that can be learned in seconds, and what a command does."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
