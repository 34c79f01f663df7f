import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from seq2see.errors import InputError, Seq2seeError
from seq2see.storage import lock
from seq2see.storage.lock import FolderLock

HOLDER = """
import sys, time
from pathlib import Path
from seq2see.storage.lock import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def another_process(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def no_system_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_system_lock", refuse)


def test_one_at_a_time_and_again_afterwards(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        with pytest.raises(InputError, match=f"in use by process {os.getpid()} on"), FolderLock(tmp_path):
            raise AssertionError("two held it")
        assert (tmp_path / lock.LOCK).exists()
    assert not (tmp_path / lock.LOCK).exists()
    with FolderLock(tmp_path):
        pass


def test_let_go_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), FolderLock(tmp_path):
        _ = 1 / 0
    with FolderLock(tmp_path):
        pass


def test_another_process_holds_it_until_it_is_killed(tmp_path: Path) -> None:
    process = another_process(tmp_path)
    try:
        with pytest.raises(InputError, match=f"in use by process {process.pid} on"), FolderLock(tmp_path):
            raise AssertionError("two held it")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / lock.LOCK).exists()  # left behind, and no obstacle
        with FolderLock(tmp_path):
            assert json.loads((tmp_path / lock.LOCK).read_text())["pid"] == os.getpid()
    finally:
        end(process)


@pytest.mark.usefixtures("no_system_locks")
def test_without_system_locks_a_dead_holder_is_taken_over_and_a_live_one_is_not(tmp_path: Path) -> None:
    def held_by(process: int, host: str) -> None:
        (tmp_path / lock.LOCK).write_text(json.dumps({"host": host, "pid": process}))

    held_by(dead_process(), socket.gethostname())
    with FolderLock(tmp_path):
        assert json.loads((tmp_path / lock.LOCK).read_text())["pid"] == os.getpid()
    for process, host in [(os.getppid(), socket.gethostname()), (dead_process(), "another.host")]:
        held_by(process, host)
        with pytest.raises(InputError, match=f"process {process} on {host}"), FolderLock(tmp_path):
            raise AssertionError("two held it")


@pytest.mark.usefixtures("no_system_locks")
@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x", "host": "h"}', "\x00"])
def test_without_system_locks_a_file_that_says_nothing_is_taken_over(tmp_path: Path, content: str) -> None:
    (tmp_path / lock.LOCK).write_text(content)
    with FolderLock(tmp_path):
        pass


def test_a_file_replaced_between_opening_and_locking_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, taken = lock._system_lock, []

    def replaced_meanwhile(descriptor: int) -> None:
        if not taken:
            (tmp_path / lock.LOCK).unlink()
        taken.append(descriptor)
        take(descriptor)

    monkeypatch.setattr(lock, "_system_lock", replaced_meanwhile)
    with FolderLock(tmp_path), pytest.raises(InputError, match="in use"), FolderLock(tmp_path):
        raise AssertionError("two held it")
    assert len(taken) == 3


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Seq2seeError, match="gone is not there"), FolderLock(tmp_path / "gone"):
        pass


def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(lock.os, "open", refuse)
    with pytest.raises(InputError, match="give a folder that can be written"), FolderLock(tmp_path):
        pass
