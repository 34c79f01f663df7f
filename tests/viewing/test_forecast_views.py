"""A forecast drawn: the right numbers in the right places, nothing fetched, nothing that acts."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pages import Page, assert_no_request
from rich.cells import cell_len

from seq2see.errors import InputError
from seq2see.viewing import forecast_figure
from seq2see.viewing.forecast import plot_of
from seq2see.viewing.forecast_figure import draw_forecasts
from seq2see.viewing.forecast_page import forecast_notebook, forecast_page, forecast_svg
from seq2see.viewing.forecast_terminal import forecast_text
from seq2see.viewing.record import Record, Side

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
EVIL = "<script>alert(1)</script>"


def side(name: str, times: list[str]) -> Side:
    text, spans = f"{name}:", []
    for time in times:
        spans.append((len(text) + 1, len(text) + 1 + len(time)))
        text += f" {time}"
    return Side(text, tuple(times), tuple(spans), tuple(spans), (False,) * len(times))


def record(name: str = "sales", steps: int = 3, attention: bool = True, **more: object) -> Record:
    """Past 1 … 5; medians 10, 20, 30 with bands of ± 2 and ± 4; the first step looks at the last value alone."""
    past = [f"200{at}" for at in range(5)]
    rows = tuple(tuple(10.0 * step + add for add in (-4, -2, 0, 2, 4)) for step in range(1, steps + 1))
    weights = tuple((0.0, 0.0, 0.0, 0.0, 1.0) if step == 0 else (0.5, 0.5, 0.0, 0.0, 0.0) for step in range(steps))
    traces = {
        "past": tuple((float(at),) for at in range(1, 6)),
        "forecast": rows,
        "levels": (LEVELS,),
        "actual": ((11.0,), (19.0,)),
        "median of linear": tuple((9.0 * step,) for step in range(1, steps + 1)),
    }
    base = Record(
        task="forecast",
        model="seq2seq",
        source=side(name, past),
        target=side(name, [str(2005 + at) for at in range(steps)]),
        attention={"cross": ((weights,),)} if attention else {},
        log_probs=(0.0,) * steps,
        signature="bands:sampled|paths:1000|seed:1",
        traces=traces,
    )
    return replace(base, **more)  # type: ignore[arg-type]


def test_the_numbers_come_out_of_the_record_and_survive_json() -> None:
    for each in (record(), Record.from_json(record().to_json())):
        plot = plot_of(each)
        assert plot.name == "sales" and plot.past == (1, 2, 3, 4, 5) and plot.median == (10, 20, 30)
        wide, narrow = plot.bands
        assert (wide.share, narrow.share) == pytest.approx((0.95, 0.8))
        assert wide.low == (6, 16, 26) and narrow.high == (12, 22, 32)
        assert plot.actual == (11, 19) and plot.beside == (("linear", (9, 18, 27)),)
        assert plot.looked[0] == (0, 0, 0, 0, 1)
    assert plot_of(record(name="a: b")).name == "a: b"


def test_a_record_of_something_else_is_refused() -> None:
    with pytest.raises(InputError, match="no past: it is not that of a forecast"):
        plot_of(record(traces={}))
    with pytest.raises(InputError, match="do not have the sizes"):
        plot_of(record(traces={**record().traces, "past": ((1.0,),)}))
    with pytest.raises(InputError, match="layer 2 was asked for"):
        plot_of(record(), layer=2)
    with pytest.raises(InputError, match="no attention"):
        plot_of(record(attention=False), head=1)


def test_bands_far_wider_than_everything_else_are_cut() -> None:
    rows = tuple((-1e9, 10.0 - 2, 10.0, 10.0 + 2, 1e9) for _ in range(3))
    plot = plot_of(record(traces={**record().traces, "forecast": rows}))
    low, high = plot.reach
    assert -100 < low < 1 and 27 < high < 100


@pytest.mark.parametrize("width", [40, 80, 133])
@pytest.mark.parametrize("unicode", [True, False])
def test_the_terminal_plot(width: int, unicode: bool) -> None:
    drawn = forecast_text(record(), width=width, unicode=unicode)
    lines = drawn.split("\n")
    assert max(map(cell_len, lines)) <= width
    assert drawn.isascii() or unicode
    assert "sales: seq2seq, 3 steps ahead" in lines[0]
    row = next(line for line in lines if line.strip().startswith("2006"))
    assert re.search(r"2006\s+20\s+18 to 22\s+19\s+18", row)
    # The plot rises: the median's mark is highest at the right end.
    mark = "━" if unicode else "="
    columns = [line.index(mark) for line in lines[2:14] if mark in line]
    assert columns == sorted(columns, reverse=True)
    looked = drawn.split("where each step looked")[1].split("\n")[1:4]
    shades = [line.split("│" if unicode else "|")[1] for line in looked]
    assert all(shade.strip() for shade in shades)
    assert len(shades[0].rstrip()) > len(shades[1].rstrip())  # the last value stands right of the first ones


def test_long_forecasts_are_listed_in_part() -> None:
    drawn = forecast_text(record(steps=40), width=60)
    assert "… and 28 more" in drawn and max(map(cell_len, drawn.split("\n"))) <= 60


def test_a_linear_model_shows_its_weights() -> None:
    linear = record(attention=False, traces={**record().traces, "coefficients": ((0.5, 0.0, -0.75),)})
    assert "+0.50 × 1 back, +0.00 × 2 back, -0.75 × 3 back" in forecast_text(linear, width=120)
    assert "3 back" in forecast_page([linear]) and "-0.7500" in forecast_page([linear])


def test_colour_adds_codes_and_nothing_else() -> None:
    plain, coloured = forecast_text(record()), forecast_text(record(), colour=True)
    assert "\x1b[" in coloured and "\x1b[" not in plain
    assert re.sub(r"\x1b\[\d+m", "", coloured).split("\n")[2:14] == plain.split("\n")[2:14]


def test_the_page_makes_no_request_and_nothing_in_it_acts() -> None:
    text = forecast_page([record(name=EVIL), record(name="b", steps=70)])
    page = Page(text)
    assert_no_request(page)
    assert EVIL not in text and EVIL in page.text
    assert "the first 60 of 70 steps" in page.text
    assert "2006: 20; 95 %: 16 to 24; 80 %: 18 to 22" in page.text  # what a pointer reads
    assert "&lt;iframe" not in forecast_notebook([record()]) and "sandbox" in forecast_notebook([record()])


def test_the_drawing_puts_values_where_they_belong() -> None:
    root = ElementTree.fromstring(forecast_svg(plot_of(record())))
    lines = {each.get("class"): each.get("d", "") for each in root.iter("path")}
    points = [tuple(map(float, point.split())) for point in lines["line median"][1:].split("L")]
    assert len(points) == 4  # from the last known value on
    assert points[0][1] > points[1][1] > points[3][1]  # higher values stand higher
    rise = points[1][1] - points[2][1]
    assert points[2][1] - points[3][1] == pytest.approx(rise, abs=0.2)  # ten more is ten more
    circles = [float(each.get("cx", "0")) for each in root.iter("circle")]
    assert circles == pytest.approx([points[1][0], points[2][0]], abs=0.2)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_pictures_are_drawn_and_always_the_same(tmp_path: Path, ending: str) -> None:
    records = [record(name="a $x$"), record(name=EVIL, attention=False)]
    for name in "ab":
        assert draw_forecasts(records, tmp_path / f"{name}.{ending}") == ()
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in "ab")
    assert first == second and len(first) > 5_000
    if ending == "svg":
        for label in ("past", "median", "95 %", "80 %", "what came", "median of linear", "where each step looked"):
            assert f"<!-- {label} -->".encode() in first
        assert EVIL.encode() not in first


def test_more_series_than_a_picture_holds_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast_figure, "_MOST", 2)
    (said,) = draw_forecasts([record(attention=False)] * 3, tmp_path / "a.svg")
    assert "first 2 of 3" in said
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        draw_forecasts([record()], tmp_path / "a.gif")
    with pytest.raises(InputError, match="from 1 to 100 series"):
        forecast_page([])
