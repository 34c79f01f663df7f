"""All measurements of speed, one after the other, and docs/benchmarks.md from what they have written.

    python benchmarks/bench.py --data DATA-SETS --work FOLDER [--only NAME …]
    python benchmarks/bench.py --page

FOLDER/peers gets the other toolkits (benchmarks/peers.py), FOLDER/tiny and FOLDER/base the models that are decoded.
Nothing else should run meanwhile. `--page` only writes the page anew.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from measuring import RESULTS, table

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
WHAT = {
    "training-transformer-tiny": "Training Transformer-Tiny on Multi30k, batches of 4,096 target positions",
    "training-lstm-attention": "Training lstm-attention, width 256, on the same",
    "reaching": "Multi30k to 41.0 BLEU beside five epochs of JoeyNMT",
    "scaling": "Two processes of one thread beside one process of two",
    "decoding-tiny": "Decoding with Transformer-Tiny, beam 5",
    "decoding-base": "Decoding with sizes of Transformer-base, beam 5, twenty forced pieces",
    "latency": "One sentence at a time, greedy, from a warm process",
    "cold-start": "From a cold start",
    "exchange": "Summing numbers between two processes",
    "characters": "Characters of Shakespeare in the minutes of nanoGPT's recipe for a CPU",
}
BEGINNING = """# Benchmarks

Speed beside other toolkits, each in its own environment and its own best setting, on the same data, sub-words, sizes
and search settings. One process at a time, interleaved rounds (A B A B), one to warm up, medians of the rounds' ratios.
Every table names its machine and commit; `make bench DATA=… WORK=…` measures all of it anew, and this page is written
from what it finds in `benchmarks/results/`.
"""


def commands(data: Path, work: Path) -> dict[str, list[str]]:
    """How each result is measured."""
    tok = data / "multi30k" / "tok"
    peers, test = ["--peers", str(work / "peers")], str(tok / "test_2016_flickr.lc.norm.tok.en.gz")
    tiny, base = str(work / "tiny"), str(work / "base")
    reference = test.replace(".en.gz", ".de.gz")
    on_test = [*peers, "--source", test, "--work", str(work / "ct2")]
    training = [*peers, "--data", str(tok), "--work", str(work / "train")]
    return {
        "training-transformer-tiny": ["training.py", "transformer-tiny", *training],
        "training-lstm-attention": ["training.py", "lstm-attention", *training],
        "reaching": ["reaching.py", *training],
        "scaling": ["scaling.py", "--data", str(tok), "--work", str(work)],
        "decoding-tiny": ["decoding.py", tiny, *on_test, "--reference", reference, "--name", "decoding-tiny"],
        "decoding-base": [
            "decoding.py",
            base,
            *on_test,
            "--length",
            "20",
            "--sentences",
            "200",
            "--name",
            "decoding-base",
        ],
        "latency": ["latency.py", tiny, *on_test],
        "exchange": ["exchange.py"],
        "characters": [
            "characters.py",
            str(data / "tinyshakespeare" / "input.txt"),
            "--nanogpt",
            str(work / "peers" / "nanogpt"),
            "--work",
            str(work / "characters"),
        ],
        "growth": ["growth.py", "--work", str(work / "growth")],
    }


def models(data: Path, work: Path) -> None:
    """The models that are decoded: one trained for ten minutes, one of large sizes hardly trained."""
    tok = data / "multi30k" / "tok"
    pairs = ["--source", str(tok / "train.lc.norm.tok.en.gz"), "--target", str(tok / "train.lc.norm.tok.de.gz")]
    for name, options in {
        "tiny": ["--model", "transformer-tiny", "--minutes", "10", "--set", "text.vocabulary=10000"],
        "base": ["--model", "transformer-base", "--steps", "2", "--set", "text.vocabulary=32000"],
    }.items():
        if not (work / name / "manifest.json").exists():
            command = [sys.executable, "-m", "seq2see", "train", *pairs, "--out", str(work / name), *options]
            subprocess.run([*command, "--set", 'model.tie="all"'], check=True)


def page() -> str:
    """Everything that has been measured."""
    parts = [BEGINNING]
    for name, title in WHAT.items():
        path = RESULTS / f"{name}.json"
        found = table(json.loads(path.read_text())) if path.exists() else "Not measured yet."
        parts.append(f"## {title}\n\n{found}\n")
    growth = RESULTS / "growth.json"
    if growth.exists():
        parts.append(_growth(json.loads(growth.read_text())))
    return "\n".join(parts)


def _growth(result: dict[str, Any]) -> str:
    lines = ["## How the cost grows", "", "![Time and memory against sizes](pictures/growth.png)", ""]
    lines.append("The time for a target piece grows with a size to the power of: ")
    lines[-1] += ", ".join(f"{name} {exponent:.2f}" for name, exponent in result["exponents"].items()) + "."
    at = result["machine"]
    lines.append(f"{result['model']}; {at['processor']}, {at['cores']} cores, commit {at['commit']}, {at['date']}.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--page", action="store_true")
    asked = parser.parse_args()
    if not asked.page:
        if asked.data is None or asked.work is None:
            raise SystemExit("make bench DATA=the-data-sets WORK=a-folder-with-room-for-peers-and-runs")
        asked.work.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, HERE / "peers.py", asked.work / "peers"], check=True)
        models(asked.data, asked.work)
        for name, command in commands(asked.data, asked.work).items():
            if not asked.only or name in asked.only:
                print(f"--- {name}", flush=True)
                subprocess.run([sys.executable, HERE / command[0], *command[1:]], check=True)
    PAGE.write_text(page())
    print(PAGE)


if __name__ == "__main__":
    main()
