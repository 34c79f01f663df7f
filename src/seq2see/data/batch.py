"""Pairs side by side in rectangles, as a model takes them.

Shapes: B sentences, S source positions, T target positions, R rows to choose from, I their ids end to end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from seq2see.text.tokeniser import EOS, PAD, SOS


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows of a corpus.

    rows_B: their numbers in the corpus (int64).
    source_BS: pieces and <eos>, filled up with <pad> (int64).
    source_valid_BS: True where there is a piece or <eos>.
    target_BT: <sos>, pieces, <eos>, filled up with <pad> (int64). The decoder reads ``input_BT``, all but its
        last position, and has to say ``gold_BT``, all but its first.
    gold_valid_BT: True where ``gold_BT`` counts; one position shorter than ``target_BT``.
    tokens: how many positions of ``gold_valid_BT`` are True, over all machines.
    source_tokens: the same of ``source_valid_BS``, of these rows.
    machines: of how many machines each has rows of its own of this batch; these are those of one.
    """

    rows_B: Tensor
    source_BS: Tensor
    source_valid_BS: Tensor
    target_BT: Tensor
    gold_valid_BT: Tensor
    tokens: int
    source_tokens: int
    machines: int = 1

    @staticmethod
    def of(
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        rows: Sequence[int] | None = None,
        shape_step: int = 1,
    ) -> "Batch":
        """A batch of pieces without special ones; ``rows`` are numbered from 0 unless given."""
        numbers = torch.tensor(rows if rows is not None else range(len(sources)), dtype=torch.long)
        everything = torch.arange(len(sources))
        return gather(Rectangles.of(sources), Rectangles.of(targets), everything, numbers, shape_step)

    def __len__(self) -> int:
        return len(self.rows_B)

    @property
    def input_BT(self) -> Tensor:
        return self.target_BT[:, :-1]

    @property
    def gold_BT(self) -> Tensor:
        return self.target_BT[:, 1:]

    @property
    def positions(self) -> int:
        """Source and gold positions, padding included."""
        return self.source_BS.numel() + self.gold_valid_BT.numel()

    @property
    def padding_share(self) -> float:
        """The part of `positions` that is padding, 0 to 1."""
        return 1.0 - (int(self.gold_valid_BT.sum()) + self.source_tokens) / self.positions

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        return replace(
            self,
            rows_B=self.rows_B.to(device, non_blocking=non_blocking),
            source_BS=self.source_BS.to(device, non_blocking=non_blocking),
            source_valid_BS=self.source_valid_BS.to(device, non_blocking=non_blocking),
            target_BT=self.target_BT.to(device, non_blocking=non_blocking),
            gold_valid_BT=self.gold_valid_BT.to(device, non_blocking=non_blocking),
        )

    def part(self, rows: slice) -> "Batch":
        """Some of the rows, in rectangles of the same widths. Counts its tokens, so do it before `to`."""
        source_valid_BS, gold_valid_BT = self.source_valid_BS[rows], self.gold_valid_BT[rows]
        return Batch(
            rows_B=self.rows_B[rows],
            source_BS=self.source_BS[rows],
            source_valid_BS=source_valid_BS,
            target_BT=self.target_BT[rows],
            gold_valid_BT=gold_valid_BT,
            tokens=int(gold_valid_BT.sum()),
            source_tokens=int(source_valid_BS.sum()),
        )

    def shard(self, rank: int, world: int) -> "Batch":
        """Every ``world``-th row from row ``rank`` on: the shards of all ranks are the batch.

        Where each machine has rows of its own, they are shared among its own ranks. A shard without rows, where there
        are more ranks than rows, becomes the first row with nothing to say (``gold_valid_BT`` all False, no tokens), so
        that every rank has a forward and a backward pass.
        """
        ranks = world // self.machines
        if rank % ranks < len(self):
            return self.part(slice(rank % ranks, None, ranks))
        return self.part(slice(0, 1)).silent()

    def silent(self) -> "Batch":
        """The same rows with nothing to say."""
        return replace(self, gold_valid_BT=torch.zeros_like(self.gold_valid_BT), tokens=0)


@dataclass(frozen=True)
class Rectangles:
    """Sequences end to end, to cut rectangles from. ``ids_I`` ends with one id that belongs to no row."""

    ids_I: Tensor
    starts_R: Tensor
    lengths_R: Tensor

    @staticmethod
    def joined(ids: Sequence[Tensor], lengths: Sequence[Tensor]) -> "Rectangles":
        lengths_R = torch.cat(list(lengths))
        return Rectangles(torch.cat([*ids, ids[0].new_zeros(1)]), lengths_R.cumsum(0) - lengths_R, lengths_R)

    @staticmethod
    def of(sequences: Sequence[Sequence[int]]) -> "Rectangles":
        ids_I = torch.tensor(list(chain.from_iterable(sequences)), dtype=torch.long)
        return Rectangles.joined([ids_I], [torch.tensor([len(ids) for ids in sequences], dtype=torch.long)])

    def cut(self, chosen_B: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """(ids_BS, lengths_B): the chosen rows, each with <eos> behind its last piece, then <pad>."""
        lengths_B = self.lengths_R[chosen_B]
        places_S = torch.arange(width)
        inside_BS = places_S < lengths_B[:, None]
        from_BS = torch.where(inside_BS, self.starts_R[chosen_B][:, None] + places_S, len(self.ids_I) - 1)
        ids_BS = torch.where(inside_BS, self.ids_I[from_BS].long(), PAD)
        return ids_BS.scatter_(1, lengths_B[:, None], EOS), lengths_B


def gather(sources: Rectangles, targets: Rectangles, chosen_B: Tensor, rows_B: Tensor, shape_step: int = 1) -> Batch:
    """The chosen rows of both sides as a batch; widths are rounded up to multiples of ``shape_step``."""
    source_width = rounded_up(int(sources.lengths_R[chosen_B].max()) + 1, shape_step)
    gold_width = rounded_up(int(targets.lengths_R[chosen_B].max()) + 1, shape_step)
    source_BS, source_lengths_B = sources.cut(chosen_B, source_width)
    gold_BT, target_lengths_B = targets.cut(chosen_B, gold_width)
    start_B1 = torch.full((len(chosen_B), 1), SOS)
    return Batch(
        rows_B=rows_B,
        source_BS=source_BS,
        source_valid_BS=torch.arange(source_width) <= source_lengths_B[:, None],
        target_BT=torch.cat([start_B1, gold_BT], dim=1),
        gold_valid_BT=torch.arange(gold_width) <= target_lengths_B[:, None],
        tokens=int(target_lengths_B.sum()) + len(chosen_B),
        source_tokens=int(source_lengths_B.sum()) + len(chosen_B),
    )


def rounded_up(length: int, step: int) -> int:
    return -(-length // step) * step
