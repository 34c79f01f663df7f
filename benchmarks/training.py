"""Training speed beside the peers: target tokens per second, interleaved, medians of ratios.

    python benchmarks/training.py transformer-tiny --peers FOLDER --data MULTI30K/tok --work FOLDER [--rounds 5]
    python benchmarks/training.py lstm-attention   --peers FOLDER --data MULTI30K/tok --work FOLDER
    python benchmarks/training.py transformer-base --peers FOLDER --data SETS/pydocs-ko --work ANOTHER-FOLDER

Every system reads the same sub-words (joint BPE of 10,000 pieces, for the base sizes of 32,000, learned once by
seq2see), has the same sizes, Adam, and batches of 4,096 target positions (base: 2,048), and runs by itself in a process
of its own with two threads. seq2see and Eole bring sentences of like length together, JoeyNMT does not: that is part of
what is compared. The first updates warm up. Multi30k has fewer words than the base sizes' vocabulary, hence other data.
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
from peers import SIZES, Sizes, eole_config, joeynmt_config, python_of

from seq2see.config.settings import TextSettings
from seq2see.text.tokeniser import TokeniserPair, train_pair

UPDATES, WARM = {"seq2see": 60, "joeynmt": 24, "eole": 24}, {"seq2see": 20, "joeynmt": 8, "eole": 8}
FEW, FEW_WARM = {"seq2see": 9, "joeynmt": 4, "eole": 4}, {"seq2see": 3, "joeynmt": 1, "eole": 1}  # base sizes
_WIDTHS = ("--set", "model.encoder.width=256", "--set", "model.decoder.width=256")


def prepare(data: Path, work: Path, vocabulary: int) -> None:
    """The pieces as words for the peers, and their vocabulary."""
    if (work / "vocabulary.eole.txt").exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    sides = _sides(data)
    pairs = list(zip(sides["train", "en"], sides["train", "de"], strict=True))
    tokenisers = train_pair(
        lambda: iter(pairs), TextSettings(kind="bpe", vocabulary=vocabulary, joint=True), lambda: None
    )
    tokenisers.save(work / "tokenizer.json")
    for (part, side), texts in sides.items():
        (work / f"{part}.{side}").write_text("".join(_pieces(tokenisers, text) + "\n" for text in texts))
        (work / f"{part}.text.{side}").write_text("".join(text + "\n" for text in texts))
    known = sorted({piece for side in ("en", "de") for piece in (work / f"train.{side}").read_text().split()})
    known += [f"unused{number}" for number in range(len(known) + 4, tokenisers.source.size)]  # as many as seq2see has
    (work / "vocabulary.txt").write_text("".join(f"{each}\n" for each in ["<unk>", "<pad>", "<s>", "</s>", *known]))
    (work / "vocabulary.eole.txt").write_text("".join(f"{each}\t1\n" for each in known))


def _sides(data: Path) -> dict[tuple[str, str], list[str]]:
    """The texts of train and dev, of source ("en") and target ("de"): of Multi30k, or of pairs in TSV."""
    if not (data / "train.tsv").exists():
        names = {"train": "train", "dev": "val"}
        return {
            (part, side): _lines(data / f"{name}.lc.norm.tok.{side}.gz")
            for part, name in names.items()
            for side in ("en", "de")
        }
    sides = {}
    for part in ("train", "dev"):
        rows = [line.split("\t") for line in (data / f"{part}.tsv").read_text().removesuffix("\n").split("\n")]
        for place, side in enumerate(("en", "de")):
            sides[part, side] = [row[place] for row in rows]
    return sides


def _lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().removesuffix("\n").split("\n")


def _pieces(tokenisers: TokeniserPair, text: str) -> str:
    return " ".join(tokenisers.source.encode(text).pieces)


def sizes_of(architecture: str) -> Sizes:
    """A Transformer's own; of others vocabulary, batch and dropout hold."""
    return SIZES.get(architecture, SIZES["transformer-tiny"])


def counts(architecture: str, system: str) -> tuple[int, int]:
    """Updates in all, and those that warm up."""
    few = architecture == "transformer-base"
    return (FEW if few else UPDATES)[system], (FEW_WARM if few else WARM)[system]


def seq2see_rate(architecture: str, work: Path, out: Path) -> float:
    """Target tokens per second of `seq2see train`, from its journal."""
    sized = _WIDTHS if architecture == "lstm-attention" else ()
    tied = "output" if architecture == "lstm-attention" else "all"
    sizes, (updates, warm) = sizes_of(architecture), counts(architecture, "seq2see")
    settings = (
        f"text.vocabulary={sizes.vocabulary}",
        f'model.tie="{tied}"',
        f"training.batch_tokens={sizes.batch}",
        f"model.dropout={sizes.dropout}",
        "training.optimiser=adamw",
        "text.joint=true",
    )
    command = [sys.executable, "-m", "seq2see", "train", "--model", architecture, "--out", str(out), *sized]
    command += [part for setting in settings for part in ("--set", setting)]
    command += ["--source", str(work / "train.text.en"), "--target", str(work / "train.text.de")]
    command += ["--steps", str(updates), "--set", "training.evaluate_every=1000000"]
    subprocess.run(command, check=True, capture_output=True)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rates = [each for each in lines if "target_tokens_per_second" in each and each["step"] > warm]
    return median(each["target_tokens_per_second"] for each in rates)


def joeynmt_rate(architecture: str, peers: Path, work: Path, out: Path) -> float:
    """The median of what JoeyNMT prints."""
    config = work / f"joeynmt-{architecture}.yaml"
    updates, warm = counts(architecture, "joeynmt")
    config.write_text(joeynmt_config(work, out, architecture, updates=updates, log_every=max(1, warm // 2)))
    command = [python_of(peers, "joeynmt"), "-m", "joeynmt", "train", config, "--skip-test"]
    printed = subprocess.run(command, check=False, capture_output=True, text=True)
    found = re.findall(r"Step:\s*(\d+).*?Tokens per Sec:\s*(\d+)", printed.stdout + printed.stderr)
    if not found:
        raise SystemExit((printed.stdout + printed.stderr)[-3_000:])
    return median(float(rate) for step, rate in found if int(step) > warm)


def eole_rate(architecture: str, peers: Path, work: Path, out: Path) -> float:
    """The median of what Eole prints (target tokens)."""
    config = work / f"eole-{architecture}.yaml"
    updates, warm = counts(architecture, "eole")
    config.write_text(eole_config(work, out, architecture, updates=updates, log_every=max(1, warm // 2)))
    command = [python_of(peers, "eole").with_name("eole"), "train", "-config", config]
    printed = subprocess.run(command, check=False, capture_output=True, text=True)
    found = re.findall(r"Step\s+(\d+)/.*?([\d.]+)/\s*([\d.]+) tok/s", printed.stdout + printed.stderr)
    if not found:
        raise SystemExit((printed.stdout + printed.stderr)[-3_000:])
    return median(float(target) for step, _, target in found if int(step) > warm)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture", choices=("transformer-tiny", "transformer-base", "lstm-attention"))
    for name in ("--peers", "--data", "--work"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(os.cpu_count())
    sizes = sizes_of(asked.architecture)
    prepare(asked.data, asked.work, sizes.vocabulary)
    where = lambda name: asked.work / f"{asked.architecture}-{name}-{time.time_ns()}"  # noqa: E731
    systems = {
        "seq2see": lambda: seq2see_rate(asked.architecture, asked.work, where("seq2see")),
        "JoeyNMT 2.3.0": lambda: joeynmt_rate(asked.architecture, asked.peers, asked.work, where("joeynmt")),
    }
    if asked.architecture != "lstm-attention":
        systems["Eole 0.6.4"] = lambda: eole_rate(asked.architecture, asked.peers, asked.work, where("eole"))
    measured = interleaved(systems, asked.rounds)
    # Forward and backward, by the sizes alone; padding is not counted.
    words = [len((asked.work / f"train.{side}").read_text().split()) for side in ("en", "de")]
    per_token = 22e6 if asked.architecture == "lstm-attention" else sizes.per_token(words[0] / words[1])
    useful = per_token * median(measured["seq2see"])
    inner = sizes.width if asked.architecture == "transformer-base" else 256
    ceiling = {kind: product_rate(4_096, inner, 4_096, kind) for kind in (torch.float32, torch.bfloat16)}
    notes = [
        f"Useful arithmetic here: about {useful / 1e9:,.0f} GFLOP/s; a product of 4,096 × {inner} × 4,096 in the same "
        f"run: {ceiling[torch.float32] / 1e9:,.0f} (float32), {ceiling[torch.bfloat16] / 1e9:,.0f} (bfloat16)."
    ]
    save(f"training-{asked.architecture}", "target tokens/s", measured, ours="seq2see", notes=notes)


if __name__ == "__main__":
    main()
