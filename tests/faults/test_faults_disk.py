"""F2, F3, F4, F5, F12: a disk that is full, lies, vanishes, may not be written, or is wanted by two."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Commands, Fault
from tiny_runs import journal, leftovers, train, weights

from seq2see.storage.lock import FolderLock
from small_task import Command

_DISKS = (
    "mount -t tmpfs -o size=3m tmpfs {0}/small && mount -t tmpfs tmpfs {0}/readonly && "
    'mount -o remount,ro {0}/readonly && exec "$0" "$@"'
)


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Commands]]:
    """Commands for which ``small`` is a disk of 3 MB and ``readonly`` may not be written. Needs Linux's namespaces."""
    folder = tmp_path_factory.mktemp("disks")
    for name in ("small", "readonly"):
        (folder / name).mkdir()
    prefix = ("unshare", "-rm", "sh", "-c", _DISKS.format(folder))
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody mount a disk")
    with Commands(folder, prefix) as commands:
        yield folder, commands


@pytest.mark.parametrize(
    ("place", "call"),
    [
        ("seq2see.tasks.translate:open_or_build", 1),
        ("seq2see.training.loop:save_checkpoint", 2),
        ("seq2see.training.selection:keep_evaluation", 2),
        ("seq2see.tasks.outcome:write_report", 1),
        ("seq2see.tasks.outcome:save_run", 1),
    ],
)
def test_f3_a_full_disk_stops_training_and_loses_nothing(
    disks: tuple[Path, Commands], data: Path, whole: Path, tmp_path: Path, place: str, call: int
) -> None:
    folder, commands = disks
    run, copy = folder / "small" / "run", tmp_path / "run"
    done = commands(*train(data, run), fault=Fault("full disk", place, call))
    assert done.code == 1, done.out + done.err
    assert "disk full: need " in done.err
    assert f"at {run}" in done.err
    assert done.err.count("\n") == 1
    assert commands.shell(f"rm {folder}/small/filler && find {run} -name '.tmp-*'").out == ""
    resumed = commands("train", "--resume", "--out", run)
    assert resumed.code == 0, resumed.err
    assert commands.shell(f"cp -r {run} {copy} && rm -r {run}").code == 0
    assert weights(copy) == weights(whole)
    assert journal(copy) == journal(whole)


@pytest.mark.parametrize(
    ("command", "option", "hook"),
    [
        ("predict", "--output", "seq2see.tasks.prediction:decode"),
        ("see", "--html", "seq2see.tasks.seeing:see"),
        ("see", "--png", "seq2see.tasks.seeing:see"),
        ("see", "--json", "seq2see.tasks.seeing:see"),
        ("evaluate", "--json", "seq2see.tasks.translation:evaluate_pairs"),
    ],
)
def test_f3_a_full_disk_and_what_a_command_writes(
    disks: tuple[Path, Commands], data: Path, whole: Path, command: str, option: str, hook: str
) -> None:
    """The file from before stays; standard output does not claim anything else."""
    folder, commands = disks
    path = folder / "small" / ("out" + option.replace("--", "."))
    commands.shell(f"echo before > {path}")
    what = data if command == "evaluate" else "one two"
    done = commands(command, whole, what, option, path, fault=Fault("full disk", hook), disk=path)
    assert done.code == 1, done.out + done.err
    assert "disk full: need " in done.err
    assert str(path) in done.err
    assert f"wrote {path}" not in done.out
    seen = commands.shell(f"rm {folder}/small/filler; cat {path}; ls -A {folder}/small; rm {path}")
    assert seen.out == f"before\n{path.name}\n"


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no /dev/full")
def test_f3_a_full_standard_output_is_said(commands: Commands, whole: Path) -> None:
    done = commands("predict", whole, "one", fault=Fault("full output", "seq2see.tasks.prediction:decode"))
    assert done.code == 1
    assert done.err == "seq2see: disk full: standard output cannot be written; make room, or send it elsewhere\n"


@pytest.mark.parametrize("where", ["readonly/run", "small/file/run"])
def test_f12_a_place_that_cannot_be_written(disks: tuple[Path, Commands], data: Path, where: str) -> None:
    folder, commands = disks
    commands.shell(f"touch {folder}/small/file")
    done = commands(*train(data, folder / where))
    assert done.code == 2, done.out + done.err
    assert f"cannot write {folder / where}" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("place", ["readonly/out", "nowhere/out", "small"])
def test_f12_output_is_refused_before_the_work(
    disks: tuple[Path, Commands], data: Path, whole: Path, place: str
) -> None:
    folder, commands = disks
    path = folder / place
    calls = (
        ("predict", whole, "one", "--output", path),
        ("evaluate", whole, data, "--json", path),
        ("see", whole, "one", "--html", path),
    )
    for arguments in calls:
        done = commands(*arguments)
        assert done.code == 2, done.err
        assert str(path) in done.err
        assert done.out == ""


def test_f12_a_folder_that_vanishes(commands: Commands, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = commands(*train(data, run), fault=Fault("folder gone", "seq2see.training.loop:save_checkpoint", 2))
    assert done.code == 1
    assert f"cannot write {run}" in done.err
    assert "is not there (any more)" in done.err


def test_f12_a_second_process_is_refused(seq2see: Command, data: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with FolderLock(run):
        answer = seq2see(*train(data, run))
    assert answer.code == 2
    assert f"{run} is in use by process {os.getpid()}" in answer.err
    shutil.copytree(whole, run, dirs_exist_ok=True)
    (run / "manifest.json").unlink()
    with FolderLock(run):
        answer = seq2see("train", "--resume", "--out", run)
    assert answer.code == 2
    assert "is in use by" in answer.err
    assert weights(run) == weights(whole)


def test_f12_a_second_run_does_not_write_over_the_first(seq2see: Command, data: Path, whole: Path) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    answer = seq2see(*train(data, whole))
    assert answer.code == 2
    assert "holds a run already; go on with --resume, or choose another --out" in answer.err
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_f2_after_a_power_loss_the_checkpoint_before_is_used(
    commands: Commands, data: Path, whole: Path, tmp_path: Path
) -> None:
    """The newest checkpoint has all its names and none of its content."""
    run = tmp_path / "run"
    commands(*train(data, run), fault=Fault("SIGKILL", "seq2see.training.loop:_update", 8))
    checkpoints = sorted((run / "checkpoints").glob("step-*"))
    assert len(checkpoints) == 2
    for path in checkpoints[-1].iterdir():
        if path.name != "manifest.json":
            path.write_bytes(bytes(path.stat().st_size))
    resumed = commands("train", "--resume", "--out", run)
    assert resumed.code == 0, resumed.err
    step = int(checkpoints[-1].name.removeprefix("step-"))
    assert f"checkpoint of step {step} cannot be used, going back to the one before" in resumed.out
    assert "hash mismatch" in resumed.out
    assert weights(run) == weights(whole)
    assert journal(run) == journal(whole)
    assert not leftovers(run)


@pytest.mark.parametrize("name", ["weights.safetensors", "optimiser.safetensors", "state.json"])
def test_f4_a_flipped_bit_in_every_checkpoint_is_refused(
    commands: Commands, data: Path, tmp_path: Path, name: str
) -> None:
    run = tmp_path / "run"
    commands(*train(data, run), fault=Fault("SIGKILL", "seq2see.training.loop:_update", 8))
    for folder in (run / "checkpoints").glob("step-*"):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
    for arguments in (("train", "--resume", "--out", run), ("predict", run, "one two")):
        done = commands(*arguments)
        assert done.code == 2, done.err
        assert "none of the 2 checkpoints can be used" in done.err
        assert "one" not in done.out.split("\n")[-2:-1]


_PNG = b"\x89PNG\r\n\x1a\n" + bytes(5_000)


@pytest.mark.parametrize("name", ["weights.safetensors", "tokenizer.json", "config.toml", "manifest.json"])
def test_f4_f5_a_damaged_file_is_named_with_the_way_out(
    seq2see: Command, whole: Path, tmp_path: Path, name: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    content = (run / name).read_bytes()
    shares = [content[: len(content) * per_mille // 1_000] for per_mille in (0, 300, 900, 999)]
    flipped = bytearray(content)
    flipped[len(flipped) // 3] ^= 4
    for spoiled in (*shares, bytes(len(content)), _PNG, bytes(flipped)):
        (run / name).write_bytes(spoiled)
        for command in ("predict", "see"):
            answer = seq2see(command, run, "one two")
            if name == "manifest.json" and answer.code == 0:
                assert spoiled == bytes(flipped)  # a flipped bit in a fact that only people read
                continue
            assert answer.code == 2, answer.err
            assert name in answer.err
            assert answer.out == ""
            assert answer.err.count("\n") == 1
            assert not any(word in answer.err for word in ("EOFError", "Errno", "Traceback", "fault in seq2see"))


def test_f5_what_is_no_run_is_refused(seq2see: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    for name, words in (("file", "no such run folder"), ("empty", "not a run folder"), ("none", "no such run folder")):
        for command in ("predict", "see", "evaluate"):
            answer = seq2see(command, tmp_path / name, "one")
            assert answer.code == 2
            assert words in answer.err
