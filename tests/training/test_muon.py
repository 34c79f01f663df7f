"""Muon against torch's own, the decomposition it stands for, and a state that goes on to the bit."""

import pytest
import torch
from torch import nn

from seq2see.config.settings import TrainingSettings
from seq2see.models.build import build
from seq2see.models.presets import preset
from seq2see.nn.cells import Cell
from seq2see.nn.recurrent import Recurrent
from seq2see.training.muon import Muon, orthogonal
from seq2see.training.optimiser import build_optimiser, optimiser_tensors, restore_optimiser, set_rate


def settings(**changes: object) -> TrainingSettings:
    return TrainingSettings.model_validate({"steps": 10, "optimiser": "muon"} | changes)


def small() -> nn.Module:
    """Matrices of three shapes, biases, and nothing that is looked up."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3))


def gradients(model: nn.Module, update: int) -> None:
    generator = torch.Generator().manual_seed(update)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize(("rows", "columns"), [(24, 24), (16, 48), (48, 16)])
def test_all_directions_are_alike(rows: int, columns: int) -> None:
    torch.manual_seed(1)
    u_NAA, _ = torch.linalg.qr(torch.randn(3, rows, rows))
    v_NBB, _ = torch.linalg.qr(torch.randn(3, columns, columns))
    rank = min(rows, columns)
    sizes = torch.logspace(0, -1.5, rank)
    u_NAR, v_NRB = u_NAA[:, :, :rank], v_NBB[:, :rank, :]
    found_NAB = orthogonal(7 * (u_NAR * sizes) @ v_NRB).float()
    inside_NRR = u_NAR.mT @ found_NAB @ v_NRB.mT  # diagonal, had the numbers no rounding
    kept = inside_NRR.diagonal(dim1=1, dim2=2)
    assert bool(((kept > 0.6) & (kept < 1.3)).all())
    assert float((inside_NRR - torch.diag_embed(kept)).abs().max()) < 0.1


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_updates_are_those_of_torch(decay: float) -> None:
    """Its Muon takes the matrices one by one, its AdamW the biases."""
    model, twin = small(), small()
    optimiser = build_optimiser(model, settings(learning_rate=0.01, weight_decay=decay))
    matrices = [each for each in twin.parameters() if each.dim() == 2]
    biases = [each for each in twin.parameters() if each.dim() < 2]
    slow = torch.optim.Muon(matrices, lr=0.01, weight_decay=decay, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    rest = torch.optim.AdamW(biases, lr=0.01, betas=(0.9, 0.98), weight_decay=0.0)
    for update in range(4):
        for each in (model, twin):
            gradients(each, update)
        optimiser.step()
        slow.step()
        rest.step()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        # Rounded to bfloat16 in other places; each matrix has moved by some 0.02.
        torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-3 if ours.dim() == 2 else 1e-6)


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_each_gate_is_a_matrix(cell: Cell, gates: int) -> None:
    """The same update as of a model that has the gates' matrices one by one."""
    torch.manual_seed(1)
    model = Recurrent(cell, 6, 8)
    parts = [each.detach().clone() for whole in (model.weight_ih_GE, model.weight_hh_GD) for each in whole.chunk(gates)]
    apart = nn.ParameterList(parts)
    optimisers = [build_optimiser(each, settings(learning_rate=0.01, weight_decay=0.1)) for each in (model, apart)]
    for update in range(3):
        gradients(model, update)
        wholes = [each.grad for each in (model.weight_ih_GE, model.weight_hh_GD) if each.grad is not None]
        for parameter, gradient in zip(apart, [each for whole in wholes for each in whole.chunk(gates)], strict=True):
            parameter.grad = gradient.clone()
        for optimiser in optimisers:
            optimiser.step()
    found = [each for whole in (model.weight_ih_GE, model.weight_hh_GD) for each in whole.chunk(gates)]
    for ours, theirs in zip(found, apart, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("name", ["lstm-attention", "transformer-tiny"])
def test_only_hidden_matrices_are_its_own(name: str) -> None:
    model = build(preset(name).model_copy(update={"tie": "none"}), 50, 60)
    optimiser = build_optimiser(model, settings())
    assert isinstance(optimiser, Muon)
    own = {id(each) for each in optimiser.matrices["params"]}
    named = {name: id(each) in own for name, each in model.named_parameters()}
    assert not any(named[each] for each in named if "embedding" in each or "bias" in each)
    assert not named["decoder.output.weight_VD"]
    assert all(named[each] for each in named if each.endswith(("query.weight", "inner.weight", "weight_hh_GD")))
    every = [id(each) for group in optimiser.param_groups for each in group["params"]]
    assert sorted(every) == sorted(id(each) for each in model.parameters())


def test_one_rate_for_all() -> None:
    model = small()
    optimiser = build_optimiser(model, settings(learning_rate=0.5))
    before = [each.detach().clone() for each in model.parameters()]
    gradients(model, 1)
    set_rate(optimiser, 0.0)
    optimiser.step()
    assert all(torch.equal(*each) for each in zip(before, model.parameters(), strict=True))


def test_going_on_is_exact() -> None:
    model, optimiser = small(), None
    optimiser = build_optimiser(model, settings())
    for update in range(3):
        gradients(model, update)
        optimiser.step()
    again = small()
    again.load_state_dict(model.state_dict())
    restored = build_optimiser(again, settings())
    kept = {name: each.clone() for name, each in optimiser_tensors(optimiser, model).items()}
    assert {name.partition(".")[0] for name in kept} == {"step", "exp_avg", "exp_avg_sq", "momentum"}
    restore_optimiser(restored, again, kept)
    for update in range(3, 6):
        for each, its in ((model, optimiser), (again, restored)):
            gradients(each, update)
            its.step()
    assert all(torch.equal(*each) for each in zip(model.parameters(), again.parameters(), strict=True))


def test_a_matrix_without_a_gradient_stays() -> None:
    model = small()
    optimiser = build_optimiser(model, settings(weight_decay=0.5))
    gradients(model, 1)
    first = next(model.parameters())
    first.grad, before = None, first.detach().clone()
    optimiser.step()
    assert torch.equal(first, before)


def test_matrices_alone_are_enough() -> None:
    model = nn.Linear(4, 4, bias=False)
    before = model.weight.detach().clone()
    gradients(model, 1)
    build_optimiser(model, settings()).step()
    assert not torch.equal(before, model.weight)
