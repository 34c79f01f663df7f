"""What every encoder with every pooling must keep: padding and neighbours are invisible, every weight is used."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from architectures import scrambled
from shape_names import checked
from torch import Tensor

from seq2see.config.classify import BagEncoder, ClassifierSettings, ConvolutionEncoder, TextEncoder
from seq2see.config.settings import RecurrentEncoder, TransformerEncoder
from seq2see.errors import InputError
from seq2see.models.bag_encoder import runs
from seq2see.models.classifier import Classifier, before_end, build_classifier, count_parameters
from seq2see.models.classifier_presets import CLASSIFIERS, classifier_preset
from seq2see.nn.embedding import PAD

VOCABULARY, CLASSES = 23, 3
LENGTHS = (7, 4, 2)  # <eos> counted

ENCODERS: dict[str, TextEncoder] = {
    "rnn": RecurrentEncoder(cell="rnn", width=11, bidirectional=False),
    "bilstm-2": RecurrentEncoder(cell="lstm", layers=2, width=14),
    "bigru": RecurrentEncoder(cell="gru", width=14),
    "transformer": TransformerEncoder(layers=2, width=15, heads=3, feed_forward=19),
    "convolution": ConvolutionEncoder(width=11, filters=5, widths=(2, 3, 4)),
    "bag": BagEncoder(width=13, ngrams=3, buckets=17),
    "bag-of-pieces": BagEncoder(width=13, ngrams=1),
}
MODELS = [
    (encoder, pooling)
    for encoder, pooling in product(ENCODERS, ("last", "mean", "max", "attention"))
    if pooling != "last" or ENCODERS[encoder].kind in ("recurrent", "transformer")
]
every_model = pytest.mark.parametrize(("encoder", "pooling"), MODELS)


def settings(encoder: str, pooling: str, dropout: float = 0.0) -> ClassifierSettings:
    return ClassifierSettings.model_validate(
        {"name": "test", "encoder": ENCODERS[encoder].model_dump(), "pooling": pooling, "dropout": dropout}
    )


def make(encoder: str, pooling: str) -> Classifier:
    torch.manual_seed(29)
    model = build_classifier(settings(encoder, pooling), VOCABULARY, CLASSES)
    scrambled(model.double()).eval()
    return model


def data(lengths: tuple[int, ...] = LENGTHS) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(31)
    source_BS = torch.randint(4, VOCABULARY, (len(lengths), max(lengths)), generator=generator)
    valid_BS = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return source_BS * valid_BS, valid_BS


def gradients(model: Classifier, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


@every_model
def test_padding_is_invisible(encoder: str, pooling: str) -> None:
    model, (source_BS, valid_BS) = make(encoder, pooling), data()
    B, S = source_BS.shape
    longer_BS = torch.cat((source_BS, torch.zeros(B, 3, dtype=torch.long)), dim=1)
    longer_valid_BS = torch.cat((valid_BS, torch.zeros(B, 3, dtype=torch.bool)), dim=1)
    noise_BS = torch.randint(0, VOCABULARY, longer_BS.shape, generator=torch.Generator().manual_seed(37))
    garbage_BS = torch.where(longer_valid_BS, longer_BS, noise_BS)
    results = []
    for source, valid in ((source_BS, valid_BS), (longer_BS, longer_valid_BS), (garbage_BS, longer_valid_BS)):
        hidden_BD, weights = model.read(source, valid, want_weights=True)
        cross = [weights["cross"][..., :S]] if "cross" in weights else []
        results.append([hidden_BD, *cross, gradients(model, hidden_BD.square().sum())])
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[1], rtol=0, atol=0)


@every_model
def test_other_texts_are_invisible(encoder: str, pooling: str) -> None:
    model, (source_BS, valid_BS) = make(encoder, pooling), data()
    together_BD = model(source_BS, valid_BS)
    torch.testing.assert_close(model(source_BS.flip(0), valid_BS.flip(0)).flip(0), together_BD)
    for b, length in enumerate(LENGTHS):
        torch.testing.assert_close(
            model(source_BS[b : b + 1, :length], valid_BS[b : b + 1, :length])[0], together_BD[b]
        )
    found = gradients(model, model(source_BS, valid_BS)[1].square().sum())["encoder.embedding.weight_VD"].abs().sum(1)
    read = {*source_BS[1, :4].tolist()}
    if pooling == "max":  # of some positions nothing is the largest
        assert set(found.nonzero().flatten().tolist()) <= read
    else:
        # States that know nothing of what comes after them know nothing of the end, which is not pooled.
        blind = pooling != "last" and encoder in ("rnn", "bag", "bag-of-pieces")
        inside = {*source_BS[1, :3].tolist()} if blind else read
        assert set(found.nonzero().flatten().tolist()) == inside


@every_model
def test_every_weight_is_used_and_saved_weights_are_the_whole_model(encoder: str, pooling: str) -> None:
    model, (source_BS, valid_BS) = make(encoder, pooling), data()
    found = gradients(model, model.output(model(source_BS, valid_BS)).square().sum())
    for name, parameter in model.named_parameters():
        assert name in found, f"{name} gets no gradient"
        assert found[name].any() and found[name].isfinite().all(), name
        assert found[name].shape == parameter.shape
    assert set(model.state_dict()) == set(found)
    torch.manual_seed(41)
    fresh = build_classifier(settings(encoder, pooling), VOCABULARY, CLASSES).double().eval()
    assert not torch.allclose(fresh(source_BS, valid_BS), model(source_BS, valid_BS))
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(source_BS, valid_BS), model(source_BS, valid_BS))
    assert sum(each.numel() for each in model.parameters()) == count_parameters(
        settings(encoder, pooling), VOCABULARY, CLASSES
    )


@every_model
def test_a_text_of_nothing_but_its_end_harms_nobody(encoder: str, pooling: str) -> None:
    model, (source_BS, valid_BS) = make(encoder, pooling), data()
    for pieces in (0, 1):
        emptied_BS = valid_BS.clone()
        emptied_BS[1] = torch.arange(7) < pieces
        hidden_BD = model(source_BS, emptied_BS)
        assert hidden_BD.isfinite().all()
        assert all(each.isfinite().all() for each in gradients(model, hidden_BD.square().sum()).values())
        torch.testing.assert_close(model(source_BS, emptied_BS)[[0, 2]], model(source_BS, valid_BS)[[0, 2]])


@every_model
def test_weights_are_those_of_an_attention_over_the_text_without_its_end(encoder: str, pooling: str) -> None:
    model, (source_BS, valid_BS) = make(encoder, pooling), data()
    with torch.no_grad():
        hidden_BD, weights = model.read(source_BS, valid_BS, want_weights=True)
    assert ("cross" in weights) == (pooling == "attention")
    assert ("encoder" in weights) == (ENCODERS[encoder].kind == "transformer")
    if pooling == "attention":
        cross_BS = weights["cross"][:, 0, 0, 0]
        assert weights["cross"].shape == (3, 1, 1, 1, 7)
        torch.testing.assert_close(cross_BS.sum(1), torch.ones(3, dtype=torch.float64))
        assert not cross_BS[~before_end(valid_BS)].any()
        with torch.no_grad():
            states_BSD = model.encoder(source_BS, valid_BS).states_BSD
        torch.testing.assert_close((cross_BS.unsqueeze(1) @ states_BSD).squeeze(1), hidden_BD)


def test_last_is_the_state_that_has_read_everything() -> None:
    source_BS, valid_BS = data()
    rnn = make("rnn", "last")
    memory = rnn.encoder(source_BS, valid_BS)
    for b, length in enumerate(LENGTHS):
        torch.testing.assert_close(rnn(source_BS, valid_BS)[b], memory.states_BSD[b, length - 1])
    transformer = make("transformer", "last")
    memory = transformer.encoder(source_BS, valid_BS)
    for b, length in enumerate(LENGTHS):
        torch.testing.assert_close(transformer(source_BS, valid_BS)[b], memory.states_BSD[b, length - 1])
    both = make("bigru", "last")
    memory = both.encoder(source_BS, valid_BS)
    for b, length in enumerate(LENGTHS):
        wanted = torch.cat((memory.states_BSD[b, length - 1, :7], memory.states_BSD[b, 0, 7:]))
        torch.testing.assert_close(both(source_BS, valid_BS)[b], wanted)


def test_the_runs_of_a_bag_depend_on_their_tokens_and_order_alone() -> None:
    source_BS = torch.tensor([[5, 9, 5, 9, 7, 9, 5, 8]])
    numbers_BS, whole_S = runs(source_BS, 2, 1 << 40)
    row = numbers_BS[0].tolist()
    assert whole_S.tolist() == [False] + [True] * 7
    assert row[1] == row[3]  # 5 9 twice
    assert row[2] == row[6]  # 9 5 twice
    assert len({row[at] for at in range(1, 8)}) == 5  # 5 9, 9 5, 9 7, 7 9, 5 8
    triples = runs(source_BS, 3, 1 << 40)[0][0, 2:].tolist()
    assert len({*triples, *row[1:]}) == 6 + 5  # all different, and none like a pair
    assert all(0 <= each < 11 for each in runs(source_BS, 2, 11)[0].flatten().tolist())
    many = runs(torch.arange(20_000).view(1, -1), 2, 64)[0].flatten().bincount(minlength=64)
    assert int(many.min()) > 200  # of about 312 in each bucket: the hash spreads


def test_a_bag_is_the_sum_of_its_runs() -> None:
    model, (source_BS, valid_BS) = make("bag", "mean"), data()
    encoder = model.encoder
    with torch.no_grad():
        states_BSD = encoder(source_BS, valid_BS).states_BSD
        for s in range(7):
            wanted_D = encoder.embedding.weight_VD[source_BS[0, s]].clone()
            for length in (2, 3):
                if s + 1 >= length:
                    wanted_D += encoder.run_KD[runs(source_BS[:1, s + 1 - length : s + 1], length, 17)[0][0, -1]]
            torch.testing.assert_close(states_BSD[0, s], wanted_D)


def test_a_convolution_sees_nothing_beyond_the_end() -> None:
    """A token that is wiped out (PAD, but valid) is another thing than the end."""
    model, (source_BS, valid_BS) = make("convolution", "max"), data()
    wiped_BS = source_BS.clone()
    wiped_BS[0, 2] = PAD
    assert not torch.allclose(model(wiped_BS, valid_BS)[0], model(source_BS, valid_BS)[0])


def test_names_tell_no_lies_about_shapes() -> None:
    source_BS, valid_BS = data()
    models = [make(encoder, pooling) for encoder, pooling in MODELS]
    with checked() as checker:
        for model in models:
            model.read(source_BS, valid_BS, want_weights=True)
    functions = {where.split(",")[0].removeprefix("seq2see.") for where, _ in checker.seen}
    for function in (
        "nn.pooling.mean",
        "nn.pooling.maximum",
        "models.bag_encoder.runs",
        "models.classifier.before_end",
    ):
        assert function in functions


@pytest.mark.parametrize("encoder", ["bilstm-2", "transformer", "convolution", "bag"])
def test_a_tiny_set_is_learned(encoder: str) -> None:
    """Which of two tokens comes first: nothing that counts tokens alone could tell."""
    torch.manual_seed(43)
    rows = [[a, b] for a in range(5, 9) for b in range(5, 9) if a != b]
    source_BS = torch.tensor([[*row, 2] for row in rows])
    valid_BS = torch.ones_like(source_BS, dtype=torch.bool)
    gold_B = torch.tensor([int(a < b) for a, b in rows])
    model = build_classifier(settings(encoder, "attention"), VOCABULARY, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        loss = F.cross_entropy(model.output(model(source_BS, valid_BS)), gold_B)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.01


def test_presets_are_what_they_say() -> None:
    for name, preset in CLASSIFIERS.items():
        made = classifier_preset(name)
        assert (made.name, made.pooling, made.encoder) == (name, preset.pooling, preset.encoder)
        assert count_parameters(made, 1_000, 5) > 1_000 * made.encoder.width
    with pytest.raises(InputError, match='did you mean "lstm"'):
        classifier_preset("lsmt")
    with pytest.raises(ValueError, match='pooling = "last"'):
        ClassifierSettings(name="x", encoder=BagEncoder(), pooling="last")
