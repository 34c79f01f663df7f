"""A Markov chain of order k: how often each piece followed the k pieces before it, smoothed.

Interpolated modified Kneser–Ney smoothing (Kneser and Ney 1995; Chen and Goodman 1999, section 3.6). A run of m
pieces is an m-gram; the last of its pieces is foreseen from the others, its context. With a(h w) the count of the
m-gram h w, and h' the context h without its first piece,

    p_m(w | h) = (a(h w) − D(a(h w))) / a(h •) + γ(h) p_{m−1}(w | h')
    γ(h) = (D(1) N₁(h) + D(2) N₂(h) + D(3) N₃₊(h)) / a(h •)

N_r(h) counts the pieces that followed h exactly r times, D the discounts of a length (equation 26). The longest
m-grams are counted as they occur, shorter ones by how many different pieces stood in front of them. A context that
never occurred leaves p_{m−1} as it is; p_0 is the same for every piece. In front of the text stand k times <sos>.

m-grams lie in a trie: each is numbered in its length, and known by the number of the (m−1)-gram that it begins with
and its last piece.

N rows · K pieces before, at most k · G m-grams of one length · C contexts of one length · V vocabulary ·
M = k + 2 terms: the same for all pieces, m = 1 … k + 1
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from seq2see.errors import InputError
from seq2see.models.language_model import LanguageModel
from seq2see.text.alphabet import SOS, UNK

_FALLBACK = (0.5, 1.0, 1.5)  # discounts of counts 1, 2 and more where a text is too small to estimate them


@dataclass(frozen=True)
class MarkovState:
    """The last pieces that were read, at most k."""

    tokens_NK: Tensor

    def take(self, rows_BW: Tensor) -> "MarkovState":
        """See ``State``."""
        return MarkovState(self.tokens_NK.index_select(0, rows_BW.flatten()))


class Grams(nn.Module):
    """All m-grams of one length, sorted: ``key_G`` is the number of the context × V + the last piece."""

    key_G: Tensor
    total_C: Tensor
    backoff_C: Tensor
    discount_4: Tensor

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        nothing = torch.empty(0, dtype=torch.long)
        self.register_buffer("key_G", nothing)
        self.count_G = nn.Parameter(nothing, requires_grad=False)
        for name in ("total_C", "backoff_C", "discount_4"):  # follow from the counts
            self.register_buffer(name, torch.empty(0, dtype=torch.float64), persistent=False)

    def fill(self, key_G: Tensor, count_G: Tensor, contexts: int) -> None:
        """Take keys and counts, and find what follows from them for each of so many contexts."""
        device = self.key_G.device
        self.key_G, self.count_G = key_G.to(device), nn.Parameter(count_G.to(device), requires_grad=False)
        self.discount_4 = torch.tensor([0.0, *discounts(count_G)], dtype=torch.float64, device=device)
        context_G = self.key_G // self.vocabulary
        lost_G = self.discount_4[self.count_G.clamp(max=3)]
        nothing_C = torch.zeros(contexts, dtype=torch.float64, device=device)
        self.total_C = nothing_C.index_add(0, context_G, self.count_G.double())
        self.backoff_C = nothing_C.index_add(0, context_G, lost_G) / self.total_C.clamp(min=1.0)

    def find(self, context: Tensor, piece: Tensor) -> Tensor:
        """The numbers of m-grams, given their contexts and last pieces; −1 where there is none. Any shape."""
        wanted = context * self.vocabulary + piece
        place = torch.searchsorted(self.key_G, wanted).clamp(max=max(0, len(self.key_G) - 1))
        return torch.where((context >= 0) & (self.key_G[place] == wanted), place, -1)

    def discounted(self, context: Tensor, piece: Tensor) -> Tensor:
        """(a(h w) − D(a(h w))) / a(h •), and 0 for an m-gram that never occurred. Any shape; float64."""
        gram = self.find(context, piece)
        count = torch.where(gram >= 0, self.count_G[gram.clamp(min=0)], 0)
        kept = count.double() - self.discount_4[count.clamp(max=3)]
        return kept / self.total_C[context.clamp(min=0)].clamp(min=1.0)

    def backoff(self, context: Tensor) -> Tensor:
        """γ(h), and 1 for a context that nothing followed. Any shape; float64."""
        known = (context >= 0) & (self.total_C[context.clamp(min=0)] > 0)
        return torch.where(known, self.backoff_C[context.clamp(min=0)], 1.0)


def discounts(count_G: Tensor) -> tuple[float, float, float]:
    """D(1), D(2) and D(3+) of m-grams with these counts (Chen and Goodman 1999, equation 26).

    With n_r the number of m-grams that were counted r times, and Y = n₁ / (n₁ + 2 n₂): D(r) = r − (r + 1) Y
    n_{r+1} / n_r. A text that is too small, or too regular, for that gets 0.5, 1 and 1.5.
    """
    n = [int((count_G == r).sum()) for r in range(1, 5)]
    if not all(n[:3]):
        return _FALLBACK
    Y = n[0] / (n[0] + 2 * n[1])
    found = tuple(r - (r + 1) * Y * n[r] / n[r - 1] for r in (1, 2, 3))
    if not all(0 <= D <= r for r, D in zip((1, 2, 3), found, strict=True)):
        return _FALLBACK
    return found[0], found[1], found[2]


class MarkovChain(LanguageModel[MarkovState]):
    """Foresees a piece from the k pieces before it and from nothing else; k = 1 is the Markov chain.

    ``solve`` of the task counts the m-grams (see ``ngrams.py``) and gives them to :meth:`fill`.
    """

    def __init__(self, order: int, vocabulary: int) -> None:
        super().__init__()
        self.order, self.vocabulary = order, vocabulary
        self.grams = nn.ModuleList(Grams(vocabulary) for _ in range(order + 1))

    def fill(self, tables: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Take keys and counts of each length, from single pieces on."""
        contexts = 1
        for grams, (keys, counts) in zip(self.lengths, tables, strict=True):
            grams.fill(keys, counts, contexts)
            contexts = len(keys)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what a run has kept.

        Raises:
            InputError: a tensor is missing, unknown or of another kind; keys out of order or out of range.
        """
        names = {f"grams.{at}.{name}" for at in range(self.order + 1) for name in ("key_G", "count_G")}
        if set(tensors) != names:
            wrong = ", ".join(sorted(set(tensors) ^ names)[:3])
            raise InputError(f"not the counts of a Markov chain of order {self.order}: missing or unknown: {wrong}")
        tables, contexts = [], 1
        for at in range(self.order + 1):
            keys, counts = (tensors[f"grams.{at}.{name}"] for name in ("key_G", "count_G"))
            _require_sound(at + 1, keys, counts, contexts * self.vocabulary)
            tables.append((keys, counts))
            contexts = len(keys)
        self.fill(tables)

    @property
    def lengths(self) -> Sequence[Grams]:
        """The m-grams, from m = 1 on."""
        return cast(Sequence[Grams], self.grams)

    @property
    def _device(self) -> torch.device:
        return self.lengths[0].key_G.device

    def start(self, rows: int) -> MarkovState:
        """See ``LanguageModel``."""
        return MarkovState(torch.full((rows, 0), SOS, device=self._device))

    def read(self, tokens_NT: Tensor, state: MarkovState) -> MarkovState:
        """See ``LanguageModel``."""
        tokens = torch.cat((state.tokens_NK, tokens_NT), dim=1)
        return MarkovState(tokens[:, max(0, tokens.shape[1] - self.order) :])

    def step(self, tokens_N: Tensor, state: MarkovState) -> tuple[Tensor, MarkovState, None]:
        """See ``LanguageModel``; the logits are log-probabilities, −∞ for what cannot stand in a text."""
        state = self.read(tokens_N.unsqueeze(1), state)
        return self.distribution(state.tokens_NK).log().float(), state, None

    def contexts(self, tokens_NK: Tensor) -> list[Tensor]:
        """The number of each row's context among the m-grams of one length less: for m = 1, 2, … k + 1.

        It is −1 where that context never occurred. Fewer than k pieces stand at the beginning of a text.
        """
        padded = torch.nn.functional.pad(tokens_NK, (self.order - tokens_NK.shape[1], 0), value=SOS)
        found = []
        for length in range(self.order + 1):
            context_N = torch.zeros(len(padded), dtype=torch.long, device=self._device)
            for grams, piece_N in zip(self.lengths, padded[:, self.order - length :].unbind(1), strict=False):
                context_N = grams.find(context_N, piece_N)
            found.append(context_N)
        return found

    def distribution(self, tokens_NK: Tensor) -> Tensor:
        """p(w | the pieces before) of every piece w, ``[N, V]`` in float64; a row sums to 1."""
        piece_V = torch.arange(self.vocabulary, device=self._device)
        p_NV = self._anything(piece_V).expand(len(tokens_NK), -1)
        for grams, context_N in zip(self.lengths, self.contexts(tokens_NK), strict=True):
            context_N1 = context_N.unsqueeze(1)
            p_NV = grams.discounted(context_N1, piece_V) + grams.backoff(context_N1) * p_NV
        return p_NV

    def terms(self, tokens_NK: Tensor, piece_N: Tensor) -> Tensor:
        """What each length adds to the probability of one piece a row, ``[N, M]`` in float64: it is their sum.

        The first term is what every piece gets; then come those of single pieces, pairs, and so on.
        """
        terms = [self._anything(piece_N)]
        for grams, context_N in zip(self.lengths, self.contexts(tokens_NK), strict=True):
            backoff_N = grams.backoff(context_N)
            terms = [*(term_N * backoff_N for term_N in terms), grams.discounted(context_N, piece_N)]
        return torch.stack(terms, dim=1)

    def _anything(self, piece: Tensor) -> Tensor:
        """p_0: the same for every piece that can stand in a text."""
        return (piece >= UNK).double() / (self.vocabulary - UNK)


def _require_sound(length: int, key_G: Tensor, count_G: Tensor, keys: int) -> None:
    """Raise InputError unless these can be the keys and counts of m-grams."""
    fits = key_G.dtype == count_G.dtype == torch.long and key_G.dim() == 1 and key_G.shape == count_G.shape
    if not fits or not len(key_G):
        raise InputError(f"the keys and counts of {length}-grams are not two lists of whole numbers of one length")
    if int(key_G[0]) < 0 or int(key_G[-1]) >= keys or not bool((key_G.diff() > 0).all()) or int(count_G.min()) < 0:
        raise InputError(f"the keys of {length}-grams are out of order or out of range, or a count is below 0")
