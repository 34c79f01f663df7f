"""What can go wrong, by whose hand: every error a person is meant to read is one of these."""


class Seq2seeError(Exception):
    """A failure while running. The message says what was asked, with what, and what would work."""

    exit_code = 1


class InputError(Seq2seeError):
    """Something that was given (a file, a setting, an argument) cannot be used."""

    exit_code = 2


class Stopped(Seq2seeError):
    """A signal asked to stop; what was done so far has been saved, or there was nothing to save.

    ``signal_number`` is 2 (SIGINT, exit code 130) or 15 (SIGTERM, exit code 143).
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number
