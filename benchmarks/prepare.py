"""Files to train, choose and test on, from the public data sets as their publishers give them.

    python benchmarks/prepare.py FOLDER-WITH-THE-DATA-SETS OUT

Writes OUT/NAME/{train,dev,test}.tsv. Where a data set has no split of its own, a pair's place is decided by the hash of
its English (or, for replies, its question), so that no sentence is on two sides: 90 % train, 5 % dev, 5 % test.

    tatoeba-ko       English, Korean            kor.txt.gz
    pydocs-ko        English, Korean            pydocs.en-ko.tsv.gz
    names-ko         English name, Korean name  the published train, dev and test files
    chatbot-ko       question, reply            ChatbotData.csv
"""

import csv
import gzip
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

Rows = Iterable[tuple[str, str]]


def place(text: str) -> str:
    """train, dev or test, by the hash of a text."""
    share = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
    return "test" if share < 0.05 else "dev" if share < 0.10 else "train"


def split(rows: Rows) -> dict[str, list[tuple[str, str]]]:
    """Pairs by place; the first side decides."""
    parts: dict[str, list[tuple[str, str]]] = {"train": [], "dev": [], "test": []}
    for first, second in rows:
        parts[place(first)].append((first, second))
    return parts


def columns(path: Path, first: int, second: int) -> Iterator[tuple[str, str]]:
    """Two columns of a gzipped file with tabs."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            cells = line.rstrip("\r\n").split("\t")
            yield cells[first], cells[second]


def names(path: Path) -> list[tuple[str, str]]:
    """A name, and its syllables joined: "kuyt", "카위트"."""
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").split("\n") if line)
    return [(row[0], row[1].replace(" ", "")) for row in rows]


def replies(path: Path) -> Iterator[tuple[str, str]]:
    """Questions and replies."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["Q"], row["A"]


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    sets = {
        "tatoeba-ko": split(columns(data / "tatoeba" / "kor.txt.gz", 0, 1)),
        "pydocs-ko": split(columns(data / "python-docs-ko" / "pydocs.en-ko.tsv.gz", 1, 2)),
        "names-ko": {
            part: names(data / "transliteration" / f"wd_korean_{number}")
            for part, number in (("train", 64), ("dev", 16), ("test", 20))
        },
        "chatbot-ko": split(replies(data / "chatbot-ko" / "ChatbotData.csv")),
    }
    for name, parts in sets.items():
        for part, rows in parts.items():
            path = out / name / f"{part}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = ("\t".join(side.replace("\t", " ").replace("\n", " ") for side in row) + "\n" for row in rows)
            path.write_text("".join(lines), encoding="utf-8", newline="\n")
            print(f"{path}: {len(rows):,} pairs")


if __name__ == "__main__":
    main()
