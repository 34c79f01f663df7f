"""Kill a training process at random moments, many times, and see whether it ever loses more than it may.

    python benchmarks/faults.py --kills 200

Each run is killed (SIGKILL) again and again and resumed without any manual step, until it ends; then its weights
and its journal must be those of a run that nobody disturbed. After every kill a complete, verified checkpoint
must load, of the last step that was reported as saved or a later one. The run saves after every update, so that
many kills come while it saves. Needs fork (Linux, macOS).
"""

import argparse
import hashlib
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from seq2see.config.settings import TrainingSettings
from seq2see.storage.atomic import REPLACED, TEMPORARY
from seq2see.training.checkpoint import newest_checkpoint, newest_weights
from seq2see.training.interrupt import Interrupt
from seq2see.training.loop import Development, fit
from seq2see.training.progress import Progress, Saved

V, D = 500, 128
SETTINGS = TrainingSettings(steps=30, evaluate_every=7, average=2, checkpoint_every=1, precision="float32")


@dataclass(frozen=True)
class Rows:
    """Random pieces; each is to be followed by itself."""

    rows_B: Tensor
    tokens_BT: Tensor
    padding_share: float = 0.0

    @property
    def tokens(self) -> int:
        return self.tokens_BT.numel()

    def shard(self, rank: int, world: int) -> "Rows":
        return Rows(self.rows_B[rank::world], self.tokens_BT[rank::world])

    def to(self, device: torch.device) -> "Rows":
        return Rows(self.rows_B.to(device), self.tokens_BT.to(device))


class Corpus:
    """Eleven batches an epoch."""

    def count(self, epoch: int) -> int:
        return 11

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Rows]:
        for number in range(start, self.count(epoch)):
            generator = torch.Generator().manual_seed(100 * epoch + number)
            yield Rows(torch.arange(4), torch.randint(V, (4, 9), generator=generator))


def model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Embedding(V, D), nn.Dropout(0.1), nn.Linear(D, V))


def loss(module: nn.Module, batch: Rows) -> Tensor:
    return nn.functional.cross_entropy(
        module(batch.tokens_BT).flatten(0, 1), batch.tokens_BT.flatten(), reduction="sum"
    )


def develop(module: nn.Module) -> Development:
    value = float(loss(module, next(Corpus().epoch(99)))) / 36
    return Development(value, {}, -value, [])


def train(run: Path, pipe: int) -> None:
    """What the child does: train to the end, and say which steps are saved and how it ended."""

    def report(progress: Progress) -> None:
        for event in progress.events:
            if isinstance(event, Saved):
                os.write(pipe, f"{event.step}\n".encode())

    fitted = fit(
        model(),
        Corpus(),
        loss,
        SETTINGS,
        run,
        develop=develop,
        report=report,
        interrupt=Interrupt(),
        device=torch.device("cpu"),
        fingerprint={},
        resume=True,
    )
    digest = hashlib.sha256()
    for name, tensor in sorted(fitted.weights.items()):
        digest.update(name.encode() + bytes(tensor.view(torch.uint8).flatten().tolist()))
    os.write(pipe, f"end {digest.hexdigest()}\n".encode())


@dataclass
class Figures:
    """What has been seen so far."""

    kills: int = 0
    while_saving: int = 0
    before_first: int = 0
    verified: int = 0
    runs: int = 0
    lost_most: int = 0
    failures: list[str] = field(default_factory=list)


def attempt(run: Path, seconds: float) -> tuple[list[str], bool]:
    """Train in a child, killed after ``seconds``; what it said, and whether it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            train(run, writing)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    limit, said, ended = time.monotonic() + seconds, b"", False
    while not ended and (left := limit - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            content = os.read(reading, 4_096)
            said, ended = said + content, not content
    if not ended:
        os.kill(child, signal.SIGKILL)
        while content := os.read(reading, 4_096):
            said += content
    os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in {0, -signal.SIGKILL}:
        raise SystemExit(f"the child failed by itself: exit code {code}")
    return said.decode().split("\n")[:-1], code != 0


def lines(run: Path) -> list[dict[str, object]]:
    """The journal without what depends on the clock."""
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in {"seconds", "target_tokens_per_second"}} for line in found]


def look(run: Path, reported: int, figures: Figures) -> None:
    """After a kill: does a verified checkpoint load, and how much is lost?"""
    folder = run / "checkpoints"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    figures.while_saving += any(name.startswith((TEMPORARY, REPLACED)) for name in names)
    found = newest_checkpoint(run, lambda text: figures.failures.append(text))
    if found is None:
        figures.before_first += 1
        if reported:
            figures.failures.append(f"no checkpoint, although step {reported} was reported as saved")
        return
    shapes = {name: (tuple(each.shape), each.dtype) for name, each in model().state_dict().items()}
    _, step = newest_weights(run, shapes)
    figures.verified += 1
    figures.lost_most = max(figures.lost_most, reported - step)


def disturbed_run(run: Path, whole: tuple[str, list[dict[str, object]]], figures: Figures, chance: random.Random,
                  seconds: float, kills: int) -> None:  # fmt: skip
    """One run, killed until it ends or there have been enough kills; then it may end in peace."""
    reported = 0
    while True:
        enough = figures.kills >= kills
        said, killed = attempt(run, 600.0 if enough else chance.uniform(0.0, seconds))
        reported = max([reported, *(int(line) for line in said if line.isdecimal())])
        if killed:
            figures.kills += 1
            look(run, reported, figures)
            continue
        figures.runs += 1
        if said[-1] != whole[0] or lines(run) != whole[1]:
            figures.failures.append(f"run {figures.runs} ended with other weights or another journal")
        leftovers = [path.name for path in run.rglob("*") if path.name.startswith((TEMPORARY, REPLACED))]
        if leftovers:
            figures.failures.append(f"run {figures.runs} left {leftovers}")
        return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.optim.AdamW(model().parameters())  # torch loads its compiler with the first optimiser: seconds
    chance, figures, started = random.Random(options.seed), Figures(), time.monotonic()
    base = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        said, _ = attempt(base / "whole", 600.0)
        seconds, whole = time.monotonic() - started, (said[-1], lines(base / "whole"))
        while figures.kills < options.kills:
            run = base / f"run-{figures.runs}"
            disturbed_run(run, whole, figures, chance, seconds / 2, options.kills)
            shutil.rmtree(run)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    print(f"kills: {figures.kills}, of these {figures.while_saving} in the middle of a save")
    print(f"a verified checkpoint loaded after: {figures.verified} ({figures.before_first} came before the first)")
    print(f"saved steps lost at most: {figures.lost_most}")
    print(f"runs that ended: {figures.runs}, each compared with an undisturbed one (weights and journal)")
    print(f"failures: {len(figures.failures)}   ({time.monotonic() - started:.0f} s)")
    print("\n".join(figures.failures))
    return 1 if figures.failures or figures.lost_most else 0


if __name__ == "__main__":
    sys.exit(main())
