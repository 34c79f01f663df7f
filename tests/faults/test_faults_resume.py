"""F7: going on with other settings, other data or another vocabulary is refused, unless it is asked for and can be."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from commands import Commands, Fault
from tiny_runs import STEPS, journal, pairs, train, weights

from seq2see.storage.manifest import write_manifest
from small_task import Answer, Command, reversed_pairs, write_pairs


@pytest.fixture(scope="module")
def stopped(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run stopped at its checkpoint of step 6, with its data beside it. Do not change it."""
    folder = tmp_path_factory.mktemp("stopped")
    data = pairs(folder)
    done = commands(*train(data, folder / "run"), fault=Fault("SIGTERM", "seq2see.training.loop:_update", 7))
    assert done.code == 143
    return folder


@pytest.fixture
def folder(stopped: Path, tmp_path: Path) -> Path:
    """A copy of it, with its data in the copy."""
    shutil.copytree(stopped, tmp_path / "copy")
    config = tmp_path / "copy" / "run" / "config.toml"
    config.write_text(config.read_text().replace(str(stopped), str(tmp_path / "copy")))
    return tmp_path / "copy"


def content(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def resume(seq2see: Command, folder: Path, *more: object) -> Answer:
    return seq2see("train", "--resume", "--out", folder / "run", *more)


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (("--seed", 2), ['training.seed: was "1", now "2"']),
        (("--steps", 20), ['training.steps: was "9", now "20"']),
        (("--minutes", 1), ['training.steps: was "9", now "null"', 'training.minutes: was "null", now "1.0"']),
        (("--set", "model.encoder.width=32"), ['model.encoder.width: was "16", now "32"']),
        (("--set", "model.dropout=0.3", "--set", "search.beam=2"), ["model.dropout: was", "search.beam: was"]),
        (("--set", "text.lowercase=true"), ['text.lowercase: was "false", now "true"']),
        (("--set", "data.max_pieces=4"), ["data.max_pieces: was"]),
        (("--set", 'evaluation.metrics=["cer"]'), ["evaluation.metrics: was"]),
    ],
)
def test_f7_changed_settings_are_refused_by_name(
    seq2see: Command, folder: Path, options: tuple[object, ...], lines: list[str]
) -> None:
    before = content(folder / "run")
    answer = resume(seq2see, folder, *options)
    assert answer.code == 2, answer.out
    for line in lines:
        assert line in answer.err
    assert "--force" in answer.err
    assert content(folder / "run") == before


def test_f7_changed_data_are_refused(seq2see: Command, folder: Path) -> None:
    before = content(folder / "run")
    write_pairs(folder / "pairs.tsv", reversed_pairs(81))
    answer = resume(seq2see, folder)
    assert answer.code == 2
    assert "content of the data: was " in answer.err
    assert content(folder / "run") == before


def test_f7_changed_pairs_to_choose_by_are_refused(seq2see: Command, tmp_path: Path, commands: Commands) -> None:
    data, dev, run = pairs(tmp_path), write_pairs(tmp_path / "dev.tsv", reversed_pairs(9, seed=5)), tmp_path / "run"
    commands(*train(data, run, "--dev", dev), fault=Fault("SIGTERM", "seq2see.training.loop:_update", 4))
    write_pairs(dev, reversed_pairs(9, seed=6))
    answer = seq2see("train", "--resume", "--out", run)
    assert answer.code == 2
    assert "content of the held-out data: was " in answer.err
    assert "content of the data: was" not in answer.err


def test_f7_a_changed_vocabulary_is_refused_even_with_force(seq2see: Command, folder: Path) -> None:
    path = folder / "run" / "tokenizer.json"
    table = json.loads(path.read_text())
    path.write_text(json.dumps(table).replace('"eight"', '"night"'))
    assert '"night"' in path.read_text()
    before = content(folder / "run")
    for options in ((), ("--force",)):
        answer = resume(seq2see, folder, *options)
        assert answer.code == 2
        assert "tokenisers: was " in answer.err
        assert content(folder / "run") == before


def test_f7_force_goes_on_where_the_weights_fit(seq2see: Command, folder: Path) -> None:
    answer = resume(seq2see, folder, "--force", "--steps", 12, "--set", "training.learning_rate=0.001")
    assert answer.code == 0, answer.err
    assert 'resumed although it has changed: training.steps: was "9", now "12"' in answer.out
    run = folder / "run"
    assert [row["step"] for row in journal(run) if "loss" in row] == list(range(1, 13))
    training = tomllib.loads((run / "config.toml").read_text())["training"]
    assert (training["steps"], training["learning_rate"]) == (12, 0.001)
    assert seq2see("predict", run, "one two").code == 0


def test_f7_force_cannot_make_weights_fit(seq2see: Command, folder: Path) -> None:
    before = content(folder / "run")
    answer = resume(seq2see, folder, "--force", "--set", "model.encoder.width=32", "--set", "model.dropout=0.5")
    assert answer.code == 2
    assert "model.encoder.width" in answer.err
    assert "model.dropout" not in answer.err
    assert content(folder / "run") == before
    answer = seq2see("train", folder / "pairs.tsv", "--force", "--out", folder / "other")
    assert answer.code == 2
    assert "--resume" in answer.err


def test_f7_data_may_move(seq2see: Command, folder: Path, whole: Path) -> None:
    (folder / "pairs.tsv").rename(folder / "moved.tsv")
    answer = resume(seq2see, folder)
    assert answer.code == 2
    assert "pairs.tsv" in answer.err
    answer = seq2see("train", folder / "moved.tsv", "--resume", "--out", folder / "run")
    assert answer.code == 0, answer.err
    assert weights(folder / "run") == weights(whole)
    assert "moved.tsv" in (folder / "run" / "config.toml").read_text()


def test_f7_without_a_checkpoint_new_settings_are_taken(seq2see: Command, folder: Path) -> None:
    """There is nothing yet that they would have to fit: configuration and weights are of one piece."""
    run = folder / "run"
    shutil.rmtree(run / "checkpoints")
    answer = resume(seq2see, folder, "--set", "model.encoder.width=32")
    assert answer.code == 0, answer.err
    assert tomllib.loads((run / "config.toml").read_text())["model"]["encoder"]["width"] == 32
    assert seq2see("predict", run, "one two").code == 0


def test_f7_a_finished_run_stays_as_it_is_and_can_be_trained_longer(
    seq2see: Command, data: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    before = content(run)
    for arguments in (("train", "--resume", "--out", run), train(data, run, "--resume")):
        answer = seq2see(*arguments)
        assert answer.code == 0, answer.err
        assert f"{run} is finished: {STEPS} updates; nothing has been changed" in answer.out
        assert f"--force --steps {2 * STEPS}" in answer.out
        assert content(run) == before
    assert seq2see("train", "--resume", "--out", run, "--steps", 12).code == 2
    assert content(run) == before
    answer = seq2see("train", "--resume", "--out", run, "--steps", 12, "--force")
    assert answer.code == 0, answer.err
    assert json.loads((run / "manifest.json").read_text())["extra"]["updates"] == 12
    assert seq2see("predict", run, "one two").code == 0


def test_f7_a_finished_run_that_trains_longer_can_be_used_meanwhile(
    commands: Commands, data: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    longer = ("train", "--resume", "--out", run, "--steps", 12, "--force")
    assert commands(*longer, fault=Fault("SIGKILL", "seq2see.training.loop:_update", 2)).code < 0
    done = commands("predict", run, "one two")
    assert done.code == 0, done.err
    assert "training has not finished" in done.err
    assert commands("train", "--resume", "--out", run).code == 0


def test_f15_versions_types_and_machines(seq2see: Command, folder: Path) -> None:
    """A checkpoint with a GPU's random state goes on without one; a newer format is refused by its version."""
    checkpoint = sorted((folder / "run" / "checkpoints").glob("step-*"))[-1]
    state = json.loads((checkpoint / "state.json").read_text())
    state["random_states"][0]["device"] = [1, 2, 3, 4] * 4
    (checkpoint / "state.json").write_text(json.dumps(state))
    write_manifest(checkpoint, kind="checkpoint", extra={"step": state["standing"]["step"]})
    shutil.copytree(folder / "run", folder / "newer")
    answer = resume(seq2see, folder)
    assert answer.code == 0, answer.err
    for path in (folder / "newer" / "checkpoints").glob("step-*"):
        manifest = json.loads((path / "manifest.json").read_text())
        manifest["format"], manifest["versions"]["seq2see"] = 7, "9.9"
        (path / "manifest.json").write_text(json.dumps(manifest))
    answer = seq2see("predict", folder / "newer", "one two")
    assert answer.code == 2, answer.out
    assert "none of the" in answer.err
    answer = seq2see("train", "--resume", "--out", folder / "newer")
    assert answer.code == 2
    assert "was written by seq2see 9.9 in format 7" in answer.out
