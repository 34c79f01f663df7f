"""Batches of pictures: the order is that of all other tasks (see batching.py), the pictures come from their cache.

Shapes: B examples, C colour channels, H height, W width, N examples in all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import torch
from torch import Tensor

from seq2see.config.images import PictureData
from seq2see.data.augmentation import augmented
from seq2see.data.batch import Batch
from seq2see.data.batching import Batches
from seq2see.data.cache import CachedPairs
from seq2see.data.cache_writer import BLOCK_ROWS, CacheReport, batch_of, schema
from seq2see.data.image_cache import CachedPictures
from seq2see.data.split import SplitCounter


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Some pictures with their classes.

    rows_B: their numbers among the pictures (int64).
    pictures_BCHW: uint8.
    labels_B: the number of the class of each (int64).
    tokens: how many of them count in the loss: all, or none of a shard that only fills up.
    """

    rows_B: Tensor
    pictures_BCHW: Tensor
    labels_B: Tensor
    tokens: int

    @property
    def padding_share(self) -> float:
        """Every picture is as large as the others."""
        return 0.0

    def shard(self, rank: int, world: int) -> "ImageBatch":
        """Every ``world``-th row from row ``rank`` on; a shard without rows is the first row, which does not count."""
        filled = rank < len(self.rows_B)
        rows = slice(rank, None, world) if filled else slice(0, 1)
        rows_B = self.rows_B[rows]
        return ImageBatch(rows_B, self.pictures_BCHW[rows], self.labels_B[rows], len(rows_B) if filled else 0)

    def to(self, device: torch.device) -> "ImageBatch":
        return replace(
            self,
            rows_B=self.rows_B.to(device),
            pictures_BCHW=self.pictures_BCHW.to(device),
            labels_B=self.labels_B.to(device),
        )


@dataclass(frozen=True, eq=False)
class CaptionBatch:
    """Some pictures, each with one of its captions. The source side of ``texts`` is empty."""

    pictures_BCHW: Tensor
    texts: Batch

    @property
    def rows_B(self) -> Tensor:
        """Numbers of the captions."""
        return self.texts.rows_B

    @property
    def tokens(self) -> int:
        """Pieces of the captions, ``<eos>`` counted."""
        return self.texts.tokens

    @property
    def padding_share(self) -> float:
        """Of the captions' positions."""
        return 1.0 - self.texts.tokens / self.texts.gold_valid_BT.numel()

    def shard(self, rank: int, world: int) -> "CaptionBatch":
        """See ``Batch.shard``."""
        rows = slice(rank, None, world) if rank < len(self.rows_B) else slice(0, 1)
        return CaptionBatch(self.pictures_BCHW[rows], self.texts.shard(rank, world))

    def to(self, device: torch.device) -> "CaptionBatch":
        return CaptionBatch(self.pictures_BCHW.to(device), self.texts.to(device))


@dataclass(frozen=True)
class Supply:
    """Where the pictures of a batch come from, and what chance does to them."""

    pictures: CachedPictures
    rules: PictureData
    seed: int

    def batch(self, rows_B: Tensor, epoch: int, names_B: Tensor) -> Tensor:
        """``[B, C, H, W]`` of these rows; ``names_B`` number the examples for chance."""
        return augmented(self.pictures.pictures(rows_B), self.rules, self.seed, epoch, names_B.tolist())


class ImageBatches:
    """Pictures with their classes, epoch after epoch: ``size`` of them in a batch."""

    def __init__(self, supply: Supply, rows_N: Tensor, labels_N: Tensor, size: int) -> None:
        self._order = Batches(_alike(len(rows_N)), tokens=size, seed=supply.seed)
        self._supply, self._rows_N, self._labels_N = supply, rows_N, labels_N

    def epoch(self, epoch: int, start: int = 0) -> Iterator[ImageBatch]:
        """The batches of one epoch (from 0), from batch ``start`` on."""
        for batch in self._order.epoch(epoch, start):
            rows_B = self._rows_N[batch.rows_B]
            pictures_BCHW = self._supply.batch(rows_B, epoch, rows_B)
            yield ImageBatch(rows_B, pictures_BCHW, self._labels_N[batch.rows_B], len(rows_B))

    def count(self, epoch: int) -> int:
        """The number of batches in that epoch."""
        return self._order.count(epoch)


def _alike(count: int) -> CachedPairs:
    """So many examples with a target of one position, the class: what the order of training is made of."""
    columns = schema(1, 1)

    def block(number: int) -> pa.RecordBatch:
        return batch_of([([], [], 0)] * min(BLOCK_ROWS, count - number * BLOCK_ROWS), columns)

    return CachedPairs(block, count, CacheReport(read=count, kept=count))


class CaptionBatches:
    """Captions of like length, each with its picture, epoch after epoch."""

    def __init__(self, supply: Supply, cached: CachedPairs, tokens: int) -> None:
        """``cached`` has the captions as targets; their lines are the rows of their pictures."""
        self._order = Batches(cached, tokens=tokens, seed=supply.seed)
        self._supply, self._cached = supply, cached

    def epoch(self, epoch: int, start: int = 0) -> Iterator[CaptionBatch]:
        """The batches of one epoch (from 0), from batch ``start`` on."""
        for batch in self._order.epoch(epoch, start):
            rows_B = torch.tensor(self._cached.lines(batch.rows_B.tolist()))
            yield CaptionBatch(self._supply.batch(rows_B, epoch, batch.rows_B), batch)

    def count(self, epoch: int) -> int:
        """The number of batches in that epoch."""
        return self._order.count(epoch)


def split_rows(keys: Sequence[int], wanted: float, most: int) -> tuple[list[int], list[int]]:
    """Rows to train on and rows held out: those with the least hashes, equal pictures on one side.

    ``wanted`` is the share of the distinct pictures; at most about ``most`` are held out. None are, where there
    are no two distinct ones.
    """
    counter = SplitCounter()
    for key in keys:
        counter.add(key)
    limit = counter.share(wanted, most) * 2.0**64
    return [row for row, key in enumerate(keys) if key >= limit], [row for row, key in enumerate(keys) if key < limit]
