"""What a model of pictures must keep: any decoder over its places, exact shares, and a tiny set learned by heart."""

import itertools
from pathlib import Path

import pytest
import torch
from architectures import DECODERS, scrambled
from shape_names import checked
from torch import Tensor

from seq2see.config.images import CaptionerSettings, ConvolutionalEncoder, ImageClassifierSettings, PictureSize
from seq2see.errors import InputError
from seq2see.models.captioner import Captioner, build_captioner, check_captioner
from seq2see.models.image_classifier import ImageClassifier
from seq2see.models.image_encoder import ImageEncoder
from seq2see.models.image_presets import IMAGE_PRESETS, captioner_preset, classifier_preset, encoder_for
from seq2see.nn.convolution import places
from seq2see.storage.tensors import load_tensors, save_tensors
from seq2see.training.checkpoint import expected_weights, restore_weights, weights_of
from seq2see.training.loss import cross_entropy

VOCABULARY = 19
PICTURE = PictureSize(height=7, width=5, colour="rgb")
ENCODER = ConvolutionalEncoder(channels=(8, 11), strides=(1, 2), blocks=1, width=13)


def captioner(decoder: str) -> Captioner:
    torch.manual_seed(3)
    settings = CaptionerSettings(name="test", picture=PICTURE, encoder=ENCODER, decoder=DECODERS[decoder], dropout=0.0)
    model = scrambled(build_captioner(settings, VOCABULARY).double()).eval()
    assert isinstance(model, Captioner)
    return model


def classifier(classes: int = 4) -> ImageClassifier:
    torch.manual_seed(5)
    settings = ImageClassifierSettings(name="test", picture=PICTURE, encoder=ENCODER, dropout=0.0)
    model = scrambled(ImageClassifier(settings, classes).double()).eval()
    assert isinstance(model, ImageClassifier)
    return model


def pictures(count: int = 3) -> Tensor:
    return torch.randint(0, 256, (count, 3, 7, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(7))


INPUT_BT = torch.tensor([[1, 5, 9, 6], [1, 7, 4, 8], [1, 8, 12, 5]])


@pytest.mark.parametrize("decoder", DECODERS)
def test_any_decoder_goes_with_the_places_of_a_picture(decoder: str) -> None:
    """Steps unrolled are the whole, other pictures are invisible, and nothing looks ahead."""
    model, pictures_BCHW = captioner(decoder), pictures()
    memory = model.encode(pictures_BCHW)
    assert memory.states_BSD.shape == (3, 4 * 3, 13) and memory.valid_BS.all()
    with torch.no_grad():
        hidden_BTD, weights = model.decoder(INPUT_BT, memory, want_weights=True)
        torch.testing.assert_close(model(pictures_BCHW, INPUT_BT), hidden_BTD)
        state = model.decoder.start(memory)
        for t in range(4):
            logits_BV, state, seen = model.decoder.step(INPUT_BT[:, t], state, want_weights=True)
            torch.testing.assert_close(logits_BV, model.decoder.output(hidden_BTD[:, t]))
            if seen is not None:
                torch.testing.assert_close(seen, weights["cross"][:, :, :, t])
                torch.testing.assert_close(seen.sum(-1), torch.ones_like(seen.sum(-1)))
        for b in range(3):
            alone = model(pictures_BCHW[b : b + 1], INPUT_BT[b : b + 1])
            torch.testing.assert_close(alone[0], hidden_BTD[b])
        changed = INPUT_BT.clone()
        changed[:, 2:] = 14
        torch.testing.assert_close(model(pictures_BCHW, changed)[:, :2], hidden_BTD[:, :2])
        assert not torch.allclose(model(pictures_BCHW, changed)[:, 2:], hidden_BTD[:, 2:])


def test_a_state_is_of_its_place() -> None:
    """What happens in the last corner of a picture changes the first place least, if at all; and places differ."""
    encoder = captioner("lstm-general").encoder
    plain = torch.full((1, 3, 7, 5), 100, dtype=torch.uint8)
    states_SD = encoder(plain).states_BSD[0]
    assert all(not torch.allclose(first, second) for first, second in itertools.combinations(states_SD, 2))
    assert encoder.rows * encoder.columns == len(states_SD) == 12


def test_rows_and_columns_are_told_apart_by_their_waves() -> None:
    encoder = captioner("lstm-general").encoder
    position_SD = encoder._position(torch.zeros(1, 1, 13, dtype=torch.double)).view(4, 3, 13)
    half = 13 // 2
    for row, column in itertools.product(range(4), range(3)):
        assert torch.equal(position_SD[row, column, :half], position_SD[row, 0, :half])
        assert torch.equal(position_SD[row, column, half:], position_SD[0, column, half:])
        wanted = [
            [torch.sin, torch.cos][d % 2](torch.tensor(place / 10_000 ** (d // 2 * 2 / width)).double())
            for place, width in ((row, half), (column, 13 - half))
            for d in range(width)
        ]
        torch.testing.assert_close(position_SD[row, column], torch.stack(wanted))


def test_shares_of_places_add_up_to_the_logits() -> None:
    model, pictures_BCHW = classifier(), pictures()
    logits_BV, shares_BVS = model.shares(pictures_BCHW)
    torch.testing.assert_close(logits_BV, model.output(model(pictures_BCHW)))
    torch.testing.assert_close(shares_BVS.sum(2) + model.output.bias_V, logits_BV)
    assert shares_BVS.shape == (3, 4, 12)


def test_shares_are_the_map_of_grad_cam() -> None:
    """Selvaraju et al. 2017, equations 1 and 2, by autograd, before their ReLU."""
    model, pictures_BCHW = classifier(), pictures(1)
    features_BSD = model.features(pictures_BCHW).detach().requires_grad_()
    logits_BV = model.output(features_BSD.mean(1))
    _, shares_BVS = model.shares(pictures_BCHW)
    for number in range(4):
        (gradient_BSD,) = torch.autograd.grad(logits_BV[0, number], features_BSD, retain_graph=True)
        weight_D = gradient_BSD[0].mean(0)
        torch.testing.assert_close(features_BSD[0] @ weight_D, shares_BVS[0, number])


def test_other_pictures_are_invisible_to_a_classifier() -> None:
    model, pictures_BCHW = classifier(), pictures(4)
    together = model(pictures_BCHW)
    torch.testing.assert_close(model(pictures_BCHW.flip(0)).flip(0), together)
    torch.testing.assert_close(model(pictures_BCHW[1:2])[0], together[1])


def test_brightness_is_part_of_the_weights(tmp_path: Path) -> None:
    """Mean and spread come from the pictures, are saved with the weights, and are no parameters."""
    model, pictures_BCHW = classifier(), pictures(9)
    model.scale.learn(pictures_BCHW)
    values = pictures_BCHW.double()
    torch.testing.assert_close(model.scale.mean_C, values.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(model.scale.spread_C, values.std(dim=(0, 2, 3), correction=0))
    scaled = model.scale(pictures_BCHW)
    torch.testing.assert_close(scaled.mean(dim=(0, 2, 3)), torch.zeros(3).double())
    assert not any("scale" in name for name, _ in model.named_parameters())
    save_tensors(tmp_path / "w", weights_of(model), {})
    again = classifier()
    again.scale.learn(torch.zeros(1, 3, 7, 5, dtype=torch.uint8))
    restore_weights(again, load_tensors(tmp_path / "w", expected_weights(again)))
    assert torch.equal(again(pictures_BCHW), model(pictures_BCHW))
    flat = torch.full((2, 3, 7, 5), 9, dtype=torch.uint8)
    model.scale.learn(flat)
    assert torch.isfinite(model.scale(flat)).all()


def test_names_tell_the_shapes() -> None:
    writer, judge = captioner("transformer-pre"), classifier()
    with checked("seq2see.models", "seq2see.nn") as checker:
        writer(pictures(), INPUT_BT)
        judge.shares(pictures())
    assert len(checker.seen) > 40


def test_twelve_pictures_are_learned_by_heart() -> None:
    torch.manual_seed(1)
    some = torch.randint(0, 256, (12, 3, 7, 5), dtype=torch.uint8)
    labels = torch.arange(12) % 4
    settings = ImageClassifierSettings(name="t", picture=PICTURE, encoder=ENCODER, dropout=0.0)
    model = ImageClassifier(settings, 4)
    _descend(model, lambda: cross_entropy(model(some), model.output.weight_VD, model.output.bias_V, labels) / 12)
    assert torch.equal(model.output(model(some)).argmax(1), labels)


@pytest.mark.parametrize("decoder", ["lstm-general", "transformer-pre"])
def test_six_captions_are_learned_by_heart(decoder: str) -> None:
    torch.manual_seed(1)
    some = torch.randint(0, 256, (6, 3, 7, 5), dtype=torch.uint8)
    target = torch.randint(4, VOCABULARY, (6, 4))
    input_BT = torch.cat((torch.ones(6, 1, dtype=torch.long), target[:, :-1]), dim=1)
    settings = CaptionerSettings(name="t", picture=PICTURE, encoder=ENCODER, decoder=DECODERS[decoder], dropout=0.0)
    model = build_captioner(settings, VOCABULARY)
    output = model.decoder.output

    def loss() -> Tensor:
        hidden = model(some, input_BT).flatten(0, 1)
        return cross_entropy(hidden, output.weight_VD, output.bias_V, target.flatten()) / target.numel()

    _descend(model, loss)
    assert torch.equal(output(model(some, input_BT)).argmax(2), target)


def _descend(model: torch.nn.Module, loss: object) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        optimiser.zero_grad()
        value = loss()  # type: ignore[operator]
        value.backward()
        optimiser.step()
        if value < 0.01:
            return
    pytest.fail(f"the loss is still {value.item():.3f}")


@pytest.mark.parametrize(
    ("height", "width", "map"),
    [(28, 28, (7, 7)), (16, 16, (8, 8)), (12, 9, (6, 5)), (64, 64, (8, 8)), (300, 200, (10, 7))],
)
def test_a_network_is_as_deep_as_its_pictures_ask_for(height: int, width: int, map: tuple[int, int]) -> None:
    encoder = encoder_for(PictureSize(height=height, width=width, colour="grey"), 8, 1, 64)
    assert places(height, width, encoder.strides) == map
    assert len(encoder.channels) == len(encoder.strides) >= 3
    assert encoder.channels[0] == 8 and max(encoder.channels) <= 64


def test_presets() -> None:
    for name in IMAGE_PRESETS:
        assert ImageClassifier(classifier_preset(name, PICTURE), 3)(pictures()).shape[0] == 3
    for name in ("lstm", "lstm-attention", "transformer-tiny"):
        settings = captioner_preset(name, PICTURE)
        check_captioner(settings)
        assert settings.encoder.width == settings.decoder.width and settings.name == name
    with pytest.raises(InputError, match='no model for pictures "cnn-tinny"; did you mean "cnn-tiny"'):
        classifier_preset("cnn-tinny", PICTURE)
    with pytest.raises(InputError, match="did you mean"):
        captioner_preset("lstm-atention", PICTURE)


def test_parts_that_do_not_fit_are_told_before_any_work() -> None:
    settings = captioner_preset("transformer-tiny", PICTURE)
    odd = settings.decoder.model_copy(update={"position": "rotary", "width": 132})
    with pytest.raises(InputError, match="rotary"):
        check_captioner(settings.model_copy(update={"decoder": odd}))
    assert isinstance(build_captioner(settings, 9).encoder, ImageEncoder)
