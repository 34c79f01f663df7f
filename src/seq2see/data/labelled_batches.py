"""Batches whose targets are one piece, the label.

B sentences.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor

from seq2see.data.batch import Batch
from seq2see.data.batching import Batches
from seq2see.text.vocabulary import fixed_pieces

_FIRST_LABEL = len(fixed_pieces("word"))  # the piece of label 0


@dataclass(frozen=True)
class LabelledBatches:
    """Batches whose targets are one piece, the label: nothing comes after it, and it alone counts."""

    pairs: Batches

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from number ``start`` on."""
        return map(without_end, self.pairs.epoch(epoch, start))

    def count(self, epoch: int) -> int:
        """How many batches that epoch has."""
        return self.pairs.count(epoch)


def without_end(batch: Batch) -> Batch:
    """The batch with nothing but ``<sos>`` and the label on its target side."""
    return replace(
        batch,
        target_BT=batch.target_BT[:, :2],
        gold_valid_BT=batch.gold_valid_BT[:, :1],
        tokens=len(batch),
    )


def label_numbers(batch: Batch) -> Tensor:
    """The number of each row's label, ``[B]``."""
    return batch.gold_BT[:, 0] - _FIRST_LABEL
