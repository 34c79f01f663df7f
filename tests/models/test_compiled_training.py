"""Training in kernels beside PyTorch's: the same losses and gradients, as far as bfloat16 goes.

R rows · D width · V vocabulary
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from architectures import scrambled
from torch import Tensor, nn

from seq2see.config import settings as config
from seq2see.data.batch import Batch
from seq2see.models import compiled_training
from seq2see.models.build import build
from seq2see.models.compiled_blocks import beginnings
from seq2see.models.compiled_training import trained_in_kernels
from seq2see.models.seq2seq import Seq2Seq
from seq2see.nn.native.library import training_library
from seq2see.nn.native.prediction import Predictor
from seq2see.nn.native.training import stack
from seq2see.nn.transformer import EncoderBlock, visible
from seq2see.storage.tensors import load_tensors
from seq2see.tasks.objective import objective
from seq2see.training.gradient import Computation
from seq2see.training.precision import Precision
from small_task import Command, reversed_pairs, write_pairs

KERNELS = training_library()
pytestmark = pytest.mark.skipif(KERNELS is None, reason="needs a C compiler and products in bfloat16")
CPU = torch.device("cpu")
SHAPES: list[dict[str, Any]] = [
    {"norm": "pre", "position": "sinusoidal", "layers": 2, "heads": 2, "width": 64, "feed_forward": 96},
    {"norm": "post", "position": "learned", "layers": 2, "heads": 1, "width": 32, "feed_forward": 64},
    {"norm": "pre", "position": "rotary", "layers": 1, "heads": 4, "width": 64, "feed_forward": 32},
]
SOURCES = [[5] * 3, [6, 7] * 10, [8], [9, 4, 5] * 6, [7] * 33]
TARGETS = [[4] * 16, [5], [6, 9, 8] * 7, [], [9, 8] * 9]


def model_of(shape: dict[str, Any], vocabulary: int = 600, encoder_width: int | None = None) -> Seq2Seq:
    torch.manual_seed(3)
    given = config.ModelSettings(
        name="test",
        encoder=config.TransformerEncoder(**{**shape, "width": encoder_width or shape["width"]}),
        decoder=config.TransformerDecoder(**shape),
        tie="output",
        dropout=0.0,
    )
    return scrambled(build(given, vocabulary, vocabulary)).train()  # type: ignore[return-value]


def gradients(model: nn.Module, precision: Precision, twin: nn.Module | None = None) -> tuple[float, dict[str, Tensor]]:
    settings = config.TrainingSettings(steps=1)
    model.zero_grad()
    batch = Batch.of(SOURCES, TARGETS)
    loss = Computation(model, objective(settings), precision, CPU, twin).gradient([batch], 1).loss
    return loss, {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


def apart(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, float]:
    assert found.keys() == expected.keys()
    return {name: float((found[name] - each).norm() / each.norm().clamp(min=1e-6)) for name, each in expected.items()}


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("encoder_width", [None, 96])
def test_losses_and_gradients_are_as_near_as_pytorchs_in_bfloat16(
    shape: dict[str, Any], encoder_width: int | None
) -> None:
    if encoder_width and encoder_width % (16 * shape["heads"]):
        pytest.skip("heads do not fit")
    model = model_of(shape, encoder_width=encoder_width)
    twin = trained_in_kernels(model)
    assert twin is not None
    loss, expected = gradients(model, "float32", twin)
    half_loss, half = gradients(model, "bfloat16")
    for count in (1, 2, 3):
        with threads(count):
            own_loss, own = gradients(model, "bfloat16", twin)
        assert own_loss == pytest.approx(loss, rel=1e-3)
        assert abs(own_loss - loss) < 2 * abs(half_loss - loss) + 1e-3 * loss
        errors, allowed = apart(own, expected), apart(half, expected)
        assert sum(errors.values()) < 1.2 * sum(allowed.values())
        for name, error in errors.items():
            assert error < 3 * allowed[name] + 0.01, name


def test_the_twin_really_computes_otherwise() -> None:
    model = model_of(SHAPES[0])
    assert gradients(model, "bfloat16")[0] != gradients(model, "bfloat16", trained_in_kernels(model))[0]


def test_what_does_not_fit_is_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = model_of({**SHAPES[0], "width": 48, "heads": 3}, vocabulary=100)
    assert trained_in_kernels(odd) is None
    model = model_of(SHAPES[0], vocabulary=100)  # too few words for the kernel of the output layer, blocks that fit
    twin = trained_in_kernels(model)
    monkeypatch.setattr(compiled_training, "LONGEST", 5)
    assert gradients(model, "bfloat16")[0] == gradients(model, "bfloat16", twin)[0]


def test_a_sentence_does_not_feel_its_neighbours() -> None:
    torch.manual_seed(1)
    blocks = [EncoderBlock(64, 2, 96, "pre", 0.0) for _ in range(2)]
    compiled = stack(blocks, nn.LayerNorm(64), False, 0)
    assert compiled is not None
    lengths = [1, 18, 5, 40, 2, 2, 31]
    x_RD = torch.randn(sum(lengths), 64)
    together = {}
    for count in (1, 3):
        with threads(count):
            together[count] = compiled(x_RD, beginnings(torch.tensor(lengths)))
    assert torch.equal(together[1], together[3])
    for rows_LD, expected_LD in zip(x_RD.split(lengths), together[1].split(lengths), strict=True):
        assert torch.equal(compiled(rows_LD, beginnings(torch.tensor([len(rows_LD)]))), expected_LD)


MASK = (1 << 32) - 1


def mixed(x: int) -> int:
    x ^= x >> 16
    x = x * 0x7FEB352D & MASK
    x ^= x >> 15
    x = x * 0x846CA68B & MASK
    return x ^ x >> 16


def kept(seed: int, place: int, rows: int, width: int, share: float) -> Tensor:
    """The mask that training.c draws, written out number by number."""
    key = mixed((seed + 0x9E3779B9 * (place + 1)) & MASK)
    threshold = int(float(torch.tensor(share)) * (1 << 32))
    drawn = [mixed(((number * 0x9E3779B9 & MASK) + key) & MASK) >= threshold for number in range(rows * width)]
    return torch.tensor(drawn).view(rows, width) / (1 - threshold / (1 << 32))


class Masked(nn.Module):
    def __init__(self, mask_RD: Tensor) -> None:
        super().__init__()
        self.mask_RD = mask_RD

    def forward(self, values: Tensor) -> Tensor:
        return values * self.mask_RD


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_dropout_is_that_of_its_seed_forward_and_back(norm: Any) -> None:
    torch.manual_seed(1)
    blocks = [EncoderBlock(32, 2, 64, norm, 0.3) for _ in range(2)]
    last = nn.LayerNorm(32) if norm == "pre" else nn.Identity()
    compiled = stack(blocks, last, False, 0)
    assert compiled is not None
    rows = 25
    x_RD, given_RD = torch.randn(rows, 32, requires_grad=True), torch.randn(rows, 32)
    torch.manual_seed(7)
    seed = int(torch.randint(1 << 31, ()))
    torch.manual_seed(7)
    with threads(2):
        found_RD = compiled(x_RD, beginnings(torch.tensor([4, 9, 12])))
    found_RD.backward(given_RD)
    found_gradient_RD, x_RD.grad = x_RD.grad, None
    for index, block in enumerate(blocks):
        block.around_attention.dropout = Masked(kept(seed, 3 * index, rows, 32, 0.3))  # type: ignore[assignment]
        block.around_feed_forward.dropout = Masked(kept(seed, 3 * index + 2, rows, 32, 0.3))  # type: ignore[assignment]
    # One sentence of all rows that sees its own neighbours alone.
    own = torch.block_diag(*(torch.ones(n, n) for n in (4, 9, 12))).bool()[None]
    y_RD = x_RD[None]
    for block in blocks:
        y_RD, _ = block(y_RD, own)
    y_RD = last(y_RD)[0]
    y_RD.backward(given_RD)
    assert found_gradient_RD is not None
    assert x_RD.grad is not None
    assert float((found_RD - y_RD).detach().norm() / y_RD.detach().norm()) < 0.01
    assert float((found_gradient_RD - x_RD.grad).norm() / x_RD.grad.norm()) < 0.1


def test_masks_have_their_share_and_no_pattern() -> None:
    first, second = (kept(5, place, 400, 32, 0.3) > 0 for place in (0, 1))
    assert float(first.float().mean()) == pytest.approx(0.7, abs=0.02)
    assert float((first & second).float().mean()) == pytest.approx(0.49, abs=0.02)
    assert float((first[1:] & first[:-1]).float().mean()) == pytest.approx(0.49, abs=0.02)
    assert float(first.float().mean(0).std()) < 0.04  # of columns


@pytest.mark.parametrize(
    ("rows", "width", "words", "scale", "smoothing"),
    [(300, 64, 1_111, 4.0, 0.1), (97, 32, 515, 0.5, 0.0), (1, 16, 513, 4.0, 0.1), (200, 64, 700, 300.0, 0.1)],
)
@pytest.mark.parametrize("biased", [True, False])
def test_cross_entropy_is_pytorchs_of_rounded_numbers(
    rows: int, width: int, words: int, scale: float, smoothing: float, biased: bool
) -> None:
    torch.manual_seed(2)
    assert KERNELS is not None
    hidden_ND = (torch.randn(rows, width) * scale / width**0.5).bfloat16().float().requires_grad_()
    weight_VD = torch.randn(words, width).bfloat16().float().requires_grad_()
    bias_V = torch.randn(words).requires_grad_() if biased else None
    gold_N = torch.randint(words, (rows,))
    gold_N[: rows // 2] = F.linear(hidden_ND, weight_VD, bias_V).argmax(1)[: rows // 2]
    loss_N = F.cross_entropy(
        F.linear(hidden_ND, weight_VD, bias_V), gold_N, reduction="none", label_smoothing=smoothing
    )
    loss_N.sum().backward()
    predictor = Predictor(KERNELS)
    for count in (1, 2):
        with threads(count), torch.no_grad():
            found_N, found = predictor.gradients(hidden_ND, weight_VD, bias_V, gold_N, smoothing)
        assert torch.allclose(found_N, loss_N, rtol=1e-5, atol=1e-4)
        for gradient, parameter in zip(found, (hidden_ND, weight_VD, bias_V), strict=True):
            if parameter is None:
                assert gradient is None
                continue
            assert gradient is not None
            assert parameter.grad is not None
            assert float((gradient - parameter.grad).norm() / parameter.grad.norm()) < 0.005


def test_what_is_no_number_stays_none() -> None:
    model = model_of(SHAPES[0])
    twin = trained_in_kernels(model)
    with torch.no_grad():
        model.decoder.output.weight_VD[7, 3] = float("nan")
    assert not torch.isfinite(torch.tensor(gradients(model, "bfloat16", twin)[0]))


def test_encoders_that_look_back_only_do() -> None:
    torch.manual_seed(1)
    blocks = [EncoderBlock(32, 2, 64, "pre", 0.0)]
    last = nn.LayerNorm(32)
    compiled = stack(blocks, last, True, 0)
    assert compiled is not None
    x_RD = torch.randn(21, 32)
    expected_BSD, _ = blocks[0](x_RD[None], visible(torch.ones(1, 21, dtype=torch.bool), True))
    found_RD = compiled(x_RD, beginnings(torch.tensor([21])))
    assert torch.allclose(found_RD, last(expected_BSD)[0], atol=0.05)
    changed_RD = torch.cat((x_RD[:11], torch.randn(10, 32)))
    assert torch.equal(compiled(changed_RD, beginnings(torch.tensor([21])))[:11], found_RD[:11])


def test_a_resumed_run_is_the_same_to_the_bit(seq2see: Command, tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(700))
    sizes = [f"model.{side}.{name}" for side in ("encoder", "decoder") for name in ("width=32", "heads=2", "layers=1")]
    sizes += ["model.encoder.feed_forward=64", "model.decoder.feed_forward=64", "training.evaluate_every=100"]
    sizes += [
        "training.precision=bfloat16",
        "training.checkpoint_every=2",
        "training.batch_tokens=512",
        "text.kind=bpe",
    ]
    sizes += ["training.schedule=constant", "training.warmup=0", "text.vocabulary=600"]
    options = ["--model", "transformer-tiny", *(part for each in sizes for part in ("--set", each))]
    for name, steps in (("whole", 6), ("parts", 4)):
        assert seq2see("train", data, *options, "--steps", steps, "--out", tmp_path / name).code == 0
    answer = seq2see("train", "--resume", "--force", "--steps", 6, "--out", tmp_path / "parts")
    assert answer.code == 0, answer.err
    whole, parts = (load_tensors(tmp_path / name / "weights.safetensors", None) for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
