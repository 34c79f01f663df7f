"""The choice of a precision, with clocks that are planted."""

from collections.abc import Callable, Iterator

import pytest
import torch

from seq2see.training import precision
from seq2see.training.precision import autocast, choose_precision, has_bfloat16

CPU = torch.device("cpu")


def clock(float32: list[float], bfloat16: list[float]) -> tuple[Callable[[str], float], list[str]]:
    """A measurement that tells these times in turn, and the list of what was asked."""
    times: dict[str, Iterator[float]] = {"float32": iter(float32), "bfloat16": iter(bfloat16)}
    asked: list[str] = []

    def measure(kind: str) -> float:
        asked.append(kind)
        return next(times[kind])

    return measure, asked


def never(kind: str) -> float:
    raise AssertionError(f"{kind} was measured")


@pytest.fixture
def capable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)


@pytest.fixture
def incapable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)


@pytest.mark.parametrize(("low", "chosen"), [(0.90, "bfloat16"), (0.91, "float32"), (2.0, "float32")])
def test_ten_per_cent_decide(capable: None, low: float, chosen: str) -> None:
    measure, _ = clock([1.0] * 4, [low] * 4)
    assert choose_precision("auto", CPU, measure)[0] == chosen


def test_warm_up_and_outliers_do_not_count_and_both_are_measured_in_turn(capable: None) -> None:
    measure, asked = clock([0.001, 1.0, 1.0, 90.0], [1.5, 0.2, 700.0, 0.3])
    chosen, sentence = choose_precision("auto", CPU, measure)
    assert chosen == "bfloat16"
    assert asked == ["float32", "bfloat16"] * 4
    assert "1e+03 ms in float32, 300 ms in bfloat16" in sentence
    assert "10% faster" in sentence


def test_auto_without_hardware_measures_nothing(incapable: None) -> None:
    chosen, sentence = choose_precision("auto", CPU, never)
    assert chosen == "float32"
    assert sentence == "float32: this cpu has no bfloat16 arithmetic."


def test_what_is_set_is_taken(capable: None) -> None:
    assert choose_precision("float32", CPU, never) == ("float32", "float32, as set.")
    assert choose_precision("bfloat16", CPU, never) == ("bfloat16", "bfloat16, as set.")


def test_bfloat16_without_hardware_is_allowed_but_said(incapable: None) -> None:
    chosen, sentence = choose_precision("bfloat16", CPU, never)
    assert chosen == "bfloat16"
    assert "no arithmetic for it" in sentence


@pytest.mark.parametrize(
    ("features", "answer"),
    [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"architecture": "aarch64", "bf16": True}, True),
        ({"avx512_bf16": False, "avx512_f": True}, False),
        ({}, False),
    ],
)
def test_a_cpu_is_asked_for_its_features(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, object], answer: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    for name in precision.CPU_QUESTIONS:
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert has_bfloat16(CPU) is answer


@pytest.mark.parametrize("answer", [True, False])
def test_an_older_torch_is_asked_in_its_own_way(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: answer, raising=False)
    assert has_bfloat16(CPU) is answer


def test_a_gpu_is_asked_for_real_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert not has_bfloat16(torch.device("cuda"))
    assert not has_bfloat16(torch.device("meta"))


@pytest.mark.parametrize(("kind", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_products_inside_have_the_precision(kind: precision.Precision, dtype: torch.dtype) -> None:
    with autocast(kind, CPU):
        assert (torch.ones(2, 3) @ torch.ones(3, 2)).dtype == dtype
    assert (torch.ones(2, 3) @ torch.ones(3, 2)).dtype == torch.float32


def test_slow_steps_are_measured_once(capable: None) -> None:
    measure, asked = clock([1.0, 3.0], [1.5, 1.0])
    assert choose_precision("auto", CPU, measure)[0] == "bfloat16"
    assert asked == ["float32", "bfloat16"] * 2
