"""What a person has is never written over, and what a refused command began is taken away again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from small_task import SMALL, Command, reversed_pairs, write_pairs

TRAIN = [part for each in SMALL for part in ("--set", each)] + ["--steps", "2"]


def questions(path: Path) -> Path:
    path.write_text("one two\nthree\n", encoding="utf-8")
    return path


def test_an_input_is_not_written_over(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    source = questions(tmp_path / "in.txt")
    link = tmp_path / "link.txt"
    link.symlink_to(source)
    for out in (source, link):
        answer = seq2see("predict", trained, "--input", source, "--output", out)
        assert answer.code == 2 and "would be written over" in answer.err
    pairs = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(5))
    before = pairs.read_bytes()
    answer = seq2see("evaluate", trained, pairs, "--json", pairs)
    assert answer.code == 2 and "pairs.tsv is what is to be read" in answer.err
    assert pairs.read_bytes() == before and source.read_text() == "one two\nthree\n"


def test_endings_are_refused_before_the_work(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    answer = seq2see("see", trained, "one two", "--html", page, "--png", tmp_path / "a.gif")
    assert answer.code == 2 and ".png or .svg, not as .gif" in answer.err and not page.exists()


def test_a_folder_of_other_things_is_no_place_for_a_run(seq2see: Command, tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(40))
    project = tmp_path / "project"
    (project / "cache").mkdir(parents=True)
    for name in ("report.html", "cache/mine.tmp"):
        (project / name).write_text("mine")
    answer = seq2see("train", pairs, "--out", project, *TRAIN)
    assert answer.code == 2 and "holds 'cache' and more, and no run" in answer.err
    assert (project / "cache" / "mine.tmp").read_text() == (project / "report.html").read_text() == "mine"
    own = tmp_path / "fresh"
    own.mkdir()
    (own / "log.txt").touch()  # as a shell opens it for the output of this command
    data = shutil.copy(pairs, own / "data.tsv")
    assert seq2see("train", data, "--out", own, *TRAIN).code == 0  # its own data may lie there
    assert Path(data).read_bytes() == pairs.read_bytes()


def test_a_strange_part_is_left_alone(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    source, part = questions(tmp_path / "in.txt"), tmp_path / "out.txt.part"
    part.write_text("precious")
    answer = seq2see("predict", trained, "--input", source, "--output", tmp_path / "out.txt")
    assert answer.code == 2 and "move it away" in answer.err and part.read_text() == "precious"


def test_a_refused_input_leaves_nothing_behind(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_bytes(b"one \xff\n")
    assert seq2see("predict", trained, "--input", source, "--output", tmp_path / "out.txt").code == 2
    assert [each.name for each in tmp_path.iterdir()] == ["in.txt"]


def test_a_refused_training_frees_its_folder(seq2see: Command, tmp_path: Path) -> None:
    pairs, out = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(40)), tmp_path / "run"
    wrong = ["--set", "text.kind=bpe", "--set", "text.vocabulary=5"]
    answer = seq2see("train", pairs, "--out", out, *TRAIN, *wrong)
    assert answer.code == 2 and not out.exists()
    assert seq2see("train", pairs, "--out", out, *TRAIN).code == 0


def test_finished_weights_are_not_trained_anew(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    before = (run / "weights.safetensors").read_bytes()
    for more in (["--force", "--steps", "9"], ["--steps", "9"], ["--set", "training.learning_rate=0.5"]):
        answer = seq2see("train", "--resume", "--out", run, *more)
        assert answer.code == 2 and "no checkpoint to go on from" in answer.err
    assert "To train longer" not in seq2see("train", "--resume", "--out", run).err
    assert (run / "weights.safetensors").read_bytes() == before


def test_a_comparison_looks_for_its_test_data_first(seq2see: Command, tmp_path: Path) -> None:
    pairs, out = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(40)), tmp_path / "compared"
    answer = seq2see("compare", pairs, "--models", "rnn,gru", "--test", tmp_path / "nope.tsv", "--out", out, *TRAIN)
    assert answer.code == 2 and "nope.tsv" in answer.err and not out.exists()


PARENT = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from seq2see.training.interrupt import obey_parent, signals_held
if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=obey_parent) as pool:
        with signals_held():
            future = pool.submit(os.getpid)
        print(future.result(), flush=True)
        time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_worker_ends_with_its_parent_and_not_before(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        os.kill(worker, signal.SIGINT)
        os.kill(worker, signal.SIGTERM)
        time.sleep(0.2)
        os.kill(worker, 0)  # it is still there
        parent.kill()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{worker}/stat").exists() and " Z " in Path(f"/proc/{worker}/stat").read_text():
            return  # dead, and nobody there to bury it
        time.sleep(0.05)
    pytest.fail("the worker outlived its parent")


@pytest.mark.parametrize("task", ["translate", "lm", "masked", "classify", "tag", "caption", "forecast"])
def test_slips_in_settings_are_refused_before_the_data_are_read(seq2see: Command, tmp_path: Path, task: str) -> None:
    for slip, word in (
        ("training.learning_rte=1", "did you mean learning_rate?"),
        ("training.steps=0", "training.steps"),
    ):
        answer = seq2see("train", tmp_path / "nope.tsv", "--task", task, "--set", slip)
        assert answer.code == 2 and word in answer.err and "nope" not in answer.err


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_the_weights_of_the_moment_are_evaluated(seq2see: Command, tmp_path: Path, optimiser: str) -> None:
    pairs, found = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(200)), []
    options = ["--steps", "40", "--set", "training.evaluate_every=10", "--set", f"training.optimiser={optimiser}"]
    for side in ("encoder", "decoder"):
        for setting in ("width=32", "layers=1", "heads=2", "feed_forward=32"):
            options += ["--set", f"model.{side}.{setting}"]
    options += [
        "--set",
        "text.kind=word",
        "--set",
        "training.learning_rate=0.02",
        "--set",
        "training.precision=float32",
    ]
    for kernel in ("auto", "plain"):
        out = tmp_path / kernel
        kind = ["--model", "transformer-tiny", "--set", f"search.kernel={kernel}"]
        assert seq2see("train", pairs, "--out", out, *kind, *options).code == 0
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        found.append([{key: row[key] for key in row if key.startswith("dev_")} for row in rows if "dev_loss" in row])
    assert found[0] == found[1] and len({json.dumps(each) for each in found[0]}) > 3
