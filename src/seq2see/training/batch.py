"""What training asks of batches, and nothing more: it does not look inside. And how they come in groups."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from seq2see.data.ahead import ahead
from seq2see.errors import InputError, Seq2seeError


class Batch(Protocol):
    """Some examples. B rows."""

    @property
    def rows_B(self) -> Tensor:
        """Which rows of the corpus these are."""

    @property
    def tokens(self) -> int:
        """How many gold tokens count in the loss."""

    @property
    def padding_share(self) -> float:
        """Share of the positions that only fill up."""

    def shard(self, rank: int, world: int) -> Self:
        """Rows ``rank``, ``rank + world`` …; a shard without rows holds one row and 0 tokens."""

    def to(self, device: torch.device) -> Self:
        """The same on another device."""


AnyBatch = TypeVar("AnyBatch", bound=Batch)
AnyBatch_co = TypeVar("AnyBatch_co", bound=Batch, covariant=True)


class Batches(Protocol[AnyBatch_co]):
    """The batches of a corpus, in an order that depends on nothing but the epoch."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[AnyBatch_co]:
        """The batches of an epoch from number ``start`` on."""

    def count(self, epoch: int) -> int:
        """How many batches the epoch has."""


LossFunction = Callable[[nn.Module, AnyBatch], Tensor]
"""The loss summed over a batch's gold tokens: a tensor of one number, with its gradient."""


@dataclass(frozen=True)
class Group(Generic[AnyBatch]):
    """The batches of one update: numbers ``first`` to ``last`` of ``epoch``; after them comes ``after``."""

    batches: Sequence[AnyBatch]
    epoch: int
    first: int
    last: int
    after: tuple[int, int]

    @property
    def tokens(self) -> int:
        """Gold tokens of all batches, over all processes."""
        return sum(batch.tokens for batch in self.batches)

    def __str__(self) -> str:
        rows = [int(row) for batch in self.batches for row in batch.rows_B[:4].tolist()][:4]
        numbers = f"batch {self.first}" if self.first == self.last else f"batches {self.first} to {self.last}"
        return f"epoch {self.epoch}, {numbers} (rows {', '.join(map(str, rows))} …)"


def groups(
    batches: Batches[AnyBatch],
    count: Callable[[int], int],
    size: int,
    epoch: int,
    batch: int,
    *,
    made_ahead: bool,
) -> Generator[Group[AnyBatch]]:
    """Groups of ``size`` batches without end, from number ``batch`` of ``epoch`` on.

    ``made_ahead``: the next ones are made in a thread meanwhile. That is for a device which computes by itself;
    on a CPU such a thread takes a core from the products and halves the speed (decision 0010).
    ``count`` is the number of batches of an epoch. The end of an epoch ends a group, so that a budget in epochs
    is kept to the batch.

    Raises:
        InputError: an epoch has no batch.
        Seq2seeError: an epoch gave fewer batches than it counts.
    """
    while True:
        most, collected = count(epoch), list[AnyBatch]()
        if most < 1:
            raise InputError("there is nothing to train on: the data gave no batch")
        found_in_order = batches.epoch(epoch, batch)
        supply = ahead(found_in_order) if made_ahead else found_in_order
        for number, found in enumerate(supply, start=batch):
            collected.append(found)
            ended = number + 1 >= most
            if ended or len(collected) == size:
                after = (epoch + 1, 0) if ended else (epoch, number + 1)
                yield Group(collected, epoch, number + 1 - len(collected), number, after)
                collected = []
            if ended:
                break
        else:
            raise Seq2seeError(f"epoch {epoch} has {most:,} batches but gave fewer; the data has changed")
        epoch, batch = epoch + 1, 0
