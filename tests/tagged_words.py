"""Labelled sentences that can be learned in seconds: the ending of a word decides its label, or the word before it."""

import random
from collections.abc import Sequence
from pathlib import Path

ENDINGS = {"ing": "VERB", "ly": "ADV", "oon": "NOUN"}
FRAMES = (("the", "DET"), ("a", "DET"))
TINY = {
    "model.encoder.width": 32,
    "model.encoder.layers": 1,
    "model.words.word": 12,
    "model.words.ngram": 12,
    "model.words.letters": 12,
    "model.words.letter": 8,
    "model.dropout": 0.1,
    "training.batch_tokens": 128,
    "training.learning_rate": 0.02,
    "training.ema": 0.0,
    "training.precision": "float32",
}
Rows = list[list[tuple[str, str]]]


def settings(**more: object) -> list[str]:
    """``TINY`` as options of the command line."""
    table = {**TINY, **{name.replace("__", "."): value for name, value in more.items()}}
    return [part for name, value in table.items() for part in ("--set", f"{name}={value}")]


def word(chance: random.Random, ending: str) -> str:
    return "".join(chance.choice("bdfgkmpt") + chance.choice("aeiou") for _ in range(chance.randint(1, 2))) + ending


def sentences(count: int, seed: int = 1) -> Rows:
    """Sentences such as "the bakoon teling gedoly ."; hardly a word stands there twice."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        row = []
        for _ in range(chance.randint(1, 3)):
            ending = chance.choice(list(ENDINGS))
            if ENDINGS[ending] == "NOUN":
                row.append(chance.choice(FRAMES))
            row.append((word(chance, ending), ENDINGS[ending]))
        rows.append([*row, (".", "PUNCT")])
    return rows


def slots(count: int, seed: int = 1) -> Rows:
    """Requests in BIO: after "in" comes a place of one or two words, after "at" a time."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        row = [("book", "O"), ("it", "O")]
        for name, kind in chance.sample([("in", "place"), ("at", "time")], chance.randint(1, 2)):
            row.append((name, "O"))
            row += [(word(chance, "ton"), f"{mark}-{kind}") for mark in "BI"[: chance.randint(1, 2)]]
        rows.append(row)
    return rows


def write_conllu(path: Path, rows: Sequence[Sequence[tuple[str, str]]]) -> Path:
    lines = []
    for number, row in enumerate(rows):
        lines.append(f"# sent_id = {number}")
        for at, (token, label) in enumerate(row, start=1):
            lines.append("\t".join([str(at), token, token, label, label.lower(), "_", "0", "root", "_", "_"]))
        lines.append("")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_columns(path: Path, rows: Sequence[Sequence[tuple[str, str]]]) -> Path:
    text = "\n".join("".join(f"{token}\t{label}\n" for token, label in row) for row in rows)
    path.write_text(text, encoding="utf-8")
    return path
