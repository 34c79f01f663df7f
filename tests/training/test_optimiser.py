"""AdamW against its formula, what decays, clipping, and a state that goes on to the bit."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from seq2see.config.settings import TrainingSettings
from seq2see.errors import InputError
from seq2see.nn.embedding import Embedding, OutputLayer, token_weights
from seq2see.nn.position import LearnedPosition
from seq2see.storage.tensors import load_tensors, save_tensors
from seq2see.training.optimiser import (
    build_optimiser,
    clip_and_check,
    optimiser_tensors,
    restore_optimiser,
    set_rate,
)


class Model(nn.Module):
    """Every kind of parameter there is: tied and untied tables, matrices, gains and biases."""

    def __init__(self) -> None:
        super().__init__()
        self.source = nn.Embedding(7, 3)
        self.target = Embedding(token_weights(5, 3), scaled=True)
        self.place = LearnedPosition(3, 11)
        self.hidden = nn.LSTM(3, 3, batch_first=True)
        self.norm = nn.LayerNorm(3)
        self.output = OutputLayer(self.target.weight_VD)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        placed, _ = self.place(self.source(source) + self.target(target))
        return self.output(self.norm(self.hidden(placed)[0]))


def settings(**changes: object) -> TrainingSettings:
    return TrainingSettings.model_validate({"steps": 10} | changes)


def model(seed: int = 1) -> Model:
    torch.manual_seed(seed)
    return Model()


def train(trained: Model, optimiser: torch.optim.AdamW, updates: range) -> None:
    for update in updates:
        generator = torch.Generator().manual_seed(update)
        tokens = torch.randint(1, 5, (2, 4, 6), generator=generator)
        set_rate(optimiser, 0.01 / (1 + update))
        optimiser.zero_grad()
        trained(tokens[0], tokens[1]).square().mean().backward()
        optimiser.step()


def names_that_move(trained: nn.Module, optimiser: torch.optim.AdamW) -> dict[str, float]:
    """After an update with zero gradients: what each parameter was multiplied by, where it changed."""
    before = {name: each.detach().clone() for name, each in trained.named_parameters()}
    for parameter in trained.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    return {
        name: (each / before[name]).mean().item()
        for name, each in trained.named_parameters()
        if not torch.equal(each, before[name])
    }


def test_only_matrices_decay() -> None:
    trained = model()
    moved = names_that_move(trained, build_optimiser(trained, settings(learning_rate=0.5, weight_decay=0.2)))
    assert moved == {"hidden.weight_ih_l0": pytest.approx(0.9), "hidden.weight_hh_l0": pytest.approx(0.9)}


def test_an_output_layer_of_its_own_is_a_matrix() -> None:
    trained = model()
    trained.output = OutputLayer(token_weights(5, 3))
    moved = names_that_move(trained, build_optimiser(trained, settings(learning_rate=0.5, weight_decay=0.2)))
    assert moved["output.weight_VD"] == pytest.approx(0.9)


def test_first_updates_follow_the_formula() -> None:
    # One weight 2 with gradient 3, then 1; decay 0.1, rate 0.5, betas 0.8 and 0.9.
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    chosen = settings(learning_rate=0.5, weight_decay=0.1, betas=(0.8, 0.9))
    optimiser = build_optimiser(layer, chosen)
    layer.weight.grad = torch.tensor([[3.0]])
    optimiser.step()
    first = 2 * (1 - 0.05) - 0.5 * 1.0
    assert layer.weight.item() == pytest.approx(first, rel=1e-6)
    layer.weight.grad = torch.tensor([[1.0]])
    optimiser.step()
    mean = (0.8 * 0.2 * 3 + 0.2 * 1) / (1 - 0.8**2)
    square = (0.9 * 0.1 * 9 + 0.1 * 1) / (1 - 0.9**2)
    assert layer.weight.item() == pytest.approx(first * 0.95 - 0.5 * mean / math.sqrt(square), rel=1e-6)


def test_the_rate_of_the_moment_counts() -> None:
    trained = model()
    optimiser = build_optimiser(trained, settings(learning_rate=0.5, weight_decay=1.0))
    set_rate(optimiser, 0.0)
    assert names_that_move(trained, optimiser) == {}


def test_one_fused_kernel_and_each_parameter_once() -> None:
    trained = model()
    optimiser = build_optimiser(trained, settings())
    given = [id(each) for group in optimiser.param_groups for each in group["params"]]
    assert all(group["fused"] for group in optimiser.param_groups)
    assert sorted(given) == sorted(id(each) for each in trained.parameters())


def test_frozen_parameters_are_left_out() -> None:
    trained = model()
    trained.hidden.requires_grad_(False)
    optimiser = build_optimiser(trained, settings(weight_decay=0.2))
    assert names_that_move(trained, optimiser) == {}
    trained.requires_grad_(False)
    with pytest.raises(InputError, match="no parameter to train"):
        build_optimiser(trained, settings())


def parameters_with(*gradients: list[float] | None) -> list[nn.Parameter]:
    parameters = [nn.Parameter(torch.zeros(len(each or [0.0]))) for each in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = None if gradient is None else torch.tensor(gradient)
    return parameters


@pytest.mark.parametrize(
    ("limit", "expected"), [(1.0, [0.6, 0.0, 0.8]), (6.0, [3.0, 0.0, 4.0]), (0.0, [3.0, 0.0, 4.0])]
)
def test_the_norm_is_of_all_gradients_together(limit: float, expected: list[float]) -> None:
    parameters = parameters_with([3.0, 0.0], None, [4.0])
    norm, finite = clip_and_check(iter(parameters), limit)
    found = [value for each in parameters if each.grad is not None for value in each.grad.tolist()]
    assert (norm, finite) == (5.0, True)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
def test_gradients_without_a_finite_norm_are_said_and_left_alone(bad: float) -> None:
    parameters = parameters_with([3.0], [bad])
    norm, finite = clip_and_check(parameters, 1.0)
    assert not finite
    assert not math.isfinite(norm)
    assert parameters[0].grad.item() == 3.0


def test_no_gradients_are_a_norm_of_zero() -> None:
    assert clip_and_check(parameters_with(None), 1.0) == (0.0, True)


def test_after_a_round_trip_through_a_file_training_goes_on_to_the_bit(tmp_path: Path) -> None:
    whole, chosen = model(), settings(weight_decay=0.1)
    optimiser = build_optimiser(whole, chosen)
    train(whole, optimiser, range(3))
    save_tensors(tmp_path / "optimiser.safetensors", optimiser_tensors(optimiser, whole), {})
    resumed = model(seed=2)
    resumed.load_state_dict(whole.state_dict())
    train(whole, optimiser, range(3, 6))

    fresh = build_optimiser(resumed, chosen)
    train(resumed, fresh, range(0))
    restore_optimiser(fresh, resumed, load_tensors(tmp_path / "optimiser.safetensors", None))
    train(resumed, fresh, range(3, 6))
    for name, parameter in whole.named_parameters():
        assert torch.equal(parameter, resumed.get_parameter(name)), name
    theirs = optimiser_tensors(fresh, resumed)
    assert all(torch.equal(each, theirs[name]) for name, each in optimiser_tensors(optimiser, whole).items())


def test_names_say_what_and_whose() -> None:
    trained = model()
    optimiser = build_optimiser(trained, settings())
    assert optimiser_tensors(optimiser, trained) == {}
    train(trained, optimiser, range(2))
    tensors = optimiser_tensors(optimiser, trained)
    # Eight parameters, of which the output layer's weight is the target embedding.
    assert len(tensors) == 3 * len(list(trained.parameters()))
    assert tensors["step.norm.bias"].item() == 2
    assert tensors["exp_avg.source.weight"].shape == (7, 3)


def test_what_is_restored_is_a_copy_and_replaces_all() -> None:
    trained = model()
    optimiser = build_optimiser(trained, settings())
    train(trained, optimiser, range(2))
    tensors = {name: each.clone() for name, each in optimiser_tensors(optimiser, trained).items()}
    restore_optimiser(optimiser, trained, tensors)
    train(trained, optimiser, range(2, 3))
    assert tensors["step.norm.bias"].item() == 2
    without = {name: each for name, each in tensors.items() if "norm" not in name}
    restore_optimiser(optimiser, trained, without)
    assert set(optimiser_tensors(optimiser, trained)) == set(without)


def test_a_state_of_another_model_is_refused_and_nothing_changes() -> None:
    trained = model()
    optimiser = build_optimiser(trained, settings())
    train(trained, optimiser, range(2))
    good = {name: each.clone() for name, each in optimiser_tensors(optimiser, trained).items()}
    lacking = {name: each for name, each in good.items() if name != "exp_avg.norm.bias"}
    wrong = good | {"exp_avg_sq.norm.bias": torch.zeros(4)}
    for tensors, message in [
        (lacking, r"lacks the tensor exp_avg\.norm\.bias"),
        (wrong, r"exp_avg_sq\.norm\.bias has the shape \(4,\); this model needs \(3,\)"),
        (good | {"step.other": torch.tensor(1.0)}, r"step\.other"),
    ]:
        with pytest.raises(InputError, match=message):
            restore_optimiser(optimiser, trained, tensors)
    now = optimiser_tensors(optimiser, trained)
    assert all(torch.equal(each, now[name]) for name, each in good.items())
