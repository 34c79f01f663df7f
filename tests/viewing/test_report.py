import math
import re
import time
from pathlib import Path
from typing import Any

import pytest
from pages import Page, assert_no_request, colours

from seq2see.viewing.palette import contrast, red_green_blue
from seq2see.viewing.report import ReportData, ScoreLine, report_page, write_report

HOSTILE = "</script><img src=x onerror=alert(1)> {{7*7}} \x1b[31m \u202e <!-- @@script@@"


def run_of(rows: list[dict[str, Any]], **others: Any) -> ReportData:
    return ReportData(
        name="demo", task="translate", model="lstm-attention", parameters=1_234_567, metrics=rows, **others
    )


def training(steps: int) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "epoch": step / 100,
            "seconds": step * 0.5,
            "loss": 10 / step,
            "learning_rate": 0.001,
            "target_tokens": step * 100,
            "target_tokens_per_second": 900.0,
            "padding_share": 0.05,
            "gradient_norm": 1.0,
        }
        for step in range(1, steps + 1)
    ]


def whole() -> ReportData:
    rows = training(50)
    for step in (25, 50):
        sample = {
            "source": "the sun",
            "reference": "die Sonne",
            "prediction": "die Sonne" if step == 50 else "der Mond",
        }
        rows.append({"step": step, "seconds": step * 0.5, "dev_loss": 3.0, "dev_bleu": step / 2, "samples": [sample]})
    rows.append({"step": 51, "warning": "a loss was not finite; the update was skipped"})
    return run_of(
        rows,
        data="29,000 pairs of train.tsv",
        settings={"version": 1, "model": {"name": "lstm-attention", "encoder": {"layers": 2}}},
        scores=[ScoreLine("BLEU", 39.234, 38.1, 40.4, "nrefs:1|tok:none"), ScoreLine("perplexity", 5.0)],
        lengths={"lstm": [(1, 10, 40, 30.0, 25.0, 35.0), (11, 20, 7, 10.0, 5.0, 15.0)]},
        length_metric="BLEU",
        notes=["12 pairs were dropped: a side is blank"],
    )


def test_everything_that_was_asked_for_is_there() -> None:
    page = Page(report_page(whole()))
    assert_no_request(page)
    text = re.sub(r"\s+", " ", page.text)
    for part in (
        "demo",
        "lstm-attention",
        "29,000 pairs of train.tsv",
        "1,234,567",
        "12 pairs were dropped",
        "step 51: a loss was not finite",
        "39.23",
        "38.10 to 40.40",
        "nrefs:1|tok:none",
        "Learning rate",
        "Target tokens per second",
        "Dev bleu",
        "Share of padding",
        "BLEU against source length",
        "n = 40",
        "n = 7",
        "the sun",
        "die Sonne",
        "der Mond",
        "layers",
    ):
        assert part in text, part


def test_curves_against_steps_and_time() -> None:
    page = Page(report_page(whole()))
    charts = page.data["charts"]
    figures = [a for tag, a in page.tags if tag == "figure" and "data-chart" in a]
    assert [int(a["data-chart"] or -1) for a in figures] == list(range(len(charts)))
    loss = charts[0]
    assert [curve["name"] for curve in loss["curves"]] == ["training", "dev"]
    assert loss["curves"][0]["points"][:2] == [[1, 10], [2, 5]] and loss["curves"][1]["points"] == [[25, 3], [50, 3]]
    timed = charts[len(charts) // 2]
    assert timed["seconds"] and timed["curves"][0]["points"][0] == [0.5, 10]
    assert sum("time" in (a["class"] or "") for a in figures) == len(charts) // 2


def test_a_point_is_drawn_where_the_scale_says() -> None:
    text = report_page(run_of([{"step": 0, "loss": 0.0}, {"step": 10, "loss": 1.0}, {"step": 5, "loss": 0.25}]))
    frame = Page(text).data["frame"]
    low, high = Page(text).data["charts"][0]["y"]
    assert (low, high) == (pytest.approx(-0.05), pytest.approx(1.05))
    path = re.search(r'class="line s0" d="M([^"]+)"', text)
    assert path is not None
    points = [tuple(map(float, part.split())) for part in path[1].split("L")]
    left, right = frame["left"], frame["width"] - frame["right"]
    top, bottom = frame["top"], frame["height"] - frame["bottom"]
    expected = [
        (x, bottom - (y + 0.05) / 1.1 * (bottom - top)) for x, y in ((left, 0), ((left + right) / 2, 0.25), (right, 1))
    ]
    assert points == [(pytest.approx(x, abs=0.06), pytest.approx(y, abs=0.06)) for x, y in expected]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{}],
        [{"step": 1, "seconds": 0.1, "loss": 3.0}],
        [{"step": 1, "seconds": 0.0, "loss": math.nan, "learning_rate": math.inf}],
        [{"step": 1, "loss": None}, {"step": 2, "loss": None}],
        [{"step": "x", "loss": []}, {"loss": 1.0}, {"step": 1, "samples": "x"}, {"step": 2, "samples": [3, {}]}],
        [{"step": 1, "loss": 1e308}, {"step": 2, "loss": -1e308}],
        [{"step": 1, "loss": 10**400}],
        [{"step": 7, "loss": 2.0}] * 3,
    ],
)
def test_odd_metrics_do_not_hurt(rows: list[dict[str, Any]]) -> None:
    text = report_page(run_of(rows))
    assert_no_request(Page(text))
    assert not re.search(r'[ "MLHV](nan|inf)', text)


def test_empty_metrics_are_said() -> None:
    page = Page(report_page(run_of([])))
    assert "No metrics were logged" in page.text and page.data["charts"] == []


def test_values_that_were_not_finite_are_marked() -> None:
    rows = training(9)
    rows[3]["loss"] = None
    rows[5]["loss"] = math.nan
    text = report_page(run_of(rows))
    assert text.count('class="gap"') == 4  # two against steps, two against time
    assert "training (2 not finite)" in Page(text).text


def test_a_hundred_thousand_rows() -> None:
    rows = training(100_000)
    rows[77_777]["loss"] = 50.0
    start = time.monotonic()
    text = report_page(run_of(rows))
    assert time.monotonic() - start < 10
    assert len(text) < 1_500_000
    points = Page(text).data["charts"][0]["curves"][0]["points"]
    assert len(points) <= 2_000 and [77_778, 50] in points and points[0] == [1, 10] and points[-1][0] == 100_000


def test_samples_join_equal_answers_and_mark_right_ones() -> None:
    def row(step: int, prediction: str) -> dict[str, Any]:
        return {"step": step, "samples": [{"source": "a", "reference": "right", "prediction": prediction}]}

    text = report_page(run_of([row(1, "x"), row(2, "x"), row(3, "x"), row(4, ""), row(5, "right")]))
    lines = re.findall(r"<tr( class=right)?><th scope=\"row\">(.*?)</th><td[^>]*>(.*?)</td></tr>", text)
    assert lines == [("", "step 1 to 3", "x"), ("", "step 4", "(blank)"), (" class=right", "step 5", "right")]


def test_many_samples_and_notes_stay_bounded() -> None:
    rows = [
        {"step": step, "samples": [{"source": f"s{n}", "reference": "r", "prediction": f"p{step}"} for n in range(40)]}
        for step in range(200)
    ]
    text = report_page(run_of(rows, notes=[f"note {n}" for n in range(5_000)]))
    assert text.count('class="sample"') == 20 and "and 4,800 more" in text
    assert text.count(">step ") <= 20 * 30 and ">step 0<" in text and ">step 199<" in text


def test_hostile_text_stays_text() -> None:
    rows = [
        *training(3),
        {
            "step": 3,
            "dev_loss": 1.0,
            f"dev_{HOSTILE}": 3.0,
            "samples": [dict.fromkeys(("source", "reference", "prediction"), HOSTILE)],
        },
        {"step": 3, "warning": HOSTILE},
    ]
    run = ReportData(
        name=HOSTILE,
        task=HOSTILE,
        model=HOSTILE,
        parameters=1,
        data=HOSTILE,
        settings={HOSTILE: HOSTILE, "deep": {HOSTILE: [HOSTILE]}},
        metrics=rows,
        scores=[ScoreLine(HOSTILE, math.nan, 1.0, 2.0, HOSTILE)],
        lengths={HOSTILE: [(1, 2, 3, 4.0, 3.0, 5.0)]},
        length_metric=HOSTILE,
        notes=[HOSTILE],
    )
    text = report_page(run)
    page = Page(text)
    assert_no_request(page)
    assert [tag for tag, _ in page.tags].count("script") == 2 and page.comments == []
    assert "\x1b" not in text and "\u202e" not in text
    assert page.text.count("<img src=x onerror=alert(1)>") >= 12


def test_lengths_are_bars_with_heights_in_proportion() -> None:
    text = report_page(run_of([], lengths={"a": [(1, 5, 9, 20.0, 10.0, 30.0), (6, 6, 4, 40.0, 35.0, 45.0)], "b": []}))
    heights = [float(h) for h in re.findall(r'<rect class="bar s0"[^>]* height="([\d.]+)"', text)]
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.01)
    assert "6 to 6 pieces: 40, 95 % interval 35 to 45; 4 sentences" in text
    assert "<svg viewBox" in text and 'role="img"' in text


def test_colours_of_curves_read_well() -> None:
    page = Page(report_page(whole()))
    for scheme in colours("".join(text for _, text in page.inside("style"))):
        for name in ("s0", "s1", "s2", "s3", "s4", "s5", "bad"):
            assert contrast(red_green_blue(scheme[name]), red_green_blue(scheme["card"])) >= 4.5, name


def test_written_whole(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", whole())
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report_page(whole())
