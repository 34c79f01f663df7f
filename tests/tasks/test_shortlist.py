"""Short-lists of translators: learned from a run's own pairs, kept beside it, and used when asked for."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import seq2see
from seq2see.errors import InputError
from seq2see.storage.tensors import save_tensors
from seq2see.tasks.shortlist import SHORTLIST, learn_shortlist
from seq2see.text.lexicon import TRANSLATIONS
from seq2see.text.tokeniser import EOS
from small_task import Command, reversed_pairs, write_pairs


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_it_is_learned_and_used(seq2see: Command, run: Path, tmp_path: Path) -> None:
    text, _ = reversed_pairs(1, seed=8)[0]
    before = seq2see("predict", run, text).out
    answer = seq2see("shortlist", run, "--count", 3)
    assert answer.code == 0 and (run / SHORTLIST).is_file()
    assert "search.shortlist = 3" in answer.out and "% of the references held out" in answer.out
    assert "with all pieces; difference" in answer.out and "shortlist:3" in answer.out
    assert seq2see("predict", run, text).out == before
    short = seq2see("predict", run, text, "--set", "search.shortlist=3")
    assert short.code == 0 and short.out
    scored = seq2see(
        "evaluate", run, write_pairs(tmp_path / "test.tsv", reversed_pairs(20, seed=9)), "--set", "search.shortlist=3"
    )
    assert scored.code == 0 and "shortlist:3" in scored.out


def test_answers_are_made_of_what_is_on_the_list(run: Path) -> None:
    loaded = seq2see.load(run)
    learn_shortlist(loaded, 1)
    loaded = seq2see.load(run)
    search = loaded.settings.search.model_copy(update={"shortlist": 1})
    for text, _ in reversed_pairs(20, seed=10):
        source = loaded.tokenisers.source.encode(text).ids
        allowed = loaded.translator.shortlist(source, (), 1)
        assert EOS in allowed and allowed == sorted(allowed)
        assert set(loaded.predict(text, search=search).ids) <= set(allowed)
        forced = loaded.translator.shortlist(source, (9, 11), 1)
        assert {9, 11} <= set(forced)


def test_without_one_nothing_is_guessed(seq2see: Command, run: Path) -> None:
    answer = seq2see("predict", run, "one", "--set", "search.shortlist=3")
    assert answer.code == 2 and "`seq2see shortlist RUN` learns one" in answer.err


def test_training_does_not_take_one(seq2see: Command, tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(50))
    answer = seq2see("train", pairs, "--out", tmp_path / "new", "--set", "search.shortlist=3")
    assert answer.code == 2 and "search.shortlist: leave it out here" in answer.err
    assert not (tmp_path / "new").exists()


def test_pairs_that_are_gone(run: Path) -> None:
    loaded = seq2see.load(run)
    data = loaded.settings.data.model_copy(update={"pairs": "gone.tsv"})
    moved = replace(loaded, settings=loaded.settings.model_copy(update={"data": data}))
    with pytest.raises(InputError, match=r"gone\.tsv"):
        learn_shortlist(moved, 3)
    assert not (run / SHORTLIST).exists()


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"other": torch.zeros(3)}, "no short-list"),
        ({"best": torch.zeros(3, TRANSLATIONS), "frequent": torch.zeros(2, dtype=torch.int32)}, "no short-list"),
        (
            {"best": torch.zeros(3, TRANSLATIONS, dtype=torch.int32), "frequent": torch.zeros(2, dtype=torch.int32)},
            "not of this run",
        ),
    ],
)
def test_a_file_that_is_no_short_list(run: Path, tensors: dict[str, torch.Tensor], said: str) -> None:
    save_tensors(run / SHORTLIST, tensors, {})
    with pytest.raises(InputError, match=said):
        seq2see.load(run)


@pytest.mark.parametrize(("place", "value"), [("best", 10**6), ("best", -2), ("frequent", 10**6), ("frequent", -1)])
def test_pieces_that_there_are_not(run: Path, place: str, value: int) -> None:
    loaded = seq2see.load(run)
    learn_shortlist(loaded, 1)
    found = seq2see.load(run).lexicon
    tensors = {"best": found.best_SK.clone(), "frequent": found.frequent_F.clone()}
    tensors[place].flatten()[0] = value
    save_tensors(run / SHORTLIST, tensors, {})
    with pytest.raises(InputError, match="`seq2see shortlist"):
        seq2see.load(run)
    (run / SHORTLIST).write_bytes(b"rubbish")
    with pytest.raises(InputError, match="not a safetensors file"):
        seq2see.load(run)
