"""How a command ends: one clear message and an exit code."""

import errno
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from seq2see.cli.streams import drop_output, prepare_streams
from seq2see.errors import Seq2seeError
from seq2see.text.visible import visible

# typer brings its own click or uses the installed one, by version; its errors are known by what typer exports.
_UsageError: type[Any] = typer.BadParameter.__mro__[2]


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command and turn whatever happens into an exit code.

    0 done · 1 failed while running · 2 something given cannot be used · 130 and 143 stopped by a signal.
    ``--debug`` anywhere among the arguments shows tracebacks.
    """
    debug = "--debug" in arguments
    prepare_streams()
    command = typer.main.get_command(app)
    try:
        result = command.main([a for a in arguments if a != "--debug"], prog_name="seq2see", standalone_mode=False)
        sys.stdout.flush()
        return int(result) if isinstance(result, int) else 0
    except (BrokenPipeError, SystemExit):
        # The reader has gone (`| head`) and wants no more; typer turns this into an exit of its own.
        drop_output()
        return 0
    except typer.Exit as ended:
        return int(ended.exit_code)
    except _UsageError as error:
        error.show(file=sys.stderr)
        return int(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _say("stopped", 130, debug)
    except Seq2seeError as error:
        return _say(str(error), error.exit_code, debug)
    except OSError as error:
        return _say(_os_message(error), 1, debug)
    except MemoryError:
        return _say("out of memory; use a smaller model or training.batch_tokens", 1, debug)
    except Exception as error:  # the last line of defence: a bug is one line too, and says how to report it
        message = f"{type(error).__name__}: {error}\nThis is a fault in seq2see; --debug shows where. Please report it."
        return _say(message, 1, debug)


def _say(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    lines = [visible(line) for line in message.split("\n")]
    # Whoever reads the errors may be gone as well; the exit code still tells.
    try:
        print("\n".join(["seq2see: " + lines[0], *lines[1:]]), file=sys.stderr, flush=True)
    except OSError:
        return code
    return code


def _os_message(error: OSError) -> str:
    if error.filename is None and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        drop_output()  # every file that is written names itself
        return "disk full: standard output cannot be written; make room, or send it elsewhere"
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
