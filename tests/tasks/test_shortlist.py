"""Short-lists of translators: learned from a run's own pairs, kept beside it, and used when asked for."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import seq2see
from seq2see.cli import answers
from seq2see.errors import InputError
from seq2see.models import compiled_writing
from seq2see.storage.tensors import save_tensors
from seq2see.tasks.bulk import Share
from seq2see.tasks.catalogue import load
from seq2see.tasks.run import Asked
from seq2see.tasks.shortlist import learn_shortlist
from seq2see.text.lexicon import SHORTLIST, TRANSLATIONS
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
        allowed = loaded.translator(search).shortlist(source, (), 1)
        assert EOS in allowed and allowed == sorted(allowed)
        assert set(loaded.predict(text, search=search).ids) <= set(allowed)
        forced = loaded.translator(search).shortlist(source, (9, 11), 1)
        assert {9, 11} <= set(forced)


def test_without_one_nothing_is_guessed(seq2see: Command, run: Path) -> None:
    answer = seq2see("predict", run, "one", "--set", "search.shortlist=3")
    assert answer.code == 2 and f"`seq2see shortlist {run}` learns one" in answer.err


@pytest.mark.parametrize("task", ["translate", "lm", "caption"])
def test_training_does_not_take_one(seq2see: Command, tmp_path: Path, task: str) -> None:
    pairs = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(50))
    answer = seq2see("train", pairs, "--task", task, "--out", tmp_path / "new", "--set", "search.shortlist=3")
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
        assert seq2see.load(run).lexicon


@pytest.mark.parametrize(("place", "value"), [("best", 10**6), ("best", -2), ("frequent", 10**6), ("frequent", -1)])
def test_pieces_that_there_are_not(run: Path, place: str, value: int) -> None:
    learn_shortlist(seq2see.load(run), 1)
    found = seq2see.load(run).lexicon
    tensors = {"best": found.best_SK.clone(), "frequent": found.frequent_F.clone()}
    tensors[place].flatten()[0] = value
    save_tensors(run / SHORTLIST, tensors, {})
    with pytest.raises(InputError, match="`seq2see shortlist"):
        assert seq2see.load(run).lexicon


def test_too_many_frequent_pieces(run: Path) -> None:
    """Each sentence would have its own copy of nearly the whole output layer."""
    loaded = seq2see.load(run)
    best = torch.zeros(loaded.tokenisers.source.size, TRANSLATIONS, dtype=torch.int32)
    save_tensors(run / SHORTLIST, {"best": best, "frequent": torch.zeros(101, dtype=torch.int32)}, {})
    with pytest.raises(InputError, match="not of this run"):
        assert loaded.lexicon


def test_a_damaged_one_stands_in_nobodys_way(seq2see: Command, run: Path) -> None:
    (run / SHORTLIST).write_bytes(b"rubbish")
    assert seq2see("predict", run, "one").code == 0
    asked = seq2see("predict", run, "one", "--set", "search.shortlist=3")
    assert asked.code == 2 and f"`seq2see shortlist {run}` makes a new one" in asked.err
    assert seq2see("shortlist", run, "--count", 3).code == 0
    assert seq2see("predict", run, "one", "--set", "search.shortlist=3").code == 0


def test_it_is_learned_from_what_was_trained_on(seq2see: Command, tmp_path: Path) -> None:
    """A pair that training left out for its length does not end the learning."""
    pairs = [(" ".join(["one"] * 4_000), " ".join(["two"] * 4_000)), *reversed_pairs(200, seed=3)]
    data = write_pairs(tmp_path / "pairs.tsv", pairs)
    held = write_pairs(tmp_path / "dev.tsv", [pairs[0], *reversed_pairs(20, seed=4)])
    trained = seq2see("train", data, "--dev", held, "--out", tmp_path / "run", "--steps", 1, "--model", "lstm")
    assert trained.code == 0
    learned = learn_shortlist(load(tmp_path / "run"), 3)
    assert learned.covered > 0.9 and learned.cost.examples == "20 sources"


def test_other_pairs_by_now(seq2see: Command, tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(200, seed=3))
    assert seq2see("train", data, "--out", tmp_path / "run", "--steps", 1, "--model", "lstm").code == 0
    write_pairs(data, reversed_pairs(200, seed=5))
    answer = seq2see("shortlist", tmp_path / "run")
    assert answer.code == 2 and "not the pairs any more" in answer.err
    assert not (tmp_path / "run" / SHORTLIST).exists()


def test_what_is_seen_is_what_was_searched(run: Path) -> None:
    loaded = seq2see.load(run)
    learn_shortlist(loaded, 1)
    search = loaded.settings.search.model_copy(update={"shortlist": 1, "method": "greedy", "beam": 1})
    for text, _ in reversed_pairs(10, seed=11):
        found, record = loaded.predict(text, search=search), loaded.see(text, search=search).record
        assert record.log_probs == pytest.approx(found.log_probs, abs=1e-4)
        assert sum(record.log_probs) / len(record.log_probs) == pytest.approx(record.score, abs=1e-4)
        allowed = loaded.translator(search).shortlist(loaded.tokenisers.source.encode(text).ids, (), 1)
        names = {loaded.tokenisers.target.pieces([each])[0] for each in allowed}
        assert {name for row in record.runners_up for name, _ in row} <= names
        given = loaded.see(text, target=text, search=search).record
        assert "shortlist" not in given.signature and given.log_probs == loaded.see(text, target=text).record.log_probs


def test_answers_of_another_list_are_not_gone_on_with(run: Path, tmp_path: Path) -> None:
    loaded, asked = seq2see.load(run), Asked(assignments=("search.shortlist=3",))
    (tmp_path / "in.txt").write_text("one\n")
    learn_shortlist(loaded, 3)
    before = answers._what(answers.Asking(loaded, asked, "text"), tmp_path / "in.txt", Share())
    (run / SHORTLIST).write_bytes((run / SHORTLIST).read_bytes() + b" ")
    assert before != answers._what(answers.Asking(loaded, asked, "text"), tmp_path / "in.txt", Share())


def test_numbers_do_not_depend_on_the_batch(seq2see: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little room there is for what is written at once."""
    data = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(200, seed=3))
    options = ("--steps", 5, "--model", "transformer-tiny", "--set", "text.kind=word")
    assert seq2see("train", data, "--out", tmp_path / "run", *options).code == 0
    loaded = load(tmp_path / "run")
    learn_shortlist(loaded, 2)
    search = loaded.settings.search.model_copy(update={"shortlist": 2})
    texts = [text for text, _ in reversed_pairs(40, seed=12)]
    together = list(loaded.stream(texts, search=search))
    assert [loaded.predict(text, search=search) for text in texts] == together
    monkeypatch.setattr(compiled_writing, "_LARGEST_CACHE", 200_000)
    assert list(loaded.stream(texts, search=search)) == together
