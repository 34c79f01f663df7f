"""F10, F11, F13, F14, F21, F22, F23, F24, B25: numbers, memory, clocks, no network, closed streams, endless input."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Commands, Fault
from tiny_runs import STEPS, journal, train, weights

from small_task import Command, reversed_pairs

LOSS = "seq2see.tasks.objective:output_cross_entropy"  # its first call is the trial of the largest batch


def test_f10_one_bad_batch_costs_one_update(commands: Commands, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = commands(*train(data, run), fault=Fault("not a number", LOSS, 4))
    assert done.code == 0, done.err
    assert "no update at step 3: loss nan" in done.out
    assert [row["step"] for row in journal(run) if "warning" in row] == [3]
    assert [row["step"] for row in journal(run) if "loss" in row] == [1, 2, *range(4, STEPS + 1)]
    assert commands("predict", run, "one two").code == 0


def test_f10_bad_batches_in_a_row_stop_training_with_advice(commands: Commands, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = commands(*train(data, run), fault=Fault("not a number", LOSS, 0))
    assert done.code == 1
    assert "not finite 5 times in a row" in done.err
    assert "training.learning_rate" in done.err
    assert [row["step"] for row in journal(run) if "warning" in row] == [1, 2, 3, 4, 5]
    done = commands("predict", run, "one two")  # what has been saved is finite, or it would not load
    assert done.code == 0, done.err
    assert commands("train", "--resume", "--out", run).code == 0


def test_f11_a_batch_too_large_is_split(commands: Commands, data: Path, tmp_path: Path) -> None:
    done = commands(*train(data, tmp_path / "run"), fault=Fault("out of memory", LOSS, 4))
    assert done.code == 0, done.err
    assert "out of memory, computed in halves" in done.out


def test_f11_when_nothing_fits_there_is_advice(commands: Commands, data: Path, tmp_path: Path) -> None:
    done = commands(*train(data, tmp_path / "run"), fault=Fault("out of memory", LOSS, 0))
    assert done.code == 1
    assert "memory" in done.err
    assert "fault in seq2see" not in done.err
    assert done.err.count("\n") == 1


def test_f13_a_clock_that_jumps_changes_nothing(commands: Commands, data: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = commands(*train(data, run), fault=Fault("clock jumps", "seq2see.training.loop:_update", 2))
    assert done.code == 0, done.err
    assert weights(run) == weights(whole)
    seconds = [json.loads(line)["seconds"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert seconds == sorted(seconds)
    assert 0 <= seconds[0] <= seconds[-1] < 100
    assert "-" not in "".join(line.partition("to go")[0][-8:] for line in done.out.split("\n") if "to go" in line)


@pytest.mark.parametrize(("what", "words"), [("read error", "planted.arrow: Input/output error"), ("bug", "planted")])
def test_f14_a_failure_while_batches_are_made_ends_training(
    commands: Commands, data: Path, tmp_path: Path, what: str, words: str
) -> None:
    """Batches are made in a thread (there are no worker processes that could be killed); it must not hang."""
    run = tmp_path / "run"
    done = commands(*train(data, run), fault=Fault(what, "seq2see.data.cache:CachedPairs.block", 3))
    assert done.code == 1
    assert words in done.err
    assert "Traceback" not in done.err
    assert commands("train", "--resume", "--out", run).code == 0


def test_f22_debug_shows_the_traceback(commands: Commands, data: Path, tmp_path: Path) -> None:
    fault = Fault("bug", "seq2see.training.loop:_update", 1)
    done = commands(*train(data, tmp_path / "run"), "--debug", fault=fault)
    assert done.code == 1
    assert "Traceback" in done.err
    assert "RuntimeError: planted" in done.err


def test_f23_one_seed_one_run_another_seed_another(seq2see: Command, data: Path, whole: Path, tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    assert seq2see(*train(data, same)).code == 0
    assert seq2see(*train(data, other, "--seed", 7)).code == 0
    assert weights(same) == weights(whole)
    assert journal(same) == journal(whole)
    assert weights(other) != weights(whole)


def _answers(seq2see: Command, run: Path, *texts: str) -> list[dict[str, object]]:
    answer = seq2see("predict", run, *texts, "--format", "jsonl", "--beam", 3)
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def test_f24_neighbours_change_nothing(seq2see: Command, trained: Path) -> None:
    """Alone, shuffled, and beside sentences ten times as long: the same text, scores within 1e-4."""
    texts = list(dict.fromkeys(source for source, _ in reversed_pairs(30, seed=3)))
    long = [" ".join([text] * 10) for text in texts]
    alone = {text: _answers(seq2see, trained, text)[0] for text in texts}
    for together in (texts[::-1], texts[::2] + long + texts[1::2]):
        for answer in _answers(seq2see, trained, *together):
            if answer["source"] in alone:
                before = alone[str(answer["source"])]
                assert answer["text"] == before["text"]
                assert answer["score"] == pytest.approx(before["score"], abs=1e-4)
                assert answer["log_probs"] == pytest.approx(before["log_probs"], abs=1e-4)


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Commands on a machine that has no network at all. Needs Linux's namespaces."""
    prefix = ("unshare", "-rn")
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine does not let its network be taken away")
    with Commands(tmp_path_factory.mktemp("offline"), prefix) as commands:
        yield commands


def test_f21_everything_works_without_a_network(offline: Commands, data: Path, whole: Path, tmp_path: Path) -> None:
    assert [line.split(":")[0].strip() for line in offline.shell("cat /proc/net/dev").out.splitlines()[2:]] == ["lo"]
    run, page = tmp_path / "run", tmp_path / "page.html"
    for arguments in (
        train(data, run),
        ("predict", run, "one two"),
        ("evaluate", run, data),
        ("see", run, "one two", "--html", page, "--png", tmp_path / "picture.png"),
        ("models",),
    ):
        done = offline(*arguments)
        assert done.code == 0, done.err
    assert weights(run) == weights(whole)


def test_f21_no_command_opens_a_socket(
    seq2see: Command, data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where the network cannot be taken away."""

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("somebody wants the network")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(f"socket.{name}", refuse)
    run = tmp_path / "run"
    for arguments in (train(data, run), ("predict", run, "one two"), ("see", run, "one"), ("evaluate", run, data)):
        answer = seq2see(*arguments)
        assert answer.code == 0, answer.err


def test_f22_closed_streams(whole: Path) -> None:
    """Standard output, error and input, closed before the start."""
    program = f"{sys.executable} -m seq2see"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command, code, words in (
        (f"{program} see {whole} 'one two' >&- 2>&- <&-", 0, ""),
        (f"{program} predict {whole} >&- <&-", 2, "there is none"),
    ):
        done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True, env=environment)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert words in done.stderr
        assert done.stderr.count("\n") == (1 if words else 0)


def test_f22_training_survives_the_loss_of_its_reader(
    commands: Commands, data: Path, whole: Path, tmp_path: Path
) -> None:
    """As in ``seq2see train … | head``: what is learnt is worth more than who looks on."""
    run = tmp_path / "run"
    done = commands(*train(data, run), fault=Fault("reader gone", "seq2see.training.loop:_update", 2))
    assert (done.code, done.err) == (0, "")
    assert weights(run) == weights(whole)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_f22_plain_output_for_narrow_and_colourless_places(
    seq2see: Command, data: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """No escape codes, no carriage returns; views fit into 40 columns."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    sys.stdout.reconfigure(encoding=encoding)  # type: ignore[union-attr]
    for arguments in (
        train(data, tmp_path / "run"),
        ("predict", trained, "one two", "ünïcödé ☃ 1"),
        ("evaluate", trained, data),
        ("see", trained, "one two three four five six"),
        ("models",),
    ):
        answer = seq2see(*arguments)
        assert answer.code == 0, answer.err
        assert answer.out
        assert "\x1b" not in answer.out
        assert "\r" not in answer.out
        if arguments[0] == "see":
            assert max(map(len, answer.out.splitlines())) <= 40


def test_b25_a_long_stream_takes_no_more_memory_than_a_short_one(commands: Commands, trained: Path) -> None:
    """Lines come from a pipe; the answers come in their order."""
    small, large = (commands("predict", trained, "--beam", 1, lines=lines) for lines in (10_000, 100_000))
    assert (small.code, large.code) == (0, 0)
    lines = large.out.split("\n")
    assert lines[-1] == ""
    assert len(lines) == 100_001
    assert lines[:-1] == [*["..."] * 99, "two one"] * 1_000
    assert large.memory - small.memory < 4_000  # kB; the text alone has 400, its answers as objects would have 100,000


def test_b25_a_reader_that_leaves_is_no_error(commands: Commands, whole: Path) -> None:
    fault = Fault("reader gone", "seq2see.tasks.prediction:decode", 2)
    done = commands("predict", whole, lines=5_000, fault=fault)
    assert (done.code, done.err) == (0, "")
