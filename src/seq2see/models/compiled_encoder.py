"""A Transformer's encoder in one call of a compiled kernel, for a processor; no position is padding there.

The twin of :class:`TransformerEncoder`: the same states up to rounding.

B sentences · S source positions · R rows, the positions of all sentences one after the other · D width
"""

import ctypes
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import nn

from seq2see.models.compiled_blocks import Blocks, Kernel, PackedMemory, Positions, beginnings, fits, laid_out
from seq2see.models.transformer_encoder import TransformerEncoder
from seq2see.nn.native.library import pointer
from seq2see.nn.native.products import Kind
from seq2see.nn.transformer import EncoderBlock


class CompiledEncoder:
    """An encoder's weights laid out for the kernels."""

    def __init__(self, encoder: TransformerEncoder, kernels: ctypes.CDLL, kind: Kind) -> None:
        blocks = _blocks(encoder)
        self.causal, self.embedding = encoder.causal, encoder.embedding
        self.blocks = Blocks(blocks, encoder.norm, blocks[0].attention.multihead.heads, kernels, kind)
        self.positions = Positions(encoder.position, encoder.embedding.width)

    def read(self, sources: Sequence[Sequence[int]]) -> PackedMemory:
        """The states of sentences given as tokens, at least one each.

        Raises:
            InputError: one is longer than there are positions.
        """
        lengths = [len(each) for each in sources]
        longest = max(lengths)
        first = beginnings(torch.tensor(lengths))
        tokens_R = torch.tensor([token for each in sources for token in each])
        table = self.positions.reach(longest)
        x_RD = self.embedding(tokens_R)
        if (added_TD := table.added_TD) is not None:
            x_RD += torch.cat([added_TD[:length] for length in lengths]) if len(lengths) > 1 else added_TD[:longest]
        x_RD = x_RD.contiguous()
        space = self.blocks.space(len(x_RD), longest)
        self.blocks.kernels.encode(
            ctypes.byref(self.blocks.shape),
            len(sources),
            ctypes.c_void_p(pointer(first)),
            int(self.causal),
            ctypes.c_void_p(pointer(table.cosine)),
            ctypes.c_void_p(pointer(table.sine)),
            ctypes.c_void_p(pointer(x_RD)),
            ctypes.c_void_p(pointer(space)),
        )
        return PackedMemory(x_RD, first)


def compiled_encoder(encoder: nn.Module, kernel: Kernel) -> CompiledEncoder | None:
    """The encoder for the kernels, where it is one that they can compute; see :func:`laid_out`."""
    if not isinstance(encoder, TransformerEncoder):
        return None
    if not fits(_blocks(encoder), encoder.embedding.weight_VD, encoder.training):
        return None
    return laid_out(encoder, kernel, lambda kernels, kind: CompiledEncoder(encoder, kernels, kind))


def _blocks(encoder: TransformerEncoder) -> list[EncoderBlock]:
    return list(cast(Iterable[EncoderBlock], encoder.blocks))
