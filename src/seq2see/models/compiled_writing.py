"""A whole search in one call of a compiled kernel: greedy, or with a beam (``nn/native/kernels.c``, ``beam.c``).

B sentences · W beam · N rows · D width · V vocabulary · L layers · R rows of a memory · S source positions ·
T positions
"""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings
from seq2see.errors import InputError
from seq2see.models.compiled_blocks import Blocks, Positions, PositionTable
from seq2see.models.projected import counts_up
from seq2see.nn.embedding import Embedding
from seq2see.nn.native.library import Beams, Lists, Step, Writing, pointer
from seq2see.nn.native.products import Packed
from seq2see.nn.position import LearnedPosition
from seq2see.text.tokeniser import EOS, SOS

_LARGEST_CACHE = 1 << 28  # numbers: a gigabyte

Written = tuple[list[int], list[float], bool]
"""Tokens, the log-probability of each, and whether they end by ``<eos>``."""


@dataclass(frozen=True, eq=False)
class KernelMemory:
    """Keys and values of a memory for all layers."""

    key_value_L2RD: Tensor
    first: Tensor  # [B + 1], int32: where a sentence begins
    longest: int  # S


def memory_places(memory: KernelMemory | None) -> dict[str, int | None]:
    """What a step of the kernels is told of a memory."""
    if memory is None:
        return {}
    key_values, first = pointer(memory.key_value_L2RD), pointer(memory.first)
    return {"S": memory.longest, "B": len(memory.first) - 1, "memory": key_values, "first": first}


@dataclass(frozen=True, eq=False)
class CompiledState:
    """What was read: for each step keys and values of its rows; of each row of now, its row in each step."""

    past: tuple[Tensor, ...]  # each [L, 2, rows of that step, D]
    path_NP: Tensor
    sentence_N: Tensor
    memory: KernelMemory | None
    table: list[Tensor]  # of one search: where every step writes what it foresees

    def take(self, rows_BW: Tensor) -> "CompiledState":
        """See ``State``."""
        rows_N = rows_BW.flatten()
        if counts_up(rows_N, len(self.sentence_N)):
            return self
        return replace(
            self,
            path_NP=self.path_NP.index_select(0, rows_N),
            sentence_N=self.sentence_N.index_select(0, rows_N),
        )


@dataclass(frozen=True, eq=False)
class Writer:
    """A decoder that writes by itself."""

    blocks: Blocks
    positions: Positions
    embedding: Embedding
    output: Packed
    bias: Tensor
    _caches: list[Tensor] = field(default_factory=list)

    def greedy(
        self,
        state: CompiledState,
        limits: Sequence[int],
        never: Sequence[int] = (),
        least: int = 0,
        shortlists: Sequence[Sequence[int]] | None = None,
    ) -> list[tuple[list[int], list[float]]] | None:
        """From the start, the likeliest token of each row again and again: tokens, and the log-probability of each.

        Args:
            state: before the first token; one sentence a row.
            limits: for each row the most tokens, ``<eos>`` included.
            never: tokens that are not written.
            least: how many tokens at least stand before ``<eos>``.
            shortlists: for each row the tokens that there are, ascending, ``<eos>`` among them; None: all.

        Returns:
            None where it cannot be done so: more tokens than positions, more keys and values than should be
            reserved for the longest answers that may come, a row without a distribution, or a short-list with
            what is never written.
        """
        N, T = len(limits), max(limits)
        table = self._table(T, N)
        if table is None or _contradict(shortlists, never):
            return None
        rows = torch.empty(T + N * (T + 2), dtype=torch.int32)
        tokens_NT, lengths_N = torch.empty(N, T, dtype=torch.int32), torch.empty(N, dtype=torch.int32)
        log_probs_NT = torch.empty(N, T)
        places = {"rows": rows, "tokens": tokens_NT, "log_probs": log_probs_NT, "lengths": lengths_N}
        with self._writing(state.memory, table, limits, N, 1, never, least, shortlists) as writing:
            for name, tensor in places.items():
                setattr(writing, name, pointer(tensor))
            if self.blocks.kernels.write_greedily(ctypes.byref(self.blocks.shape), ctypes.byref(writing)):
                return None
        written = zip(tokens_NT.tolist(), log_probs_NT.tolist(), lengths_N.tolist(), strict=True)
        return [(tokens[:length], log_probs[:length]) for tokens, log_probs, length in written]

    def beams(
        self,
        state: CompiledState,
        limits: Sequence[int],
        never: Sequence[int],
        least: int,
        settings: SearchSettings,
        norms: Sequence[float],
        shortlists: Sequence[Sequence[int]] | None = None,
    ) -> list[list[Written]] | None:
        """Beam search from the start, all of it in one call: the best endings of each row, best first.

        As :meth:`greedy`; ``norms[n]`` is what a sum of n log-probabilities is divided by.
        """
        B, W, nbest, T = len(limits), settings.beam, settings.nbest, max(limits)
        V = self.output.outputs
        table = self._table(T, B * W)
        if table is None or _contradict(shortlists, never):
            return None
        chosen, chosen_log_probs = torch.empty(T * B * W, dtype=torch.int32), torch.empty(T * B * W)
        tokens, log_probs = torch.empty(B, nbest, T, dtype=torch.int32), torch.empty(B, nbest, T)
        lengths, ended = torch.empty(B, nbest, dtype=torch.int32), torch.empty(B, nbest, dtype=torch.int32)
        count_B, scores = torch.empty(B, dtype=torch.int32), torch.empty(B, nbest, dtype=torch.float64)
        norms_T = torch.tensor(list(norms), dtype=torch.float64)
        places = {"norms": norms_T, "ended": ended, "count": count_B, "rows": chosen, "chosen": chosen_log_probs}
        with self._writing(state.memory, table, limits, B * W, min(2 * W, V), never, least, shortlists) as writing:
            writing.tokens, writing.log_probs, writing.lengths = map(pointer, (tokens, log_probs, lengths))
            beams = Beams(
                writing=writing, W=W, nbest=nbest, most_rows=B * W, enough=W * settings.patience if W > 1 else 1
            )
            for name, tensor in {**places, "scores": scores}.items():
                setattr(beams, name, pointer(tensor))
            if self.blocks.kernels.write_beams(ctypes.byref(self.blocks.shape), ctypes.byref(beams)):
                return None
        written = zip(
            count_B.tolist(), lengths.tolist(), tokens.tolist(), log_probs.tolist(), ended.tolist(), strict=True
        )
        return [
            [(row[: length[n]], numbers[n][: length[n]], bool(by_end[n])) for n, row in enumerate(rows[:count])]
            for count, length, rows, numbers, by_end in written
        ]

    def fitting(self, T: int, width: int, listed: int) -> int:
        """How many sentences can be written at once, of T tokens in so many rows, with so long a list; 1 at least."""
        shape = self.blocks.shape
        numbers = (T * int(shape.L) * 2 * width + listed) * int(shape.D)
        return max(1, _LARGEST_CACHE // numbers)

    def _table(self, T: int, rows: int) -> PositionTable | None:
        """Positions for T tokens of so many rows; None where there are not so many, or it would be too much memory."""
        shape = self.blocks.shape
        if isinstance(self.positions.position, LearnedPosition) and len(self.positions.position.weight_PD) < T:
            return None
        return None if T * shape.L * 2 * rows * shape.D > _LARGEST_CACHE else self.positions.reach(T)

    @contextmanager
    def _writing(
        self,
        memory: KernelMemory | None,
        table: PositionTable,
        limits: Sequence[int],
        rows: int,
        count: int,
        never: Sequence[int],
        least: int,
        shortlists: Sequence[Sequence[int]] | None,
    ) -> Iterator[Writing]:
        """What a kernel that writes by itself needs, with ``count`` best of a row; it holds as long as the block."""
        shape, T, S = self.blocks.shape, max(limits), memory.longest if memory else 0
        refused = [token for token in never if 0 <= token < self.output.outputs]
        never_and_end = torch.tensor([*refused, EOS], dtype=torch.int32)
        limits_N, past = torch.tensor(limits, dtype=torch.int32), (ctypes.c_void_p * T)()
        x_ND, space = torch.empty(rows, shape.D), self.blocks.space(rows, max(T, S))
        values_NC, columns_NC = torch.empty(rows, count), torch.empty(rows, count, dtype=torch.long)
        cache = self._cache(T * shape.L * 2 * rows * shape.D)
        step = Step(
            N=len(limits), past=ctypes.addressof(past), x=pointer(x_ND), space=pointer(space), **memory_places(memory)
        )
        lists = None if shortlists is None else _Listed.of(self.output, shortlists, self.blocks.kernels)
        yield Writing(
            step=step,
            V=self.output.outputs,
            T=T,
            start=SOS,
            end=EOS,
            refused=len(refused),
            least=least,
            scale=self.embedding.scale,
            never=pointer(never_and_end),
            embedding=pointer(self.embedding.weight_VD),
            positions=pointer(table.added_TD),
            cosine=pointer(table.cosine),
            sine=pointer(table.sine),
            output=pointer(self.output.numbers),
            bias=pointer(self.bias),
            limits=pointer(limits_N),
            lists=None if lists is None else ctypes.addressof(lists.lists),
            cache=pointer(cache),
            values=pointer(values_NC),
            columns=pointer(columns_NC),
        )
        self._caches.append(cache)

    def _cache(self, size: int) -> Tensor:
        """Room for keys and values, of an earlier search where that is large enough: fresh pages cost time."""
        with suppress(IndexError):  # another thread may take it first
            if len(cache := self._caches.pop()) >= size:
                return cache
        return torch.empty(size)


def _contradict(shortlists: Sequence[Sequence[int]] | None, never: Sequence[int]) -> bool:
    """Whether something on a list is never written: it would have a share of the distribution all the same."""
    refused = set(never)
    return any(not refused.isdisjoint(each) for each in shortlists or ())


@dataclass(frozen=True, eq=False)
class _Listed:
    """Short-lists as the kernels read them, and what holds their numbers."""

    lists: Lists
    held: dict[str, Tensor]

    @classmethod
    def of(cls, output: Packed, shortlists: Sequence[Sequence[int]], kernels: ctypes.CDLL) -> "_Listed":
        if any(EOS not in each for each in shortlists):
            raise InputError("a short-list without <eos>: an answer could not end")
        panel = kernels.panel()
        first, tokens = [0], list[int]()
        for each in shortlists:
            tokens += each
            tokens += [0] * (-len(tokens) % panel)
            first.append(len(tokens) // panel)
        token_R = torch.tensor(tokens, dtype=torch.int32)
        if int(token_R.min()) < 0 or int(token_R.max()) >= output.outputs:
            raise InputError(f"a short-list holds tokens that there are not: they go from 0 to {output.outputs - 1}")
        held = {
            "tokens": token_R,
            "first": torch.tensor(first, dtype=torch.int32),
            "count": torch.tensor([len(each) for each in shortlists], dtype=torch.int32),
            "end": torch.tensor([each.index(EOS) for each in shortlists], dtype=torch.int32),
            "weights": torch.empty(kernels.packed_bytes(len(tokens), output.inputs, output.kind), dtype=torch.uint8),
            "biases": torch.empty(len(tokens)),
        }
        return cls(Lists(**{name: pointer(each) for name, each in held.items()}), held)
