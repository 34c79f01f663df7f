import os
import signal
import subprocess
import sys
import threading

import pytest

from seq2see.errors import Stopped
from seq2see.training.interrupt import SIGNALS, Interrupt, catch_signals, name_of, obey_parent

TWICE = """
import os, signal, sys
from seq2see.training.interrupt import catch_signals
with catch_signals() as interrupt:
    os.kill(os.getpid(), signal.SIGINT)
    print("after one", interrupt.requested, flush=True)
    os.kill(os.getpid(), int(sys.argv[1]))
    print("after two", flush=True)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_request_and_no_more(number: int) -> None:
    with catch_signals() as interrupt:
        interrupt.check()
        assert not interrupt.requested
        signal.raise_signal(number)
        assert interrupt.requested
        with pytest.raises(Stopped, match=f"stopped by {name_of(number)}") as caught:
            interrupt.check()
    assert caught.value.signal_number == number
    assert caught.value.exit_code == {signal.SIGINT: 130, signal.SIGTERM: 143}[signal.Signals(number)]


def test_the_handlers_from_before_come_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with catch_signals(), catch_signals() as inner:
        assert all(signal.getsignal(number) not in before for number in SIGNALS)
        signal.raise_signal(signal.SIGTERM)
        assert inner.requested
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.skipif(os.name == "nt", reason="exit codes of signals are POSIX")
@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_signal_ends_the_process_at_once(second: int) -> None:
    ended = subprocess.run([sys.executable, "-c", TWICE, str(int(second))], capture_output=True, text=True)
    assert ended.stdout == "after one True\n"
    assert ended.stderr == ""
    assert ended.returncode == -second


@pytest.mark.skipif(os.name == "nt", reason="exit codes of signals are POSIX")
def test_under_torchrun_the_echo_of_a_signal_is_not_a_second_one() -> None:
    environment = {**os.environ, "TORCHELASTIC_RUN_ID": "x"}
    command = [sys.executable, "-c", TWICE, str(int(signal.SIGTERM))]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.stdout == "after one True\nafter two\n"
    assert ended.returncode == 0


def test_outside_the_main_thread_there_is_never_a_request() -> None:
    found: list[Interrupt] = []

    def work() -> None:
        with catch_signals() as interrupt:
            found.append(interrupt)
            interrupt.check()

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(found) == 1
    assert not found[0].requested
    assert signal.getsignal(signal.SIGTERM) is before


def test_workers_can_be_told_to_obey_parent() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        obey_parent()
        for number in SIGNALS:
            signal.raise_signal(number)  # would end the tests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_names() -> None:
    assert name_of(15) == "SIGTERM"
    assert name_of(12_345) == "signal 12345"
