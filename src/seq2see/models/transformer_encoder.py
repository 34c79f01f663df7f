"""The encoder of the Transformer: every position looks at every other (Vaswani et al. 2017, section 3.1), or at
those before it alone, which is a language model's network as an encoder (Radford et al. 2018, section 3.2).

B sentences · S source positions · D width · H heads · L layers.
"""

import torch
from torch import Tensor, nn

from seq2see.config.settings import TransformerEncoder as TransformerEncoderSettings
from seq2see.models.bridge import mean_state
from seq2see.models.contracts import Encoder, FinalShape, Memory, MemoryShape
from seq2see.nn.dropout import Dropout
from seq2see.nn.embedding import Embedding, zero_padding
from seq2see.nn.position import position
from seq2see.nn.transformer import EncoderBlock, visible


class TransformerEncoder(Encoder):
    """Embedding and position, then blocks; pre-norm ends with one more norm."""

    def __init__(self, settings: TransformerEncoderSettings, weight_VD: nn.Parameter, dropout: float) -> None:
        super().__init__()
        width = settings.width
        self.shape = MemoryShape(width, FinalShape(None, 1, width))
        self.causal = settings.causal
        self.embedding = Embedding(weight_VD, scaled=True)
        self.position = position(settings.position, width, settings.heads)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(
            EncoderBlock(width, settings.heads, settings.feed_forward, settings.norm, dropout)
            for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(width) if settings.norm == "pre" else nn.Identity()

    def forward(self, source_BS: Tensor, valid_BS: Tensor, want_weights: bool = False) -> Memory:
        """See ``Encoder``."""
        x_BSD, rotation = self.position(self.embedding(source_BS))
        x_BSD = self.dropout(x_BSD)
        allowed = visible(valid_BS, self.causal)
        layers: list[Tensor] = []
        for block in self.blocks:
            x_BSD, weights_BHSS = block(x_BSD, allowed, rotation, want_weights)
            if weights_BHSS is not None:
                layers.append(weights_BHSS)
        states_BSD = zero_padding(self.norm(x_BSD), valid_BS)
        weights = {"encoder": torch.stack(layers, dim=1)} if want_weights else {}
        return Memory(states_BSD, valid_BS, mean_state(states_BSD, valid_BS), weights)
