"""Small models of every kind for the tests: prime or odd sizes, so that nothing fits by accident."""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor, nn

from seq2see.config.settings import (
    EmbeddingEncoder,
    ModelSettings,
    RecurrentDecoder,
    RecurrentEncoder,
    TransformerDecoder,
    TransformerEncoder,
)
from seq2see.models.build import build
from seq2see.models.contracts import Memory
from seq2see.models.seq2seq import Seq2Seq

SOURCE_VOCABULARY, TARGET_VOCABULARY = 23, 29

ENCODERS = {
    "rnn": RecurrentEncoder(cell="rnn", layers=1, width=11, bidirectional=False),
    "lstm": RecurrentEncoder(cell="lstm", layers=1, width=11, bidirectional=False),
    "bilstm-2": RecurrentEncoder(cell="lstm", layers=2, width=14, bidirectional=True),
    "bigru": RecurrentEncoder(cell="gru", layers=1, width=14, bidirectional=True),
    "transformer-pre": TransformerEncoder(layers=2, width=15, heads=3, feed_forward=19),
    "transformer-post-learned": TransformerEncoder(
        layers=1, width=15, heads=3, feed_forward=19, norm="post", position="learned"
    ),
    "transformer-rotary": TransformerEncoder(layers=2, width=18, heads=3, feed_forward=19, position="rotary"),
    "transformer-causal": TransformerEncoder(layers=2, width=15, heads=3, feed_forward=19, causal=True),
    "embedding": EmbeddingEncoder(width=13),
}

DECODERS = {
    **{
        f"{cell}-{attention}": RecurrentDecoder(
            cell=cell, layers=1, width=15, attention=attention, heads=3 if attention == "multihead" else 1
        )
        for cell, attention in product(("rnn", "lstm", "gru"), ("none", "dot", "general", "additive", "multihead"))
        if cell == "lstm" or attention in ("none", "general")
    },
    "lstm-none-fits": RecurrentDecoder(cell="lstm", layers=1, width=11, attention="none"),
    "lstm-2-general-fed": RecurrentDecoder(cell="lstm", layers=2, width=17, attention="general", input_feeding=True),
    "gru-multihead-fed": RecurrentDecoder(
        cell="gru", layers=1, width=15, attention="multihead", heads=3, input_feeding=True
    ),
    "transformer-pre": TransformerDecoder(layers=2, width=15, heads=3, feed_forward=19),
    "transformer-post-learned": TransformerDecoder(
        layers=1, width=15, heads=3, feed_forward=19, norm="post", position="learned"
    ),
    "transformer-rotary": TransformerDecoder(layers=2, width=18, heads=3, feed_forward=19, position="rotary"),
}

ALL_PAIRS = list(product(ENCODERS, DECODERS))

# Every encoder with two unlike decoders, every decoder with two unlike encoders.
PAIRS = sorted(
    {(encoder, decoder) for encoder in ENCODERS for decoder in ("lstm-2-general-fed", "transformer-pre")}
    | {(encoder, decoder) for encoder in ("bilstm-2", "transformer-pre") for decoder in DECODERS}
    | {("lstm", "lstm-none-fits")}
)


def settings(encoder: str, decoder: str, *, tie: str = "none", dropout: float = 0.0) -> ModelSettings:
    return ModelSettings(name="test", encoder=ENCODERS[encoder], decoder=DECODERS[decoder], tie=tie, dropout=dropout)


def scrambled(model: nn.Module) -> nn.Module:
    """No bias is zero and no norm an identity, so that nothing can be left out unseen."""
    torch.manual_seed(23)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def make(encoder: str, decoder: str, *, tie: str = "none") -> Seq2Seq:
    """A model in double precision and eval mode."""
    torch.manual_seed(29)
    model = build(settings(encoder, decoder, tie=tie), SOURCE_VOCABULARY, TARGET_VOCABULARY)
    return scrambled(model.double()).eval()


LENGTHS = (7, 4, 5)


def data(lengths: tuple[int, ...] = LENGTHS, T: int = 5, seed: int = 31) -> tuple[Tensor, Tensor, Tensor]:
    """Source, which of it is valid, and decoder input; no token stands twice in a decoder input."""
    generator = torch.Generator().manual_seed(seed)
    B, S = len(lengths), max(lengths)
    source_BS = torch.randint(4, SOURCE_VOCABULARY, (B, S), generator=generator)
    valid_BS = torch.arange(S) < torch.tensor(lengths).unsqueeze(1)
    rows = [torch.randperm(TARGET_VOCABULARY - 4, generator=generator)[:T] + 4 for _ in range(B)]
    return source_BS * valid_BS, valid_BS, torch.stack(rows)


def steps(
    model: Seq2Seq, memory: Memory | None, input_NT: Tensor, rows: int = 1
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Logits and weights of each step of a given target."""
    state = model.decoder.start(memory, rows)
    for tokens_N in input_NT.unbind(1):
        logits_NV, state, weights_NLHS = model.decoder.step(tokens_N, state, want_weights=True)
        yield logits_NV, weights_NLHS
