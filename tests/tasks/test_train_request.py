"""What is asked of training: a file, then single settings, then options, each over the one before."""

from pathlib import Path

import pytest

from seq2see.config.settings import SearchSettings
from seq2see.config.toml import parse
from seq2see.errors import InputError
from seq2see.tasks.request import TrainRequest


def test_options_win_over_single_settings_and_those_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[training]\nseed = 1\nclip = 2.0\nminutes = 3.0\n[text]\nkind = "word"\n[model]\nname = "gru"\n')
    request = TrainRequest(
        data="p.tsv", config=config, assignments=("training.seed=2", "training.clip=4.0"), seed=5, epochs=6.0
    )
    assert request.given() == {
        "training": {"seed": 5, "clip": 4.0, "epochs": 6.0},
        "text": {"kind": "word"},
        "model": {"name": "gru"},
        "data": {"pairs": "p.tsv"},
    }


def test_settings_from_python_keep_their_values() -> None:
    """They are no text that has to be read again: an emoji, a list and a table come through as they are."""
    settings = {
        "data.pairs": "\N{PILE OF POO}.tsv",
        "evaluation.metrics": ["cer"],
        "model.encoder": {"kind": "embedding"},
    }
    assert TrainRequest(settings=settings).given() == {
        "data": {"pairs": "\N{PILE OF POO}.tsv"},
        "evaluation": {"metrics": ["cer"]},
        "model": {"encoder": {"kind": "embedding"}},
    }


def test_two_budgets_and_two_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--minutes and --steps"):
        TrainRequest(minutes=1.0, steps=2).given()
    config = tmp_path / "c.toml"
    config.write_text('[model]\nname = "gru"\n')
    with pytest.raises(InputError, match=r"--model lstm.*'gru'"):
        TrainRequest(config=config, model="lstm").given()
    assert TrainRequest(config=config, model="gru").given()["model"] == {"name": "gru"}


def test_an_error_in_one_section_names_the_section_and_its_line(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[training]\nbeam = 1\n[search]\nbeam = 0\n")
    with pytest.raises(InputError, match=rf"^{config}:4: search\.beam: "):
        parse(SearchSettings, {"beam": 0}, config, within="search")
