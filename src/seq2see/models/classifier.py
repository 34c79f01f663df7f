"""Many to one: an encoder reads a text, its states become one vector, and that vector a label.

B sentences · S source positions · D width · C classes · L = H = T = 1 layer, head and target position.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from seq2see.config import classify as config
from seq2see.config.settings import RecurrentEncoder as RecurrentEncoderSettings
from seq2see.config.settings import TransformerEncoder as TransformerEncoderSettings
from seq2see.models.bag_encoder import BagEncoder
from seq2see.models.contracts import Encoder, Memory
from seq2see.models.naming import parameters_of
from seq2see.models.recurrent_encoder import RecurrentEncoder
from seq2see.models.text_convolution_encoder import TextConvolutionEncoder
from seq2see.models.transformer_encoder import TransformerEncoder
from seq2see.nn.dropout import Dropout
from seq2see.nn.embedding import OutputLayer, token_weights
from seq2see.nn.pooling import AttentionPooling, maximum, mean
from seq2see.nn.recurrent import last


class Classifier(nn.Module):
    """Encoder, pooling, and a linear layer over the classes.

    Every text ends with one more token, ``<eos>``. ``"last"`` is the state that has read all of it: the recurrent
    network's final state (of two directions, each one's own last), or the state at ``<eos>``. The other poolings
    look at the text itself, without ``<eos>``.
    """

    def __init__(self, encoder: Encoder, pooling: config.Pooling, classes: int, dropout: float) -> None:
        super().__init__()
        width = encoder.shape.width
        self.encoder = encoder
        self.pooling = pooling
        self.attention = AttentionPooling(width) if pooling == "attention" else None
        self.dropout = Dropout(dropout)
        self.output = OutputLayer(token_weights(classes, width))

    def forward(self, source_BS: Tensor, valid_BS: Tensor) -> Tensor:
        """What the output layer makes logits of, ``[B, D]``; the loss applies that layer itself."""
        hidden_BD, _ = self.read(source_BS, valid_BS)
        return hidden_BD

    def read(
        self, source_BS: Tensor, valid_BS: Tensor, want_weights: bool = False
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """``[B, D]`` and, if wanted, the weights that there are.

        "cross" ``[B, L, H, T, S]`` where an attention pools, "encoder" ``[B, L, H, S, S]`` of a Transformer.
        """
        memory = self.encoder(source_BS, valid_BS, want_weights)
        pooled_BD, weights_BS = self._pooled(memory)
        weights = dict(memory.weights)
        if want_weights and weights_BS is not None:
            weights["cross"] = weights_BS[:, None, None, None]
        return self.dropout(pooled_BD), weights

    def _pooled(self, memory: Memory) -> tuple[Tensor, Tensor | None]:
        states_BSD, valid_BS = memory.states_BSD, memory.valid_BS
        inside_BS = before_end(valid_BS)
        if self.attention is not None:
            pooled_BD, weights_BS = self.attention(states_BSD, inside_BS)
            return pooled_BD, weights_BS
        if self.pooling == "last" and self.encoder.shape.final.cell is not None:
            return memory.final.hidden_LND[-1], None
        if self.pooling == "last":
            return last(states_BSD, valid_BS.sum(1, keepdim=True)), None
        return (mean if self.pooling == "mean" else maximum)(states_BSD, inside_BS), None


def before_end(valid_BS: Tensor) -> Tensor:
    """The valid positions of each text but its last one, ``<eos>``."""
    return torch.cat((valid_BS[:, 1:], torch.zeros_like(valid_BS[:, :1])), dim=1)


def build_classifier(settings: config.ClassifierSettings, vocabulary: int, classes: int) -> Classifier:
    """A fresh model, its weights drawn from torch's generator.

    ``InputError`` where the settings do not fit each other.
    """
    encoder = _encoder(settings.encoder, token_weights(vocabulary, settings.encoder.width), settings.dropout)
    return Classifier(encoder, settings.pooling, classes, settings.dropout)


def count_parameters(settings: config.ClassifierSettings, vocabulary: int, classes: int) -> int:
    """How many numbers training has to find. Nothing is allocated."""
    return parameters_of(lambda: build_classifier(settings, vocabulary, classes))


def _encoder(settings: config.TextEncoder, weight_VD: nn.Parameter, dropout: float) -> Encoder:
    match settings:
        case RecurrentEncoderSettings():
            return RecurrentEncoder(settings, weight_VD, dropout)
        case TransformerEncoderSettings():
            return TransformerEncoder(settings, weight_VD, dropout)
        case config.ConvolutionEncoder():
            return TextConvolutionEncoder(settings, weight_VD, dropout)
        case config.BagEncoder():
            return BagEncoder(settings, weight_VD, dropout)
