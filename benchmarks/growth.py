"""How the cost grows: speed and memory against batch, length, vocabulary, width, depth, corpus and beam.

    python benchmarks/growth.py --work FOLDER [--model transformer-tiny]

Every point is a process of its own with all cores: a short training on generated pairs (or, for the beam, one
decoding), the median of its target tokens per second and its peak of resident memory. All else stays in the middle.
Writes docs/pictures/growth.png (log axes, with the fitted exponent of the time for a token) and results/growth.json.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from measuring import RESULTS, machine

STEPS, WARM = 14, 5
MIDDLE = {"batch": 2_048, "length": 16, "vocabulary": 4_000, "width": 128, "depth": 4, "corpus": 20_000}
POINTS = {
    "batch": (256, 512, 1_024, 2_048, 4_096, 8_192),
    "length": (4, 8, 16, 32, 64, 128),
    "vocabulary": (1_000, 2_000, 4_000, 8_000, 16_000),
    "width": (64, 128, 256, 512),
    "depth": (1, 2, 4, 8),
    "corpus": (2_000, 20_000, 200_000),
}
BEAMS = (1, 2, 4, 8, 16)
WHAT = {
    "batch": "target pieces in a batch",
    "length": "pieces in a sentence",
    "vocabulary": "pieces in the vocabulary",
    "width": "width",
    "depth": "layers on each side",
    "corpus": "pairs in the corpus",
    "beam": "beam",
}


def pairs(path: Path, count: int, length: int, words: int) -> Path:
    """Sentences of so many words out of so many."""
    draw = random.Random(1)
    with path.open("w") as file:
        for _ in range(count):
            row = [f"w{draw.randrange(words)}" for _ in range(length)]
            file.write(f"{' '.join(row)}\t{' '.join(reversed(row))}\n")
    return path


def run(command: list[str]) -> float:
    """Run a command; its peak of resident memory in MiB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(process.stderr.read().decode()[-2_000:] if process.stderr else "failed")
    process.returncode = 0
    return usage.ru_maxrss / (1 if sys.platform == "darwin" else 1_024)


def train(work: Path, model: str, **sizes: int) -> tuple[float, float, Path]:
    """Target tokens per second, MiB, and the run."""
    at = MIDDLE | sizes
    name = "-".join(f"{key}{value}" for key, value in at.items())
    data, out = work / f"{name}.tsv", work / f"{name}-{time.time_ns()}"
    pairs(data, at["corpus"], at["length"], at["vocabulary"] - 10)
    command = [sys.executable, "-m", "seq2see", "train", str(data), "--model", model, "--out", str(out)]
    sizes_of_side = {"width": at["width"], "layers": at["depth"], "feed_forward": 2 * at["width"]}
    settings = {
        "text.kind": "word",
        "text.vocabulary": at["vocabulary"],
        "training.batch_tokens": at["batch"],
        "training.evaluate_every": 1_000_000,
        "data.held_out_most": 32,
        **{f"model.{side}.{key}": each for side in ("encoder", "decoder") for key, each in sizes_of_side.items()},
    }
    command += [
        "--steps",
        str(STEPS),
        *(part for key, value in settings.items() for part in ("--set", f"{key}={value}")),
    ]
    memory = run(command)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rates = [row["target_tokens_per_second"] for row in rows if row.get("step", 0) > WARM and "loss" in row]
    data.unlink()
    return median(rates), memory, out


def decode(trained: Path, work: Path, beam: int) -> tuple[float, float]:
    """Target tokens per second and MiB of answers of twenty pieces to 512 sentences; the start is taken off."""
    times = []
    for count in (8, 520):
        source = work / "sources.txt"
        source.write_text("".join(line.split("\t")[0] + "\n" for line in pairs(source, count, 16, 1_000).open()))
        command = [sys.executable, "-m", "seq2see", "predict", str(trained), "--input", str(source), "--workers", "1"]
        command += ["--beam", str(beam), "--max-length", "20", "--set", "search.min_length=19"]
        start = time.perf_counter()
        memory = run([*command, "--output", str(work / "answers.txt")])
        times.append(time.perf_counter() - start)
    return 512 * 20 / (times[1] - times[0]), memory


def measured(work: Path, model: str) -> Iterator[tuple[str, int, float, float]]:
    """(what, how much, tokens/s, MiB)."""
    trained = None
    for what, points in POINTS.items():
        for point in points:
            rate, memory, out = train(work, model, **{what: point})
            trained = out if point == MIDDLE[what] else trained
            yield what, point, rate, memory
    assert trained is not None
    for beam in BEAMS:
        yield ("beam", beam, *decode(trained, work, beam))


def draw(rows: list[dict[str, Any]], path: Path) -> dict[str, float]:
    """Time for a token and memory against each size, on log axes; the fitted exponents of the time."""
    names = list(dict.fromkeys(row["what"] for row in rows))
    figure = Figure(figsize=(12, 6), layout="constrained")
    exponents = {}
    for axes, name in zip(figure.subplots(2, 4).flat, [*names, None], strict=False):
        if name is None:
            axes.axis("off")
            continue
        found = [row for row in rows if row["what"] == name]
        x = np.array([row["size"] for row in found], float)
        time_us = 1e6 / np.array([row["tokens_per_second"] for row in found])
        exponents[name], offset = np.polyfit(np.log(x), np.log(time_us), 1)
        axes.loglog(x, time_us, "o", color="#2f6fd0", label="µs for a target piece")
        axes.loglog(x, np.exp(offset) * x ** exponents[name], color="#2f6fd0", linewidth=1)
        axes.loglog(
            x, [row["mebibytes"] for row in found], "s--", color="#c2410c", linewidth=1, label="MiB at the peak"
        )
        axes.set_title(f"{WHAT[name]}: time ~ size^{exponents[name]:.2f}", fontsize=9, loc="left")
        axes.grid(True, which="major", linewidth=0.3)
        if name == names[0]:
            axes.legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=120)
    return exponents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="transformer-tiny")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rows = []
    for what, size, rate, memory in measured(asked.work, asked.model):
        rows.append({"what": what, "size": size, "tokens_per_second": rate, "mebibytes": memory})
        print(f"{what} {size:,}: {rate:,.0f} target tokens/s, {memory:,.0f} MiB", flush=True)
    exponents = draw(rows, Path(__file__).parent.parent / "docs" / "pictures" / "growth.png")
    result = {"model": asked.model, "machine": machine(), "middle": MIDDLE, "rows": rows, "exponents": exponents}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "growth.json").write_text(json.dumps(result, indent=1) + "\n")
    for name, exponent in exponents.items():
        print(f"time for a piece ~ {name}^{exponent:.2f}")


if __name__ == "__main__":
    main()
