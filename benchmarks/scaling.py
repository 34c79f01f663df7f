"""Two processes of one thread beside one process of two threads: target tokens per second, and the same losses.

python benchmarks/scaling.py --data MULTI30K/tok --work FOLDER [--model transformer-tiny] [--rounds 5]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from measuring import interleaved, save

STEPS, WARM = 60, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--data", "--work"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--model", default="transformer-tiny")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    losses: dict[str, list[float]] = {}

    def rate(name: str, launcher: list[str], threads: int) -> float:
        out = asked.work / f"scaling-{name}"
        shutil.rmtree(out, ignore_errors=True)
        command = [sys.executable, *launcher, "-m", "seq2see", "train", "--model", asked.model, "--out", str(out)]
        for side, language in (("--source", "en"), ("--target", "de")):
            command += [side, str(asked.data / f"train.lc.norm.tok.{language}.gz")]
        command += ["--steps", str(STEPS), "--set", "training.evaluate_every=1000000", "--set", "model.dropout=0.0"]
        command += ["--set", "data.held_out_most=64", "--set", "training.precision=float32"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        steps = [row for row in rows if "target_tokens_per_second" in row]
        losses[name] = [row["loss"] for row in steps]
        return median(row["target_tokens_per_second"] for row in steps if row["step"] > WARM)

    measured = interleaved(
        {
            "two processes of one thread": lambda: rate(
                "two", ["-m", "torch.distributed.run", "--nproc-per-node=2"], 1
            ),
            "one process of two threads": lambda: rate("one", [], 2),
            "one process of one thread": lambda: rate("single", [], 1),
        },
        asked.rounds,
    )
    apart = max(abs(a - b) for a, b in zip(losses["two"], losses["one"], strict=True))
    notes = [f"{asked.model}, float32, no dropout, {STEPS} updates; the losses differ by at most {apart:.2g} nats."]
    save("scaling", "target tokens/s", measured, ours="two processes of one thread", notes=notes)


if __name__ == "__main__":
    main()
