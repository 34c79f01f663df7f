"""Which pieces of a window are hidden, and what is read in their place (Devlin et al. 2019, section 3.1, Task 1).

Every window hides as many pieces as every other, so that a batch knows how many count before they are drawn.

Shapes: B windows · T pieces of a window · K hidden ones · V vocabulary
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2see.config.masked import MaskingSettings
from seq2see.data.text_windows import TextWindows
from seq2see.text.tokeniser import UNK

MASK = UNK  # what is read in place of a hidden piece; no text of characters or sub-words has this piece
FIRST = UNK + 1  # the first piece that is text


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """Some windows of a text.

    rows_B: the number of the first piece of each (int64).
    gold_BT: the text (int64).
    hidden: how many pieces of each window are to be hidden, K.
    tokens: how many pieces count in the loss.
    """

    rows_B: Tensor
    gold_BT: Tensor
    hidden: int
    tokens: int

    def __len__(self) -> int:
        return len(self.rows_B)

    @property
    def padding_share(self) -> float:
        """No window is filled up."""
        return 0.0

    def to(self, device: torch.device) -> "MaskedBatch":
        return MaskedBatch(self.rows_B.to(device), self.gold_BT.to(device), self.hidden, self.tokens)

    def shard(self, rank: int, world: int) -> "MaskedBatch":
        """Every ``world``-th window from number ``rank`` on; without any, the first window and nothing to foretell."""
        chosen = slice(rank, None, world) if rank < len(self) else slice(0, 1)
        rows_B = self.rows_B[chosen]
        tokens = len(rows_B) * self.hidden if rank < len(self) else 0
        return MaskedBatch(rows_B, self.gold_BT[chosen], self.hidden, tokens)


@dataclass(frozen=True)
class MaskedWindows:
    """The windows of a text, of which ``share`` of the pieces are to be hidden."""

    windows: TextWindows
    share: float

    def epoch(self, epoch: int, start: int = 0) -> Iterator[MaskedBatch]:
        """The batches of one epoch (from 0), from batch ``start`` on."""
        for batch in self.windows.epoch(epoch, start):
            hidden = hidden_of(batch.gold_BT.shape[1], self.share)
            yield MaskedBatch(batch.rows_B, batch.gold_BT, hidden, len(batch) * hidden)

    def count(self, epoch: int) -> int:
        """The number of batches in that epoch."""
        return self.windows.count(epoch)


def hidden_of(length: int, share: float) -> int:
    """How many pieces of a window are hidden: at least one."""
    return max(1, round(share * length))


def hide(gold_BT: Tensor, hidden: int, masking: MaskingSettings, vocabulary: int) -> tuple[Tensor, Tensor]:
    """What is read, ``[B, T]``, and the places of the hidden pieces, ``[B, K]``; drawn from torch's own generator.

    Each hidden piece is masked, replaced or left by a chance of its own.
    """
    places_BK = torch.rand(gold_BT.shape, device=gold_BT.device).topk(hidden, dim=1).indices
    gold_BK = gold_BT.gather(1, places_BK)
    chance_BK = torch.rand(gold_BK.shape, device=gold_BT.device)
    read_BK = torch.where(chance_BK < masking.masked + masking.replaced, _others(gold_BK, vocabulary), gold_BK)
    read_BK = torch.where(chance_BK < masking.masked, MASK, read_BK)
    return gold_BT.scatter(1, places_BK, read_BK), places_BK


def _others(gold_BK: Tensor, vocabulary: int) -> Tensor:
    """For each piece another one that is text, all of them alike likely; itself where there is no other."""
    pieces = vocabulary - FIRST
    further_BK = torch.randint(1, max(2, pieces), gold_BK.shape, device=gold_BK.device)
    return FIRST + (gold_BK - FIRST + further_BK) % pieces
