"""The order of training on one long text: windows side by side, in an order drawn anew for every epoch.

A window is a run of pieces that are to be foreseen, with the pieces in front of it. Windows do not depend on one
another: what a model knows at the beginning of one is what it makes of the pieces in front, so that they can come
in any order, and a run can go on after any batch. The order is a pure function of (seed, epoch).

Shapes: B windows · T pieces of a window · P pieces in front · V vocabulary
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2see.data.stream_cache import CachedStream
from seq2see.errors import InputError
from seq2see.text.tokeniser import PAD, SOS


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Some windows of a text.

    rows_B: the number of the first piece of each (int64).
    before_BP: what stands in front of ``input_BT``, from the left, filled up with <pad>; P may be 0.
    before_valid_BP: True where there is a piece or <sos>.
    input_BT: the piece in front of each of ``gold_BT``; <sos> in front of the first, where a window begins anew.
    gold_BT: what is to be foreseen (int64).
    tokens: how many pieces count in the loss.
    """

    rows_B: Tensor
    before_BP: Tensor
    before_valid_BP: Tensor
    input_BT: Tensor
    gold_BT: Tensor
    tokens: int

    def __len__(self) -> int:
        return len(self.rows_B)

    @property
    def padding_share(self) -> float:
        """No window is filled up."""
        return 0.0

    def to(self, device: torch.device) -> "TextBatch":
        return TextBatch(
            self.rows_B.to(device),
            self.before_BP.to(device),
            self.before_valid_BP.to(device),
            self.input_BT.to(device),
            self.gold_BT.to(device),
            self.tokens,
        )

    def shard(self, rank: int, world: int) -> "TextBatch":
        """Every ``world``-th window from number ``rank`` on; without any, the first window and nothing to foresee."""
        chosen = slice(rank, None, world) if rank < len(self) else slice(0, 1)
        gold_BT = self.gold_BT[chosen]
        return TextBatch(
            self.rows_B[chosen],
            self.before_BP[chosen],
            self.before_valid_BP[chosen],
            self.input_BT[chosen],
            gold_BT,
            gold_BT.numel() if rank < len(self) else 0,
        )


class TextWindows:
    """All of a text in windows of ``length`` pieces, epoch after epoch.

    An epoch begins with a shift, drawn from 1 to ``length``: every piece from there on, but for fewer than
    ``length`` at the end, is foreseen once; and so is the beginning of the text, in a window of its own. The
    shift differs from epoch to epoch, so that no piece is always the first of its window, or left out.

    A window reads ``before`` pieces in front of its first input. Where it begins behind a piece of
    ``line_breaks`` it begins anew, as a text does, with <sos> in the place of the line break and nothing before:
    that is how a model learns to begin.
    """

    def __init__(
        self,
        stream: CachedStream,
        *,
        length: int,
        before: int,
        tokens: int,
        seed: int,
        line_breaks: Sequence[int] = (),
    ) -> None:
        """A batch has as many windows as ``tokens`` pieces are, at least one."""
        if not len(stream):
            raise InputError("There is no text to make windows of.")
        if min(length, tokens) < 1 or before < 0:
            raise InputError(f"length = {length} and tokens = {tokens} must be at least 1, and before = {before} 0.")
        self._stream = stream
        self._length = min(length, len(stream))
        self._before = before
        self._rows = max(1, tokens // self._length)
        self._seed = seed
        self._line_breaks = frozenset(line_breaks)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[TextBatch]:
        """The batches of one epoch (from 0), from batch ``start`` on."""
        random = _random(self._seed, epoch)
        shift = self._shift(random)
        order_N = torch.randperm(self._windows(shift), generator=random)
        for first in range(start * self._rows, len(order_N), self._rows):
            chosen = order_N[first : first + self._rows].tolist()
            yield self._batch([shift + (number - 1) * self._length if number else 0 for number in chosen])

    def count(self, epoch: int) -> int:
        """The number of batches in that epoch."""
        return -(-self._windows(self._shift(_random(self._seed, epoch))) // self._rows)

    def _shift(self, random: torch.Generator) -> int:
        """Where the second window begins; 0 where there is no second."""
        most = min(self._length, len(self._stream) - self._length)
        return int(torch.randint(1, most + 1, (), generator=random)) if most > 0 else 0

    def _windows(self, shift: int) -> int:
        return 1 + (len(self._stream) - shift) // self._length if shift else 1

    def _batch(self, starts: list[int]) -> TextBatch:
        T, P = self._length, self._before
        before_BP = torch.full((len(starts), P), PAD)
        before_valid_BP = torch.zeros(len(starts), P, dtype=torch.bool)
        input_BT = torch.empty(len(starts), T, dtype=torch.long)
        gold_BT = torch.empty(len(starts), T, dtype=torch.long)
        for row, start in enumerate(starts):
            front_I, gold_BT[row] = self._read(start)
            input_BT[row, 0] = front_I[-1]
            before_BP[row, : len(front_I) - 1] = front_I[:-1]
            before_valid_BP[row, : len(front_I) - 1] = True
        input_BT[:, 1:] = gold_BT[:, :-1]
        return TextBatch(torch.tensor(starts), before_BP, before_valid_BP, input_BT, gold_BT, gold_BT.numel())

    def _read(self, start: int) -> tuple[Tensor, Tensor]:
        """What stands in front of a window, one to P + 1 pieces, and the window."""
        first = max(0, start - 1 - self._before)
        found_I = self._stream.read(first, start + self._length)
        front_I, gold_T = found_I[: start - first], found_I[start - first :]
        if not start or int(front_I[-1]) in self._line_breaks:
            return torch.tensor([SOS]), gold_T
        if start <= self._before:
            return torch.cat([torch.tensor([SOS]), front_I]), gold_T
        return front_I, gold_T


def _random(seed: int, epoch: int) -> torch.Generator:
    digest = hashlib.sha256(f"windows {seed} {epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
