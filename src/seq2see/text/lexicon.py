"""Which pieces of a target translate which of a source, learned from pairs (IBM Model 1) and kept in a file.

S source pieces · T target pieces · K translations of a piece · F frequent pieces · J target positions of all pairs, one
after the other · C places in which a source piece stands beside a target piece · U different ones of them
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from seq2see.errors import InputError
from seq2see.storage.tensors import load_tensors, save_tensors

SHORTLIST = "shortlist.safetensors"  # in a run's folder
_ROUNDS = 5  # of expectation and maximisation
_PLACES = 12_000_000  # C at most: what is learned from more pairs differs little, and needs more memory
_EVERYWHERE = 100  # most frequent target pieces that may be written for any source
TRANSLATIONS = 100  # K at most


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Likely translations.

    Attributes:
        best_SK: of each source piece, likeliest first; −1 behind the last. int32.
        frequent_F: target pieces that are frequent in all targets, most frequent first; int32.
    """

    best_SK: Tensor
    frequent_F: Tensor
    _known: dict[tuple[int, int], frozenset[int]] = field(default_factory=dict)

    def shortlist(self, source: Sequence[int], count: int) -> set[int]:
        """Target pieces that a translation is made of: ``count`` for each source piece, and the frequent ones."""
        return set(self._frequent.union(*(self._translations(piece, count) for piece in set(source))))

    @cached_property
    def _frequent(self) -> frozenset[int]:
        return frozenset(self.frequent_F.tolist())

    def _translations(self, piece: int, count: int) -> frozenset[int]:
        if (found := self._known.get((piece, count))) is None:
            found = frozenset(self.best_SK[piece, :count].tolist()) - {-1}
            self._known[piece, count] = found
        return found


def learn(
    pairs: Iterable[tuple[Sequence[int], Sequence[int]]], sources: int, targets: int, check: Callable[[], None]
) -> Lexicon:
    """The likeliest translations by IBM Model 1 (Brown et al. 1993, section 4.1), without the empty word.

    Each target piece comes from one piece of its source; which, is as likely as p(target | source) says. Of very many
    pairs the first are enough; a pair that alone is longer than all that is looked at is left out.

    Args:
        pairs: numbers of pieces, below ``sources`` and ``targets``.
    """
    places = _places(pairs, targets, check)
    key_U, which_C = torch.unique(places.key_C, return_inverse=True)
    source_U = key_U // targets
    p_U = torch.ones(len(key_U), dtype=torch.float64)
    for _ in range(_ROUNDS):
        check()
        p_C = p_U[which_C]
        total_J = torch.zeros(places.positions, dtype=torch.float64).index_add_(0, places.position_C, p_C)
        count_U = torch.zeros_like(p_U).index_add_(0, which_C, p_C / total_J[places.position_C])
        total_S = torch.zeros(sources, dtype=torch.float64).index_add_(0, source_U, count_U)
        p_U = count_U / total_S[source_U]
    return Lexicon(_best(source_U, key_U % targets, p_U, sources), _frequent(places.count_T))


@dataclass(frozen=True, eq=False)
class _Places:
    key_C: Tensor  # source piece × target pieces + target piece
    position_C: Tensor  # which of the J
    positions: int
    count_T: Tensor  # how often a target piece occurs


def _places(pairs: Iterable[tuple[Sequence[int], Sequence[int]]], targets: int, check: Callable[[], None]) -> _Places:
    sources_of: list[int] = []  # the source pieces of all pairs, one after the other; the same of targets; lengths
    targets_of: list[int] = []
    lengths: list[tuple[int, int]] = []
    found = 0
    for source, target in pairs:
        check()
        if (more := len(source) * len(target)) > _PLACES:
            continue
        found += more
        if found > _PLACES:
            break
        sources_of += source
        targets_of += target
        lengths.append((len(source), len(target)))
    source_I, target_J = torch.tensor(sources_of, dtype=torch.long), torch.tensor(targets_of, dtype=torch.long)
    length_N2 = torch.tensor(lengths, dtype=torch.long).view(-1, 2)
    pair_J = torch.arange(len(length_N2)).repeat_interleave(length_N2[:, 1])
    first_N, beside_J = length_N2[:, 0].cumsum(0) - length_N2[:, 0], length_N2[pair_J, 0]
    position_C = torch.arange(len(target_J)).repeat_interleave(beside_J)
    within_C = torch.arange(len(position_C)) - (beside_J.cumsum(0) - beside_J)[position_C]
    source_C = source_I[first_N[pair_J][position_C] + within_C]
    key_C = source_C * targets + target_J[position_C]
    return _Places(key_C, position_C, len(target_J), torch.bincount(target_J, minlength=targets))


def _best(source_U: Tensor, target_U: Tensor, p_U: Tensor, sources: int) -> Tensor:
    """The likeliest of each source piece ``[S, K]``; of equal ones the lower."""
    order_U = p_U.argsort(descending=True, stable=True)
    order_U = order_U[source_U[order_U].argsort(stable=True)]
    source_U, target_U = source_U[order_U], target_U[order_U]
    first_S = torch.searchsorted(source_U, torch.arange(sources))
    rank_U = torch.arange(len(source_U)) - first_S[source_U]
    best_SK = torch.full((sources, TRANSLATIONS), -1, dtype=torch.int32)
    kept_U = rank_U < TRANSLATIONS
    best_SK[source_U[kept_U], rank_U[kept_U]] = target_U[kept_U].int()
    return best_SK


def _frequent(count_T: Tensor) -> Tensor:
    order_T = count_T.argsort(descending=True, stable=True)
    return order_T[count_T[order_T] > 0][:_EVERYWHERE].int()


def save_lexicon(folder: Path, lexicon: Lexicon) -> Path:
    """Keep it in a run's folder; returns the file."""
    save_tensors(folder / SHORTLIST, {"best": lexicon.best_SK, "frequent": lexicon.frequent_F}, {})
    return folder / SHORTLIST


def load_lexicon(folder: Path, sources: int, targets: int) -> Lexicon | None:
    """What :func:`save_lexicon` has left for vocabularies of these sizes; None where there is nothing.

    Raises:
        InputError: the file is damaged, or for other vocabularies.
    """
    path = folder / SHORTLIST
    if not path.is_file():
        return None
    try:
        tensors = load_tensors(path, None)
    except InputError as error:
        raise InputError(f"{error}; `seq2see shortlist {folder}` makes a new one") from error
    best, frequent = tensors.get("best"), tensors.get("frequent")
    if best is None or frequent is None or best.dtype is not torch.int32 or frequent.dtype is not torch.int32:
        raise InputError(f"{path}: no short-list; `seq2see shortlist {folder}` makes one")
    fits = best.shape == (sources, TRANSLATIONS) and frequent.dim() == 1 and len(frequent) <= _EVERYWHERE
    if not fits or bool((best < -1).any()) or any(bool((each >= targets).any()) for each in (best, frequent)):
        raise InputError(f"{path}: not of this run; `seq2see shortlist {folder}` makes one that is")
    if bool((frequent < 0).any()):
        raise InputError(f"{path}: damaged: it holds pieces below 0; `seq2see shortlist {folder}` makes it anew")
    return Lexicon(best, frequent)
