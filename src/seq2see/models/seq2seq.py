"""An encoder and a decoder: from one sequence to another.

B sentences · S source positions · T target positions · D width.
"""

from typing import Any

from torch import Tensor, nn

from seq2see.models.contracts import Decoder, Encoder, Memory


class Seq2Seq(nn.Module):
    """Any encoder with any decoder (Sutskever et al. 2014, Cho et al. 2014).

    ``forward`` is for training and runs both over whole sequences; the loss applies ``decoder.output``
    itself, in chunks. For use, ``encode`` once, then ``decoder.start`` and ``decoder.step``.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder[Any]) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, source_BS: Tensor, valid_BS: Tensor, want_weights: bool = False) -> Memory:
        """What the encoder makes of the source tokens; those at padding may be anything."""
        memory: Memory = self.encoder(source_BS, valid_BS, want_weights)
        return memory

    def forward(
        self, source_BS: Tensor, source_valid_BS: Tensor, input_BT: Tensor, input_valid_BT: Tensor | None = None
    ) -> Tensor:
        """Hidden states ``[B, T, D]`` for a target that is given, shifted by one: ``<sos>`` stands first.

        Those that ``input_valid_BT`` calls padding are zero.
        """
        hidden_BTD: Tensor
        hidden_BTD, _ = self.decoder(input_BT, self.encode(source_BS, source_valid_BS), input_valid_BT)
        return hidden_BTD
