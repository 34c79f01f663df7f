"""An encoder without order: each state is the embedding of its piece and of the short runs that end there.

B sentences · S source positions · D width · K embeddings of runs.
"""

import torch
from torch import Tensor, nn

from seq2see.config.classify import BagEncoder as BagEncoderSettings
from seq2see.models.bridge import mean_state
from seq2see.models.contracts import Encoder, FinalShape, Memory, MemoryShape
from seq2see.nn.dropout import Dropout
from seq2see.nn.embedding import Embedding, token_weights

# Odd and with well mixed bits: the golden ratio in 64 bits, and a constant of SplitMix64 (Steele et al. 2014).
_FACTOR = -0x61C8864680B583EB
_MIXER = -0x40A7B892E31B1A47


class BagEncoder(Encoder):
    """The bag of fastText (Joulin et al. 2017, sections 2 and 2.2): pieces and n-grams of pieces, these by their hash.

    Runs that fall on one hash share an embedding. A run that begins before the text is none.
    """

    def __init__(self, settings: BagEncoderSettings, weight_VD: nn.Parameter, dropout: float) -> None:
        super().__init__()
        self.shape = MemoryShape(settings.width, FinalShape(None, 1, settings.width))
        self.ngrams = settings.ngrams
        self.embedding = Embedding(weight_VD, scaled=False)
        self.run_KD = token_weights(settings.buckets, settings.width) if settings.ngrams > 1 else None
        self.dropout = Dropout(dropout)

    def forward(self, source_BS: Tensor, valid_BS: Tensor, want_weights: bool = False) -> Memory:
        """See ``Encoder``. There are no weights to want."""
        x_BSD = self.embedding(source_BS)
        if self.run_KD is not None:
            for length in range(2, self.ngrams + 1):
                numbers_BS, whole_S = runs(source_BS, length, len(self.run_KD))
                x_BSD = x_BSD + nn.functional.embedding(numbers_BS, self.run_KD) * whole_S.unsqueeze(-1)
        states_BSD = self.dropout(x_BSD) * valid_BS.unsqueeze(-1)
        return Memory(states_BSD, valid_BS, mean_state(states_BSD, valid_BS), {})


def runs(source_BS: Tensor, length: int, buckets: int) -> tuple[Tensor, Tensor]:
    """The hash, from 0 to ``buckets`` - 1, of the ``length`` tokens that end at each position.

    Also whether there are so many, ``[S]``. Integer arithmetic modulo 2^64: the same on every device.
    """
    hash_BS = torch.full_like(source_BS, length)
    for back in range(length - 1, -1, -1):
        hash_BS = (hash_BS ^ source_BS.roll(back, dims=1)) * _FACTOR
        hash_BS = (hash_BS ^ (hash_BS >> 29)) * _MIXER
    whole_S = torch.arange(source_BS.shape[1], device=source_BS.device) >= length - 1
    return (hash_BS ^ (hash_BS >> 32)).remainder(buckets), whole_S
