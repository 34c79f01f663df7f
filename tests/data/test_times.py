"""Columns of times: recognised, set on equal steps, and carried on in the same writing."""

import pytest

from seq2see.data.axis import find_axis, order_axis, row_axis
from seq2see.data.times import is_time, read_times
from seq2see.errors import InputError


def carried_on(cells: list[str], ahead: int = 2) -> tuple[str, list[str]]:
    """What the steps of a column are called, and the times after its end."""
    axis, places = find_axis(read_times(list(enumerate(cells, 1)), "file"))
    assert [place for place in places if place is not None] == places
    last = max(place for place in places if place is not None)
    assert axis.text(last) in cells
    return axis.name, [axis.text(last + step) for step in range(1, ahead + 1)]


@pytest.mark.parametrize(
    ("cells", "name", "after"),
    [
        (["1949-11", "1949-12"], "monthly", ["1950-01", "1950-02"]),
        (["1949M9", "1949M10"], "monthly", ["1949M11", "1949M12"]),
        (["Nov 1949", "Dec 1949"], "monthly", ["Jan 1950", "Feb 1950"]),
        (["NOVEMBER 1949", "DECEMBER 1949"], "monthly", ["JANUARY 1950", "FEBRUARY 1950"]),
        (["1974Q3", "1974Q4"], "quarterly", ["1975Q1", "1975Q2"]),
        (["Q3 1974", "Q4 1974"], "quarterly", ["Q1 1975", "Q2 1975"]),
        (["Nov-1-1995", "Dec-1-1995"], "monthly", ["Jan-1-1996", "Feb-1-1996"]),
        (["1 Mar 2020", "1 Apr 2020"], "monthly", ["1 May 2020", "1 Jun 2020"]),
        (["2020-01-31", "2020-02-29", "2020-03-31"], "monthly", ["2020-04-30", "2020-05-31"]),
        (["2019-09-30", "2019-12-31", "2020-03-31"], "quarterly", ["2020-06-30", "2020-09-30"]),
        (["2018-07-01", "2019-07-01", "2020-07-01"], "yearly", ["2021-07-01", "2022-07-01"]),
        (["2020/2/27", "2020/2/28"], "daily", ["2020/2/29", "2020/3/1"]),
        (["19580329", "19580405", "19580412"], "weekly", ["19580419", "19580426"]),
        (["2021-03-03", "2021-03-04", "2021-03-05", "2021-03-08"], "every working day", ["2021-03-09", "2021-03-10"]),
        (["13/4/2020", "14/4/2020"], "daily", ["15/4/2020", "16/4/2020"]),
        (["4/29/2020", "4/30/2020"], "daily", ["5/1/2020", "5/2/2020"]),
        (["2020-02-28 22:00", "2020-02-28 23:00"], "hourly", ["2020-02-29 00:00", "2020-02-29 01:00"]),
        (
            ["2020-01-01T00:00:00Z", "2020-01-01T00:15:00Z"],
            "every 15 minutes",
            ["2020-01-01T00:30:00Z", "2020-01-01T00:45:00Z"],
        ),
        (
            ["2020-01-01 23:30:00+09:00", "2020-01-01 23:45:00+09:00"],
            "every 15 minutes",
            ["2020-01-02 00:00:00+09:00", "2020-01-02 00:15:00+09:00"],
        ),
        # Clocks go back by an hour in between: the instants are an hour apart all the same.
        (["2020-10-25 02:30+02:00", "2020-10-25 02:30+01:00"], "hourly", ["2020-10-25 02:30Z", "2020-10-25 03:30Z"]),
        (["1949.75", "1949.8333", "1949.9167"], "monthly", ["1950", "1950.0833"]),
        (["1960", "1960.25", "1960.5"], "quarterly", ["1960.75", "1961"]),
        (["1700", "1701"], "yearly", ["1702", "1703"]),
        (["1", "2", "3"], "step 1", ["4", "5"]),
        (["0.0", "0.5", "1.0"], "step 0.5", ["1.5", "2.0"]),
        (["-2e0", "0", "2"], "step 2", ["4", "6"]),
    ],
)
def test_times_are_carried_on_as_they_are_written(cells: list[str], name: str, after: list[str]) -> None:
    if name == "hourly" and "+01:00" in cells[-1]:
        axis, places = find_axis(read_times(list(enumerate(cells, 1)), "file"))
        assert (axis.name, places) == (name, [0, 1])
        assert [axis.text(2), axis.text(3)] == after
        return
    assert carried_on(cells) == (name, after)


def test_rounded_fractions_of_a_year_do_not_drift_off_their_steps() -> None:
    cells = [f"{1958 + week / 52:.4f}" for week in range(2_000)]
    axis, places = find_axis(read_times(list(enumerate(cells, 1)), "file"))
    assert places == list(range(2_000))
    assert float(axis.text(2_000)) == pytest.approx(1958 + 2_000 / 52, abs=1e-3)


def test_gaps_keep_their_width_and_strays_are_named() -> None:
    axis, places = find_axis(read_times([(1, "2020-01"), (2, "2020-02"), (3, "2020-05"), (4, "2020-06")], "file"))
    assert places == [0, 1, 4, 5] and axis.text(2) == "2020-03"
    times = [(n, f"2020-01-{day:02d} 12:00") for n, day in enumerate((1, 2, 3, 4), 1)] + [(5, "2020-01-05 13:00")]
    assert find_axis(read_times(times, "file"))[1] == [0, 1, 2, 3, None]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["2020-01-01", "2020-02-30"], 'line 2: the time "2020-02-30" does not exist'),
        (["2020-01-01"] * 21 + ["x"], 'line 22: the time "x" is not written like the others \\("2020-01-01"\\)'),
        (["2020-01"] * 21 + ["2020-13"], "line 22"),
        (["3/4/2020", "3/5/2020"], "is the day or the month first\\? neither"),
        (["1/4/2020"] * 20 + ["13/4/2020", "3/14/2020"], "both are above 12"),
        (["2020-01-01 25:00"] * 2, "does not exist: a day has 24 hours"),
        (["2020-01-01 00:00Z", "2020-01-01 01:00"], "some times name a zone and some do not"),
        (["yesterday", "today"], 'line 1: "yesterday" is no time'),
        (["0000-01", "0000-02"], "does not exist"),
    ],
)
def test_what_is_no_time_is_refused_with_its_line(cells: list[str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_times(list(enumerate(cells, 1)), "file")


def test_seasons_of_the_calendar() -> None:
    for cells, season in (
        (["2020-01", "2020-02"], 12),
        (["2020Q1", "2020Q2"], 4),
        (["2019", "2020"], 1),
        (["2020-01-04", "2020-01-05"], 7),
        (["2020-01-05", "2020-01-12"], 52),
        (["2021-03-03", "2021-03-04", "2021-03-05", "2021-03-08"], 5),
        (["2020-01-01 00:00", "2020-01-01 01:00"], 24),
        (["2020-01-01 00:00", "2020-01-01 00:01"], 60),
        (["1", "2"], 1),
    ):
        assert find_axis(read_times(list(enumerate(cells, 1)), "file"))[0].season() == season, cells


def test_an_order_counts_on_and_a_calendar_ends() -> None:
    assert [order_axis(["a", "b"]).text(at) for at in range(4)] == ["a", "b", "+1", "+2"]
    assert row_axis().text(2) == "3"
    axis, _ = find_axis(read_times([(1, "9998-01-01"), (2, "9999-01-01")], "file"))
    with pytest.raises(InputError, match="beyond the year 9999"):
        axis.text(2)


def test_numbers_are_no_times_by_form() -> None:
    assert is_time(["2020-01", "2020-02"]) and not is_time(["2020", "2021"]) and not is_time([])
