"""Learning rates derived by hand, their shapes as properties, and budgets at their edges."""

import math

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from seq2see.config.settings import TrainingSettings
from seq2see.errors import InputError
from seq2see.training.schedule import Budget, learning_rate

KINDS = ("constant", "inverse-square-root", "cosine", "stable-decay")


def settings(**changes: object) -> TrainingSettings:
    budget = {} if {"minutes", "epochs", "steps"} & set(changes) else {"epochs": 3.0}
    return TrainingSettings.model_validate({"learning_rate": 2.0, "warmup": 0.1} | budget | changes)


@pytest.mark.parametrize(
    ("schedule", "fraction", "expected"),
    [
        ("constant", 0.0, 0.02),
        ("constant", 0.05, 2 * (0.01 + 0.99 / 2)),
        ("constant", 0.1, 2.0),
        ("constant", 1.0, 2.0),
        ("inverse-square-root", 0.1, 2.0),
        ("inverse-square-root", 0.4, 1.0),
        ("inverse-square-root", 0.9, 2 / 3),
        ("cosine", 0.1, 2.0),
        ("cosine", 0.4, 1.5),
        ("cosine", 0.55, 1.0),
        ("cosine", 1.0, 0.0),
        ("stable-decay", 0.5, 2.0),
        ("stable-decay", 0.8, 2.0),
        ("stable-decay", 0.85, 1.0),
        ("stable-decay", 1.0, 0.0),
        ("stable-decay", 7.0, 0.0),
    ],
)
def test_rates_over_a_share_of_the_budget(schedule: str, fraction: float, expected: float) -> None:
    rate = learning_rate(settings(schedule=schedule), update=99, fraction=fraction)
    assert rate == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("schedule", "update", "fraction", "expected"),
    [
        ("constant", 1, 0.0, 0.02),
        ("constant", 50, 0.0, 1.0),
        ("constant", 100, 0.9, 2.0),
        ("inverse-square-root", 25, 0.0, 0.5),
        ("inverse-square-root", 100, 0.9, 2.0),
        ("inverse-square-root", 400, 0.1, 1.0),
        ("cosine", 50, 0.5, 0.5),
        ("cosine", 400, 0.5, 1.0),
        ("stable-decay", 400, 0.85, 1.0),
    ],
)
def test_rates_with_a_warm_up_in_updates(schedule: str, update: int, fraction: float, expected: float) -> None:
    rate = learning_rate(settings(schedule=schedule, warmup=100.0), update=update, fraction=fraction)
    assert rate == pytest.approx(expected)


def test_with_a_budget_in_updates_the_cosine_starts_where_the_warm_up_ends() -> None:
    chosen = settings(schedule="cosine", warmup=100.0, steps=500)
    assert learning_rate(chosen, update=100, fraction=0.198) == 2.0
    assert learning_rate(chosen, update=101, fraction=0.2) == 2.0
    assert learning_rate(chosen, update=301, fraction=0.6) == pytest.approx(1.0)


@pytest.mark.parametrize("schedule", KINDS)
def test_without_a_warm_up_the_first_rate_is_the_highest(schedule: str) -> None:
    assert learning_rate(settings(schedule=schedule, warmup=0.0), update=1, fraction=0.0) == 2.0


def test_without_a_warm_up_the_inverse_square_root_counts_updates() -> None:
    chosen = settings(schedule="inverse-square-root", warmup=0.0)
    assert learning_rate(chosen, update=4, fraction=0.5) == 1.0


def test_a_warm_up_longer_than_the_budget_only_rises() -> None:
    chosen = settings(schedule="cosine", warmup=100.0, steps=10)
    assert learning_rate(chosen, update=10, fraction=0.9) == pytest.approx(0.2)


@pytest.mark.parametrize("schedule", KINDS)
def test_no_update_is_for_nothing(schedule: str) -> None:
    for warmup in (0.5, 3.0):
        chosen = settings(schedule=schedule, warmup=warmup, steps=7)
        rates = [learning_rate(chosen, update=u, fraction=(u - 1) / 7) for u in range(1, 8)]
        assert min(rates) > 0


@hypothesis_settings(deadline=None, max_examples=200)
@given(
    schedule=st.sampled_from(KINDS),
    warmup=st.one_of(st.floats(0.001, 0.99), st.floats(1, 300), st.just(0.0)),
    steps=st.sampled_from([None, 1000]),
    place=st.integers(1, 999),
)
def test_rates_rise_then_fall_without_a_jump(schedule: str, warmup: float, steps: int | None, place: int) -> None:
    chosen = settings(schedule=schedule, warmup=warmup, **({"steps": steps} if steps else {}))
    rates = [learning_rate(chosen, update=u, fraction=(u - 1) / 1000) for u in (place, place + 1)]
    assert all(0 <= rate <= 2.0 for rate in rates)
    used = place / 1000 if warmup < 1 else place + 1
    if used <= warmup and (warmup < 1 or schedule in ("constant", "inverse-square-root")):
        assert rates[0] <= rates[1]
    if (place - 1) / 1000 >= warmup or (warmup >= 1 and place >= warmup):
        assert rates[1] <= rates[0]
    # The steepest are a warm-up, 1 - sqrt at its start, and 1 / sqrt(update) at its own.
    step = 1 / 1000 / warmup if 0 < warmup < 1 else 1 / max(warmup, 1)
    slack = math.sqrt(1 / 200) if schedule == "stable-decay" else 0.01
    allowed = step + (0.3 if warmup < 1 and schedule == "inverse-square-root" else slack)
    assert abs(rates[1] - rates[0]) <= 3 * allowed


def test_places_that_cannot_be_are_refused() -> None:
    for update, fraction in ((0, 0.0), (1, -0.1), (1, math.nan)):
        with pytest.raises(InputError, match=f"{update} and {fraction}"):
            learning_rate(settings(), update=update, fraction=fraction)


def test_a_budget_is_what_the_settings_say() -> None:
    assert Budget.of(settings(minutes=1.5)) == Budget(minutes=1.5)
    assert Budget.of(settings(epochs=2.5)) == Budget(epochs=2.5)
    assert Budget.of(settings(steps=7)) == Budget(steps=7)


@pytest.mark.parametrize("given", [{}, {"minutes": 1.0, "steps": 3}, {"epochs": 0.0}, {"steps": -1}])
def test_a_budget_is_exactly_one_positive_number(given: dict[str, float]) -> None:
    with pytest.raises(InputError, match="exactly one"):
        Budget(**given)


def test_updates_as_budget() -> None:
    budget = Budget(steps=8)
    assert [budget.fraction(made, 5, 1, 2, 1e9) for made in (0, 2, 8, 9)] == [0.0, 0.25, 1.0, 1.0]
    assert [budget.done(made, 5, 1, 2, 1e9) for made in (0, 7, 8, 9)] == [False, False, True, True]


def test_epochs_as_budget() -> None:
    budget = Budget(epochs=2.5)
    assert budget.fraction(99, 1, 1, 4, 1e9) == 0.5
    assert budget.fraction(99, 0, 0, 0, 1e9) == 0.0
    assert [budget.done(99, 2, batch, 4, 1e9) for batch in (1, 2, 3)] == [False, True, True]


@pytest.mark.parametrize("batches", [1, 30, 100, 136, 157, 184, 250])
def test_hundredths_of_epochs_end_at_their_batch(batches: int) -> None:
    budget = Budget(epochs=batches / 100)
    places = [divmod(place, 100) for place in (batches - 1, batches)]
    assert [budget.done(0, epoch, batch, 100, 0.0) for epoch, batch in places] == [False, True]


def test_minutes_as_budget() -> None:
    budget = Budget(minutes=2.0)
    assert budget.fraction(99, 9, 9, 9, 30.0) == 0.25
    assert [budget.done(0, 0, 0, 9, seconds) for seconds in (119.9, 120.0, 500.0)] == [False, True, True]
    assert budget.fraction(0, 0, 0, 9, 500.0) == 1.0
