"""Records of pictures: kept whole, drawn with planted attention where it was put, in text, figure and page."""

import base64
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pages import FETCHING, Page, source_of
from PIL import Image
from planted import record as text_record
from planted import reversal, side
from rich.cells import cell_len

from seq2see.errors import InputError
from seq2see.viewing.grid import CAVEAT
from seq2see.viewing.picture import MOST_CHARACTERS, Picture
from seq2see.viewing.picture_figure import draw_pictures, picture_figure
from seq2see.viewing.picture_page import picture_notebook, picture_page, write_picture_page
from seq2see.viewing.pictures import EVIDENCE, coarser, panels, picture_text
from seq2see.viewing.record import Record, Side

ROWS, COLUMNS = 3, 4


def png(width: int = 8, height: int = 6, colour: tuple[int, int, int] = (10, 200, 30)) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


PICTURE = Picture(8, 6, ROWS, COLUMNS, png())


def planted(
    *peaks: int, words: tuple[str, ...] = (), name: str = "x.png", task: str = "caption", **others: Any
) -> Record:
    """Each piece of the target looks with 0.9 at one place; the rest is spread evenly."""
    places = ROWS * COLUMNS
    source = Side(name, tuple(str(at) for at in range(places)), ((0, 0),) * places, (), (False,) * places)
    target = side(*(words or tuple(f"w{at}" for at in range(len(peaks) - 1))), end=task == "caption")
    rows = [[0.9 if place == peak else 0.1 / (places - 1) for place in range(places)] for peak in peaks]
    filled = {
        "task": task,
        "model": "planted",
        "source": source,
        "target": target,
        "attention": {"cross": [[rows]]} if peaks else {},
        "log_probs": tuple(math.log(0.8) for _ in target.pieces),
        "picture": PICTURE,
        **others,
    }
    return Record(**filled)


EXAMPLE = planted(0, 5, 11)  # two words and <eos>


# ── the record ──────────────────────────────────────────────────────────────────────────────────


def test_a_record_with_a_picture_comes_back_whole() -> None:
    again = Record.from_json(EXAMPLE.to_json())
    assert again.picture == PICTURE and again.version == 2
    assert again.to_json() == EXAMPLE.to_json()
    assert json.loads(EXAMPLE.to_json())["picture"]["rows"] == ROWS


def test_records_of_text_are_written_as_before() -> None:
    content = json.loads(reversal("a", "b").to_json())
    assert content["version"] == 1 and "picture" not in content
    assert Record.from_json(json.dumps(content)).picture is None


def changed(**fields: Any) -> dict[str, Any]:
    content = json.loads(EXAMPLE.to_json())
    for name, value in fields.items():
        content["picture"][name] = value
    return content


WRONG = {
    "not as many places": (changed(rows=2), r"8 places \(rows × columns\) need as many source pieces, not 12"),
    "another size": (changed(width=9), "no PNG file of 9 × 6 pixels"),
    "no base64": (changed(png="§"), "this is not Base64"),
    "no png": (changed(png=base64.b64encode(b"GIF89a").decode()), "no PNG file"),
    "a number as text": (changed(width="8"), "picture.width: a whole number"),
    "a truth value": (changed(rows=True), "picture.rows"),
    "below one": (changed(columns=0), "picture.columns"),
    "huge": (changed(height=100_000), "picture.height"),
    "too long": (changed(png="A" * (MOST_CHARACTERS + 4)), "at most 8,000,000 characters"),
    "unknown field": (changed(url="https://example.org"), "unknown field 'url'"),
    "no object": ({**changed(), "picture": "x"}, "picture: an object"),
    "newer": ({**changed(), "version": 3}, "version 3 is newer than 2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_picture_is_refused(name: str) -> None:
    content, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        Record.from_json(json.dumps(content))


# ── maps ────────────────────────────────────────────────────────────────────────────────────────


def test_a_panel_for_each_word_has_its_weights_row_by_row() -> None:
    first, second, end = panels(EXAMPLE)
    assert [panel.label for panel in (first, second, end)] == ["w0", "w1", "<eos>"]
    assert first.weights[0][0] == second.weights[1][1] == end.weights[2][3] == 0.9
    assert (len(first.weights), len(first.weights[0])) == (ROWS, COLUMNS)
    assert first.probability == pytest.approx(0.8) and end.special and not first.special


def test_pieces_of_a_word_are_averaged() -> None:
    target = side("abcd", cut=2)  # ab, cd, <eos>
    found = panels(replace(EXAMPLE, target=target))
    assert [panel.label for panel in found] == ["abcd", "<eos>"]
    assert found[0].weights[0][0] == pytest.approx((0.9 + 0.1 / 11) / 2) == pytest.approx(found[0].weights[1][1])
    assert found[0].probability == pytest.approx(0.64)
    assert [panel.label for panel in panels(replace(EXAMPLE, target=target), words=False)] == ["ab", "cd", "<eos>"]


def test_layers_and_heads_are_averaged_or_chosen() -> None:
    heads = [EXAMPLE.attention["cross"][0][0], planted(1, 1, 1).attention["cross"][0][0]]
    both = replace(EXAMPLE, attention={"cross": (tuple(heads),)})
    assert panels(both)[0].weights[0][0] == pytest.approx((0.9 + 0.1 / 11) / 2)
    assert panels(both, head=2)[0].weights[0][1] == 0.9
    with pytest.raises(InputError, match="head 3"):
        panels(both, head=3)
    with pytest.raises(InputError, match="there is no picture in it"):
        panels(reversal("a"))


def test_coarser_maps_keep_every_weight() -> None:
    weights = tuple(tuple(float(row * 7 + column) for column in range(7)) for row in range(5))
    small = coarser(weights, 3, 4)
    assert (len(small), len(small[0])) == (3, 4)
    assert sum(map(sum, small)) == sum(map(sum, weights))
    assert small[0][0] == 0 + 1 + 7 + 8 and small[2][3] == weights[4][6]
    assert coarser(weights, 9, 9) == weights


# ── text ────────────────────────────────────────────────────────────────────────────────────────


def test_the_terminal_shows_each_word_with_its_map() -> None:
    text = picture_text(EXAMPLE, width=60)
    lines = text.splitlines()
    assert lines[0] == "planted: x.png → w0 w1"
    names = next(line for line in lines if "w1" in line and "→" not in line)
    assert [names.index(word) for word in ("w0", "w1", "<eos>")] == sorted(
        names.index(w) for w in ("w0", "w1", "<eos>")
    )
    assert "80%" in names and CAVEAT in " ".join(lines)
    top = lines[lines.index(names) + 1 : lines.index(names) + 1 + ROWS]
    second = names.index("w1")
    assert top[0].startswith("██") and top[1][second + 2 : second + 4] == "██"
    assert sum(line.count("██") for line in top) == 3


@pytest.mark.parametrize("width", [24, 40, 79, 200])
@pytest.mark.parametrize("colour", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, colour: bool) -> None:
    long = planted(*range(9), words=tuple("exclamations" for _ in range(8)), name="a/very/long/name" * 9 + ".png")
    for line in picture_text(long, width=width, colour=colour).splitlines():
        plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
        assert cell_len(plain) <= width, plain


def test_ascii_and_colours() -> None:
    assert "\x1b[48;5;" in picture_text(EXAMPLE, colour=True)
    assert "\x1b[48;2;" in picture_text(EXAMPLE, colour=True, truecolour=True)
    assert "##" in picture_text(EXAMPLE, unicode=False) and "█" not in picture_text(EXAMPLE, unicode=False)


def test_a_class_is_shown_with_its_rivals() -> None:
    one = planted(5, words=("cat",), task="classify", runners_up=((("cat", -0.2), ("dog", -1.8)),))
    text = picture_text(one)
    assert "likeliest: cat 82%, dog 17%" in text
    assert EVIDENCE in text.replace("\n", " ") and CAVEAT[:30] not in text


def test_without_attention_the_words_stand_alone() -> None:
    bare = replace(EXAMPLE, attention={})
    text = picture_text(bare)
    assert "without attention" in text and "w0 80%" in text
    assert panels(bare)[0].weights == ()
    assert len(picture_figure(bare)[0].axes) == 4


def test_names_cannot_steer_a_terminal() -> None:
    text = picture_text(planted(0, 1, words=("\x1b[31mred",), name="\x1b]0;x\x07.png"))
    assert "\x1b" not in text and "\x07" not in text


# ── the figure ──────────────────────────────────────────────────────────────────────────────────


def test_the_figure_has_the_picture_once_for_each_word() -> None:
    figure, said = picture_figure(EXAMPLE)
    assert said == () and len(figure.axes) == 4
    first, *words = figure.axes
    assert len(first.images) == 1
    for axes, title, peak in zip(words, ("w0", "w1", "<eos>"), ((0, 0), (1, 1), (2, 3)), strict=True):
        assert axes.get_title().startswith(title)
        picture, glow = axes.images
        assert glow.get_array()[peak] == 0.9
        assert glow.get_extent() == picture.get_extent()
        assert glow.cmap(0.0)[3] == 0.0 < glow.cmap(1.0)[3]


def test_figures_are_written_the_same_every_time(tmp_path: Path) -> None:
    for ending in ("png", "svg"):
        for name in ("a", "b"):
            draw_pictures(EXAMPLE, tmp_path / f"{name}.{ending}")
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        draw_pictures(EXAMPLE, tmp_path / "a.gif")


def test_the_glow_is_where_the_model_looked(tmp_path: Path) -> None:
    """In the drawing itself: the corner that the first word looked at is no longer the picture's green."""
    draw_pictures(EXAMPLE, tmp_path / "a.png")
    image = Image.open(tmp_path / "a.png").convert("RGB")
    green = [image.getpixel((x, y)) == (10, 200, 30) for y in range(image.height) for x in range(image.width)]
    assert 0.1 < sum(green) / len(green) < 0.6
    pink = sum(
        r > 150 and b > 150 > g
        for r, g, b in (image.getpixel((x, y)) for y in range(image.height) for x in range(image.width))
    )  # type: ignore[misc]
    assert pink > 100


# ── the page ────────────────────────────────────────────────────────────────────────────────────


def test_the_page_holds_the_pictures_and_makes_no_request(tmp_path: Path) -> None:
    write_picture_page(tmp_path / "p.html", [EXAMPLE, planted(3, 3, name="<script>alert(1)</script>.png")])
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    page = Page(text)
    for tag, attributes in page.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form[action]", "audio", "video")
        assert not FETCHING & attributes.keys(), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    code = "".join(inside for attributes, inside in page.inside("script") if attributes.get("type") is None)
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:" and rules["base-uri"] == "'none'"
    assert rules["script-src"] == source_of(code)
    assert rules["style-src"] == source_of("".join(inside for _, inside in page.inside("style")))
    assert set(rules) == {"default-src", "script-src", "style-src", "base-uri", "form-action", "img-src"}
    assert not re.search(r"fetch\(|XMLHttpRequest|innerHTML|outerHTML|insertAdjacent|eval\(|https?:(?!//www\.w3)", code)
    assert "<script>alert(1)" not in text
    first, second = page.data["records"]
    assert first["picture"]["png"] == PICTURE.png and second["source"].startswith("<script>")
    assert first["map"]["columns"] == ROWS * COLUMNS and first["map"]["rows"] == 3
    assert first["map"]["weights"][:2] == [9000, 91]
    assert CAVEAT in page.text


def test_the_page_of_a_class_says_what_its_map_is() -> None:
    one = planted(5, words=("cat",), task="classify", runners_up=((("cat", -0.2), ("dog", -1.8)),))
    page = Page(picture_page([one]))
    assert EVIDENCE in page.text and "What speaks for the class" in page.text
    assert page.data["records"][0]["runnersUp"] == [["cat", -0.2], ["dog", -1.8]]
    assert "cat 80 %" in picture_page([one])  # for readers without scripts


def test_a_page_is_bounded() -> None:
    for records in ([], [EXAMPLE] * 201):
        with pytest.raises(InputError, match="from 1 to 200 pictures"):
            picture_page(records)
    with pytest.raises(InputError, match="there is no picture in it"):
        picture_page([text_record(side("a"), side("b"))])
    assert "srcdoc=" in picture_notebook([EXAMPLE]) and 'sandbox="allow-scripts"' in picture_notebook([EXAMPLE])


def test_the_script_of_the_page_is_sound() -> None:
    """Every id it asks for is there; no tool is needed to see that much."""
    text = picture_page([EXAMPLE])
    ids = set(re.findall(r'id="([\w-]+)"', text))
    assert set(re.findall(r'byId\("([\w-]+)"\)', text)) <= ids
    assert {"layer", "head", "layer-field", "head-field"} <= ids
