"""A tiny model, a tiny corpus and one run of the training loop, for tests and for processes that tests kill.

B sentences · T positions · V vocabulary · D width
"""

import argparse
import hashlib
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seq2see.config.settings import TrainingSettings
from seq2see.errors import Seq2seeError
from seq2see.storage.tensors import save_tensors
from seq2see.training import checkpoint
from seq2see.training.interrupt import Interrupt, catch_signals
from seq2see.training.loop import Development, Fitted, Progress, fit

V, D = 11, 5


@dataclass(frozen=True)
class Pairs:
    """Sentences; the gold piece of a position is its successor modulo V."""

    rows_B: Tensor
    input_BT: Tensor
    valid_BT: Tensor

    @property
    def tokens(self) -> int:
        return int(self.valid_BT.sum())

    @property
    def padding_share(self) -> float:
        return 1 - self.tokens / self.valid_BT.numel()

    def shard(self, rank: int, world: int) -> "Pairs":
        if rank >= len(self.rows_B):
            return Pairs(self.rows_B[:1], self.input_BT[:1], torch.zeros_like(self.valid_BT[:1]))
        return Pairs(self.rows_B[rank::world], self.input_BT[rank::world], self.valid_BT[rank::world])

    def to(self, device: torch.device) -> "Pairs":
        return Pairs(self.rows_B.to(device), self.input_BT.to(device), self.valid_BT.to(device))


@dataclass(frozen=True)
class Corpus:
    """``sentences`` of 1 to 7 pieces, in batches of ``rows``, in another order each epoch."""

    sentences: int = 19
    rows: int = 4
    poisoned: int = -1  # the row whose first piece is out of range, for a loss that looks for it

    def count(self, epoch: int) -> int:
        return -(-self.sentences // self.rows)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Pairs]:
        order = list(range(self.sentences))
        random.Random(epoch).shuffle(order)
        for number in range(start, self.count(epoch)):
            yield self.batch(order[number * self.rows : (number + 1) * self.rows])

    def batch(self, rows: list[int]) -> Pairs:
        sentences = [random.Random(1_000 + row) for row in rows]
        lengths = [generator.randint(1, 7) for generator in sentences]
        input_BT = torch.zeros(len(rows), max(lengths), dtype=torch.long)
        for place, (generator, length) in enumerate(zip(sentences, lengths, strict=True)):
            input_BT[place, :length] = torch.tensor([generator.randrange(V) for _ in range(length)])
        valid_BT = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
        return Pairs(torch.tensor(rows), input_BT, valid_BT)


class Tiny(nn.Module):
    """Embedding, dropout, output layer."""

    def __init__(self, dropout: float = 0.3, tie: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, D)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(D, V)
        if tie:
            self.output.weight = self.embedding.weight

    def forward(self, input_BT: Tensor) -> Tensor:
        logits_BTV: Tensor = self.output(self.dropout(self.embedding(input_BT)))
        return logits_BTV


def tiny(dropout: float = 0.3, tie: bool = False) -> Tiny:
    torch.manual_seed(7)
    return Tiny(dropout, tie)


def summed_loss(module: nn.Module, batch: Pairs) -> Tensor:
    gold_BT = (batch.input_BT + 1) % V
    logits_NV, gold_N = module(batch.input_BT)[batch.valid_BT], gold_BT[batch.valid_BT]
    return nn.functional.cross_entropy(logits_NV.float(), gold_N, reduction="sum")


def developed(model: nn.Module) -> Development:
    """The loss on some sentences without dropout; draws random numbers, as a sampling search would."""
    assert not model.training
    torch.rand(3)
    batch = Corpus().batch([100, 101, 102])
    loss = float(summed_loss(model, batch)) / batch.tokens
    return Development(loss, {"accuracy": -loss}, -loss, [{"source": "s", "prediction": f"{loss:.3f}"}])


def training(**fields: Any) -> TrainingSettings:
    budget = {} if {"minutes", "epochs"} & fields.keys() else {"steps": 12}
    return TrainingSettings(**{**budget, "precision": "float32", "learning_rate": 0.05, **fields})


def run(
    folder: Path,
    settings: TrainingSettings,
    *,
    model: nn.Module | None = None,
    corpus: Any = None,
    loss: Any = summed_loss,
    develop: Callable[[nn.Module], Development] | None = developed,
    report: Callable[[Progress], None] = lambda progress: None,
    interrupt: Interrupt | None = None,
    fingerprint: dict[str, str] | None = None,
    resume: bool = False,
    force: bool = False,
) -> Fitted:
    return fit(
        model if model is not None else tiny(),
        corpus if corpus is not None else Corpus(),
        loss,
        settings,
        folder,
        develop=develop,
        report=report,
        interrupt=interrupt if interrupt is not None else Interrupt(),
        device=torch.device("cpu"),
        fingerprint=fingerprint if fingerprint is not None else {"config": "1"},
        resume=resume,
        force=force,
    )


def stop_at(step: int, number: int = 15) -> tuple[Interrupt, Callable[[Progress], None]]:
    """An interrupt that comes as the report of update ``step`` does."""
    interrupt = Interrupt()

    def report(progress: Progress) -> None:
        if progress.step == step and not progress.events:
            interrupt.signal_number = number

    return interrupt, report


def digest(weights: dict[str, Tensor]) -> str:
    """A hash of all bits."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode() + bytes(weights[name].contiguous().view(torch.uint8).flatten().tolist()))
    return found.hexdigest()


def lines(folder: Path) -> list[dict[str, Any]]:
    """The journal without what depends on the clock."""
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in {"seconds", "target_tokens_per_second"}} for line in found]


def main(arguments: list[str] | None = None) -> int:
    """Train in a process of its own; say on standard output where it is; exit as the command line would."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--pause", default="", help="where to wait for a signal: loss, develop, save; stuck: for ever")
    parser.add_argument("--say", action="store_true", help="say so after each update")
    options = parser.parse_args(arguments)
    with catch_signals() as interrupt:

        def wait(place: str) -> None:
            """Say where we are; go on when a signal has come, or at once if this is not the place."""
            if options.pause == place and not interrupt.requested:
                print(place, flush=True)
                while not interrupt.requested:
                    time.sleep(0.002)
                print("asked", flush=True)
                while place == "stuck":
                    time.sleep(0.002)

        def slow_loss(module: nn.Module, batch: Pairs) -> Tensor:
            wait("loss")
            return summed_loss(module, batch)

        def slow_develop(model: nn.Module) -> Development:
            wait("develop")
            interrupt.check()
            return developed(model)

        def slow_save(*given: Any) -> None:
            wait("save")
            save_tensors(*given)

        def report(progress: Progress) -> None:
            if progress.step > 3:
                wait("stuck")
            if options.say and progress.events:
                print(f"{type(progress.events[0]).__name__} {progress.step}", flush=True)

        checkpoint.save_tensors = slow_save
        settings = training(steps=options.steps, evaluate_every=options.every)
        try:
            fitted = run(
                options.folder,
                settings,
                loss=slow_loss,
                develop=slow_develop,
                report=report,
                interrupt=interrupt,
                resume=options.resume,
            )
        except Seq2seeError as error:
            print(error, file=sys.stderr, flush=True)
            return error.exit_code
    print(digest(fitted.weights), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
