"""The stretches of a series, by time: what is trained on, what chooses, what tests; and the origins of forecasts."""

from dataclasses import dataclass

from seq2see.errors import InputError


@dataclass(frozen=True)
class Stretches:
    """Indices of steps: training before ``dev``, choosing from there to before ``test``, the test up to ``end``."""

    dev: int
    test: int
    end: int


def stretches(length: int, dev_steps: int, test_steps: int) -> Stretches:
    """The last ``test_steps`` and the ``dev_steps`` before them.

    Raises:
        InputError: nothing is left to train on.
    """
    test = length - test_steps
    dev = test - dev_steps
    if dev < 1:
        raise InputError(
            f"{length:,} steps cannot be split: data.dev_steps = {dev_steps:,} and data.test_steps = {test_steps:,} "
            "leave nothing to train on; ask for less"
        )
    return Stretches(dev, test, length)


def origins(first: int, end: int, horizon: int, stride: int) -> range:
    """The first steps of the forecasts that lie within a stretch: ``first``, ``first + stride`` … (rolling origin).

    A forecast from an origin knows every value before it and foretells ``horizon`` values (Tashman 2000).
    """
    return range(first, end - horizon + 1, stride)
