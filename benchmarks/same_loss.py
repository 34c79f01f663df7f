"""A gate for changes that should only be faster: the same losses before and after.

    python benchmarks/same_loss.py [REVISION] [--tolerance 0.002]

Trains each of a few small models for some updates on generated pairs, with the package as it is in the working tree and
as it was at REVISION (by default the last commit, or the one before it where nothing has changed since), and compares
the losses update by update. Fails where any differs by more than the tolerance, in nats.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS = 40
SMALL = ("text.kind=char", "training.batch_tokens=512", "training.evaluate_every=1000000", "training.precision=float32")
MODELS = {
    "lstm-attention": ("model.encoder.width=64", "model.decoder.width=64"),
    "gru-attention": ("model.encoder.width=64", "model.decoder.width=64", "model.decoder.attention=additive"),
    "transformer-tiny": ("model.encoder.layers=2", "model.decoder.layers=2"),
    "hybrid": ("model.encoder.width=64", "model.decoder.width=64", "training.consistency=simcut"),
}


def losses(package: Path, data: Path, model: str, out: Path) -> list[float]:
    """The training losses of a short run with this package."""
    command = [sys.executable, "-m", "seq2see", "train", str(data), "--model", model, "--out", str(out)]
    command += ["--steps", str(STEPS), *(part for each in (*SMALL, *MODELS[model]) for part in ("--set", each))]
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def git(*arguments: str) -> str:
    """What git answers."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", nargs="?")
    parser.add_argument("--tolerance", type=float, default=0.002)
    asked = parser.parse_args()
    revision = asked.revision or ("HEAD" if git("status", "--porcelain", "src") else "HEAD~1")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        draw, words = random.Random(1), ["one", "two", "three", "four", "five", "six"]
        rows = [" ".join(draw.choices(words, k=draw.randint(2, 9))) for _ in range(2_000)]
        data = work / "pairs.tsv"
        data.write_text("".join(f"{row}\t{' '.join(reversed(row.split()))}\n" for row in rows))
        before = work / "before"
        git("worktree", "add", "--detach", str(before), revision)
        try:
            worst = 0.0
            for model in MODELS:
                old = losses(before / "src", data, model, work / f"{model}-before")
                new = losses(ROOT / "src", data, model, work / f"{model}-after")
                apart = max(abs(a - b) for a, b in zip(old, new, strict=True))
                worst = max(worst, apart)
                print(f"{model}: last loss {old[-1]:.4f} at {revision}, {new[-1]:.4f} now; at most {apart:.2g} apart")
        finally:
            git("worktree", "remove", "--force", str(before))
    if worst > asked.tolerance:
        raise SystemExit(f"the losses differ by {worst:.2g} nats, more than {asked.tolerance:g}")


if __name__ == "__main__":
    main()
