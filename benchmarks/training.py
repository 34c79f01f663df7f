"""Training speed beside the peers: target tokens per second, interleaved, medians of ratios.

    python benchmarks/training.py transformer-tiny --peers FOLDER --data MULTI30K/tok --work FOLDER [--rounds 5]
    python benchmarks/training.py lstm-attention   --peers FOLDER --data MULTI30K/tok --work FOLDER

Every system reads the same sub-words (joint BPE of 10,000 pieces, learned once by seq2see), has the same sizes and the
same batches of 4,096 target positions, and runs by itself in a process of its own with two threads. seq2see and Eole
bring sentences of like length together, JoeyNMT does not: that is part of what is compared. The first updates warm up.
"""

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
from measuring import interleaved, product_rate, save
from peers import eole_config, joeynmt_config, python_of

from seq2see.config.settings import TextSettings
from seq2see.text.tokeniser import TokeniserPair, train_pair

UPDATES, WARM = {"seq2see": 60, "joeynmt": 24, "eole": 24}, {"seq2see": 20, "joeynmt": 8, "eole": 8}
_WIDTHS = ("--set", "model.encoder.width=256", "--set", "model.decoder.width=256")


def prepare(data: Path, work: Path) -> None:
    """The pieces as words for the peers, and their vocabulary."""
    if (work / "vocabulary.eole.txt").exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    sides = {
        (part, side): _lines(data / f"{name}.lc.norm.tok.{side}.gz")
        for part, name in (("train", "train"), ("dev", "val"))
        for side in ("en", "de")
    }
    pairs = list(zip(sides["train", "en"], sides["train", "de"], strict=True))
    tokenisers = train_pair(lambda: iter(pairs), TextSettings(kind="bpe", vocabulary=10_000, joint=True), lambda: None)
    tokenisers.save(work / "tokenizer.json")
    for (part, side), texts in sides.items():
        (work / f"{part}.{side}").write_text("".join(_pieces(tokenisers, text) + "\n" for text in texts))
        (work / f"{part}.text.{side}").write_text("".join(text + "\n" for text in texts))
    known = sorted({piece for side in ("en", "de") for piece in (work / f"train.{side}").read_text().split()})
    (work / "vocabulary.txt").write_text("".join(f"{each}\n" for each in ["<unk>", "<pad>", "<s>", "</s>", *known]))
    (work / "vocabulary.eole.txt").write_text("".join(f"{each}\t1\n" for each in known))


def _lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().removesuffix("\n").split("\n")


def _pieces(tokenisers: TokeniserPair, text: str) -> str:
    return " ".join(tokenisers.source.encode(text).pieces)


def seq2see_rate(architecture: str, work: Path, out: Path) -> float:
    """Target tokens per second of `seq2see train`, from its journal."""
    sized = () if architecture == "transformer-tiny" else _WIDTHS
    tied = "all" if architecture == "transformer-tiny" else "output"
    settings = ("text.vocabulary=10000", f'model.tie="{tied}"', "training.batch_tokens=4096", "model.dropout=0.3")
    command = [sys.executable, "-m", "seq2see", "train", "--model", architecture, "--out", str(out), *sized]
    command += [part for setting in settings for part in ("--set", setting)]
    command += ["--source", str(work / "train.text.en"), "--target", str(work / "train.text.de")]
    command += ["--steps", str(UPDATES["seq2see"]), "--set", "training.evaluate_every=1000000"]
    subprocess.run(command, check=True, capture_output=True)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rates = [each for each in lines if "target_tokens_per_second" in each and each["step"] > WARM["seq2see"]]
    return median(each["target_tokens_per_second"] for each in rates)


def joeynmt_rate(architecture: str, peers: Path, work: Path, out: Path) -> float:
    """The median of what JoeyNMT prints."""
    config = work / f"joeynmt-{architecture}.yaml"
    config.write_text(joeynmt_config(work, out, architecture, updates=UPDATES["joeynmt"], log_every=4))
    command = [python_of(peers, "joeynmt"), "-m", "joeynmt", "train", config, "--skip-test"]
    printed = subprocess.run(command, check=False, capture_output=True, text=True)
    found = re.findall(r"Step:\s*(\d+).*?Tokens per Sec:\s*(\d+)", printed.stdout + printed.stderr)
    if not found:
        raise SystemExit((printed.stdout + printed.stderr)[-3_000:])
    return median(float(rate) for step, rate in found if int(step) > WARM["joeynmt"])


def eole_rate(architecture: str, peers: Path, work: Path, out: Path) -> float:
    """The median of what Eole prints (target tokens)."""
    config = work / f"eole-{architecture}.yaml"
    config.write_text(eole_config(work, out, architecture, updates=UPDATES["eole"], log_every=4))
    command = [python_of(peers, "eole").with_name("eole"), "train", "-config", config]
    printed = subprocess.run(command, check=False, capture_output=True, text=True)
    found = re.findall(r"Step\s+(\d+)/.*?([\d.]+)/\s*([\d.]+) tok/s", printed.stdout + printed.stderr)
    if not found:
        raise SystemExit((printed.stdout + printed.stderr)[-3_000:])
    return median(float(target) for step, _, target in found if int(step) > WARM["eole"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture", choices=("transformer-tiny", "lstm-attention"))
    for name in ("--peers", "--data", "--work"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(os.cpu_count())
    prepare(asked.data, asked.work)
    where = lambda name: asked.work / f"{asked.architecture}-{name}-{time.time_ns()}"  # noqa: E731
    systems = {
        "seq2see": lambda: seq2see_rate(asked.architecture, asked.work, where("seq2see")),
        "JoeyNMT 2.3.0": lambda: joeynmt_rate(asked.architecture, asked.peers, asked.work, where("joeynmt")),
    }
    if asked.architecture == "transformer-tiny":
        systems["Eole 0.6.4"] = lambda: eole_rate(asked.architecture, asked.peers, asked.work, where("eole"))
    measured = interleaved(systems, asked.rounds)
    # Forward and backward, by the sizes alone; padding is not counted.
    useful = {"transformer-tiny": 15.5e6, "lstm-attention": 22e6}[asked.architecture] * median(measured["seq2see"])
    ceiling = {kind: product_rate(4_096, 256, 4_096, kind) for kind in (torch.float32, torch.bfloat16)}
    notes = [
        f"Useful arithmetic here: about {useful / 1e9:,.0f} GFLOP/s; a product of 4,096 × 256 × 4,096 in the same run: "
        f"{ceiling[torch.float32] / 1e9:,.0f} (float32), {ceiling[torch.bfloat16] / 1e9:,.0f} (bfloat16)."
    ]
    save(f"training-{asked.architecture}", "target tokens/s", measured, ours="seq2see", notes=notes)


if __name__ == "__main__":
    main()
