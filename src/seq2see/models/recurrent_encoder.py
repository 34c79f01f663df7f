"""A recurrent network that reads the source, from the left or from both sides.

B sentences · S source positions · D width · L layers.
"""

from torch import Tensor, nn

from seq2see.config.settings import RecurrentEncoder as RecurrentEncoderSettings
from seq2see.errors import InputError
from seq2see.models.contracts import Encoder, FinalShape, Memory, MemoryShape
from seq2see.nn.cells import Trace
from seq2see.nn.dropout import Dropout
from seq2see.nn.embedding import Embedding, zero_padding
from seq2see.nn.recurrent import RecurrentStack, padded


class RecurrentEncoder(Encoder):
    """The state after each token, and the last state: all that a decoder without attention gets.

    Sutskever et al. 2014, Cho et al. 2014; both directions: Bahdanau et al. 2015, section 3.2.
    """

    def __init__(self, settings: RecurrentEncoderSettings, weight_VD: nn.Parameter, dropout: float) -> None:
        super().__init__()
        if settings.bidirectional and settings.width % 2:
            raise InputError(
                f"encoder.width = {settings.width} cannot be shared by two directions; "
                f"choose an even width, or bidirectional = false"
            )
        self.shape = MemoryShape(settings.width, FinalShape(settings.cell, settings.layers, settings.width))
        self.embedding = Embedding(weight_VD, scaled=False)
        self.dropout = Dropout(dropout)
        self.stack = RecurrentStack(
            settings.cell,
            self.embedding.width,
            settings.width,
            settings.layers,
            dropout,
            bidirectional=settings.bidirectional,
        )

    def forward(self, source_BS: Tensor, valid_BS: Tensor, want_weights: bool = False) -> Memory:
        """See ``Encoder``. There are no weights to want."""
        embedded_BSD = self.dropout(self.embedding(source_BS))
        states_BSD, final = self.stack(embedded_BSD, None, padded(valid_BS))
        return Memory(zero_padding(states_BSD, valid_BS), valid_BS, final, {})

    def trace(self, source_BS: Tensor, valid_BS: Tensor) -> list[list[Trace]]:
        """Gates and states while reading: for each layer one trace a direction. For a model in eval mode."""
        return self.stack.trace(self.dropout(self.embedding(source_BS)), None, valid_BS)
