"""Files to train, choose and test on, from the public data sets as their publishers give them.

    python benchmarks/prepare.py FOLDER-WITH-THE-DATA-SETS OUT

Writes OUT/NAME/{train,dev,test}.tsv. Where a data set has no split of its own, a pair's place is decided by the hash of
its English (or, for replies, its question), so that no sentence is on two sides: 90 % train, 5 % dev, 5 % test.

    tatoeba-ko       English, Korean            kor.txt.gz
    pydocs-ko        English, Korean            pydocs.en-ko.tsv.gz
    names-ko         English name, Korean name  the published train, dev and test files
    chatbot-ko       question, reply            ChatbotData.csv
    nsmc             review, 0 or 1             ratings_rebuilt_{train,test}.txt.gz; dev: 5 % of the training texts;
                                                what stands in the test too is left out of both
    cmudict          letters, phones            cmudict.dict.gz, stress removed: the 12,000 words with the least hashes
                                                are for test, the next 4,000 for dev
    icons            file name, caption         captions.tsv, by the hash of the file name: 80 %, 10 %, 10 %
    mnist            IDX files, gzipped         the 10,000 of t10k: 1,000 test, 1,000 dev, by the hash of the picture
    snips-intents    query, intent              {train_*_full,validate_*}.json.gz; test: validate; dev as above
    snips-slots      tokens, slots in BIO       the same, on the same sides; {train,dev,test}.txt
"""

import csv
import gzip
import hashlib
import json
import re
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


def reviews(path: Path) -> list[tuple[str, str]]:
    """Reviews and 0 or 1, without those that have no text."""
    rows = columns(path, 1, 2)
    next(rows)  # the names of the columns
    return [(text, label) for text, label in rows if text.strip()]


def apart(rows: Rows, others: Rows) -> list[tuple[str, str]]:
    """Those whose text is none of the others'."""
    known = {text for text, _ in others}
    return [(text, label) for text, label in rows if text not in known]


def pronunciations(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Letters and phones, both with blanks between; a word with several pronunciations has a line for each."""
    found: dict[str, list[str]] = {}
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        word, *phones = line.split("#")[0].split()
        said = " ".join(phone.rstrip("012") for phone in phones)
        several = found.setdefault(re.sub(r"\(\d+\)$", "", word), [])
        if said not in several:
            several.append(said)
    order = sorted(found, key=lambda word: hashlib.blake2b(word.encode(), digest_size=8).digest())
    words = {"test": order[:12_000], "dev": order[12_000:16_000], "train": order[16_000:]}
    return {
        part: [(" ".join(word), said) for word in sorted(chosen) for said in found[word]]
        for part, chosen in words.items()
    }


def intents(folder: Path, names: str) -> Iterator[tuple[str, str]]:
    """Queries and their intents, of all files with such names. One file has a byte of Latin-1."""
    for path in sorted(folder.glob(names)):
        data = json.loads(gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace"))
        for intent, queries in data.items():
            for query in queries:
                yield " ".join("".join(part["text"] for part in query["data"]).split()), intent


def slots(folder: Path, names: str) -> Iterator[tuple[str, str]]:
    """Queries, and a line for each of their tokens: the token, a tab, and its slot in BIO.

    A token is a word, with what stands inside of it, or any other sign; none goes from one slot into another.
    """
    for path in sorted(folder.glob(names)):
        data = json.loads(gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace"))
        for query in (query for queries in data.values() for query in queries):
            lines = []
            for part in query["data"]:
                for place, token in enumerate(re.findall(r"\w+(?:['’.-]\w+)*|[^\w\s]", part["text"])):
                    slot = f"{'I' if place else 'B'}-{part['entity']}" if "entity" in part else "O"
                    lines.append(f"{token}\t{slot}\n")
            yield " ".join("".join(part["text"] for part in query["data"]).split()), "".join(lines)


def write_slots(parts: dict[str, list[tuple[str, str]]], out: Path) -> None:
    """A blank line between sentences."""
    out.mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        path = out / f"{part}.txt"
        path.write_text("\n".join(lines for _, lines in rows), encoding="utf-8", newline="\n")
        print(f"{path}: {len(rows):,} sentences")


def with_dev(train: Rows, test: Rows) -> dict[str, list[tuple[str, str]]]:
    """A published split, with a share of the training texts, by their hash, to choose by."""
    parts = split(train)
    return {"train": parts["train"] + parts["test"], "dev": parts["dev"], "test": list(test)}


def icons(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Pictures and captions; a tenth of the names for test, a tenth for dev."""
    parts: dict[str, list[tuple[str, str]]] = {"train": [], "dev": [], "test": []}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, caption = line.split("\t")
        share = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64
        parts["test" if share < 0.1 else "dev" if share < 0.2 else "train"].append((name, caption))
    return parts


def write_mnist(folder: Path, out: Path) -> None:
    """The pictures with the least hashes are for test, the next thousand for dev, all others for training."""
    pictures = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    rows = [pictures[16 + 784 * row : 16 + 784 * (row + 1)] for row in range(10_000)]
    order = sorted(range(10_000), key=lambda row: hashlib.blake2b(rows[row], digest_size=8).digest())
    out.mkdir(parents=True, exist_ok=True)
    for part, chosen in (("test", order[:1_000]), ("dev", order[1_000:2_000]), ("train", order[2_000:])):
        count = len(chosen).to_bytes(4, "big")
        header = pictures[:4] + count + pictures[8:16]
        files = {
            "images-idx3": header + b"".join(rows[row] for row in sorted(chosen)),
            "labels-idx1": labels[:4] + count + bytes(labels[8 + row] for row in sorted(chosen)),
        }
        for kind, content in files.items():
            path = out / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(content, mtime=0))
            print(f"{path}: {len(chosen):,} pictures")


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    good_or_bad = {part: reviews(data / "nsmc" / f"ratings_rebuilt_{part}.txt.gz") for part in ("train", "test")}
    sets = {
        "tatoeba-ko": split(columns(data / "tatoeba" / "kor.txt.gz", 0, 1)),
        "pydocs-ko": split(columns(data / "python-docs-ko" / "pydocs.en-ko.tsv.gz", 1, 2)),
        "names-ko": {
            part: names(data / "transliteration" / f"wd_korean_{number}")
            for part, number in (("train", 64), ("dev", 16), ("test", 20))
        },
        "chatbot-ko": split(replies(data / "chatbot-ko" / "ChatbotData.csv")),
        "icons": icons(data / "icons" / "captions.tsv"),
        "nsmc": with_dev(apart(good_or_bad["train"], good_or_bad["test"]), good_or_bad["test"]),
        "cmudict": pronunciations(data / "cmudict" / "cmudict.dict.gz"),
        "snips-intents": with_dev(
            intents(data / "snips-nlu", "train_*_full.json.gz"), intents(data / "snips-nlu", "validate_*.json.gz")
        ),
    }
    for name, parts in sets.items():
        for part, rows in parts.items():
            path = out / name / f"{part}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = ("\t".join(side.replace("\t", " ").replace("\n", " ") for side in row) + "\n" for row in rows)
            path.write_text("".join(lines), encoding="utf-8", newline="\n")
            print(f"{path}: {len(rows):,} pairs")
    write_mnist(data / "mnist", out / "mnist")
    snips = data / "snips-nlu"
    write_slots(with_dev(slots(snips, "train_*_full.json.gz"), slots(snips, "validate_*.json.gz")), out / "snips-slots")


if __name__ == "__main__":
    main()
