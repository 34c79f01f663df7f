"""Tiny Shakespeare, character by character, in the minutes of nanoGPT's recipe for a CPU; all in one run.

    python benchmarks/characters.py TEXT --nanogpt CHECKOUT --work FOLDER [--models gpt gru lstm]

CHECKOUT is a copy of nanoGPT's repository; its recipe (4 layers of 128, 2,000 updates, from its README) runs as it is,
in this interpreter. Each of ours gets as many minutes, start and preparation included on both sides. Everybody learns
from the first 90 % of the text; the figure is nats per character over all of the last 10 %, without anything of
it in training, each with the context it was trained for. No run is repeated: minutes long, they are the measurement.
"""

import argparse
import json
import math
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from measuring import save

RECIPE = (
    *("config/train_shakespeare_char.py", "--device=cpu", "--compile=False", "--eval_iters=20", "--log_interval=100"),
    *("--block_size=64", "--batch_size=12", "--n_layer=4", "--n_head=4", "--n_embd=128", "--max_iters=2000"),
    *("--lr_decay_iters=2000", "--dropout=0.0"),
)
START = 0.15  # minutes that we take to start and to close, beside the budget
SCORED = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from model import GPT, GPTConfig
import numpy as np
saved = torch.load(sys.argv[2], map_location="cpu")
model = GPT(GPTConfig(**saved["model_args"])); model.load_state_dict(saved["model"]); model.eval()
ids = torch.from_numpy(np.fromfile(sys.argv[3], dtype=np.uint16).astype(np.int64))
block, total, count = saved["model_args"]["block_size"], 0.0, 0
with torch.no_grad():
    for start in range(0, len(ids) - 1, block // 2):
        end = min(start + block, len(ids) - 1)
        logits, _ = model(ids[None, start:end], ids[None, start + 1 : end + 1])
        losses = torch.nn.functional.cross_entropy(logits[0], ids[start + 1 : end + 1], reduction="none")
        new = losses if start == 0 else losses[block // 2 :]
        total, count = total + new.sum().item(), count + len(new)
        if end == len(ids) - 1:
            break
print(total / count)
"""


def nanogpt(checkout: Path, text: str, work: Path) -> tuple[float, float]:
    """Minutes of the recipe, and nats per character of the weights it keeps, with half a block of context or more."""
    letters = sorted(set(text))
    number = {letter: place for place, letter in enumerate(letters)}
    data, out = checkout / "data" / "shakespeare_char", work / "nanogpt"
    split = int(len(text) * 0.9)
    for name, part in (("train", text[:split]), ("val", text[split:])):
        np.array([number[letter] for letter in part], dtype=np.uint16).tofile(data / f"{name}.bin")
    (data / "meta.pkl").write_bytes(
        pickle.dumps({"vocab_size": len(letters), "stoi": number, "itos": dict(enumerate(letters))})
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "train.py", *RECIPE, f"--out_dir={out.resolve()}"], cwd=checkout, check=True)
    minutes = (time.perf_counter() - start) / 60
    command = [sys.executable, "-c", SCORED, str(checkout), str(out / "ckpt.pt"), str(data / "val.bin")]
    return minutes, float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def ours(model: str, text: Path, minutes: float, work: Path) -> tuple[float, float]:
    """The same of one of our recipes."""
    recipe = Path(__file__).parent.parent / "recipes" / f"tinyshakespeare-{model}.toml"
    out = work / model
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "seq2see", "train", str(text), "--config", str(recipe), "--out", str(out)]
    start = time.perf_counter()
    subprocess.run([*command, "--minutes", f"{minutes:.2f}"], check=True, stdout=subprocess.DEVNULL)
    taken = (time.perf_counter() - start) / 60
    whole = text.read_text(encoding="utf-8")
    held_out = work / "held-out.txt"
    held_out.write_text(whole[int(len(whole) * 0.9) :], encoding="utf-8")
    scores = work / f"{model}.json"
    command = [sys.executable, "-m", "seq2see", "evaluate", str(out), str(held_out), "--json", str(scores)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = {each["name"]: each["value"] for each in json.loads(scores.read_text())["scores"]}
    return taken, found["nats_per_character"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    for name in ("--nanogpt", "--work"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["gpt", "gru", "lstm"])
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    budget, peer = nanogpt(asked.nanogpt, asked.text.read_text(encoding="utf-8"), asked.work)
    print(f"nanoGPT: {budget:.2f} minutes, {peer:.4f} nats per character", flush=True)
    found = {"nanoGPT, recipe for a CPU": (budget, peer)}
    for model in asked.models:
        found[model] = ours(model, asked.text, budget - START, asked.work)
        print(f"{model}: {found[model][0]:.2f} minutes, {found[model][1]:.4f} nats per character", flush=True)
    notes = [
        f"{name}: {minutes:.2f} minutes, {nats / math.log(2):.4f} bits." for name, (minutes, nats) in found.items()
    ]
    save("characters", "nats per character", {name: [nats] for name, (_, nats) in found.items()}, notes=notes)


if __name__ == "__main__":
    main()
