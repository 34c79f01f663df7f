"""Settings through TOML: exact round trips, and errors that name the file, the line, the value and the way out."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2see.config.settings import SearchSettings, TranslateSettings
from seq2see.config.toml import merged, parse, parse_assignment, read_toml, to_toml
from seq2see.errors import InputError

BASE = {
    "model": {"name": "mine", "encoder": {"kind": "recurrent"}, "decoder": {"kind": "transformer"}},
    "training": {"steps": 5},
}


def settings(**above: object) -> TranslateSettings:
    return parse(TranslateSettings, merged(BASE, above))


def test_round_trip_of_every_section() -> None:
    given_settings = settings(
        data={"source": 'a "quoted"\\ path\t\x7f.en', "target": "한국어.ko", "dev": ["d.en", "d.de"]},
        training={"betas": [0.5, 0.25], "ema": 0.5},
        search={"max_length": 7},
    )
    assert parse(TranslateSettings, tomllib.loads(to_toml(given_settings))) == given_settings


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives(text: str) -> None:
    given_settings = settings(data={"pairs": text})
    assert parse(TranslateSettings, tomllib.loads(to_toml(given_settings))).data.pairs == text


@pytest.mark.parametrize(
    ("above", "words"),
    [
        ({"training": {"learning_rat": 0.5}}, ["training.learning_rat", "did you mean learning_rate?"]),
        ({"model": {"encoder": {"widht": 3}}}, ["model.encoder.widht", "did you mean width?"]),
        ({"modle": {}}, ["modle", "did you mean model?"]),
        ({"training": {"learning_rate": "fast"}}, ["training.learning_rate", '"fast"', "number"]),
        ({"training": {"steps": 2.5}}, ["training.steps", "2.5"]),
        ({"training": {"steps": True}}, ["training.steps", "true"]),
        ({"training": {"minutes": 3}}, ["exactly one", "minutes, steps"]),
        ({"text": {"kind": "bpx"}}, ["text.kind", "bpx", "unigram"]),
        ({"text": {"joint": False}, "model": {"tie": "all"}}, ["tie", "joint"]),
        ({"text": {"dropout": 0.1, "kind": "char"}}, ["BPE-dropout", "char"]),
        ({"search": {"beam": 2, "nbest": 3}}, ["nbest = 3", "beam = 2"]),
        ({"model": {"decoder": {"heads": 3}}}, ["width 128", "heads 3"]),
        ({"model": {"encoder": {"kind": "seance"}}}, ["seance", "recurrent"]),
        ({"data": {"dev": ["a", "b", "c"]}}, ["data.dev", "2"]),
        ({"training": {"learning_rate": float("nan")}}, ["training.learning_rate"]),
    ],
)
def test_an_error_names_the_setting_and_the_way_out(above: dict[str, object], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        settings(**above)
    for word in words:
        assert word in str(caught.value)


def test_an_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(
        "[data]\nheld_out = 0.1\n\n[training]\n# comment\nsteps = 5\nlearning_rat = 0.5\n", encoding="utf-8"
    )
    with pytest.raises(InputError, match=r"my\.toml:7: training\.learning_rat"):
        parse(TranslateSettings, merged(BASE, read_toml(path)), path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"steps = = 3\n", "line 1"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"a = " + b"[" * 100_000, "not valid TOML"),
        (b"# " + b"x" * 2_000_000, "larger than"),
    ],
)
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_toml(path)
    assert "bad.toml" in str(caught.value)
    assert words in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml"):
        read_toml(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("training.learning_rate=1e-3", {"training": {"learning_rate": 0.001}}),
        ("text.kind=char", {"text": {"kind": "char"}}),
        ("text.joint = false", {"text": {"joint": False}}),
        ('data.dev=["a", "b"]', {"data": {"dev": ["a", "b"]}}),
        ("data.pairs=a=b.tsv", {"data": {"pairs": "a=b.tsv"}}),
    ],
)
def test_assignments(text: str, table: dict[str, object]) -> None:
    assert parse_assignment(text) == table


@pytest.mark.parametrize("text", ["training", "=3", "training.=3", ".=1"])
def test_assignments_without_key_or_value(text: str) -> None:
    with pytest.raises(InputError, match=r"section\.key=value"):
        parse_assignment(text)


def test_another_kind_replaces_the_table() -> None:
    both = merged(BASE, {"model": {"encoder": {"kind": "transformer", "heads": 2}}})
    assert both["model"]["encoder"] == {"kind": "transformer", "heads": 2}
    assert merged(BASE, {"model": {"encoder": {"width": 3}}})["model"]["encoder"] == {"kind": "recurrent", "width": 3}


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings().training.seed = 3  # type: ignore[misc]


def test_a_section_alone() -> None:
    assert parse(SearchSettings, {"beam": 3}).beam == 3
    with pytest.raises(InputError, match="did you mean beam"):
        parse(SearchSettings, {"baem": 3})
