"""The order of training: rows of like length together, in an order drawn anew for every epoch.

A corpus is read in pools. A pool is some blocks of the cache, drawn at random; its rows are sorted by length
and cut into batches within a budget of positions, and the batches are shuffled. So memory is one pool, and
the disk is read block by block, however large the corpus is. The order is a pure function of (seed, epoch).

Shapes: B sentences, R rows of a pool.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seq2see.data.batch import Batch, Rectangles, gather, rounded_up
from seq2see.data.cache import CachedPairs
from seq2see.data.cache_writer import BLOCK_ROWS
from seq2see.errors import InputError

POOL_ROWS = 131_072
_EXCHANGING = 64  # neighbouring batches that exchange rows after BPE-dropout

# (row, epoch) → pieces of the source and of the target
Resegment = Callable[[int, int], tuple[list[int], list[int]]]


@dataclass(frozen=True)
class EpochPlan:
    """What an epoch will be, from the lengths alone. Positions are source and gold positions."""

    batches: int
    positions: int  # padding included
    filled: int  # of them, pieces and <eos>
    shapes: int  # different (source, target) widths

    @property
    def padding_share(self) -> float:
        return 1.0 - self.filled / self.positions


@dataclass(frozen=True)
class _Pool:
    """The batches of a pool, in their order: places of a sorted pool from ``first`` to before ``last``."""

    blocks: list[int]
    rows_R: Tensor  # corpus row of each place in the pool
    sorted_R: Tensor  # places in the pool, sorted by length
    lengths_R2: Tensor  # pieces of source and target of each place
    cuts: list[tuple[int, int]]


@dataclass(frozen=True)
class Machine:
    """One of several machines that train together: a part of each block is its own, and it reads no other ids."""

    number: int = 0
    of: int = 1

    def rows(self, rows: int) -> tuple[int, int]:
        """Which rows of a block of so many are its own: from the first to before the second."""
        return self.number * rows // self.of, (self.number + 1) * rows // self.of


ALONE = Machine()


class Batches:
    """All rows of a cache in batches, epoch after epoch.

    In every batch, rows times source positions and rows times gold positions are at most ``tokens``, padding
    included; only a row that is longer than that alone is a batch of its own. ``shape_step`` rounds widths up
    to its multiples, so that there are few shapes. At most ``pool_rows`` rows are sorted at once.

    With ``resegment`` the pieces of each row come from that function (BPE-dropout); it has to be a pure
    function of (row, epoch). The cuts are still those of the lengths in the cache, so ``tokens`` may be
    exceeded, and a pass over the lengths (`count`, `plan`) knows nothing of the new ones.

    A ``machine`` of several has only its own rows of each batch, which is the same batch whatever their number; with
    ``resegment``, whose lengths nobody knows beforehand, it has all.
    """

    def __init__(
        self,
        cached: CachedPairs,
        *,
        tokens: int,
        seed: int,
        shape_step: int = 1,
        pool_rows: int = POOL_ROWS,
        resegment: Resegment | None = None,
        machine: Machine = ALONE,
    ) -> None:
        if not len(cached):
            raise InputError("There are no pairs to make batches of.")
        if tokens < 1 or shape_step < 1:
            raise InputError(f"tokens = {tokens} and shape_step = {shape_step} must be at least 1.")
        self._cached = cached
        self._tokens = tokens
        self._seed = seed
        self._shape_step = shape_step
        self._pool_blocks = max(1, pool_rows // BLOCK_ROWS)
        self._resegment = resegment
        self._machine = machine

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch (from 0), from batch ``start`` on; ids of skipped pools are not read."""
        for pool in self._pools(epoch):
            if start >= len(pool.cuts):
                start -= len(pool.cuts)
                continue
            yield from self._batches(pool, pool.cuts[start:], epoch)
            start = 0

    def count(self, epoch: int) -> int:
        """The number of batches in that epoch. Takes a pass over all lengths."""
        return sum(len(pool.cuts) for pool in self._pools(epoch))

    def plan(self, epoch: int) -> EpochPlan:
        """The size of that epoch and its padding. Takes a pass over all lengths."""
        batches = positions = filled = 0
        shapes: set[tuple[int, int]] = set()
        for pool in self._pools(epoch):
            batches += len(pool.cuts)
            filled += int(pool.lengths_R2.sum()) + 2 * len(pool.rows_R)
            sorted_lengths_R2 = pool.lengths_R2[pool.sorted_R]
            for first, last in pool.cuts:
                longest = sorted_lengths_R2[first:last].amax(0).tolist()
                widths = [rounded_up(length + 1, self._shape_step) for length in longest]
                positions += (last - first) * sum(widths)
                shapes.add((widths[0], widths[1]))
        return EpochPlan(batches, positions, filled, len(shapes))

    def _pools(self, epoch: int) -> Iterator[_Pool]:
        blocks = self._cached.blocks
        order = torch.randperm(blocks, generator=_random(self._seed, epoch, -1)).tolist()
        pools = -(-blocks // self._pool_blocks)
        for pool in range(pools):  # of like size, so that no small one is left for the end
            chosen = order[pool * blocks // pools : (pool + 1) * blocks // pools]
            yield self._pool(sorted(chosen), _random(self._seed, epoch, pool))

    def _pool(self, blocks: list[int], random: torch.Generator) -> _Pool:
        ends = [(block * BLOCK_ROWS, min((block + 1) * BLOCK_ROWS, len(self._cached))) for block in blocks]
        source_R = torch.cat([self._cached.source_lengths(first, last) for first, last in ends])
        target_R = torch.cat([self._cached.target_lengths(first, last) for first, last in ends])
        sorted_R = by_length(source_R, target_R, self._tokens, random)
        cuts = cut(
            source_R[sorted_R].tolist(),
            target_R[sorted_R].tolist(),
            self._tokens,
            self._shape_step,
            float(torch.rand((), generator=random)),
        )
        return _Pool(
            blocks=blocks,
            rows_R=torch.cat([torch.arange(first, last) for first, last in ends]),
            sorted_R=sorted_R,
            lengths_R2=torch.stack([source_R, target_R], dim=1),
            cuts=[cuts[i] for i in torch.randperm(len(cuts), generator=random).tolist()],
        )

    def _batches(self, pool: _Pool, cuts: list[tuple[int, int]], epoch: int) -> Iterator[Batch]:
        if self._resegment is not None:
            yield from self._resegmented(self._resegment, pool, cuts, epoch)
            return
        sizes = [min(BLOCK_ROWS, len(self._cached) - block * BLOCK_ROWS) for block in pool.blocks]
        parts = [self._machine.rows(size) for size in sizes]
        # A machine without rows of its own stands by with one that is another's.
        read = [(start, max(stop, start + 1)) for start, stop in parts]
        blocks = [self._cached.block(block, *part) for block, part in zip(pool.blocks, read, strict=True)]
        sources, targets = (
            Rectangles.joined([sides[i].ids_I for sides in blocks], [sides[i].lengths_N for sides in blocks])
            for i in (0, 1)
        )
        is_read_R, is_own_R = _inside(read, sizes), _inside(parts, sizes)
        place_R = is_read_R.cumsum(0) - 1  # of a row among those that are read
        for first, last in cuts:
            chosen_B = pool.sorted_R[first:last]
            own_B = chosen_B[is_own_R[chosen_B]]
            rows_B = own_B if len(own_B) else is_read_R.nonzero()[0]
            batch = gather(sources, targets, place_R[rows_B], pool.rows_R[rows_B], self._shape_step)
            if self._machine.of > 1:
                whole = int(pool.lengths_R2[chosen_B, 1].sum()) + len(chosen_B)
                batch = replace(batch if len(own_B) else batch.silent(), tokens=whole, machines=self._machine.of)
            yield batch

    def _resegmented(
        self, resegment: Resegment, pool: _Pool, cuts: list[tuple[int, int]], epoch: int
    ) -> Iterator[Batch]:
        """Neighbouring batches exchange rows, so that each has rows of like *new* length again."""
        ordered = sorted(pool.cuts)
        groups = [ordered[start : start + _EXCHANGING] for start in range(0, len(ordered), _EXCHANGING)]
        group_of = {place: group for group, places in enumerate(groups) for place in places}
        made: dict[int, _Resegmented] = {}
        for number, (first, last) in enumerate(cuts):
            group = group_of[first, last]
            start = groups[group][0][0]
            if group not in made:
                rows_R = pool.rows_R[pool.sorted_R[start : groups[group][-1][1]]]
                made[group] = _Resegmented.of([resegment(row, epoch) for row in rows_R.tolist()], rows_R)
            chosen_B = made[group].sorted_R[first - start : last - start]
            found = made[group]
            yield gather(found.sources, found.targets, chosen_B, found.rows_R[chosen_B], self._shape_step)
            if all(group_of[later] != group for later in cuts[number + 1 :]):
                del made[group]


@dataclass(frozen=True)
class _Resegmented:
    """Some rows with their pieces of one epoch; ``sorted_R``: their places by target length, then source length."""

    sources: Rectangles
    targets: Rectangles
    rows_R: Tensor
    sorted_R: Tensor

    @staticmethod
    def of(pieces: list[tuple[list[int], list[int]]], rows_R: Tensor) -> "_Resegmented":
        sources, targets = (Rectangles.of([pair[side] for pair in pieces]) for side in (0, 1))
        span = int(sources.lengths_R.max()) + 1
        return _Resegmented(
            sources, targets, rows_R, (targets.lengths_R * span + sources.lengths_R).argsort(stable=True)
        )


def _inside(parts: list[tuple[int, int]], sizes: list[int]) -> Tensor:
    """Of blocks one after the other, which places lie in the part (from the first to before the second) of theirs."""
    places = [torch.arange(size) for size in sizes]
    return torch.cat([(each >= start) & (each < stop) for each, (start, stop) in zip(places, parts, strict=True)])


def _random(seed: int, epoch: int, pool: int) -> torch.Generator:
    digest = hashlib.sha256(f"batches {seed} {epoch} {pool}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def by_length(source_R: Tensor, target_R: Tensor, tokens: int, random: torch.Generator) -> Tensor:
    """Places in the order of one side's length, and within one length of the other's, up and down in turn.

    Going up and down makes neighbours across a step of the first side alike in the second too. Which side
    leads, where it goes up, and the order of equals are drawn, so that batches differ between epochs. Where a
    batch of ``tokens`` holds more rows than there are of one length, so that equals stay together however
    they are shuffled, the leading lengths are blurred by one.
    """
    sides = (target_R, source_R) if torch.rand((), generator=random) < 0.5 else (source_R, target_R)
    first_R, second_R = sides
    rows_in_batch = tokens / (float(torch.maximum(source_R, target_R).double().mean()) + 1)
    if rows_in_batch * int((first_R.bincount() > 0).sum()) > len(first_R):
        first_R = first_R + torch.randint(2, first_R.shape, generator=random)
    span = int(second_R.max()) + 1
    turn = int(torch.randint(2, (), generator=random))
    second_R = torch.where(first_R % 2 == turn, second_R, span - 1 - second_R)
    shuffled_R = torch.randperm(len(first_R), generator=random)
    return shuffled_R[torch.argsort((first_R * span + second_R)[shuffled_R], stable=True)]


def cut(sources: list[int], targets: list[int], tokens: int, step: int, share: float) -> list[tuple[int, int]]:
    """Cut sorted rows, given their lengths in pieces, into batches (first, behind the last) within a budget.

    Where there is more than one batch, the first has only that ``share`` (0 to 1) of the budget, which moves
    all the cuts behind it: a small corpus is cut elsewhere every time.
    """
    cuts: list[tuple[int, int]] = []
    total = sum(map(max, sources, targets)) + len(sources)
    budget = max(1, int(tokens * share)) if total > tokens else tokens
    first = width = 0
    for place, (source, target) in enumerate(zip(sources, targets, strict=True)):
        longer = source if source > target else target
        wider = rounded_up(longer + 1, step) if longer >= width else width
        if place > first and (place - first + 1) * wider > budget:
            cuts.append((first, place))
            first, budget = place, tokens
            wider = rounded_up(longer + 1, step)
        width = wider
    cuts.append((first, len(sources)))
    return cuts
