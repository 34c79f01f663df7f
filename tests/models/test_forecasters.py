"""Every forecaster keeps the contract: step is forward, nothing looks ahead, rows do not see each other."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from shape_names import checked
from torch import Tensor

from seq2see.config.forecast import ForecastModel, GptModel, LinearModel, NaiveModel, RecurrentModel, Seq2SeqModel
from seq2see.models.forecast_build import build_forecaster
from seq2see.models.forecaster import Forecaster
from seq2see.models.linear_forecaster import LinearForecaster, best_order, coefficients, ridge_regression
from seq2see.search.paths import sample_paths
from seq2see.storage.tensors import load_tensors, save_tensors
from seq2see.training.checkpoint import expected_weights, restore_weights, weights_of

CONTEXT, HORIZON, SEASON = 7, 4, 3
KINDS: dict[str, ForecastModel] = {
    **{cell: RecurrentModel(name=cell, width=11, dropout=0.0, seasonal_input=True) for cell in ("rnn", "lstm", "gru")},  # type: ignore[arg-type]
    "lstm-2": RecurrentModel(name="lstm", width=11, layers=2, dropout=0.0, output="gaussian"),
    "seq2seq": Seq2SeqModel(name="seq2seq", width=10, dropout=0.0, seasonal_input=True, output="quantile"),
    "seq2seq-lstm-dot": Seq2SeqModel(name="seq2seq", width=10, cell="lstm", attention="dot", layers=2, dropout=0.0),
    "gpt": GptModel(name="gpt", width=14, heads=2, feed_forward=13, dropout=0.0, seasonal_input=True),
    "linear": LinearModel(name="linear", order=CONTEXT),
    "naive": NaiveModel(name="seasonal-naive"),
}
NETWORKS = [name for name in KINDS if name not in ("linear", "naive")]


def make(name: str) -> Forecaster[Any]:
    """In double precision, no weight at its first value."""
    torch.manual_seed(17)
    model = build_forecaster(KINDS[name], series=2, context=CONTEXT, season=SEASON).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter).abs() * 0.2)
    return model


def windows(rows: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(rows, CONTEXT + HORIZON, generator=generator, dtype=torch.float64), torch.arange(rows) % 2


def unrolled(model: Forecaster[Any], values_BT: Tensor, series_B: Tensor) -> Tensor:
    """The parameters for the last ``HORIZON`` values, by steps."""
    state, found = model.start(values_BT[:, :CONTEXT], series_B), []
    for at in range(CONTEXT - 1, CONTEXT + HORIZON - 1):
        raw_BP, state, _ = model.step(values_BT[:, at], state)
        found.append(raw_BP)
    return torch.stack(found, dim=1)


@pytest.mark.parametrize("name", KINDS)
def test_steps_are_forward(name: str) -> None:
    model, (values_BT, series_B) = make(name), windows()
    with torch.no_grad():
        whole = model(values_BT, series_B)[:, -HORIZON:]
        assert torch.allclose(unrolled(model, values_BT, series_B), whole, atol=1e-12)
        assert whole.shape[-1] == model.output.size


@pytest.mark.parametrize("name", KINDS)
def test_nothing_looks_ahead_and_rows_are_alone(name: str) -> None:
    model, (values_BT, series_B) = make(name), windows()
    values_BT.requires_grad_()
    raw_BHP = model(values_BT, series_B)[:, -HORIZON:]
    for step in range(HORIZON):
        (gradient_BT,) = torch.autograd.grad(raw_BHP[1, step].sum(), values_BT, retain_graph=True)
        assert bool((gradient_BT[1, CONTEXT + step :] == 0).all()), "the value itself and later ones"
        assert bool((gradient_BT[[0, 2]] == 0).all()), "other rows"
        reached = gradient_BT[1, max(0, CONTEXT + step - model.lookback) : CONTEXT + step]
        wanted = reached[:1] if name == "naive" else reached  # of the naive ones, the season before alone
        assert bool((wanted != 0).all()), "everything that the model looks back on"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_seasonal_input_is_the_value_a_season_before_the_next(name: str) -> None:
    model, (values_BT, _) = make(name), windows()
    inputs_BTF = model.inputs(values_BT)  # type: ignore[attr-defined]
    assert torch.equal(inputs_BTF[..., 0], values_BT)
    if KINDS[name].seasonal_input:  # type: ignore[union-attr]
        assert torch.equal(inputs_BTF[:, SEASON - 1 :, 1], values_BT[:, : 1 - SEASON])
        assert bool((inputs_BTF[:, : SEASON - 1, 1] == 0).all())
    else:
        assert inputs_BTF.shape[-1] == 1


def test_noise_is_on_what_is_read_and_only_while_training() -> None:
    torch.manual_seed(2)
    model = build_forecaster(RecurrentModel(name="gru", dropout=0.0, noise=0.3), series=1, context=5, season=1)
    values_BT = torch.zeros(200, 40)
    read_BT1 = model.inputs(values_BT)  # type: ignore[attr-defined]
    assert float(read_BT1.std()) == pytest.approx(0.3, abs=0.01)
    assert bool((model.eval().inputs(values_BT) == 0).all())  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", KINDS)
def test_paths_of_one_past_are_as_if_each_stood_alone(name: str) -> None:
    model, (values_BT, series_B) = make(name), windows(2)
    past_BS = values_BT[:, :CONTEXT]
    noise = torch.rand(3, HORIZON, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        together, _ = sample_paths(
            model.step,
            model.start(past_BS, series_B).repeat(3),
            past_BS[:, -1].repeat_interleave(3),
            noise.repeat(2, 1, 1),
            model.output.draw,
        )
        for row in range(2):
            for path in range(3):
                state = model.start(past_BS[[row]], series_B[[row]])
                alone, _ = sample_paths(model.step, state, past_BS[[row], -1], noise[[path]], model.output.draw)
                assert torch.allclose(alone[0], together[row * 3 + path], atol=1e-12)


@pytest.mark.parametrize("name", ["seq2seq", "seq2seq-lstm-dot", "gpt"])
def test_attention_weights_are_shares_of_the_past(name: str) -> None:
    model, (values_BT, series_B) = make(name), windows()
    with torch.no_grad():
        state = model.start(values_BT[:, :CONTEXT], series_B)
        raw, _, none = model.step(values_BT[:, CONTEXT - 1], state)
        looked, _, weights_NLHS = model.step(values_BT[:, CONTEXT - 1], state, want_weights=True)
    assert none is None and torch.allclose(raw, looked, atol=1e-12)
    assert weights_NLHS is not None and weights_NLHS.shape[::3] == (3, CONTEXT)
    assert torch.allclose(weights_NLHS.sum(-1), torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize("name", KINDS)
def test_names_do_not_lie(name: str) -> None:
    model, (values_BT, series_B) = make(name), windows()
    with torch.no_grad(), checked("seq2see.models", "seq2see.nn") as checker:
        model(values_BT, series_B)
        state = model.start(values_BT[:, :CONTEXT], series_B).repeat(2)
        model.step(values_BT[:, CONTEXT - 1].repeat_interleave(2), state, want_weights=True)
    assert len(checker.seen) > 8


@pytest.mark.parametrize("name", KINDS)
def test_saving_and_loading_is_exact(name: str, tmp_path: Path) -> None:
    model, (values_BT, series_B) = make(name).float(), windows()
    save_tensors(tmp_path / "w.safetensors", weights_of(model), {})
    torch.manual_seed(99)
    other = build_forecaster(KINDS[name], series=2, context=CONTEXT, season=SEASON).eval()
    restore_weights(other, load_tensors(tmp_path / "w.safetensors", expected_weights(other)))
    with torch.no_grad():
        assert torch.equal(model(values_BT.float(), series_B), other(values_BT.float(), series_B))


@pytest.mark.parametrize("name", ["gru", "seq2seq", "gpt"])
def test_a_planted_pattern_is_learned(name: str) -> None:
    """Three values in turn, with hardly any noise: after some updates the next one is known."""
    torch.manual_seed(3)
    model = build_forecaster(KINDS[name], series=1, context=CONTEXT, season=SEASON)
    phase_B = torch.arange(24) % 3
    pattern = torch.tensor([-1.0, 0.2, 1.1])
    values_BT = pattern[(torch.arange(CONTEXT + HORIZON) + phase_B.unsqueeze(1)) % 3]
    values_BT = values_BT + 0.01 * torch.randn(values_BT.shape)
    series_B = torch.zeros(24, dtype=torch.long)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(60):
        optimiser.zero_grad()
        raw_BGP = model(values_BT, series_B)
        model.output.loss(raw_BGP, values_BT[:, -raw_BGP.shape[1] :]).mean().backward()
        optimiser.step()
    with torch.no_grad():
        median_BH = model.eval().output.median(model(values_BT, series_B))[:, -HORIZON:]
    assert float((median_BH - values_BT[:, -HORIZON:]).abs().max()) < 0.3


# ── linear ──────────────────────────────────────────────────────────────────────────────────────


def autoregression(weights: list[float], length: int, noise: float = 1.0, seed: int = 8) -> Tensor:
    """A planted series; ``weights`` for 1, 2 … steps before."""
    shocks = torch.randn(length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * noise
    values = [0.0] * len(weights)
    for shock in shocks.tolist():
        values.append(0.5 + sum(w * values[-1 - at] for at, w in enumerate(weights)) + shock)
    return torch.tensor(values[len(weights) :], dtype=torch.float64)


def test_planted_coefficients_are_found_for_each_series() -> None:
    padded = torch.full((2, 4_000), torch.nan, dtype=torch.float64)
    padded[0] = autoregression([0.6, -0.3], 4_000, noise=2.0)
    padded[1, 1_000:] = autoregression([-0.5], 3_000)
    model = LinearForecaster(2, 2)
    model.fit(padded, ridge=1.0)
    assert coefficients(model, 0) == pytest.approx([0.6, -0.3], abs=0.05)
    assert coefficients(model, 1) == pytest.approx([-0.5, 0.0], abs=0.05)
    assert model.bias_C.tolist() == pytest.approx([0.5, 0.5], abs=0.1)
    assert model.deviation_C.tolist() == pytest.approx([2.0, 1.0], abs=0.05)


def test_ridge_regression_solves_its_equations() -> None:
    values = autoregression([0.4, 0.2, -0.1], 40)
    weights_M, bias, deviation = ridge_regression(values, 3, 2.5)
    rows = torch.stack([values[at : at + 3] for at in range(37)])
    centred, gold = rows - rows.mean(0), values[3:]
    # The gradient of Σ residual² + λ Σ weight² is zero at the solution.
    residual = gold - bias - rows @ weights_M
    assert torch.allclose(
        -2 * centred.T @ residual + 2 * 2.5 * weights_M, torch.zeros(3, dtype=torch.float64), atol=1e-9
    )
    assert float(residual.sum()) == pytest.approx(0, abs=1e-9)
    assert deviation == pytest.approx(float((residual.square().sum() / (37 - 4)).sqrt()))
    constant, level, _ = ridge_regression(torch.ones(20, dtype=torch.float64), 4, 0.0)
    assert float(constant.sum()) + level == pytest.approx(1.0)  # many solutions: one of them, and no crash


def test_the_order_with_the_least_aic_is_the_planted_one() -> None:
    assert best_order(autoregression([0.2, 0.0, 0.7], 600).unsqueeze(0), 9, 1.0) == 3
    assert best_order(autoregression([0.8], 600).unsqueeze(0), 9, 1.0) == 1


def test_naive_models_repeat_what_was() -> None:
    values = torch.tensor([[1.0, 5, 2, 7, 3, 6]], dtype=torch.float64)
    model = LinearForecaster(1, 2)
    model.fit_naive(values)
    assert model.means(values, torch.tensor([0]), 5)[0].tolist() == [3, 6, 3, 6, 3]
    assert model.deviation_C.item() == pytest.approx(((1 + 4 + 1 + 1) / 4) ** 0.5)


def test_the_response_is_what_a_shock_changes() -> None:
    model = copy.deepcopy(make("linear"))
    past = windows(2)[0][:, :CONTEXT]
    series_N, shock = torch.tensor([1, 0]), model.deviation_C.detach()[[1, 0]]
    assert isinstance(model, LinearForecaster)
    with torch.no_grad():
        first = model.means(past, series_N, 1)
        plain = model.means(torch.cat([past, first], 1), series_N, 5)
        shocked = model.means(torch.cat([past, first + shock.unsqueeze(1)], 1), series_N, 5)
        response = model.response(series_N, 6)
    assert torch.allclose(response[:, 0], shock) and torch.allclose(response[:, 1:], shocked - plain, rtol=1e-6)
