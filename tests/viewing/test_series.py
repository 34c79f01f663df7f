import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.viewing.series import (
    duration,
    number,
    panels,
    running_mean,
    score_names,
    short_number,
    thinned,
    ticks,
)

ROWS = [
    {"step": 1, "seconds": 0.5, "loss": 9.0, "learning_rate": 0.1, "padding_share": 0.02},
    {"step": 2, "seconds": 1.0, "loss": None, "learning_rate": 0.2, "padding_share": None},
    {"step": 3, "seconds": 1.5, "loss": math.nan, "learning_rate": "fast"},
    {"step": 3, "seconds": 1.6, "dev_loss": 5.0, "dev_key": 1.0, "dev_bleu": 12.5, "dev_chrf": 30, "samples": []},
    {"step": 4, "seconds": 2.0, "loss": 7.0, "extra": 3},
    {"step": 5, "seconds": 2.5, "averaged": 3, "dev_loss": 4.0, "dev_bleu": 13.0},
    {"step": 6, "seconds": 3.0, "warning": "skipped"},
]


def test_panels_hold_what_the_rows_hold() -> None:
    found = {panel.title: panel.series for panel in panels(ROWS)}
    assert list(found) == ["Loss", "Dev bleu", "Dev chrf", "Learning rate", "Share of padding"]
    training, dev, averaged = found["Loss"]
    assert (training.name, training.points, training.gaps) == ("training", ((1, 9.0), (4, 7.0)), (2, 3))
    assert (dev.points, averaged.name, averaged.points) == (((3, 5.0),), "dev, averaged weights", ((5, 4.0),))
    assert [curve.points for curve in found["Dev bleu"]] == [((3, 12.5),), ((5, 13.0),)]
    assert found["Learning rate"][0].points == ((1, 0.1), (2, 0.2))
    assert found["Share of padding"][0].gaps == ()
    assert score_names(ROWS) == ["dev_bleu", "dev_chrf"]


def test_panels_against_time() -> None:
    assert panels(ROWS, "seconds")[0].series[0].points == ((0.5, 9.0), (2.0, 7.0))


def test_rows_of_nothing() -> None:
    assert panels([]) == ()
    assert panels([{}, {"step": 1}, {"loss": 3.0}, {"step": math.inf, "loss": 1.0}, {"step": True, "loss": 1}]) == ()
    assert number(10**400) == math.inf and number("1") is None and number(True) is None


def test_points_come_in_order_of_x() -> None:
    rows = [{"step": step, "loss": float(step)} for step in (3, 1, 2)]
    assert panels(rows)[0].series[0].points == ((1, 1.0), (2, 2.0), (3, 3.0))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e9, 1e9), max_size=300), st.integers(10, 80))
def test_thinning_keeps_ends_order_and_extremes(values: list[float], most: int) -> None:
    points = [(float(at), value) for at, value in enumerate(values)]
    kept = thinned(points, most)
    assert len(kept) <= most
    assert list(kept) == [point for point in points if point in set(kept)]
    if points:
        assert kept[0] == points[0] and kept[-1] == points[-1]
        assert min(y for _, y in kept) == min(values) and max(y for _, y in kept) == max(values)


def test_a_lone_spike_survives_thinning() -> None:
    points = [(float(at), 1.0) for at in range(100_000)]
    points[54_321] = (54_321.0, 99.0)
    points[54_322] = (54_322.0, -99.0)
    kept = thinned(points)
    assert (54_321.0, 99.0) in kept and (54_322.0, -99.0) in kept and len(kept) <= 2_000


def test_running_mean_by_plain_sums() -> None:
    draw = random.Random(1)
    points = [(float(at), draw.random()) for at in range(211)]
    means = running_mean(points, 0.1)  # ten neighbours on each side
    for at, (x, mean) in enumerate(means):
        near = [y for _, y in points[max(0, at - 11) : at + 12]] if round(21.1 / 2) == 11 else None
        near = near or [y for _, y in points[max(0, at - 10) : at + 11]]
        assert x == points[at][0]
        assert mean == pytest.approx(sum(near) / len(near))
    assert running_mean([]) == ()
    assert running_mean([(1.0, 5.0)]) == ((1.0, 5.0),)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-3, 3, [-2, 0, 2]),
        (999, 4001, [1000, 2000, 3000, 4000]),
        (7, 7, [7]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@settings(deadline=None)
@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12))
def test_ticks_lie_inside(low: float, reach: float) -> None:
    high = low + reach
    found = ticks(low, high)
    assert 1 <= len(found) <= 8 or high - low < 1e-9 * abs(low)
    assert all(low - 1e-6 * (abs(low) + reach) <= tick <= high + 1e-6 * (abs(high) + reach) for tick in found)


def test_numbers_and_times_as_people_write_them() -> None:
    assert [short_number(value) for value in (12_000, 3.14159, 2e-5, 12_345_678, 1234.5, -0.5, 0)] == [
        "12,000",
        "3.14",
        "2e-05",
        "12,345,678",
        "1,234",
        "-0.5",
        "0",
    ]
    assert [duration(value) for value in (0.4, 59.6, 61, 3_599.7, 7_260, -5)] == [
        "0 s",
        "1 min 00 s",
        "1 min 01 s",
        "1 h 00 min",
        "2 h 01 min",
        "0 s",
    ]
