"""Peak memory of a whole training by size of the corpus: it must not grow.

    python benchmarks/memory.py                       # 100 thousand and 5 million pairs, 50 updates each
    python benchmarks/memory.py --pairs 10000 100000

Each run is a process of its own on a file of generated pairs: reading, survey, tokeniser, cache and 50 updates. The
peak is the operating system's count of resident memory (mapped file pages included).
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path

WORDS = 5_000


def write_pairs(path: Path, count: int) -> None:
    """Sentences of invented words, most of them from a small part of the vocabulary, and their reversal."""
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(WORDS)]
    shares = list(accumulate(1 / rank for rank in range(1, WORDS + 1)))
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            row = chance.choices(words, cum_weights=shares, k=chance.randint(4, 16))
            file.write(" ".join(row) + "\t" + " ".join(reversed(row)) + "\n")


def measure(count: int, steps: int) -> dict[str, float]:
    """Train on ``count`` pairs in a process of its own; its peak memory in MiB, and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "pairs.tsv"
        write_pairs(data, count)
        size = data.stat().st_size
        start = time.monotonic()
        command = [sys.executable, "-m", "seq2see", "train", str(data), "--model", "lstm-attention"]
        settings = ["text.vocabulary=8000", "evaluation.dev_sentences=50", "data.held_out_most=500"]
        options = [part for setting in settings for part in ("--set", setting)]
        process = subprocess.Popen(
            [*command, "--steps", str(steps), "--out", str(Path(folder) / "run"), *options],
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"training on {count:,} pairs failed with status {status}")
        unit = 1 if platform.system() == "Darwin" else 1024
        return {
            "pairs": count,
            "megabytes": size / 1e6,
            "peak_mib": usage.ru_maxrss * unit / 2**20,
            "seconds": time.monotonic() - start,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[100_000, 5_000_000])
    parser.add_argument("--steps", type=int, default=50)
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    for count in arguments.pairs:
        print(json.dumps(measure(count, arguments.steps)), flush=True)


if __name__ == "__main__":
    main()
