"""Stop and kill the real `seq2see train` at random moments, and feed `seq2see predict` a long stream.

    python benchmarks/commands.py --stops 40 --lines 1000000

A training is ended by SIGTERM, SIGINT or SIGKILL at a random moment of its life (start, data preparation,
training, evaluation, saving), and goes on by the command that needs no thought, until it ends; then its weights
must be those of a run that nobody disturbed. The answers to the stream must come in order, in constant memory.
"""

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
SETTINGS = (
    "model.encoder.width=32",
    "model.decoder.width=32",
    "model.dropout=0.2",
    "training.precision=float32",
    "training.evaluate_every=20",
    "training.checkpoint_every=7",
    "training.average=2",
)
CODES = {signal.SIGTERM: {143, -15}, signal.SIGINT: {130, -2}, signal.SIGKILL: {-9}}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "seq2see", *map(str, words)]


def begin(data: Path, run: Path) -> list[str]:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    return command("train", data, "--model", "lstm-attention", "--steps", 150, "--out", run, *settings)


def digest(run: Path) -> str:
    return hashlib.sha256((run / "weights.safetensors").read_bytes()).hexdigest()


def quietly(words: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def stops(base: Path, data: Path, count: int, chance: random.Random) -> list[str]:
    """Disturb runs until there have been ``count`` stops; returns what went wrong."""
    started = time.monotonic()
    subprocess.run(begin(data, base / "whole"), check=True, stdout=subprocess.DEVNULL)
    life, whole = time.monotonic() - started, digest(base / "whole")
    failures: list[str] = []
    seen: Counter[str] = Counter()
    ended = 0
    while sum(seen.values()) < count:
        run, enough = base / "run", False
        while not (run / "manifest.json").exists():
            begun = (run / "config.toml").exists()
            process = quietly(command("train", "--resume", "--out", run) if begun else begin(data, run))
            number = chance.choice(list(CODES))
            try:
                _, errors = process.communicate(timeout=600 if enough else chance.uniform(0.2, life))
            except subprocess.TimeoutExpired:
                process.send_signal(number)
                _, errors = process.communicate(timeout=60)
                seen[signal.Signals(number).name] += 1
                if process.returncode not in CODES[number] | {0} or b"Traceback" in errors:
                    failures.append(f"{number.name}: exit code {process.returncode}: {errors.decode()}")
            else:
                if process.returncode:
                    failures.append(f"exit code {process.returncode}: {errors.decode()}")
                    break
            enough = sum(seen.values()) >= count
        ended += 1
        if not (run / "weights.safetensors").exists() or digest(run) != whole:
            failures.append(f"run {ended} has other weights")
        failures += [f"left behind: {path}" for path in run.rglob(".tmp-*")]
        shutil.rmtree(run)
    print(f"stops: {sum(seen.values())} ({', '.join(f'{each} {name}' for name, each in sorted(seen.items()))})")
    print(f"runs that ended, each compared bit by bit with an undisturbed one: {ended}")
    return failures


def stream(run: Path, lines: int) -> tuple[int, float, bool]:
    """Most memory in MB, lines a second, and whether the answers came in order, one a line."""
    producer = f"import sys\nfor n in range({lines}): sys.stdout.write('...\\n' if n % 100 else 'one two\\n')"
    started = time.monotonic()
    source = subprocess.Popen([sys.executable, "-c", producer], stdout=subprocess.PIPE)
    answers = subprocess.Popen(command("predict", run, "--beam", 1), stdin=source.stdout, stdout=subprocess.PIPE)
    assert answers.stdout is not None
    right = all((line == b"...\n") == (n % 100 > 0) for n, line in enumerate(answers.stdout) if n < lines)
    source.wait()
    _, status, usage = os.wait4(answers.pid, 0)
    scale = 1024 if sys.platform != "darwin" else 1 << 20
    return usage.ru_maxrss // scale, lines / (time.monotonic() - started), right and status == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stops", type=int, default=40)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    chance, base = random.Random(options.seed), Path(tempfile.mkdtemp(prefix="commands-"))
    rows = [[chance.choice(WORDS) for _ in range(chance.randint(2, 6))] for _ in range(2_000)]
    data = base / "pairs.tsv"
    data.write_text("".join(f"{' '.join(row)}\t{' '.join(reversed(row))}\n" for row in rows), encoding="utf-8")
    try:
        failures = stops(base, data, options.stops, chance)
        for lines in (options.lines // 10, options.lines):
            memory, speed, right = stream(base / "whole", lines)
            print(f"predict, {lines:,} lines: at most {memory:,} MB, {speed:,.0f} lines/s, in order: {right}")
            failures += [] if right else ["answers are out of order"]
    finally:
        shutil.rmtree(base, ignore_errors=True)
    print(f"failures: {len(failures)}")
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
