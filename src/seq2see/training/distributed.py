"""Several processes that train one model, each on its share of every batch. torch does the work.

``torchrun --nproc-per-node 2 -m seq2see train …`` needs no other command line: the processes find each other
by the environment that torchrun sets. The gradients are summed once an update, in few large pieces, outside
autograd. torch's DDP module would sum them during the backward pass, which needs the same number of passes in
every process and all parameters used inside one ``forward``; here a process that ran out of memory does more
passes than the others, and the loss reads the output layer directly.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from seq2see.errors import InputError, Seq2seeError

_PIECE = 1 << 23  # numbers summed in one go: large enough for the network, small enough to copy
_PATIENCE = timedelta(hours=2)  # how long the others wait while the first process evaluates and saves


@dataclass(frozen=True)
class World:
    """This process among all. With one process every method gives back what it was given.

    ``machines``: how many machines they run on, as many on each and in the order of their ranks; 1 where that is
    not so, or nobody has said it.
    """

    rank: int
    size: int
    device: torch.device
    machines: int = 1

    @property
    def machine(self) -> int:
        """The number of this process's machine."""
        return self.rank * self.machines // self.size

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def totals(self, values: Sequence[float]) -> list[float]:
        """Of each value the sum over all processes."""
        return self._reduced(values, dist.ReduceOp.SUM)

    def highest(self, values: Sequence[float]) -> list[float]:
        """Of each value the highest of all processes: how all of them come to the same decision."""
        return self._reduced(values, dist.ReduceOp.MAX)

    def from_main(self, values: Sequence[float]) -> list[float]:
        """The values that the first process gave; those of the others do not count."""
        if self.size == 1:
            return list(values)
        numbers = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        dist.broadcast(numbers, 0)
        return [float(number) for number in numbers.tolist()]

    def gather(self, data: bytes) -> list[bytes]:
        """The bytes that each process gave, in order of rank."""
        if self.size == 1:
            return [data]
        longest = int(self.highest([len(data)])[0])
        padded = len(data).to_bytes(8, "little") + data.ljust(longest, b"\0")
        mine = torch.frombuffer(bytearray(padded), dtype=torch.uint8).to(self.device)
        parts = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(parts, mine)
        contents = [bytes(part.cpu().tolist()) for part in parts]
        return [content[8 : 8 + int.from_bytes(content[:8], "little")] for content in contents]

    def copy_from_main(self, module: nn.Module) -> None:
        """Give every process the parameters and buffers of the first."""
        if self.size > 1:
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor.detach(), 0)

    def sum_gradients(self, parameters: Iterable[nn.Parameter], *, rounded: bool = False) -> None:
        """Replace each gradient by its sum over all processes; one that no process has stays None.

        ``rounded``: they travel as bfloat16, half the bytes, with eight bits each and in each sum on the way.
        """
        if self.size == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        present = torch.tensor([float(parameter.grad is not None) for parameter in trained], device=self.device)
        dist.all_reduce(present)
        gradients = []
        for parameter, count in zip(trained, present.tolist(), strict=True):
            if count:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        for piece in _pieces(gradients):
            sizes = [gradient.numel() for gradient in piece]
            flat = torch.cat([gradient.reshape(-1) for gradient in piece])
            if rounded:
                flat = flat.bfloat16()
            dist.all_reduce(flat)
            for gradient, part in zip(piece, flat.split_with_sizes(sizes), strict=True):
                gradient.copy_(part.view_as(gradient))

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The first process does the block before all others: what it prepares (a cache), they find."""
        if not self.main:
            self.highest([0.0])
        yield
        if self.main:
            self.highest([0.0])

    def _reduced(self, values: Sequence[float], operation: dist.ReduceOp.RedOpType) -> list[float]:
        if self.size == 1:
            return list(values)
        numbers = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        dist.all_reduce(numbers, operation)
        return [float(number) for number in numbers.tolist()]


@contextmanager
def join(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun has started; without it, a world of one.

    Inside another ``join`` it gives the same world. On GPUs each process takes the one of its local rank.

    Raises:
        InputError: the environment is not one that torchrun makes.
    """
    (rank, size), local = rank_and_size(), _number("LOCAL_RANK", 0)
    if device.type == "cuda" and size > 1:
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    world = World(rank, size, device)
    if size == 1:
        yield world
        return
    if dist.is_initialized():
        yield _placed(world)
        return
    store, _, _ = next(rendezvous("env://", rank, size, timeout=_PATIENCE))
    # After a restart the store may still hold the addresses of the processes before, which are gone.
    attempt = PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=attempt, rank=rank, world_size=size, timeout=_PATIENCE)
    try:
        yield _placed(world)
    except RuntimeError as error:
        if isinstance(error, dist.DistBackendError) or "gloo" in str(error):
            raise Seq2seeError(
                "another process of this training has ended; with --max-restarts torchrun starts all of them again, "
                "and they go on from the last checkpoint"
            ) from error
        raise
    finally:
        dist.destroy_process_group()


def _placed(world: World) -> World:
    """The world, with its machines: every process is asked, so that all come to the same answer."""
    local = _number("LOCAL_WORLD_SIZE", 1) if "LOCAL_WORLD_SIZE" in os.environ else world.size
    odd = world.size % local or world.rank % local != _number("LOCAL_RANK", 0)
    most, least, somewhere_odd = world.highest([local, -local, float(bool(odd))])
    alike = most == -least and not somewhere_odd
    return replace(world, machines=world.size // local if alike else 1)


def rank_and_size() -> tuple[int, int]:
    """Which of how many processes this is, as torchrun has said; alone, 0 of 1.

    Raises:
        InputError: the environment is not one that torchrun makes.
    """
    rank, size = _number("RANK", 0), _number("WORLD_SIZE", 1)
    if rank >= size:
        raise InputError(f"RANK={rank} with WORLD_SIZE={size}: ranks go from 0 to {size - 1}; use torchrun")
    return rank, size


def _number(name: str, least: int) -> int:
    text = os.environ.get(name, str(least))
    if not text.isdecimal() or int(text) < least:
        raise InputError(f"environment variable {name}={text!r}: expected a number from {least}, as torchrun sets it")
    return int(text)


def _pieces(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Runs of gradients of one type, at most ``_PIECE`` numbers each unless a single one is larger."""
    piece: list[Tensor] = []
    for gradient in gradients:
        full = sum(part.numel() for part in piece) + gradient.numel() > _PIECE
        if piece and (full or gradient.dtype != piece[0].dtype):
            yield piece
            piece = []
        piece.append(gradient)
    if piece:
        yield piece
