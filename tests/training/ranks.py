"""What each of several processes does in the tests of training together; results go into RUN/rank-N.json."""

import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tiny_training import Corpus, Pairs, digest, lines, run, summed_loss, tiny, training
from torch import Tensor, nn

from seq2see.errors import Stopped
from seq2see.training.distributed import World, join
from seq2see.training.interrupt import Interrupt

CORPUS = Corpus(sentences=17)  # the last batch has one row: one process has nothing to do
SETTINGS = {"steps": 7, "evaluate_every": 3}


def primitives(world: World) -> dict[str, Any]:
    """What the world says of itself."""
    rank = world.rank
    module = nn.Linear(2, 3)
    with torch.no_grad():
        module.weight.fill_(rank + 1.0)
    world.copy_from_main(module)
    module.weight.grad = torch.full((3, 2), rank + 1.0)
    if rank == 1:
        module.bias.grad = torch.arange(3.0)
    world.sum_gradients(module.parameters())
    third = 1 / 3 * (rank + 1)
    rounded = nn.Linear(1, 1, bias=False)
    rounded.weight.grad = torch.tensor([[third]])
    world.sum_gradients(rounded.parameters(), rounded=True)
    order = []
    with world.main_first():
        if world.main:
            time.sleep(0.3)
        order.append(time.time())
    assert module.bias.grad is not None
    return {
        "totals": world.totals([rank + 1.0, 0.5]),
        "highest": world.highest([float(rank), -float(rank)]),
        "from_main": world.from_main([10.0 + rank]),
        "gathered": [part.decode() for part in world.gather(b"ab" if rank else b"")],
        "copied": module.weight[0, 0].item(),
        "weight": module.weight.grad[0, 0].item(),
        "bias": module.bias.grad.tolist(),
        "rounded": rounded.weight.grad.item(),
        "order": order,
    }


def together(folder: Path, settings: Mapping[str, Any] = SETTINGS, **given: Any) -> dict[str, Any]:
    """A run; its weights, and the journal where this is the process that writes it."""
    fitted = run(folder, training(**settings), corpus=CORPUS, **given)
    found = lines(folder)
    return {"digest": digest(fitted.weights), "lines": found, "reason": fitted.reason}


def disturbed(world: World, at: int, what: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, Pairs], Tensor]:
    """A loss to which something happens in the second process, at its call number ``at``."""
    calls: list[int] = []

    def loss(module: nn.Module, batch: Pairs) -> Tensor:
        calls.append(1)
        value = summed_loss(module, batch)
        return what(value) if world.rank == 1 and len(calls) == at else value

    return loss


def stopped(world: World, folder: Path) -> dict[str, Any]:
    """A signal comes in the second process only; both stop; both go on."""
    interrupt = Interrupt()

    def signalled(value: Tensor) -> Tensor:
        interrupt.signal_number = 15
        return value

    try:
        together(folder, loss=disturbed(world, 4, signalled), interrupt=interrupt)
    except Stopped as error:
        return {"code": error.exit_code, "text": str(error), **together(folder, resume=True)}
    raise AssertionError("it did not stop")


def memory_fails(value: Tensor) -> Tensor:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory")


def main(folder: Path) -> None:
    with join(torch.device("cpu")) as world:
        results = {"rank": world.rank, "size": world.size, "primitives": primitives(world)}
        results["plain"] = together(folder / "plain", model=tiny(dropout=0.0))
        results["dropout"] = together(folder / "dropout")
        rounded = {**SETTINGS, "exchange": "bfloat16"}
        results["rounded"] = together(folder / "rounded", rounded, model=tiny(dropout=0.0))
        results["stopped"] = stopped(world, folder / "stopped")
        nan = disturbed(world, 3, lambda value: value * math.nan)
        results["nan"] = together(folder / "nan", loss=nan)
        results["memory"] = together(folder / "memory", model=tiny(dropout=0.0), loss=disturbed(world, 3, memory_fails))
    (folder / f"rank-{world.rank}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
