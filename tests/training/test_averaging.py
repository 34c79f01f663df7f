"""Moving averages against the recurrence by hand; means that are exact for equal states."""

import weakref
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from seq2see.errors import InputError
from seq2see.storage.tensors import load_tensors, save_tensors
from seq2see.training import averaging
from seq2see.training.averaging import Ema, mean_of


class Tied(nn.Module):
    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.second = nn.Linear(2, 3)
        self.second.weight = self.first.weight
        self.register_buffer("count", torch.tensor(7))
        fill(self, value)


def fill(model: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


def values(model: nn.Module) -> list[float]:
    return [each.detach().flatten()[0].item() for each in model.parameters()]


def test_the_average_follows_the_recurrence() -> None:
    model, expected = Tied(1.0), 1.0
    ema = Ema(model, 0.25)
    for number, value in enumerate([5.0, -3.0, 11.0, 2.0], start=1):
        fill(model, value)
        ema.update(model)
        decay = min(0.25, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * value
    assert (1 + 1) / (10 + 1) < 0.25 < (1 + 3) / (10 + 3)  # both branches were taken
    assert all(each.flatten()[0].item() == pytest.approx(expected) for each in averages(ema).values())


def averages(ema: Ema) -> dict[str, Tensor]:
    return {name: each for name, each in ema.tensors().items() if name != "updates"}


def test_weights_that_stay_are_their_own_average() -> None:
    torch.manual_seed(3)
    model = nn.Linear(5, 7)
    ema = Ema(model, 0.999)
    for _ in range(20):
        ema.update(model)
    assert torch.equal(averages(ema)["weight"], model.weight)


def test_the_average_is_not_the_model_and_ties_are_averaged_once() -> None:
    model = Tied(1.0)
    ema = Ema(model, 0.9)
    fill(model, 9.0)
    assert {name: each.flatten()[0].item() for name, each in averages(ema).items()} == {
        "first.weight": 1.0,
        "first.bias": 1.0,
        "second.bias": 1.0,
    }


def test_averages_of_bfloat16_weights_are_float32() -> None:
    # In bfloat16, 1 + 0.001 would stay 1.
    model = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    fill(model, 1.0)
    ema = Ema(model, 0.999)
    for name, each in ema.tensors().items():
        if name != "updates":
            assert each.dtype == torch.float32
    ema.updates = 100_000
    fill(model, 2.0)
    ema.update(model)
    assert averages(ema)["weight"].item() == pytest.approx(1.001, abs=1e-6)
    with ema.applied(model):
        assert model.weight.dtype == torch.bfloat16


def test_applied_inside_and_gone_outside_even_after_an_error() -> None:
    torch.manual_seed(3)
    model = Tied(1.0)
    ema = Ema(model, 0.9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    parameters = list(model.parameters())
    with pytest.raises(ZeroDivisionError), ema.applied(model):
        assert values(model) == [1.0, 1.0, 1.0]
        assert model.second.weight is model.first.weight
        raise ZeroDivisionError
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))


def test_a_restored_average_goes_on_to_the_bit(tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = Tied()
    ema = Ema(model, 0.9)

    def moved(average: Ema, updates: range) -> None:
        for update in updates:
            fill(model, 0.1 * update)
            average.update(model)

    moved(ema, range(5))
    save_tensors(tmp_path / "ema.safetensors", ema.tensors(), {})
    fresh = Ema(model, 0.9)
    fresh.restore(load_tensors(tmp_path / "ema.safetensors", None))
    moved(ema, range(5, 9))
    moved(fresh, range(5, 9))
    assert all(torch.equal(each, fresh.tensors()[name]) for name, each in ema.tensors().items())


def test_averages_of_another_model_are_refused() -> None:
    ema = Ema(Tied(), 0.9)
    good = {name: each.clone() for name, each in ema.tensors().items()}
    for name, tensors in [
        ("first.bias", {key: each for key, each in good.items() if key != "first.bias"}),
        ("first.bias", good | {"first.bias": torch.zeros(5)}),
        ("other", good | {"other": torch.zeros(5)}),
    ]:
        with pytest.raises(InputError, match=name):
            ema.restore(tensors)
    with pytest.raises(InputError, match="another model"):
        ema.update(nn.Linear(2, 3))
    for decay in (-0.1, 1.0):
        with pytest.raises(InputError, match="decay"):
            Ema(Tied(), decay)


def test_the_mean_by_hand() -> None:
    states = [{"a": torch.tensor([value, 2 * value]), "n": torch.tensor(int(value))} for value in (1.0, 2.0, 6.0)]
    mean = mean_of(iter(states))
    assert mean["a"].tolist() == [3.0, 6.0]
    assert mean["n"].item() == 6
    assert (mean["a"].dtype, mean["n"].dtype) == (torch.float32, torch.int64)


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(1, 11),
    number=st.floats(width=32, allow_nan=False, allow_infinity=False),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_equal_states_give_themselves(count: int, number: float, dtype: torch.dtype) -> None:
    state = {"a": torch.tensor([0.0, 0.1, 1 / 3], dtype=dtype)}
    state["a"][0] = min(max(number, -3e38), 3e38)
    assert torch.equal(mean_of([state] * count)["a"], state["a"])


def test_the_mean_is_taken_in_float64() -> None:
    numbers = torch.randn(500, 7, generator=torch.Generator().manual_seed(3))
    mean = mean_of({"a": each} for each in numbers)["a"]
    assert torch.equal(mean, numbers.double().mean(0).float())


def test_files_and_states_mix(tmp_path: Path) -> None:
    save_tensors(tmp_path / "one.safetensors", {"a": torch.tensor([1.0])}, {})
    assert mean_of([tmp_path / "one.safetensors", {"a": torch.tensor([4.0])}])["a"].item() == 2.5


def test_one_file_at_a_time_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[weakref.ref[Tensor]] = []

    def load(path: Path, expected: None) -> dict[str, Tensor]:
        assert all(each() is None for each in loaded)
        tensor = torch.tensor([float(path.name)])
        loaded.append(weakref.ref(tensor))
        return {"a": tensor}

    monkeypatch.setattr(averaging, "load_tensors", load)
    assert mean_of(Path(name) for name in ("1", "3", "8"))["a"].item() == 4.0


def test_tied_tensors_stay_tied_and_states_are_left_alone() -> None:
    model = Tied(1.0)
    first = {name: each.clone() for name, each in model.state_dict().items()}
    first["second.weight"] = first["first.weight"]
    fill(model, 3.0)
    mean = mean_of([first, model.state_dict()])
    assert mean["second.weight"] is mean["first.weight"]
    assert mean["first.weight"].unique().tolist() == [2.0]
    assert mean["second.bias"] is not mean["first.bias"]
    assert first["first.weight"].unique().tolist() == [1.0]
    assert model.first.weight.unique().tolist() == [3.0]


def test_what_was_tied_once_only_is_averaged_apart() -> None:
    shared = torch.tensor([1.0])
    mean = mean_of([{"a": shared, "b": shared}, {"a": torch.tensor([3.0]), "b": torch.tensor([5.0])}])
    assert (mean["a"].item(), mean["b"].item()) == (2.0, 3.0)
    later = mean_of([{"a": torch.tensor([3.0]), "b": torch.tensor([5.0])}, {"a": shared, "b": shared}])
    assert (later["a"].item(), later["b"].item()) == (2.0, 3.0)


def test_the_result_is_never_a_states_own_memory() -> None:
    state = {"a": torch.tensor([1.0], dtype=torch.float64), "n": torch.tensor([1])}
    for each in mean_of([state]).values():
        each.add_(1)
    assert (state["a"].item(), state["n"].item()) == (1.0, 1)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"a": torch.zeros(3)}, r"a is \(\(3,\), torch.float32\) in state 2 and \(\(2,\)"),
        ({"a": torch.zeros(2, dtype=torch.float64)}, r"torch.float64\) in state 2"),
        ({"b": torch.zeros(2)}, "a is missing in state 2"),
        ({"a": torch.zeros(2), "b": torch.zeros(2)}, "b is .* in state 2 and missing before"),
    ],
)
def test_states_of_different_models_are_refused(other: dict[str, Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        mean_of([{"a": torch.zeros(2)}, other])


def test_no_states_are_refused() -> None:
    with pytest.raises(InputError, match="no weights"):
        mean_of([])
