"""F1, F6, F8, F9: a process that is stopped or killed anywhere, and the run that goes on as if nothing had been."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Commands, Fault
from tiny_runs import journal, leftovers, train, weights

# Where a signal comes, and whether the run has begun by then. Five batches an epoch: update 7 is in the second.
PLACES = {
    "survey": ("seq2see.tasks.translate:surveyed", 1, False),
    "tokeniser": ("seq2see.tasks.translate:train_pair", 1, True),
    "cache": ("seq2see.tasks.translate:open_or_build", 1, True),
    "trial": ("seq2see.training.loop:prepared", 1, True),
    "first batch": ("seq2see.training.loop:_update", 1, True),
    "middle of an epoch": ("seq2see.training.loop:_update", 3, True),
    "second epoch": ("seq2see.training.loop:_update", 7, True),
    "evaluation": ("seq2see.tasks.translate:forced_loss", 2, True),
    "checkpoint": ("seq2see.training.loop:save_checkpoint", 2, True),
    "mean of weights": ("seq2see.training.selection:mean_of", 1, True),
    "final scores": ("seq2see.tasks.translate:evaluate_pairs", 1, True),
    "report": ("seq2see.tasks.outcome:write_report", 1, True),
    "final weights": ("seq2see.tasks.outcome:save_run", 1, True),
}


def finished_as(whole: Path, run: Path) -> None:
    """The run is bit for bit the one that nothing disturbed."""
    assert weights(run) == weights(whole)
    assert journal(run) == journal(whole)
    assert not leftovers(run)


@pytest.mark.parametrize("place", PLACES)
def test_f6_f8_f9_a_stopped_run_goes_on_as_if_nothing_had_been(
    commands: Commands, data: Path, whole: Path, tmp_path: Path, place: str
) -> None:
    """The exit code tells the signal, one line tells how to go on, and that line alone is enough."""
    hook, call, begun = PLACES[place]
    name = "SIGINT" if len(place) % 2 else "SIGTERM"
    run = tmp_path / "run"
    stopped = commands(*train(data, run), fault=Fault(name, hook, call))
    assert stopped.code == (130 if name == "SIGINT" else 143), stopped.err
    assert f"stopped by {name}" in stopped.err
    assert stopped.err.count("\n") == 1
    assert not leftovers(tmp_path)
    if place in ("report", "final weights"):
        assert f"the run is finished and saved in {run}" in stopped.err
        finished_as(whole, run)
        return
    if not begun:
        assert "give the same command" in stopped.err
        assert not run.exists()
        return
    assert f"seq2see train --resume --out {run}" in stopped.err
    resumed = commands("train", "--resume", "--out", run)
    assert resumed.code == 0, resumed.err
    finished_as(whole, run)


@pytest.mark.parametrize("place", ["tokeniser", "cache", "second epoch", "checkpoint", "final weights"])
def test_f1_f6_a_killed_run_goes_on(commands: Commands, data: Path, whole: Path, tmp_path: Path, place: str) -> None:
    """The short form of ``benchmarks/faults.py``."""
    hook, call, _ = PLACES[place]
    run = tmp_path / "run"
    assert commands(*train(data, run), fault=Fault("SIGKILL", hook, call)).code == -signal.SIGKILL
    resumed = commands("train", "--resume", "--out", run)
    assert resumed.code == 0, resumed.err
    finished_as(whole, run)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_f9_a_second_signal_ends_at_once(
    commands: Commands, data: Path, whole: Path, tmp_path: Path, name: str
) -> None:
    run = tmp_path / "run"
    ended = commands(*train(data, run), fault=Fault(f"{name} twice", "seq2see.training.loop:_update", 7))
    assert ended.code == -getattr(signal, name)
    assert commands("train", "--resume", "--out", run).code == 0
    finished_as(whole, run)


def test_f8_nothing_to_resume_is_said(commands: Commands, data: Path, tmp_path: Path) -> None:
    done = commands("train", data, "--resume", "--out", tmp_path / "run")
    assert done.code == 2
    assert "there is no run to go on with; leave --resume out" in done.err


def test_f8_a_signal_from_outside(data: Path, tmp_path: Path) -> None:
    """The whole way: a shell's process, its output in a pipe, a signal while it trains."""
    run = tmp_path / "run"
    command = [str(part) for part in train(data, run, "--set", "training.evaluate_every=100000")]
    command[command.index("--steps") + 1] = "100000"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", "seq2see", *command], stdout=pipe, stderr=pipe, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        while "step " not in (line := process.stdout.readline()):
            assert line, "it ended by itself"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 143
    assert errors.startswith("seq2see: stopped by SIGTERM after step ")
    assert list((run / "checkpoints").glob("step-*"))


def test_f8_waiting_for_input_ends_at_the_first_signal(commands: Commands, whole: Path, data: Path) -> None:
    """Nobody types; the programs must not wait for a line before they end."""
    for arguments, place in (
        (("predict", whole), "seq2see.cli.answers:read_texts"),
        (("train", "-", "--out", "nothing"), "seq2see.tasks.translate:open_corpus"),
    ):
        done = commands(*arguments, fault=Fault("SIGTERM soon", place), lines=0)
        assert done.code == 143, done.err
        assert done.err.startswith("seq2see: stopped by SIGTERM")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_f8_f9_commands_that_save_nothing_end_where_they_are(
    commands: Commands, data: Path, whole: Path, tmp_path: Path, name: str
) -> None:
    scores = tmp_path / "scores.json"
    for command, what, place in (("evaluate", data, "prediction:decode"), ("see", "one two", "seeing:decode")):
        done = commands(command, whole, what, "--json", scores, fault=Fault(name, f"seq2see.tasks.{place}"))
        assert done.code == (143 if name == "SIGTERM" else 130)
        assert (done.out, done.err) == ("", f"seq2see: stopped by {name}\n")
        assert not scores.exists()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_b25_a_stopped_predict_leaves_no_half_file(commands: Commands, whole: Path, tmp_path: Path, name: str) -> None:
    texts, answers = tmp_path / "in.txt", tmp_path / "out.txt"
    texts.write_text("one two\n" * 3_000, encoding="utf-8")
    answers.write_text("before\n", encoding="utf-8")
    fault = Fault(name, "seq2see.tasks.prediction:decode", 3)
    done = commands("predict", whole, "--input", texts, "--output", answers, "--beam", 1, "--workers", 1, fault=fault)
    assert done.code == (143 if name == "SIGTERM" else -signal.SIGKILL)
    assert answers.read_text(encoding="utf-8") == "before\n"
