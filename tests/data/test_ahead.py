import gc
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from seq2see.data.ahead import ahead


def makers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about in five seconds")


@pytest.mark.parametrize("depth", [1, 4])
def test_the_items_come_in_order(depth: int) -> None:
    assert list(ahead(iter(range(100)), depth)) == list(range(100))
    assert not makers()


def test_items_are_made_before_they_are_asked_for_but_not_too_many() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(50):
            made.append(item)
            yield item

    stream = ahead(items(), depth=3)
    assert next(stream) == 0
    wait_for(lambda: len(made) >= 4)
    time.sleep(0.3)
    assert len(made) <= 5  # one taken, three waiting, one in hand
    stream.close()  # type: ignore[attr-defined]
    assert not makers()


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_an_error_comes_after_the_items_before_it(error: BaseException) -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    stream = ahead(items())
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(type(error)) as caught:
        next(stream)
    assert caught.value is error
    assert not makers()


def test_the_thread_ends_when_the_consumer_lets_go() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    for _ in ahead(endless(), depth=2):
        break
    gc.collect()
    wait_for(lambda: not makers())


def test_an_error_of_the_consumer_ends_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    def consume() -> None:
        for _ in ahead(endless()):
            raise RuntimeError("the consumer fails")

    with pytest.raises(RuntimeError, match="the consumer fails"):
        consume()
    gc.collect()
    wait_for(lambda: not makers() and closed.is_set())


def test_nothing_ahead_of_nothing() -> None:
    assert list(ahead([])) == []
