"""Each family can learn: ten strings, written backwards."""

import pytest
import torch
import torch.nn.functional as F

from seq2see.config.settings import (
    ModelSettings,
    RecurrentDecoder,
    RecurrentEncoder,
    TransformerDecoder,
    TransformerEncoder,
)
from seq2see.models.build import build
from seq2see.models.seq2seq import Seq2Seq

SOS, EOS = 1, 2
READERS = {
    "rnn": RecurrentEncoder(cell="rnn", width=32),
    "lstm": RecurrentEncoder(cell="lstm", width=32),
    "gru": RecurrentEncoder(cell="gru", width=32),
    "pre": TransformerEncoder(layers=2, width=32, heads=2, feed_forward=64),
    "post": TransformerEncoder(layers=1, width=32, heads=2, feed_forward=64, norm="post", position="learned"),
}
WRITERS = {
    "rnn-dot": RecurrentDecoder(cell="rnn", width=32, attention="dot"),
    "lstm-none": RecurrentDecoder(cell="lstm", width=32, attention="none"),
    "gru-additive": RecurrentDecoder(cell="gru", width=32, attention="additive"),
    "lstm-general": RecurrentDecoder(cell="lstm", width=32, attention="general", input_feeding=True),
    "pre": TransformerDecoder(layers=2, width=32, heads=2, feed_forward=64, position="rotary"),
    "post": TransformerDecoder(layers=1, width=32, heads=2, feed_forward=64, norm="post", position="learned"),
}
FAMILIES = [
    *(("rnn", "rnn-dot"), ("lstm", "lstm-none"), ("gru", "gru-additive"), ("pre", "lstm-general")),
    *(("pre", "pre"), ("post", "post")),
]


def strings() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(53)
    rows = [torch.randint(4, 12, (length,), generator=generator).tolist() for length in (2, 3, 4, 5, 6) * 2]
    source_BS, target_BT = torch.zeros(10, 7, dtype=torch.long), torch.zeros(10, 8, dtype=torch.long)
    for b, row in enumerate(rows):
        source_BS[b, : len(row) + 1] = torch.tensor([*row, EOS])
        target_BT[b, : len(row) + 2] = torch.tensor([SOS, *reversed(row), EOS])
    return source_BS, source_BS != 0, target_BT


def greedy(model: Seq2Seq, source_BS: torch.Tensor, valid_BS: torch.Tensor, T: int) -> torch.Tensor:
    state = model.decoder.start(model.encode(source_BS, valid_BS))
    tokens_B, written = torch.full((len(source_BS),), SOS), []
    for _ in range(T):
        logits_BV, state, _ = model.decoder.step(tokens_B, state)
        tokens_B = logits_BV.argmax(-1)
        written.append(tokens_B)
    return torch.stack(written, dim=1)


@pytest.mark.parametrize(("reader", "writer"), FAMILIES)
def test_ten_reversed_strings_are_learned(reader: str, writer: str) -> None:
    torch.manual_seed(59)
    model = build(
        ModelSettings(name="test", encoder=READERS[reader], decoder=WRITERS[writer], tie="all", dropout=0.0), 12, 12
    )
    source_BS, valid_BS, target_BT = strings()
    gold_BT = target_BT[:, 1:]
    chosen = gold_BT != 0
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        logits = model.decoder.output(model(source_BS, valid_BS, target_BT[:, :-1])[chosen])
        loss = F.cross_entropy(logits, gold_BT[chosen])
        if loss < 0.01:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.01
    model.eval()
    assert torch.equal(greedy(model, source_BS, valid_BS, gold_BT.shape[1])[chosen], gold_BT[chosen])
