"""Real processes that train and can be killed, forked from one that has torch loaded already."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

SECONDS = 30  # after which a child ends itself


@dataclass(frozen=True)
class Child:
    """A training process; what it says goes into ``output``."""

    pid: int
    output: Path

    def said(self) -> str:
        return self.output.read_text()

    def until_it_says(self, word: str) -> None:
        """Wait for a line."""
        limit = time.monotonic() + SECONDS
        while word not in self.said().split("\n"):
            assert time.monotonic() < limit, self.said()
            time.sleep(0.005)

    def send(self, number: int) -> None:
        os.kill(self.pid, number)


class Forks:
    """``with Forks(folder) as forks``: start children and wait for their exit codes (negative: by a signal)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def __enter__(self) -> "Forks":
        command = [sys.executable, __file__]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        self.server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.server.communicate()

    def start(self, *arguments: object) -> Child:
        self.count += 1
        output = self.folder / f"{self.count}.txt"
        output.touch()
        return Child(self._ask({"arguments": [str(each) for each in arguments], "output": str(output)}), output)

    def wait(self, child: Child) -> int:
        return self._ask({"wait": child.pid})

    def run(self, *arguments: object) -> tuple[int, str]:
        child = self.start(*arguments)
        return self.wait(child), child.said()

    def _ask(self, request: dict[str, Any]) -> int:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


def child(arguments: list[str], output: str) -> int:
    """What a forked process does."""
    from tiny_training import main

    signal.alarm(SECONDS)
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    return main(arguments)


def serve() -> None:
    """Fork a child for each line on standard input."""
    import torch
    from tiny_training import tiny

    torch.optim.AdamW(tiny().parameters())  # torch loads its compiler with the first optimiser: seconds
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                code = 99
                try:
                    code = child(request["arguments"], request["output"])
                finally:
                    sys.stdout.flush()
                    os._exit(code)
        print(answer, flush=True)


if __name__ == "__main__":
    serve()
