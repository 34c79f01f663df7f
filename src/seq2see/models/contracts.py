"""What every encoder and every decoder promises, so that any of one goes with any of the other.

B sentences · S source positions · T target positions · N rows = B·W · W beam · D width · H heads · L layers ·
V vocabulary. Masks are Boolean, True = may be used. Padding stands at the end of a sentence.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from torch import Tensor, nn

from seq2see.config.settings import Cell
from seq2see.nn.embedding import OutputLayer
from seq2see.nn.recurrent import RecurrentState


@dataclass(frozen=True)
class FinalShape:
    """What kind of final state an encoder leaves; ``cell`` None: a mean, not a recurrent cell's state."""

    cell: Cell | None
    layers: int
    width: int


@dataclass(frozen=True)
class MemoryShape:
    """What a decoder must know of the encoder it goes with: the width of its states, and its final state."""

    width: int
    final: FinalShape


@dataclass(frozen=True)
class Memory:
    """What an encoder has made of its source. States at padding are zero."""

    states_BSD: Tensor
    valid_BS: Tensor
    final: RecurrentState
    weights: Mapping[str, Tensor]  # "encoder": [B, L, H, S, S], from a Transformer that was asked for them


def require_fit(shape: MemoryShape | None, memory: Memory | None) -> None:
    """``ValueError`` when a decoder gets a memory it was not made for, or none where it needs one."""
    if (shape is None) != (memory is None):
        made, got = ("without", "one") if shape is None else ("for", "none")
        raise ValueError(f"this decoder was made {made} a memory, but was given {got}")


class State(Protocol):
    """What a decoder knows after some steps: N rows, the same number for each sentence, side by side."""

    def take(self, rows_BW: Tensor) -> Self:
        """The state of those rows that go on.

        Row b of ``rows_BW`` lists the rows that go on for one sentence (all of them its own, repeats
        allowed); sentences not listed leave. The new state has as many rows as ``rows_BW`` elements, in that
        order. The old state is not changed.
        """
        ...


class Encoder(nn.Module, ABC):
    """Reads a source."""

    shape: MemoryShape

    @abstractmethod
    def forward(self, source_BS: Tensor, valid_BS: Tensor, want_weights: bool = False) -> Memory:
        """Tokens and which of them are valid, to a memory. Tokens at padding may be anything."""


StateT = TypeVar("StateT", bound=State)


class Decoder(nn.Module, ABC, Generic[StateT]):
    """Writes a target: token by token (``start``, ``step``), or a given one at once (``forward``).

    Both compute the same. A decoder that was made without a memory shape is a language model; its memory is
    None.
    """

    output: OutputLayer

    @abstractmethod
    def start(self, memory: Memory | None, rows: int = 1) -> StateT:
        """The state before the first token, one row a sentence. ``rows`` counts only without a memory.

        What can be computed once for a memory (keys, values, the bridge) is computed here.
        """

    @abstractmethod
    def step(self, tokens_N: Tensor, state: StateT, want_weights: bool = False) -> tuple[Tensor, StateT, Tensor | None]:
        """One token a row: logits of the next one ``[N, V]``, the new state, and, if wanted and there is
        attention to the memory, its weights ``[N, L, H, S]``."""

    @abstractmethod
    def forward(
        self,
        input_BT: Tensor,
        memory: Memory | None,
        input_valid_BT: Tensor | None = None,
        want_weights: bool = False,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Every step at once: the hidden states ``[B, T, D]``, for ``output`` to make logits of, and weights.

        Weights, if wanted: "cross" ``[B, L, H, T, S]`` where there is attention to the memory, "decoder"
        ``[B, L, H, T, T]`` where there is attention to the target itself. Nothing at a position depends on
        later ones. Hidden states that ``input_valid_BT`` calls padding are zero.
        """
