"""Attention: compare a query with every key, and mix the values accordingly.

B sentences · T queries · S keys · D width of queries · M width of the memory, or of a head's values ·
H heads · K width of a head's queries and keys · N rows, one or more for each sentence · Q queries of a
sentence. Masks are Boolean: True = may be looked at.

Each attention has two methods. ``project(memory)`` gives keys and values, once for a memory however many
queries will come. ``forward(query, key, value, allowed)`` gives the context, and the weights if they are
wanted. Nothing is kept on the module. A query that may look at nothing gets a zero context and zero weights.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

# From how many keys on torch's fused kernel beats the written-out formula on a processor. Its backward pass
# in bfloat16 is slow on short sequences.
FUSED_FROM = 64
FUSED_FROM_BFLOAT16 = 512

SHORT = 128  # keys below which a processor computes the softmax faster written out

ADDITIVE_CHUNK = 1 << 23  # elements of [B, T, S, D] that additive attention holds at a time


class KeyValue(NamedTuple):
    """What an attention has made of a memory: for each head a key to compare with and a value to fetch."""

    key_BHSK: Tensor
    value_BHSM: Tensor


def masked_softmax(scores_BHTS: Tensor, allowed_BTS: Tensor | None) -> Tensor:
    """Softmax over the allowed keys; exactly zero elsewhere, and everywhere for a query that is allowed none.

    ``allowed_BTS`` may have one row for all queries, ``[B, 1, S]``. The weights are at least float32.
    """
    if allowed_BTS is None:
        return softmax(scores_BHTS)
    # Masks as numbers of the same type: to add or multiply across types costs thirty times as much on a processor.
    mask = allowed_BTS.unsqueeze(1).to(_at_least_float32(scores_BHTS))
    lowest = torch.finfo(mask.dtype).min  # minus infinity would make a row without any key NaN
    return softmax(scores_BHTS.to(mask.dtype) + (1.0 - mask) * lowest) * mask


def softmax(scores_BHTS: Tensor) -> Tensor:
    """Softmax over the last dimension, at least in float32.

    torch's kernel for processors takes ten times as long where that dimension is short and no multiple of its
    vectors' length; there the formula is written out.
    """
    scores_BHTS = scores_BHTS.to(_at_least_float32(scores_BHTS))
    if scores_BHTS.device.type != "cpu" or scores_BHTS.shape[-1] >= SHORT or scores_BHTS.shape[-1] == 0:
        return scores_BHTS.softmax(-1)
    weights_BHTS: Tensor = _ShortSoftmax.apply(scores_BHTS)  # type: ignore[no-untyped-call]
    return weights_BHTS


def _at_least_float32(values: Tensor) -> torch.dtype:
    return torch.promote_types(values.dtype, torch.float32)


class _ShortSoftmax(torch.autograd.Function):
    """exp(z − max z) / Σ exp(z − max z), and its gradient w ⊙ (g − Σ g ⊙ w), a pass at a time."""

    @staticmethod
    def forward(ctx: Any, scores_BHTS: Tensor) -> Tensor:
        weights_BHTS = (scores_BHTS - scores_BHTS.amax(-1, keepdim=True)).exp_()
        weights_BHTS.div_(weights_BHTS.sum(-1, keepdim=True))
        ctx.save_for_backward(weights_BHTS)
        return weights_BHTS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BHTS: Tensor) -> Tensor:
        (weights_BHTS,) = ctx.saved_tensors
        weighted_BHTS: Tensor = gradient_BHTS * weights_BHTS
        sums_BHT1: Tensor = weighted_BHTS.sum(-1, keepdim=True)
        return torch.addcmul(weighted_BHTS, weights_BHTS, sums_BHT1, value=-1)


def lower_triangle(T: int, device: torch.device) -> Tensor:
    """``[1, T, T]``: a position may look at itself and at those before it."""
    return torch.ones(1, T, T, dtype=torch.bool, device=device).tril()


def fused_pays(query_BHTK: Tensor, key_BHSK: Tensor) -> bool:
    """Whether torch's fused kernel is the faster one here (measured; see the constants)."""
    if query_BHTK.device.type != "cpu":
        return True
    slow_backward = query_BHTK.dtype is not torch.float32 and torch.is_grad_enabled()
    return key_BHSK.shape[2] >= (FUSED_FROM_BFLOAT16 if slow_backward else FUSED_FROM)


def attend(
    query_BHTK: Tensor,
    memory: KeyValue,
    allowed_BTS: Tensor | None,
    *,
    scale: float,
    causal: bool = False,
    want_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """softmax(scale · Q Kᵀ) V for every head: context ``[B, H, T, M]``, weights ``[B, H, T, S]`` if wanted.

    ``allowed_BTS`` None: every key; ``causal`` (with None only): keys up to the query's own position.
    """
    key_BHSK, value_BHSM = memory
    if not want_weights and fused_pays(query_BHTK, key_BHSK):
        mask_B1TS = None if allowed_BTS is None else allowed_BTS.unsqueeze(1)
        context_BHTM = F.scaled_dot_product_attention(
            query_BHTK, key_BHSK, value_BHSM, attn_mask=mask_B1TS, is_causal=causal, scale=scale
        )
        return context_BHTM, None
    if causal:
        allowed_BTS = lower_triangle(query_BHTK.shape[2], query_BHTK.device)
    scores_BHTS = (query_BHTK * scale) @ key_BHSK.transpose(-1, -2)
    weights_BHTS = masked_softmax(scores_BHTS, allowed_BTS)
    return weights_BHTS.to(value_BHSM.dtype) @ value_BHSM, weights_BHTS if want_weights else None


class Attention(nn.Module, ABC):
    """What the scores have in common. ``context_width`` is the width of what comes back."""

    context_width: int

    @abstractmethod
    def project(self, memory_BSM: Tensor) -> KeyValue:
        """Keys and values of a memory, for any number of calls of ``forward``."""

    @abstractmethod
    def forward(
        self,
        query_BTD: Tensor,
        key_BHSK: Tensor,
        value_BHSM: Tensor,
        allowed_BTS: Tensor | None,
        want_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Context ``[B, T, context_width]`` and weights ``[B, H, T, S]``, or None where they are not wanted.

        ``allowed_BTS`` None: every key; one row ``[B, 1, S]`` serves all queries.
        """


class ProductAttention(Attention):
    """One head whose score is the plain, unscaled product of query and key."""

    def forward(
        self,
        query_BTD: Tensor,
        key_BHSK: Tensor,
        value_BHSM: Tensor,
        allowed_BTS: Tensor | None,
        want_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        query_BHTK = query_BTD.unsqueeze(1)
        memory = KeyValue(key_BHSK, value_BHSM)
        context_BHTM, weights_BHTS = attend(query_BHTK, memory, allowed_BTS, scale=1.0, want_weights=want_weights)
        return context_BHTM.squeeze(1), weights_BHTS


class DotAttention(ProductAttention):
    """score(h, s) = hᵀ s (Luong et al. 2015, equation 8, "dot").

    Where the memory is not as wide as the query it is projected to that width first.
    """

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__()
        self.context_width = width
        self.memory = linear(memory_width, width) if memory_width != width else nn.Identity()

    def project(self, memory_BSM: Tensor) -> KeyValue:
        state_B1SD = self.memory(memory_BSM).unsqueeze(1)
        return KeyValue(state_B1SD, state_B1SD)


class GeneralAttention(ProductAttention):
    """score(h, s) = hᵀ W s (Luong et al. 2015, equation 8, "general"). W s is the key, s itself the value."""

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__()
        self.context_width = memory_width
        self.key = linear(memory_width, width)

    def project(self, memory_BSM: Tensor) -> KeyValue:
        return KeyValue(self.key(memory_BSM).unsqueeze(1), memory_BSM.unsqueeze(1))


class AdditiveAttention(Attention):
    """score(h, s) = vᵀ tanh(W h + U s) (Bahdanau et al. 2015, section A.1.2). U s is the key, s the value.

    The tanh has a component for every query, key and unit. It is computed in chunks of queries, and computed
    again for the gradient, so that no more than ``ADDITIVE_CHUNK`` of them exist at a time.
    """

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__()
        self.context_width = memory_width
        self.query = linear(width, width)
        self.key = linear(memory_width, width)
        self.score_D = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))

    def project(self, memory_BSM: Tensor) -> KeyValue:
        return KeyValue(self.key(memory_BSM).unsqueeze(1), memory_BSM.unsqueeze(1))

    def forward(
        self,
        query_BTD: Tensor,
        key_BHSK: Tensor,
        value_BHSM: Tensor,
        allowed_BTS: Tensor | None,
        want_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        scores_BTS = self._scores(self.query(query_BTD), key_BHSK.squeeze(1))
        weights_B1TS = masked_softmax(scores_BTS.unsqueeze(1), allowed_BTS)
        context_BTM = (weights_B1TS.to(value_BHSM.dtype) @ value_BHSM).squeeze(1)
        return context_BTM, weights_B1TS if want_weights else None

    def _scores(self, query_BTD: Tensor, key_BSD: Tensor) -> Tensor:
        rows = max(1, ADDITIVE_CHUNK // key_BSD.numel())
        if query_BTD.shape[1] <= rows:
            return additive_scores(query_BTD, key_BSD, self.score_D)
        chunks = [
            checkpoint(additive_scores, chunk, key_BSD, self.score_D, use_reentrant=False, preserve_rng_state=False)
            for chunk in torch.split(query_BTD, rows, dim=1)
        ]
        return torch.cat(chunks, dim=1)


def attend_together(
    attention: Attention,
    query_NTD: Tensor,
    memory: KeyValue,
    allowed_B1S: Tensor | None,
    want_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """N rows look at the memory of B sentences, N / B rows at each, side by side as beams are.

    The rows of a sentence and their positions are all queries to its one memory, which is never repeated.
    Context ``[N, T, M]``, weights ``[N, H, T, S]``.
    """
    N, T, D = query_NTD.shape
    B = memory.key_BHSK.shape[0]
    query_BQD = query_NTD.reshape(B, N // B * T, D)
    context_BQM, weights_BHQS = attention(query_BQD, *memory, allowed_B1S, want_weights)
    weights_NHTS = None
    if weights_BHQS is not None:
        weights_NHTS = torch.unflatten(weights_BHQS, 2, (N // B, T)).transpose(1, 2).flatten(0, 1)
    return context_BQM.reshape(N, T, attention.context_width), weights_NHTS


def additive_scores(query_BTD: Tensor, key_BSD: Tensor, score_D: Tensor) -> Tensor:
    """vᵀ tanh(q + k) for every pair of a query and a key: ``[B, T, S]``."""
    return (query_BTD.unsqueeze(2) + key_BSD.unsqueeze(1)).tanh() @ score_D


class MultiHeadAttention(Attention):
    """Scaled dot products in H projections side by side (Vaswani et al. 2017, section 3.2.2).

    MultiHead(Q, K, V) = Concat(head₁ … head_H) W_O, head_h = softmax(Q W_Q (K W_K)ᵀ / √K) V W_V
    """

    def __init__(self, width: int, memory_width: int, heads: int) -> None:
        super().__init__()
        self.context_width = width
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        # Queries, keys and values are drawn as one matrix [3·D, D] would be: a calmer start for the softmax.
        self.query = linear(width, width, gain=2**-0.5)
        self.key = linear(memory_width, width, gain=2**-0.5)
        self.value = linear(memory_width, width, gain=2**-0.5)
        self.output = linear(width, width)

    def split(self, vectors_BTD: Tensor) -> Tensor:
        """One slice of the width a head: ``[B, H, T, K]``."""
        return torch.unflatten(vectors_BTD, -1, (self.heads, -1)).transpose(1, 2)

    def merge(self, context_BHTK: Tensor) -> Tensor:
        """The heads' contexts side by side, through W_O: ``[B, T, D]``."""
        merged_BTD: Tensor = self.output(context_BHTK.transpose(1, 2).flatten(2))
        return merged_BTD

    def project(self, memory_BSM: Tensor) -> KeyValue:
        return KeyValue(self.split(self.key(memory_BSM)), self.split(self.value(memory_BSM)))

    def project_all(self, x_BTD: Tensor) -> tuple[Tensor, KeyValue]:
        """Queries, keys and values of a sequence that looks at itself, from one product instead of three."""
        weight = torch.cat((self.query.weight, self.key.weight, self.value.weight))
        query_BHTK, key_BHTK, value_BHTK = map(self.split, F.linear(x_BTD, weight).chunk(3, dim=-1))
        return query_BHTK, KeyValue(key_BHTK, value_BHTK)

    def forward(
        self,
        query_BTD: Tensor,
        key_BHSK: Tensor,
        value_BHSM: Tensor,
        allowed_BTS: Tensor | None,
        want_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        query_BHTK = self.split(self.query(query_BTD))
        memory = KeyValue(key_BHSK, value_BHSM)
        context_BHTK, weights_BHTS = attend(
            query_BHTK, memory, allowed_BTS, scale=self.scale, want_weights=want_weights
        )
        return self.merge(context_BHTK), weights_BHTS


def project_layers(layers: Sequence[Attention], memory_BSM: Tensor) -> list[KeyValue]:
    """Keys and values of a memory for several layers; where all are multi-head, from one product."""
    heads = [layer for layer in layers if isinstance(layer, MultiHeadAttention)]
    if len(heads) < max(2, len(layers)):
        return [layer.project(memory_BSM) for layer in layers]
    weight = torch.cat([part.weight for layer in heads for part in (layer.key, layer.value)])
    parts = iter(
        torch.split(F.linear(memory_BSM, weight), [layer.context_width for layer in heads for _ in (0, 1)], -1)
    )
    return [KeyValue(layer.split(next(parts)), layer.split(next(parts))) for layer in heads]


def linear(inputs: int, outputs: int, *, gain: float = 1.0) -> nn.Linear:
    """A projection without bias, as the papers write it; Glorot and Bengio (2010) uniform."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.xavier_uniform_(layer.weight, gain)
    return layer
