"""A masked language model reads both sides of every piece, and its weights are those of an encoder."""

import pytest
import torch
from architectures import scrambled
from shape_names import checked
from torch import Tensor

from seq2see.config.classify import ClassifierSettings
from seq2see.config.masked import MaskedModelSettings
from seq2see.config.settings import RecurrentEncoder, TransformerEncoder
from seq2see.errors import InputError
from seq2see.models.classifier import build_classifier
from seq2see.models.masked_language_model import MaskedLanguageModel, build_masked_model
from seq2see.models.masked_presets import MASKED_PRESETS, masked_preset
from seq2see.training.checkpoint import weights_of

V = 29
ENCODERS = {
    "bert": TransformerEncoder(layers=2, width=18, heads=3, feed_forward=19, position="rotary"),
    "bert-learned": TransformerEncoder(layers=1, width=15, heads=3, feed_forward=19, position="learned", norm="post"),
    "bilstm-2": RecurrentEncoder(cell="lstm", layers=2, width=14),
    "bigru": RecurrentEncoder(cell="gru", layers=1, width=14),
}
every_encoder = pytest.mark.parametrize("name", ENCODERS)


def made(name: str, tie: str = "output") -> MaskedLanguageModel:
    torch.manual_seed(5)
    settings = MaskedModelSettings(name="test", encoder=ENCODERS[name], tie=tie, dropout=0.0)
    return scrambled(build_masked_model(settings, V).double()).eval()


def text(rows: int, length: int) -> Tensor:
    return torch.randint(4, V, (rows, length), generator=torch.Generator().manual_seed(7))


def logits(model: MaskedLanguageModel, input_BS: Tensor, valid_BS: Tensor | None = None) -> Tensor:
    with torch.no_grad():
        return model.output(
            model(input_BS, torch.ones_like(input_BS, dtype=torch.bool) if valid_BS is None else valid_BS)
        )


@every_encoder
def test_padding_is_not_seen_and_neighbours_change_nothing(name: str) -> None:
    model, input_BS = made(name), text(3, 8)
    valid_BS = torch.arange(8) < torch.tensor([[8], [5], [2]])
    found = logits(model, input_BS, valid_BS)
    for row, length in enumerate((8, 5, 2)):
        alone = logits(model, input_BS[row : row + 1, :length])
        torch.testing.assert_close(found[row, :length], alone[0])
    garbage_BS = torch.where(valid_BS, input_BS, 17)
    wanted = logits(model, garbage_BS, valid_BS)[valid_BS]
    torch.testing.assert_close(found[valid_BS], wanted, rtol=0, atol=0)


@every_encoder
def test_every_piece_is_seen_from_every_place(name: str) -> None:
    model, input_BS = made(name), text(1, 5)
    before = logits(model, input_BS)[0]
    for place in range(5):
        other_BS = input_BS.clone()
        other_BS[0, place] = 4 + (int(input_BS[0, place]) - 3) % (V - 4)
        assert ((logits(model, other_BS)[0] - before).abs().amax(dim=1) > 1e-9).all()


@every_encoder
@pytest.mark.parametrize("tie", ["none", "output"])
def test_the_weights_of_the_network_are_those_of_an_encoder(name: str, tie: str) -> None:
    """What is learnt from plain text can be put into a classifier with such an encoder, by name."""
    model = made(name, tie)
    kept = weights_of(model)
    assert {key.split(".")[0] for key in kept} == {"encoder", "output"}
    assert ("output.weight_VD" in kept) == (tie == "none")
    settings = ClassifierSettings(name="test", encoder=ENCODERS[name], pooling="mean", dropout=0.0)
    other = build_classifier(settings, V, 3).double().eval()
    wanted = {key: tensor for key, tensor in weights_of(other).items() if key.startswith("encoder.")}
    lent = {key: tensor for key, tensor in kept.items() if key.startswith("encoder.")}
    assert {key: each.shape for key, each in wanted.items()} == {key: each.shape for key, each in lent.items()}
    other.load_state_dict(lent, strict=False)
    input_BS = text(2, 6)
    valid_BS = torch.ones_like(input_BS, dtype=torch.bool)
    with torch.no_grad():
        torch.testing.assert_close(other.encoder(input_BS, valid_BS).states_BSD, model(input_BS, valid_BS))


@every_encoder
def test_names_do_not_lie(name: str) -> None:
    model, input_BS = made(name), text(2, 5)
    with torch.no_grad(), checked() as checker:
        memory = model.read(input_BS, input_BS > 5, want_weights=True)
    assert checker.seen
    assert ("encoder" in memory.weights) == name.startswith("bert")


def test_it_begins_with_what_is_frequent() -> None:
    model = build_masked_model(masked_preset("bert-tiny"), 6)
    model.output.expect(torch.tensor([0, 0, 0, 0, 30, 10]))
    torch.testing.assert_close(model.output.bias_V.exp()[4:], torch.tensor([30.1, 10.1]) / 40.6)


def test_presets() -> None:
    assert {name: (each.encoder.width, each.encoder.layers) for name, each in MASKED_PRESETS.items()} == {
        "bert-tiny": (128, 4),
        "bert-small": (384, 6),
    }
    with pytest.raises(InputError, match='did you mean "bert-small"'):
        masked_preset("bert-smal")
