"""Several models on the same data: trained once, resumed, scored alike, compared in pairs."""

import json
from pathlib import Path

import pytest

from small_task import SMALL, Command, reversed_pairs, write_pairs

_SIZES = [part for setting in SMALL if not setting.startswith("model.decoder") for part in ("--set", setting)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    pairs = reversed_pairs(300)
    write_pairs(folder / "train.tsv", pairs[:250])
    write_pairs(folder / "dev.tsv", pairs[250:275])
    write_pairs(folder / "test.tsv", pairs[275:])
    return folder


def test_models_are_trained_scored_and_compared_and_a_second_call_trains_nothing(seq2see: Command, data: Path) -> None:
    call = (
        "compare", data / "train.tsv", "--models", "lstm,lstm-attention", "--dev", data / "dev.tsv", "--test",
        data / "test.tsv", "--steps", 12, "--out", data / "out", *_SIZES,
    )  # fmt: skip
    first = seq2see(*call)
    assert first.code == 0, first.err
    figures = json.loads((data / "out" / "comparison.json").read_text())
    assert [row["model"] for row in figures["models"]] == ["lstm", "lstm-attention"]
    assert "test.tsv" in figures["data"]
    # The scores are those that each run gets by itself.
    for row in figures["models"]:
        alone = data / f"{row['model']}.json"
        assert seq2see("evaluate", data / "out" / row["model"], data / "test.tsv", "--json", alone).code == 0
        by_itself = {score["name"]: score["value"] for score in json.loads(alone.read_text())["scores"]}
        assert {score["name"]: score["value"] for score in row["scores"]} == by_itself
    for each in figures["differences"]:
        one, other = ({s["name"]: s["value"] for s in row["scores"]} for row in figures["models"])
        assert each["difference"] == pytest.approx(other[each["metric"]] - one[each["metric"]])
    page = (data / "out" / "comparison.html").read_text()
    assert "lstm-attention" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    before = {path: path.stat().st_mtime_ns for path in (data / "out").glob("*/weights.safetensors")}
    again = seq2see(*call)
    assert again.code == 0
    assert "is finished" in again.out
    assert {path: path.stat().st_mtime_ns for path in (data / "out").glob("*/weights.safetensors")} == before


def test_one_model_is_no_comparison(seq2see: Command, data: Path) -> None:
    done = seq2see("compare", data / "train.tsv", "--models", "lstm", "--steps", 1, "--out", data / "one")
    assert done.code == 2
    assert "two or more" in done.err
    assert not (data / "one").exists()


@pytest.mark.parametrize(
    ("models", "options", "words"),
    [
        ("lstm,lstmm", [], '--models lstmm: there is no model "lstmm"; did you mean "lstm"'),
        ("lstm,transformer-tiny", ["--set", "model.encoder.width=6"], "--models transformer-tiny: "),  # of four heads
    ],
)
def test_what_one_model_cannot_be_is_said_before_any_is_trained(
    seq2see: Command, data: Path, models: str, options: list[str], words: str
) -> None:
    options = options or _SIZES
    done = seq2see("compare", data / "train.tsv", "--models", models, "--steps", 1, "--out", data / "two", *options)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err
    assert not (data / "two").exists()


def test_standard_input_cannot_be_compared_on(seq2see: Command, tmp_path: Path) -> None:
    done = seq2see("compare", "-", "--models", "lstm,gru", "--steps", 1, "--out", tmp_path / "out")
    assert done.code == 2
    assert "name a file" in done.err
