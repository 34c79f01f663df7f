"""An encoder of convolutions: each state knows some pieces to the left and to the right.

B sentences · S source positions · D width of the embeddings · C width of the states.
"""

from torch import Tensor, nn

from seq2see.config.classify import ConvolutionEncoder as ConvolutionEncoderSettings
from seq2see.models.bridge import mean_state
from seq2see.models.contracts import Encoder, FinalShape, Memory, MemoryShape
from seq2see.nn.dropout import Dropout
from seq2see.nn.embedding import Embedding
from seq2see.nn.text_convolution import TextConvolution


class TextConvolutionEncoder(Encoder):
    """Embeddings, and convolutions of several widths over them (Kim 2014, section 2)."""

    def __init__(self, settings: ConvolutionEncoderSettings, weight_VD: nn.Parameter, dropout: float) -> None:
        super().__init__()
        self.embedding = Embedding(weight_VD, scaled=False)
        self.dropout = Dropout(dropout)
        self.convolution = TextConvolution(settings.width, settings.filters, settings.widths)
        self.shape = MemoryShape(self.convolution.width, FinalShape(None, 1, self.convolution.width))

    def forward(self, source_BS: Tensor, valid_BS: Tensor, want_weights: bool = False) -> Memory:
        """See ``Encoder``. There are no weights to want."""
        # What stands at padding is beyond the end of the text: a window that reaches there must find zeros.
        embedded_BSD = self.dropout(self.embedding(source_BS)) * valid_BS.unsqueeze(-1)
        states_BSC = self.convolution(embedded_BSD) * valid_BS.unsqueeze(-1)
        return Memory(states_BSC, valid_BS, mean_state(states_BSC, valid_BS), {})
