"""The blocks of the Transformer (Vaswani et al. 2017): attention and a feed-forward network, each added on.

B sentences · S source positions · T positions · P positions read, the T given now included · D width · H heads ·
K width of a head · F feed-forward · N rows, one or more for each of B sentences.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from seq2see.nn.attention import KeyValue, MultiHeadAttention, attend, attend_together, lower_triangle
from seq2see.nn.dropout import Dropout
from seq2see.nn.position import Rotation

Norm = Literal["pre", "post"]


class FeedForward(nn.Module):
    """FFN(x) = max(0, x W₁ + b₁) W₂ + b₂, the same at every position (section 3.3)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, width)
        for layer in (self.inner, self.outer):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        y_BTD: Tensor = self.outer(self.inner(x_BTD).relu())
        return y_BTD


class AddNorm(nn.Module):
    """What stands around each sub-layer f: a sum and a layer norm.

    post: norm(x + f(x)), as in the paper (section 3.1). pre: x + f(norm(x)), which trains without a long
    warm-up (Xiong et al. 2020). Dropout falls on f(x) (section 5.4).
    """

    def __init__(self, width: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.pre = norm == "pre"
        self.norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    def before(self, x_BTD: Tensor) -> Tensor:
        """What the sub-layer reads."""
        return self.norm(x_BTD) if self.pre else x_BTD

    def after(self, x_BTD: Tensor, update_BTD: Tensor) -> Tensor:
        """What goes on to the next sub-layer."""
        # In the type of x: a sum across types costs thirty times as much on a processor.
        y_BTD: Tensor = x_BTD + self.dropout(update_BTD.to(x_BTD.dtype))
        return y_BTD if self.pre else self.norm(y_BTD)


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself, step by step too: what was read is handed in and out."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.multihead = MultiHeadAttention(width, width, heads)

    def forward(
        self,
        x_BTD: Tensor,
        allowed_BTS: Tensor | None,
        *,
        causal: bool = False,
        rotation: Rotation | None = None,
        past: KeyValue | None = None,
        want_weights: bool = False,
    ) -> tuple[Tensor, KeyValue, Tensor | None]:
        """New vectors ``[B, T, D]``, keys and values of all that was read, weights ``[B, H, T, P]``."""
        query_BHTK, (key_BHTK, value_BHTK) = self.multihead.project_all(x_BTD)
        if rotation is not None:
            query_BHTK, key_BHTK = rotation.turn(query_BHTK), rotation.turn(key_BHTK)
        present = KeyValue(key_BHTK, value_BHTK)
        if past is not None:
            key_BHSK = torch.cat((past.key_BHSK, key_BHTK), dim=2)
            value_BHSM = torch.cat((past.value_BHSM, value_BHTK), dim=2)
            present = KeyValue(key_BHSK, value_BHSM)
        context_BHTK, weights_BHTS = attend(
            query_BHTK,
            present,
            allowed_BTS,
            scale=self.multihead.scale,
            causal=causal,
            want_weights=want_weights,
        )
        return self.multihead.merge(context_BHTK), present, weights_BHTS


def visible(valid_BS: Tensor, causal: bool) -> Tensor:
    """Which positions a position may look at: all valid ones ``[B, 1, S]``, or those up to itself ``[B, S, S]``."""
    valid_B1S = valid_BS.unsqueeze(1)
    return valid_B1S & lower_triangle(valid_BS.shape[1], valid_BS.device) if causal else valid_B1S


class EncoderBlock(nn.Module):
    """Self-attention over the whole sentence, then the feed-forward network."""

    def __init__(self, width: int, heads: int, feed_forward: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads)
        self.feed_forward = FeedForward(width, feed_forward)
        self.around_attention = AddNorm(width, norm, dropout)
        self.around_feed_forward = AddNorm(width, norm, dropout)

    def forward(
        self,
        x_BSD: Tensor,
        allowed_BSS: Tensor | None,
        rotation: Rotation | None = None,
        want_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """``[B, S, D]``, and the weights ``[B, H, S, S]`` if wanted."""
        update_BSD, _, weights_BHSS = self.attention(
            self.around_attention.before(x_BSD), allowed_BSS, rotation=rotation, want_weights=want_weights
        )
        x_BSD = self.around_attention.after(x_BSD, update_BSD)
        update_BSD = self.feed_forward(self.around_feed_forward.before(x_BSD))
        return self.around_feed_forward.after(x_BSD, update_BSD), weights_BHSS


class DecoderBlock(nn.Module):
    """Self-attention to what was read, attention to the memory if there is one, the feed-forward network.

    ``memory_width`` None: no memory, the block of a language model.
    """

    def __init__(
        self,
        width: int,
        memory_width: int | None,
        heads: int,
        feed_forward: int,
        norm: Norm,
        dropout: float,
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads)
        self.around_attention = AddNorm(width, norm, dropout)
        if memory_width is not None:
            self.cross = MultiHeadAttention(width, memory_width, heads)
            self.around_cross = AddNorm(width, norm, dropout)
        self.feed_forward = FeedForward(width, feed_forward)
        self.around_feed_forward = AddNorm(width, norm, dropout)

    def forward(
        self,
        x_NTD: Tensor,
        memory: KeyValue | None,
        allowed_B1S: Tensor | None,
        *,
        rotation: Rotation | None = None,
        past: KeyValue | None = None,
        want_weights: bool = False,
    ) -> tuple[Tensor, KeyValue, Tensor | None, Tensor | None]:
        """``[N, T, D]``; keys and values of all that was read; the weights, if wanted, over the own sequence
        ``[N, H, T, P]`` and over the memory ``[N, H, T, S]``.

        N rows share the memory of B sentences, N / B rows each, one after the other.
        """
        update_NTD, present, own_NHTP = self.attention(
            self.around_attention.before(x_NTD),
            None,
            causal=past is None,
            rotation=rotation,
            past=past,
            want_weights=want_weights,
        )
        x_NTD = self.around_attention.after(x_NTD, update_NTD)
        cross_NHTS = None
        if memory is not None:
            update_NTD, cross_NHTS = attend_together(
                self.cross, self.around_cross.before(x_NTD), memory, allowed_B1S, want_weights
            )
            x_NTD = self.around_cross.after(x_NTD, update_NTD)
        update_NTD = self.feed_forward(self.around_feed_forward.before(x_NTD))
        return self.around_feed_forward.after(x_NTD, update_NTD), present, own_NHTP, cross_NHTS
