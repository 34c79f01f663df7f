"""A masked language model: which piece stands where one is hidden, given all others (Devlin et al. 2019).

It is an encoder and an output layer. The encoder's weights are named ``encoder.…``, as in every model with such an
encoder: they can be loaded by name into a model for another task.

B windows · S positions · D width · V vocabulary
"""

from torch import Tensor, nn

from seq2see.config import masked as config
from seq2see.config.settings import RecurrentEncoder as RecurrentEncoderSettings
from seq2see.config.settings import TransformerEncoder as TransformerEncoderSettings
from seq2see.models.contracts import Encoder, Memory
from seq2see.models.recurrent_encoder import RecurrentEncoder
from seq2see.models.transformer_encoder import TransformerEncoder
from seq2see.nn.embedding import OutputLayer, token_weights


class MaskedLanguageModel(nn.Module):
    """An encoder that reads both sides, and logits over the vocabulary at every position."""

    def __init__(self, encoder: Encoder, output: OutputLayer) -> None:
        super().__init__()
        self.encoder = encoder
        self.output = output

    def forward(self, input_BS: Tensor, valid_BS: Tensor) -> Tensor:
        """Hidden states ``[B, S, D]``, for ``output`` to make logits of; zero where nothing is valid."""
        return self.read(input_BS, valid_BS).states_BSD

    def read(self, input_BS: Tensor, valid_BS: Tensor, want_weights: bool = False) -> Memory:
        """The same with, if wanted, the weights that a Transformer has: "encoder" ``[B, L, H, S, S]``."""
        memory: Memory = self.encoder(input_BS, valid_BS, want_weights)
        return memory


def build_masked_model(settings: config.MaskedModelSettings, vocabulary: int) -> MaskedLanguageModel:
    """A fresh model, its weights drawn from torch's generator.

    ``InputError`` where the settings do not fit each other.
    """
    width = settings.encoder.width
    output = OutputLayer(token_weights(vocabulary, width))
    weight_VD = output.weight_VD if settings.tie == "output" else token_weights(vocabulary, width)
    match settings.encoder:
        case TransformerEncoderSettings():
            return MaskedLanguageModel(TransformerEncoder(settings.encoder, weight_VD, settings.dropout), output)
        case RecurrentEncoderSettings():
            return MaskedLanguageModel(RecurrentEncoder(settings.encoder, weight_VD, settings.dropout), output)
