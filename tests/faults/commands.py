"""Real commands in processes of their own, in which something goes wrong at a chosen place.

Processes are forked from one that has loaded everything: a command takes tenths of a second instead of seconds.
"""

import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

SECONDS = 40  # after which a process ends itself


@dataclass(frozen=True)
class Fault:
    """``what`` happens before the ``call``-th call of ``place``, a function as a module sees it: module:name.

    ``call`` 0: before every call.
    """

    what: str
    place: str = ""
    call: int = 1


@dataclass(frozen=True)
class Done:
    """What a command did: exit code (negative: ended by a signal), output, errors, most memory in kB."""

    code: int
    out: str
    err: str
    memory: int


class Commands:
    """``with Commands(folder) as commands``: run commands of ``seq2see``, one after the other."""

    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        """``prefix``: a command that starts the processes in a world of its own, such as ``unshare``."""
        self.folder = folder
        self.prefix = prefix

    def __enter__(self) -> "Commands":
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "dumb"}
        command = [*self.prefix, sys.executable, __file__]
        pipe = subprocess.PIPE
        self._server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=self.folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.communicate()

    def __call__(
        self, *arguments: object, fault: Fault | None = None, lines: int = -1, disk: Path | None = None
    ) -> Done:
        """Run a command; ``fault`` befalls it, on the disk that ``disk`` is on if not that of ``--out``.

        Standard input is empty, or has so many ``lines``, or stays open and silent (0).
        """
        fault_facts = vars(fault) if fault else None
        words = [str(each) for each in arguments]
        out = str(disk or (words[words.index("--out") + 1] if "--out" in words else "run"))
        return self._ask({"arguments": words, "fault": fault_facts, "lines": lines, "out": out})

    def shell(self, command: str) -> Done:
        """Run a command of the shell in the world of the processes."""
        return self._ask({"shell": command})

    def _ask(self, request: dict[str, Any]) -> Done:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return Done(**json.loads(self._server.stdout.readline()))


def _signal(*numbers: int) -> Callable[[Path], None]:
    def send(out: Path) -> None:
        for number in numbers:
            os.kill(os.getpid(), number)

    return send


def _soon(out: Path) -> None:
    threading.Timer(0.3, _signal(signal.SIGTERM), [out]).start()


def _fill(out: Path) -> None:
    """Leave no room on the disk of the run."""
    with suppress(OSError), (out.parent / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def _lose_reader(out: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)


def _jump(out: Path) -> None:
    """The clock goes back a year, forward two, back again; and now it is summer time."""
    jumps = itertools.cycle((-3e7, 6e7, 3_600.0))
    now = time.time
    time.time = lambda: now() + next(jumps)


def _raise(error: BaseException) -> Callable[[Path], None]:
    def fail(out: Path) -> None:
        raise error

    return fail


def _faults() -> dict[str, Callable[[Path], Any]]:
    import torch

    return {
        "SIGTERM": _signal(signal.SIGTERM),
        "SIGINT": _signal(signal.SIGINT),
        "SIGKILL": _signal(signal.SIGKILL),
        "SIGTERM twice": _signal(signal.SIGTERM, signal.SIGTERM),
        "SIGINT twice": _signal(signal.SIGINT, signal.SIGINT),
        "SIGTERM soon": _soon,
        "full disk": _fill,
        "folder gone": lambda out: shutil.rmtree(out),
        "reader gone": _lose_reader,
        "full output": lambda out: os.dup2(os.open("/dev/full", os.O_WRONLY), 1) and None,
        "clock jumps": _jump,
        "not a number": lambda out: lambda result: result * float("nan"),
        "out of memory": _raise(torch.OutOfMemoryError("planted")),
        "read error": _raise(OSError(5, "Input/output error", "planted.arrow")),
        "bug": _raise(RuntimeError("planted")),
    }


def _plant(fault: Fault, out: Path) -> None:
    """Let the fault happen in this process; one that is itself a function changes what the place gives back."""
    happen = _faults()[fault.what]
    module_name, _, name = fault.place.partition(":")
    owner: Any = import_module(module_name)
    *path, name = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    original = getattr(owner, name)
    calls = 0

    def hooked(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        change = happen(out) if fault.call in (0, calls) else None
        result = original(*arguments, **named)
        return change(result) if change else result

    setattr(owner, name, hooked)


def _feed(lines: int) -> None:
    """Standard input: empty, open and silent, or so many lines that never are in memory at once."""
    reading, writing = os.pipe()
    if lines > 0 and os.fork() == 0:
        with suppress(OSError), os.fdopen(writing, "wb") as pipe:
            for _ in range(lines // 100):
                pipe.write(b"...\n" * 99 + b"one two\n")
        os._exit(0)
    os.dup2(reading, 0)
    if lines:
        os.close(writing)
    sys.stdin = io.TextIOWrapper(os.fdopen(0, "rb", closefd=False))


def _child(request: dict[str, Any]) -> int:
    from seq2see.cli.app import app
    from seq2see.cli.outcome import run

    signal.alarm(SECONDS)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
    if "shell" in request:
        return subprocess.run(request["shell"], shell=True, check=False).returncode
    _feed(request["lines"])
    if request["fault"]:
        _plant(Fault(**request["fault"]), Path(request["out"]))
    return run(app, request["arguments"])


def _warm_up() -> None:
    """Train and use a run, so that everything that is loaded at its first use is there for all processes."""
    from seq2see.cli.app import app
    from seq2see.cli.outcome import run

    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "pairs.tsv", str(Path(folder) / "run")
        data.write_text("".join(f"one {number}\ttwo {number}\n" for number in range(40)), encoding="utf-8")
        width = ("--set", "model.encoder.width=8", "--set", "model.decoder.width=8")
        if run(app, ["train", str(data), "--model", "lstm-attention", "--steps", "2", "--out", out, *width]):
            raise SystemExit("the processes of the tests cannot train")
        run(app, ["predict", out, "one", "--format", "jsonl"])


def _serve() -> None:
    """Fork a process for each line on standard input, wait for it, and say how it ended."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with Path("warm-up.txt").open("w", encoding="utf-8") as file, redirect_stdout(file):
        _warm_up()
    for line in iter(sys.stdin.readline, ""):
        process = os.fork()
        if process == 0:
            code = 99
            try:
                code = _child(json.loads(line))
                sys.stdout.flush()
            finally:
                os._exit(code)
        _, status, usage = os.wait4(process, 0)
        done = {
            "code": os.waitstatus_to_exitcode(status),
            "out": Path("out").read_text(encoding="utf-8"),
            "err": Path("err").read_text(encoding="utf-8"),
            "memory": usage.ru_maxrss,
        }
        print(json.dumps(done), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
