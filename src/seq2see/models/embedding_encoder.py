"""An encoder without context: each source position is its own embedding, and its place.

B sentences · S source positions · D width.
"""

from torch import Tensor, nn

from seq2see.config.settings import EmbeddingEncoder as EmbeddingEncoderSettings
from seq2see.models.bridge import mean_state
from seq2see.models.contracts import Encoder, FinalShape, Memory, MemoryShape
from seq2see.nn.dropout import Dropout
from seq2see.nn.embedding import Embedding, zero_padding
from seq2see.nn.position import SinusoidalPosition


class EmbeddingEncoder(Encoder):
    """What attention alone can do: the decoder looks at words, not at sentences."""

    def __init__(self, settings: EmbeddingEncoderSettings, weight_VD: nn.Parameter, dropout: float) -> None:
        super().__init__()
        self.shape = MemoryShape(settings.width, FinalShape(None, 1, settings.width))
        self.embedding = Embedding(weight_VD, scaled=True)
        self.position = SinusoidalPosition()
        self.dropout = Dropout(dropout)

    def forward(self, source_BS: Tensor, valid_BS: Tensor, want_weights: bool = False) -> Memory:
        """See ``Encoder``. There are no weights to want."""
        x_BSD, _ = self.position(self.embedding(source_BS))
        states_BSD = zero_padding(self.dropout(x_BSD), valid_BS)
        return Memory(states_BSD, valid_BS, mean_state(states_BSD, valid_BS), {})
