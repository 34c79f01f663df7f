import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Page, assert_no_request, colours
from planted import EOS, peaked, record, reversal, sentence, side

from seq2see.errors import InputError
from seq2see.viewing import page as page_module
from seq2see.viewing.page import UNIT, attention_page, inert_json, notebook, write_page
from seq2see.viewing.palette import DARK, LIGHT, contrast, red_green_blue

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)> {{7*7}} <!-- ]]> & \u2028 \u202e \x1b[31m ' \""
)


def hostile_record() -> object:
    made = sentence(HOSTILE, cut=3)
    return record(
        made,
        made,
        peaked(range(len(made.pieces)), len(made.pieces)),
        task=HOSTILE,
        model=HOSTILE,
        signature=HOSTILE,
        reference=HOSTILE,
        notes=(HOSTILE, "</style>", "@@script@@"),
        runners_up=(((HOSTILE, -2.0),),) * len(made.pieces),
    )


def test_the_page_makes_no_request_and_allows_only_its_own_code() -> None:
    page = Page(attention_page([reversal("north", "wind", cut=2)]))
    assert_no_request(page)
    assert [tag for tag, _ in page.tags].count("script") == 2


def test_hostile_text_stays_text() -> None:
    text = attention_page([hostile_record()])  # type: ignore[list-item]
    page, plain = Page(text), Page(attention_page([reversal("a", "b")]))
    assert_no_request(page)
    skipped = ("p",)  # the fallback has a line for each text of a record
    structure = [[tag for tag, _ in one.tags if tag not in skipped] for one in (page, plain)]
    assert structure[0] == structure[1]
    assert page.comments == []
    shown = page.data["records"][0]
    assert "alert(1)" in shown["source"]["text"] and "<img src=x" in shown["source"]["text"]
    assert shown["model"].startswith("</script>")
    for character in ("\x1b", "\u202e", "\u2028"):
        assert character not in text
    assert "@@script@@" in shown["facts"]


@settings(deadline=None, max_examples=60)
@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_in_a_page_is_inert_and_the_same(content: object) -> None:
    text = inert_json(content)
    assert json.loads(text) == content
    assert not set("<>&\u2028\u2029") & set(text)


def test_the_data_are_the_weights() -> None:
    made = reversal("north", "wind", "sun", cut=2)
    shown = Page(attention_page([made])).data
    content = shown["records"][0]
    cross = content["attention"]["cross"]
    assert (cross["layers"], cross["heads"], cross["rows"], cross["columns"]) == (1, 1, 8, 8)
    flat = [weight for row in made.attention["cross"][0][0] for weight in row]
    assert [weight / UNIT for weight in cross["weights"]] == [pytest.approx(weight, abs=0.5 / UNIT) for weight in flat]
    peaks = [max(range(8), key=lambda s, t=t: cross["weights"][8 * t + s]) for t in range(8)]
    reading = [content["source"]["labels"][peak] for peak in peaks]
    assert reading == content["target"]["labels"] == ["su", "n", "wi", "nd", "no", "rt", "h", EOS]
    assert content["target"]["groups"] == [[0, 1], [2, 3], [4, 5, 6], [7]]
    assert content["target"]["words"] == ["sun", "wind", "north", EOS]
    assert content["target"]["special"] == [False] * 7 + [True]
    assert content["logProbs"] == [pytest.approx(-0.22314)] * 8
    assert shown["ramps"] == {"light": list(LIGHT), "dark": list(DARK)}


def test_several_records_and_right_to_left() -> None:
    arabic = reversal("أين", "محطة")
    content = Page(attention_page([reversal("a"), arabic])).data["records"]
    assert [each["source"]["rtl"] for each in content] == [False, True]
    with pytest.raises(InputError, match="from 1 to 1000"):
        attention_page([])


def test_score_search_and_origin_are_said() -> None:
    made = replace(
        reversal("a", "b"), score=-0.25, signature="beam:5", given=True, notes=("see here",), reference="b a"
    )
    content = Page(attention_page([made])).data["records"][0]
    assert content["given"] and content["reference"] == "b a"
    facts = " ".join(content["facts"])
    for part in ("given and scored", "80.0 % for each", "Score: -0.25", "beam:5", "see here"):
        assert part in facts


def test_a_model_without_attention_has_a_page_too() -> None:
    content = Page(attention_page([record(side("a"), side("b"))])).data["records"][0]
    assert content["attention"] == {} and content["target"]["words"] == ["b", EOS]
    empty = side(end=False)
    assert Page(attention_page([record(empty, empty, ())])).data["records"][0]["attention"]["cross"]["weights"] == []


def test_too_many_weights_are_averaged_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = side("a", "b"), side("c", "d")
    heads = (peaked([0, 0, 0], 3, 1.0), peaked([1, 1, 1], 3, 1.0))
    attention = {"cross": (heads, heads), "encoder": (heads, heads)}
    made = record(source, target, attention=attention)
    for most, shape, kinds, said in (
        (72, (2, 2), 2, 0),
        (71, (2, 1), 2, 1),
        (35, (1, 1), 2, 2),
        (17, (1, 1), 1, 3),
    ):
        monkeypatch.setattr(page_module, "MOST_WEIGHTS", most)
        content = Page(attention_page([made])).data["records"][0]
        cross = content["attention"]["cross"]
        assert (cross["layers"], cross["heads"]) == shape and len(content["attention"]) == kinds
        assert sum("too many" in fact.lower() or "Too many" in fact for fact in content["facts"]) == said
        if shape == (1, 1):
            assert cross["weights"][:3] == [UNIT // 2, UNIT // 2, 0]


def test_the_page_is_small() -> None:
    made = attention_page([record(side("a", end=False), side("b", end=False), ((1.0,),))])
    assert len(made.encode()) < 60_000


def test_the_page_can_be_used_by_everyone() -> None:
    page = Page(attention_page([reversal("a", "b")]))
    assert ("html", {"lang": "en"}) in page.tags
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert any(attributes.get("name") == "viewport" for _, attributes in page.tags)
    named = [attributes for tag, attributes in page.tags if tag in ("section", "main", "form") and tag != "main"]
    assert all("aria-label" in attributes for attributes in named)
    assert "not why it answered" in page.text and "The same as a table" in page.text
    script = "".join(text for attributes, text in page.inside("script") if attributes.get("type") is None)
    for mark in ("aria-label", "tabindex: 0", "ArrowLeft", "Escape"):
        assert mark in script
    used = set(re.findall(r'byId\("([\w-]+)"\)', script)) | {f"{name}-field" for name in ("kind", "layer", "head")}
    assert used <= set(ids)


PAIRS = [
    ("ink", "paper", 7),
    ("ink", "card", 7),
    ("muted", "card", 4.5),
    ("muted", "paper", 4.5),
    ("accent", "card", 4.5),
    ("ink", "accent-soft", 7),
    ("ink", "field", 7),
    ("card", "ink", 7),
    ("bar", "card", 3),
    ("band", "card", 3),
    ("focus", "card", 3),
]


def test_colours_read_well_in_light_and_dark() -> None:
    page = Page(attention_page([reversal("a", "b")]))
    for scheme in colours("".join(text for _, text in page.inside("style"))):
        for first, second, least in PAIRS:
            assert contrast(red_green_blue(scheme[first]), red_green_blue(scheme[second])) >= least, (first, second)


def test_without_scripts_the_words_are_there() -> None:
    text = attention_page([reversal("north", "wind")])
    fallback = text[text.index("<noscript>") : text.index("</noscript>")]
    assert "north wind" in fallback and "wind north" in fallback and "wind 80 % · north 80 %" in fallback


def test_written_whole(tmp_path: Path) -> None:
    write_page(tmp_path / "a.html", [reversal("a", "b")])
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == attention_page([reversal("a", "b")])
    assert len(list(tmp_path.iterdir())) == 1


def test_a_notebook_gets_the_page_in_a_closed_frame() -> None:
    made = hostile_record()
    tags = Page(notebook([made], height=500)).tags  # type: ignore[list-item]
    assert [tag for tag, _ in tags] == ["iframe"]
    assert tags[0][1]["srcdoc"] == attention_page([made])  # type: ignore[list-item]
    assert tags[0][1]["sandbox"] == "allow-scripts"


@pytest.mark.skipif("SEQ2SEE_BROWSER" not in os.environ, reason="SEQ2SEE_BROWSER names no Chromium")
@pytest.mark.parametrize("name", ["reversal", "hostile", "none"])
def test_a_browser_draws_the_planted_maximum(tmp_path: Path, name: str) -> None:
    made = {
        "reversal": reversal("north", "wind", "sun"),
        "hostile": hostile_record(),
        "none": record(side("a"), side("b")),
    }[name]
    write_page(tmp_path / "a.html", [made])  # type: ignore[list-item]
    command = [os.environ["SEQ2SEE_BROWSER"], "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--enable-logging=stderr", f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=2000"]
    done = subprocess.run([*command, (tmp_path / "a.html").as_uri()], capture_output=True, text=True, timeout=60)
    assert "CONSOLE" not in done.stderr
    drawn = Page(done.stdout)
    cells = [a for tag, a in drawn.tags if tag == "rect" and "fill" in a and "opacity" in a]
    darkest = [a for a in cells if a["fill"] == "rgb({} {} {})".format(*red_green_blue(LIGHT[-1]))]
    if name == "reversal":
        places = sorted((float(a["y"] or 0), float(a["x"] or 0)) for a in darkest)
        size = float(darkest[0]["width"] or 0) + 1
        assert [round(x / size) for _, x in places] == [2, 1, 0, 3]
        assert [a["opacity"] for a in darkest] == ["1", "1", "1", "0.4"]  # <eos> is dimmed
    assert "alert(1)" not in [text for _, text in drawn.inside("script")]
