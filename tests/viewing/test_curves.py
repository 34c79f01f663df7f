import math
from pathlib import Path

import pytest

from seq2see.errors import InputError
from seq2see.viewing.curves import draw_curves, draw_length_quality

ROWS = [
    {"step": step, "seconds": step / 2, "loss": 5 / step if step % 7 else None, "learning_rate": 0.1 / step}
    for step in range(1, 150)
] + [{"step": step, "seconds": step / 2, "dev_loss": 6 / step, "dev_bleu $x$": 10.0 + step} for step in (50, 100)]

BARS = {
    "rnn $x^$": [(1, 10, 40, 30.0, 25.0, 35.0), (11, 20, 9, 12.0, 8.0, 11.0)],
    "<script> 기차": [(1, 10, 40, 33.0, 29.0, 37.0), (11, 20, 9, math.nan, math.nan, math.nan), (21, 21, 3, 5, 0, 9)],
}


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_curves_are_drawn_and_always_the_same(tmp_path: Path, ending: str) -> None:
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for path in paths:
        assert draw_curves(ROWS, path, axis="seconds") == ()
    first, second = (path.read_bytes() for path in paths)
    assert first == second and len(first) > 5_000


def test_quality_against_length_is_drawn(tmp_path: Path) -> None:
    draw_length_quality(BARS, tmp_path / "a.svg", metric="BLEU")  # type: ignore[arg-type]
    drawn = (tmp_path / "a.svg").read_text()
    assert "<script>" not in drawn
    for label in ("1–10", "11–20", "21", "n = 40", "n = 9", "n = 3", "BLEU", "source length, pieces"):
        assert f"<!-- {label} -->" in drawn


def test_one_row_and_one_bar(tmp_path: Path) -> None:
    draw_curves([{"step": 1, "loss": 2.0}], tmp_path / "a.png")
    draw_curves([{"step": 1, "loss": math.nan}], tmp_path / "b.png")
    draw_length_quality({"a": [(1, 1, 1, 0.0, 0.0, 0.0)]}, tmp_path / "c.png")
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        draw_curves([], tmp_path / "a.png")
    with pytest.raises(InputError, match="nothing to draw"):
        draw_length_quality({"a": [(1, 2, 3, math.nan, 0.0, 0.0)]}, tmp_path / "a.png")
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        draw_curves(ROWS, tmp_path / "a.gif")
