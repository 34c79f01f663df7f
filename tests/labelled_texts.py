"""Reviews of which one word decides the label; the others say nothing."""

import random
from pathlib import Path

GOOD, BAD = ["lovely", "superb", "great"], ["awful", "dull", "weak"]
FILLING = ["the", "film", "plot", "actor", "story", "and", "a", "very", "was", "so"]


def reviews(count: int, seed: int = 1) -> list[tuple[str, str]]:
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        words = [chance.choice(FILLING) for _ in range(chance.randint(2, 8))]
        label, telling = chance.choice((("good", GOOD), ("bad", BAD)))
        words.insert(chance.randint(0, len(words)), chance.choice(telling))
        rows.append((" ".join(words), label))
    return rows


def write_reviews(path: Path, rows: list[tuple[str, str]]) -> Path:
    """TSV with the names of its columns."""
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows), encoding="utf-8")
    return path
