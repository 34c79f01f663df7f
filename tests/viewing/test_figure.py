import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from planted import EOS, peaked, record, reversal, sentence, side

from seq2see.errors import InputError
from seq2see.viewing import fonts
from seq2see.viewing.figure import draw_heat_map, heat_map_figure, heat_map_svg, rendered
from seq2see.viewing.fonts import Lettering, lettering, remarks
from seq2see.viewing.grid import CAVEAT
from seq2see.viewing.record import Record

UNKNOWN = "\U0010fffd"  # the last private-use character: no font has it


def map_of(record: Record, **options: object) -> Axes:
    return heat_map_figure(record, **options)[0].axes[0]  # type: ignore[arg-type]


def darkest(axes: Axes) -> list[int]:
    return [row.argmax() for row in axes.images[0].get_array()]  # type: ignore[union-attr]


def labels(axes: Axes) -> tuple[list[str], list[str]]:
    """Of columns from left to right, and of rows from the top."""
    across = sorted(zip(axes.get_xticks(), axes.get_xticklabels(), strict=True), reverse=bool(axes.xaxis_inverted()))
    down = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    return [label.get_text() for _, label in across], [label.get_text() for _, label in down]


def all_texts(figure: Figure) -> list[str]:
    inside = [text.get_text() for axes in figure.axes for text in axes.texts]
    return inside + [text.get_text() for text in figure.texts]


def test_the_planted_maximum_is_the_darkest_cell() -> None:
    axes = map_of(reversal("north", "wind", "sun", cut=2))
    assert darkest(axes) == [2, 1, 0, 3]
    assert labels(axes) == (["north", "wind", "sun", EOS], ["sun", "wind", "north", EOS])
    assert axes.get_aspect() == 1.0
    image = axes.images[0]
    assert image.get_clim() == (0.0, pytest.approx(0.9 + 0.1 / 7 * 2, abs=0.02))


def test_the_end_is_dimmed_and_does_not_set_the_scale() -> None:
    made = record(side("a", "b"), side("c"), ((0.02, 0.08, 0.9), (0.03, 0.01, 0.96)))
    axes = map_of(made)
    assert axes.images[0].get_clim() == (0.0, 0.08)
    alpha = axes.images[0].get_alpha()
    assert [list(row) for row in alpha] == [[1.0, 1.0, 0.4], [0.4, 0.4, 0.4]]  # type: ignore[union-attr]
    assert axes.get_xticklabels()[2].get_alpha() == 0.7


def test_each_head_has_its_map() -> None:
    source, target = side("a", "b"), side("c", "d")
    heads = tuple(peaked([at % 3, (at + 1) % 3, (at + 2) % 3], 3) for at in range(5))
    figure, _ = heat_map_figure(record(source, target, *heads), heads=True)
    maps = [axes for axes in figure.axes if axes.images]
    assert [darkest(axes) for axes in maps] == [[at % 3, (at + 1) % 3, (at + 2) % 3] for at in range(5)]
    assert [axes.get_xlabel() for axes in maps] == [f"head {at}" for at in range(1, 6)]
    assert len({axes.images[0].get_clim() for axes in maps}) == 1
    with pytest.raises(InputError, match="one of the two"):
        heat_map_figure(record(source, target, *heads), heads=True, head=1)


def test_right_to_left_columns_begin_on_the_right() -> None:
    axes = map_of(reversal("אחת", "שתיים", "שלוש"))
    assert labels(axes)[0] == [EOS, "שלוש", "שתיים", "אחת"]
    assert darkest(axes) == [2, 1, 0, 3]


def test_what_a_reader_must_know_stands_there() -> None:
    figure, said = heat_map_figure(replace(reversal("a", "b"), model="lstm $x$"))
    texts = all_texts(figure)
    assert CAVEAT in texts and "lstm $x$: target looks at source" in texts
    assert texts.count("80 %") == 3
    assert said == ()


def test_dollars_and_markup_are_letters(tmp_path: Path) -> None:
    hostile = ("$5^{", "</script>", "-->", "]]>", "\x1b[31m", "a\u202eb", "<img", "{{7*7}}", "%s")
    made = reversal(*hostile)
    draw_heat_map(made, tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    for mark in ("</script", "<img", "\x1b", "\u202e", "]]>"):
        assert mark not in drawn
    comments = re.findall(r"<!--(.*?)-->", drawn, re.S)
    assert drawn.count("<!--") == len(comments) == drawn.count("-->")
    assert not any("--" in comment for comment in comments)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_same_record_gives_the_same_bytes(tmp_path: Path, ending: str) -> None:
    for name in ("one", "two"):
        assert draw_heat_map(reversal("a", "b"), tmp_path / f"{name}.{ending}") == ()
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("one", "two"))
    assert first == second
    assert first.startswith(b"\x89PNG" if ending == "png" else b"<?xml")
    assert b"<dc:date>" not in first and b"Matplotlib v" not in first
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_svg_asks_for_nothing_from_outside() -> None:
    drawn = heat_map_svg(reversal("a", "b"))
    assert "<script" not in drawn
    for reference in re.findall(r'(?:href|src)="([^"]*)"', drawn):
        assert reference.startswith(("#", "data:"))


def test_other_endings_are_refused(tmp_path: Path) -> None:
    for name in ("a.jpg", "a", "a.pdf"):
        with pytest.raises(InputError, match=r"\.png or \.svg"):
            draw_heat_map(reversal("a"), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_letters_without_a_font_are_named_not_boxed(tmp_path: Path) -> None:
    made = reversal(f"a{UNKNOWN}b", "c")
    said = draw_heat_map(made, tmp_path / "a.png")
    assert len(said) == 1 and "U+10FFFD" in said[0] and "--html" in said[0]
    assert labels(map_of(made))[0][0] == "a[U+10FFFD]b"


@pytest.mark.parametrize(
    "text", ["가장 가까운 기차역", "أين أقرب محطة", "निकटतम स्टेशन", "最寄りの駅", "🙂 👩‍👩‍👧", "สถานี"]
)
def test_every_script_is_drawn_or_spoken_of(tmp_path: Path, text: str) -> None:
    made = record(sentence(text), side("x"), peaked([0, 1], len(sentence(text).pieces)))
    said = draw_heat_map(made, tmp_path / "a.png")  # a missing letter would be a warning, and warnings are errors
    assert bool(lettering([text]).missing) == any("no installed font" in remark for remark in said)


@settings(deadline=None, max_examples=8)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), min_size=1, max_size=6))
@example(["a\u0947", "\u0947\u0301", "e\u0301", "\u203a\u093e", "한\u0302", "\u200d", "1\ufe0f\u20e3", "ন\u0c4d"])
def test_no_text_at_all_is_a_box(texts: list[str]) -> None:
    rendered(heat_map_figure(reversal(*texts))[0], "png")  # without a warning


def test_fonts_are_taken_until_every_letter_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = {"first": {97, 98}, "second": {99}, "third": {98, 100}, "fourth": {101}}
    monkeypatch.setattr(fonts, "_candidates", lambda: ((name, name) for name in letters))
    monkeypatch.setattr(fonts, "_characters", letters.__getitem__)
    found = lettering(["abd"])
    assert (found.families, found.missing) == (("first", "third"), frozenset())
    found = lettering(["aceg", "h\u200d"])
    assert (found.families, found.missing) == (("first", "second", "fourth"), frozenset("gh"))
    assert found.drawable("ageh") == "a[U+0067]e[U+0068]"


def test_a_mark_stays_with_its_letter_only_within_a_font() -> None:
    latin, other = frozenset("ae\u0301"), frozenset("\u0915\u0947\u25cc")
    found = Lettering(("latin", "other"), (latin, other), frozenset())
    assert found.drawable("ae\u0301\u0915\u0947") == "ae\u0301\u0915\u0947"
    assert found.drawable("a\u0947e") == "a\u25cc\u0947e"
    assert found.drawable("\u0947") == "\u0947"
    assert found.drawable("\u0915\u0301") == "\u0915[U+0301]"  # no font has the circle and this mark
    assert found.drawable("x\u0301\u200d") == "[U+0078][U+0301]"


def test_old_matplotlib_is_said_for_scripts_that_need_shaping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_shapes", lambda: False)
    assert "does not join" in remarks(["أين"], frozenset())[0]
    assert remarks(["where"], frozenset()) == ()
    monkeypatch.setattr(fonts, "_shapes", lambda: True)
    assert remarks(["أين"], frozenset()) == ()


def test_small_and_large(tmp_path: Path) -> None:
    draw_heat_map(record(side("yes", end=False), side("ja", end=False), ((1.0,),)), tmp_path / "one.png")
    empty = side(end=False)
    draw_heat_map(record(empty, empty, ()), tmp_path / "none.png")
    many = side(*(f"w{at}" for at in range(150)))
    figure, _ = heat_map_figure(record(many, side("x"), peaked([3, 4], 151)))
    assert max(figure.get_size_inches()) < 40
    with pytest.raises(InputError, match="without attention"):
        draw_heat_map(record(side("a"), side("b")), tmp_path / "a.png")
