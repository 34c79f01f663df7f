"""Windows of series as examples: every stretch of a length, in an order drawn anew for every epoch.

B windows of a batch · T steps of a window · C series · L steps of a series
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2see.errors import InputError


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Some windows of scaled values.

    rows_B: their numbers among all windows. series_B: which series each is of. predicted: how many values at the
    end of each window count in the loss.
    """

    rows_B: Tensor
    values_BT: Tensor
    series_B: Tensor
    predicted: int
    tokens: int

    @property
    def padding_share(self) -> float:
        """Nothing is padded."""
        return 0.0

    @property
    def gold_BG(self) -> Tensor:
        """The values that count."""
        return self.values_BT[:, self.values_BT.shape[1] - self.predicted :]

    def shard(self, rank: int, world: int) -> "WindowBatch":
        """See ``seq2see.training.batch.Batch``."""
        if rank >= len(self.rows_B):
            return WindowBatch(self.rows_B[:1], self.values_BT[:1], self.series_B[:1], self.predicted, 0)
        rows_B = self.rows_B[rank::world]
        tokens = len(rows_B) * self.predicted
        return WindowBatch(rows_B, self.values_BT[rank::world], self.series_B[rank::world], self.predicted, tokens)

    def to(self, device: torch.device) -> "WindowBatch":
        """The same on another device."""
        values_BT, series_B = self.values_BT.to(device), self.series_B.to(device)
        return WindowBatch(self.rows_B.to(device), values_BT, series_B, self.predicted, self.tokens)


class Windows:
    """All windows of ``length`` steps that lie within the series, ``predicted`` values of each counting.

    The order of an epoch is a pure function of the seed and its number; a batch has about ``tokens`` values
    that count, and at least one window.
    """

    def __init__(self, scaled_CL: Tensor, length: int, predicted: int, *, tokens: int, seed: int) -> None:
        """``scaled_CL`` has NaN before a series begins and after it ends; such windows are none.

        Raises:
            InputError: there is no window.
        """
        if scaled_CL.shape[1] < length:
            raise InputError(f"{scaled_CL.shape[1]} steps to train on hold no window of {length} steps")
        missing_CL = torch.nn.functional.pad(scaled_CL.isnan().long().cumsum(1), (1, 0))
        self._places_W2 = (missing_CL[:, length:] == missing_CL[:, :-length]).nonzero()
        if not len(self._places_W2):
            raise InputError(f"no series has {length} steps in a row to train on")
        self._every_CWT = scaled_CL.float().unfold(1, length, 1)
        self._predicted = predicted
        self._size = max(1, tokens // predicted)
        self._seed = seed

    def __len__(self) -> int:
        return len(self._places_W2)

    def count(self, epoch: int) -> int:
        """How many batches an epoch has."""
        return -(-len(self) // self._size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[WindowBatch]:
        """The batches of an epoch from number ``start`` on."""
        digest = hashlib.sha256(f"windows {self._seed} {epoch}".encode()).digest()
        random = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        order = torch.randperm(len(self), generator=random).tolist()
        for number in range(start, self.count(epoch)):
            yield self.batch(order[number * self._size : (number + 1) * self._size])

    def batch(self, rows: Sequence[int]) -> WindowBatch:
        """The windows with these numbers."""
        rows_B = torch.tensor(rows)
        series_B, first_B = self._places_W2[rows_B].unbind(1)
        values_BT = self._every_CWT[series_B, first_B]
        return WindowBatch(rows_B, values_BT, series_B, self._predicted, len(rows) * self._predicted)
