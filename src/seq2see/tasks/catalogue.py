"""The tasks by name. One match statement; what a task imports waits until it is asked for."""

import difflib
from pathlib import Path

from seq2see.config.toml import Table, read_toml
from seq2see.errors import InputError
from seq2see.tasks.folder import CONFIG, require_run
from seq2see.tasks.run import Run
from seq2see.tasks.task import Task

NAMES = ("translate", "tag", "classify", "lm", "masked", "caption", "forecast")
DEFAULT = "translate"


def task_named(name: object) -> Task:
    """The task of that name.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    match name:
        case "translate":
            from seq2see.tasks.translate import TASK

            return TASK
        case "tag":
            from seq2see.tasks import tag

            return tag.TASK
        case "classify":
            from seq2see.tasks import classify

            return classify.TASK
        case "lm":
            from seq2see.tasks import lm

            return lm.TASK
        case "masked":
            from seq2see.tasks import masked

            return masked.TASK
        case "caption":
            from seq2see.tasks import caption

            return caption.TASK
        case "forecast":
            from seq2see.tasks import forecast

            return forecast.TASK
        case _:
            nearest = difflib.get_close_matches(str(name), NAMES, n=1, cutoff=0.0)
            raise InputError(f'there is no task "{name}"; did you mean "{nearest[0]}"? There are: {", ".join(NAMES)}')


def task_of(given: Table) -> Task:
    """The task that a configuration is for."""
    return task_named(given.get("task", DEFAULT))


def load(folder: str | Path) -> Run:
    """Open a run folder.

    Raises:
        InputError: it is not one, or a file of it is missing, truncated, altered or from a newer version.
    """
    place = Path(folder)
    require_run(place)
    return task_of(read_toml(place / CONFIG)).open_run(place)
