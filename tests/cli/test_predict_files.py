"""`predict` from file to file: several processes, a kill on the way, shares of torchrun; always the same answers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from _pytest.monkeypatch import MonkeyPatch

import seq2see.cli.answers as answers_module
import seq2see.tasks.bulk as bulk
from seq2see.tasks.bulk import Share, windows
from small_task import Command


def texts(path: Path, count: int) -> Path:
    words = ("one", "two", "three", "four", "five")
    lines = [" ".join(words[(row * 7 + place) % 5] for place in range(row % 6)) for row in range(count)]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def small_windows(monkeypatch: MonkeyPatch) -> None:
    for module in (bulk, answers_module):
        monkeypatch.setattr(module, "WINDOW", 8)
    monkeypatch.setattr(answers_module, "_MANY", 24)
    monkeypatch.setattr(windows, "__defaults__", (8,))
    monkeypatch.setattr(answers_module, "_LOOK", 0.01)


def test_windows_cover_everything_once() -> None:
    given = ["a", "bc", "", "ä", "e"]
    found = list(windows(given, 2))
    assert [text for each in found for text in each.inputs] == given
    assert [(each.number, each.first, each.start, each.end) for each in found] == [
        (0, 0, 0, 5),
        (1, 2, 5, 9),
        (2, 4, 9, 11),
    ]


@pytest.mark.parametrize("options", [[], ["--sample", "--seed", 3], ["--format", "jsonl", "--nbest", 2, "--beam", 2]])
def test_workers_change_nothing(seq2see: Command, trained: Path, tmp_path: Path, small_windows: None, options) -> None:
    source, out = texts(tmp_path / "in.txt", 50), tmp_path / "out.txt"
    alone = seq2see("predict", trained, "--input", source, "--workers", 1, *options)
    assert alone.code == 0 and seq2see("predict", trained, "--input", source, "--output", out, *options).code == 0
    assert out.read_text(encoding="utf-8") == alone.out
    several = seq2see("predict", trained, "--input", source, "--workers", 2, *options)
    assert several.code == 0 and several.out == alone.out


def test_goes_on_after_it_was_stopped(
    seq2see: Command, trained: Path, tmp_path: Path, small_windows: None, monkeypatch: MonkeyPatch
) -> None:
    source, out = texts(tmp_path / "in.txt", 50), tmp_path / "out.txt"
    whole = seq2see("predict", trained, "--input", source).out
    told = answers_module._Told.answered

    def killed(self, window) -> None:
        told(self, window)
        if window.number == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(answers_module._Told, "answered", killed)
    stopped = seq2see("predict", trained, "--input", source, "--output", out, "--workers", 1)
    assert stopped.code == 143 and "24 answers are kept; the same command goes on" in stopped.err
    assert not out.exists()
    monkeypatch.setattr(answers_module._Told, "answered", told)
    other = seq2see("predict", trained, "--input", source, "--output", out, "--beam", 3)
    assert other.code == 2 and "other answers" in other.err
    rest = seq2see("predict", trained, "--input", source, "--output", out, "--workers", 1)
    assert rest.code == 0 and "going on behind 24 answers" in rest.err
    assert out.read_text(encoding="utf-8") == whole
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.txt", "out.txt"]


def test_shares_of_torchrun_are_joined_in_order(
    seq2see: Command, trained: Path, tmp_path: Path, small_windows: None, monkeypatch: MonkeyPatch
) -> None:
    source, out = texts(tmp_path / "in.txt", 50), tmp_path / "out.txt"
    whole = seq2see("predict", trained, "--input", source).out
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in (2, 1, 0):  # the first one joins: it comes last here, so that it need not wait
        monkeypatch.setenv("RANK", str(rank))
        assert seq2see("predict", trained, "--input", source, "--output", out).code == 0
    assert out.read_text(encoding="utf-8") == whole
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.txt", "out.txt"]


def test_a_share_knows_its_windows(monkeypatch: MonkeyPatch) -> None:
    found = list(windows(map(str, range(10)), 2))
    assert [[each.number for each in found if Share(rank, 2).has(each)] for rank in (0, 1)] == [[0, 2, 4], [1, 3]]
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(Exception, match="ranks go from 0 to 1"):
        Share.of_environment()


def test_a_real_kill_loses_nothing(trained: Path, tmp_path: Path) -> None:
    source, out = texts(tmp_path / "in.txt", 6_000), tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "seq2see", "predict", str(trained), "--input", str(source)]
    command += ["--output", str(out), "--format", "jsonl", "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    index = tmp_path / "out.jsonl.part.index"
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if index.exists() and index.read_bytes().count(b"\n") > 2:
            os.killpg(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "going on behind" in again.stderr
    found = [json.loads(line)["source"] for line in out.read_text(encoding="utf-8").splitlines()]
    assert found == source.read_text(encoding="utf-8").splitlines()
