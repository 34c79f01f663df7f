"""A memory as a decoding state keeps it: keys and values projected once, one of each for a sentence.

B sentences · S source positions · N rows = B·W · W beam.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2see.models.contracts import Memory
from seq2see.nn.attention import Attention, KeyValue, project_layers


@dataclass(frozen=True)
class ProjectedMemory:
    """Keys and values for each layer that looks at the memory; the beams of a sentence share them."""

    layers: tuple[KeyValue, ...]
    allowed_B1S: Tensor

    @property
    def sentences(self) -> int:
        """B"""
        return self.allowed_B1S.shape[0]

    def take(self, rows_BW: Tensor, rows_before: int) -> "ProjectedMemory":
        """The memories of the sentences to which these rows, out of ``rows_before``, belong."""
        sentences_B = rows_BW[:, 0] // (rows_before // self.sentences)
        if counts_up(sentences_B, self.sentences):
            return self
        return ProjectedMemory(
            tuple(KeyValue(*(part.index_select(0, sentences_B) for part in layer)) for layer in self.layers),
            self.allowed_B1S.index_select(0, sentences_B),
        )


def project(layers: Sequence[Attention], memory: Memory) -> ProjectedMemory:
    """Every layer's keys and values, laid out for being read many times."""
    projected = project_layers(layers, memory.states_BSD)
    return ProjectedMemory(
        tuple(KeyValue(*(part.contiguous() for part in layer)) for layer in projected),
        memory.valid_BS.unsqueeze(1),
    )


def counts_up(indices: Tensor, count: int) -> bool:
    """Whether the indices are 0, 1, … count − 1: then there is nothing to move."""
    return indices.numel() == count and torch.equal(
        indices, torch.arange(count, device=indices.device, dtype=indices.dtype)
    )
