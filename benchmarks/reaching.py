"""Multi30k English to German as fast as it goes: our recipe in fewer minutes, beside five epochs of JoeyNMT.

    python benchmarks/reaching.py --peers FOLDER --data MULTI30K/tok --work FOLDER [--minutes 27]

JoeyNMT's rate is taken before and after our run (the same sub-words, sizes and batches as in training.py), and an epoch
is the target tokens of the data at that rate. Ours is the wall time of the whole `seq2see train`, from start to exit;
the test set is scored once, behind it. One run: half an hour is the measurement.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from measuring import save

from training import joeynmt_rate, prepare, sizes_of

EPOCHS = 5  # of JoeyNMT


def ours(data: Path, minutes: float, out: Path) -> float:
    """Minutes of `seq2see train` with the recipe."""
    recipe = Path(__file__).parent.parent / "recipes" / "multi30k-transformer-tiny.toml"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "seq2see", "train", "--config", str(recipe), "--out", str(out)]
    for flag, part in (("--source", "train.en"), ("--target", "train.de"), ("--dev", "val.en"), ("--dev", "val.de")):
        command += [flag, str(_file(data, part))]
    command += ["--minutes", str(minutes), "--set", "training.evaluate_every=250"]
    start = time.perf_counter()
    with (out.parent / f"{out.name}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log)
    return (time.perf_counter() - start) / 60


def _file(data: Path, part: str) -> Path:
    name, side = part.split(".")
    return data / f"{name}.lc.norm.tok.{side}.gz"


def bleu(data: Path, out: Path) -> float:
    """Of test 2016, with the search of the recipe."""
    scores = out.parent / f"{out.name}.json"
    command = [sys.executable, "-m", "seq2see", "evaluate", str(out), "--json", str(scores)]
    command += [
        "--source",
        str(_file(data, "test_2016_flickr.en")),
        "--target",
        str(_file(data, "test_2016_flickr.de")),
    ]
    subprocess.run(command, check=True)
    return next(each["value"] for each in json.loads(scores.read_text())["scores"] if each["name"] == "bleu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--peers", "--data", "--work"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=27.0)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(os.cpu_count())
    prepare(asked.data, asked.work, sizes_of("transformer-tiny").vocabulary)
    sentences = (asked.work / "train.de").read_text().splitlines()
    tokens = sum(len(each.split()) + 1 for each in sentences)
    epoch: list[float] = []
    for number in range(2):
        rate = joeynmt_rate("transformer-tiny", asked.peers, asked.work, asked.work / f"reaching-{time.time_ns()}")
        epoch.append(tokens / rate / 60)
        print(
            f"JoeyNMT: {rate:,.0f} target tokens/s, {EPOCHS} epochs take {EPOCHS * epoch[-1]:.1f} minutes", flush=True
        )
        if not number:
            taken = ours(asked.data, asked.minutes, asked.work / "reaching")
            print(f"seq2see: {taken:.1f} minutes", flush=True)
    found = bleu(asked.data, asked.work / "reaching")
    notes = [f"seq2see: {found:.2f} BLEU on test 2016; JoeyNMT's epochs from its rate before and after."]
    measured = {"seq2see, the whole training": [taken], f"JoeyNMT, {EPOCHS} epochs": [sum(epoch) / 2 * EPOCHS]}
    save("reaching", "minutes", measured, notes=notes)


if __name__ == "__main__":
    main()
