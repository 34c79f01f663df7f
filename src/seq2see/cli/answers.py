"""`predict`: inputs from arguments, a file or standard input; answers to standard output or a file, in order."""

import hashlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from seq2see import __version__
from seq2see.data.reading import read_texts
from seq2see.data.tally import Tally
from seq2see.errors import InputError, Stopped
from seq2see.storage.atomic import atomic_text, check_place, is_stream
from seq2see.storage.growing import GrowingFile
from seq2see.storage.manifest import MANIFEST
from seq2see.tasks.bulk import WINDOW, Answerers, Share, Window, usable_cores, windows
from seq2see.tasks.reporting import clock
from seq2see.tasks.run import Answer, Asked, Run
from seq2see.text.lexicon import SHORTLIST
from seq2see.text.visible import visible

_MANY = 3 * WINDOW  # inputs from which on it pays to start other processes
_LOOK = 2.0  # seconds between two looks at what the other processes have done


@dataclass(frozen=True)
class Asking:
    """One call of `predict`.

    Attributes:
        workers: processes that answer; None: as many as there are cores, for many inputs.
    """

    run: Run
    asked: Asked
    format: str
    workers: int | None = None

    def lines(self, answers: Iterable[Answer]) -> Iterator[str]:
        """The answers as text or as one object a line (JSON Lines)."""
        for each in answers:
            yield from each.lines if self.format == "text" else [json.dumps(each.facts, ensure_ascii=False)]

    def answerers(self, many: bool) -> Answerers:
        """Those who answer."""
        on_gpu = any(each.device.type != "cpu" for each in self.run.model.parameters())
        alone = not many or on_gpu or Share.of_environment().of > 1
        return Answerers(self.run, self.asked, self.workers or (1 if alone else usable_cores()))


def answer(asking: Asking, texts: Sequence[str], input: Path | None, output: Path | None) -> None:
    """Answer each input."""
    if asking.format not in ("text", "jsonl"):
        raise InputError(f"--format {asking.format}: there are text and jsonl")
    if texts and input is not None:
        raise InputError("give texts as arguments or a file with --input, not both")
    if asking.run.note:
        print(f"seq2see: {asking.run.note}", file=sys.stderr)
    tally = Tally()
    lines: Iterable[str] = texts or (text for _, text in read_texts("-" if input is None else input, tally))
    # Somebody typing at a terminal, or a stream, wants each answer at once; a file is read ahead, which is faster.
    typed = not texts and input is None and sys.stdin is not None and sys.stdin.isatty()
    if typed or asking.asked.stream:
        _at_once(asking, lines, output)
    elif input is not None and input.is_file() and output is not None and not is_stream(output):
        _file_to_file(asking, lines, input, output)
    else:
        _in_windows(asking, lines, output)
    for sentence in tally.sentences():
        print(f"seq2see: {sentence}", file=sys.stderr)


def _at_once(asking: Asking, lines: Iterable[str], output: Path | None) -> None:
    with nullcontext(sys.stdout) if output is None else atomic_text(output) as file:
        for each in asking.run.answers(lines, asking.asked, window=1):
            for line in asking.lines([each]):
                file.write(_shown(line, output) + "\n")
            file.flush()


def _in_windows(asking: Asking, lines: Iterable[str], output: Path | None) -> None:
    """Everything at the end, or as it comes to standard output."""
    with nullcontext(sys.stdout) if output is None else atomic_text(output) as file:
        for _, answers in _answered(asking, lines):
            for line in asking.lines(answers):
                file.write(_shown(line, output) + "\n")


def _shown(line: str, output: Path | None) -> str:
    """A file or a pipe gets every character; a terminal must not obey those that steer it."""
    return visible(line) if output is None and sys.stdout.isatty() else line


def _answered(asking: Asking, lines: Iterable[str]) -> Iterator[tuple[Window, Sequence[Answer]]]:
    remaining = iter(lines)
    first = list(islice(remaining, _MANY))
    with asking.answerers(len(first) == _MANY) as answerers:
        yield from answerers.answers(windows(chain(first, remaining)))


def _file_to_file(asking: Asking, lines: Iterable[str], input: Path, output: Path) -> None:
    """Hours of work: shared out by torchrun if it started this, told on the way, and resumed after a kill."""
    share = Share.of_environment()
    check_place(output)
    growing, told = GrowingFile(share.file(output), _what(asking, input, share)), _Told(input)
    with growing as file:
        if file.parts:
            print(f"seq2see: going on behind {file.parts * WINDOW:,} answers that are there already", file=sys.stderr)
        before = file.parts
        left = (each for each in windows(lines) if share.has(each) and each.number // share.of >= before)
        first = list(islice(left, _MANY // WINDOW))
        try:
            with asking.answerers(len(first) == _MANY // WINDOW) as answerers:
                for window, answers in answerers.answers(chain(first, left)):
                    file.append("".join(line + "\n" for line in asking.lines(answers)))
                    told.answered(window)
        except Stopped as stopped:
            kept = "nothing was answered yet"
            if file.parts:
                kept = f"{file.parts * WINDOW:,} answers are kept; the same command goes on behind them"
            raise Stopped(f"{stopped}; {kept}", stopped.signal_number) from None
        finally:
            told.done()
        if share.of == 1:
            file.finish()
        else:
            file.close()
    if share.of > 1 and share.rank == 0:
        _join([GrowingFile(each.file(output), _what(asking, input, each)) for each in _shares(share.of)], output)


def _shares(of: int) -> list[Share]:
    return [Share(rank, of) for rank in range(of)]


def _what(asking: Asking, input: Path, share: Share) -> str:
    """All that the answers depend on, in one line."""
    manifest, file = asking.run.folder / MANIFEST, input.stat()
    shortlist = asking.run.folder / SHORTLIST
    content = manifest.read_bytes() if manifest.exists() else asking.run.note.encode()
    run = hashlib.sha256(content + (shortlist.read_bytes() if shortlist.exists() else b"")).hexdigest()
    return json.dumps(
        {
            "answers by": f"seq2see {__version__}",
            "run": run,
            "asked": repr(asking.asked),
            "format": asking.format,
            "input": [input.name, file.st_size, file.st_mtime_ns],
            "share": [share.rank, share.of],
            "window": WINDOW,
        }
    )


def _join(shares: Sequence[GrowingFile], output: Path) -> None:
    """One file of what all processes have answered, window by window; waits until they have."""
    while not all(each.complete for each in shares):
        time.sleep(_LOOK)
    parts = [each.read() for each in shares]
    with atomic_text(output) as file:
        for number in range(max(_count(each) for each in shares) * len(shares)):
            part = next(parts[number % len(shares)], b"")
            file.write(part.decode())
    for each in shares:
        each.remove()


def _count(share: GrowingFile) -> int:
    return sum(1 for _ in share.read())


class _Told:
    """Says on standard error how far the work is: often on a terminal, seldom in a log."""

    def __init__(self, input: Path) -> None:
        self.size = input.stat().st_size if input.suffix not in (".gz", ".zst") else 0
        self.live = sys.stderr.isatty()
        self.started = self.last = time.monotonic()
        self.begun: int | None = None
        self.count = 0

    def answered(self, window: Window) -> None:
        """This window is done, and those before it."""
        self.begun = window.start if self.begun is None else self.begun
        self.count += len(window.inputs)
        now = time.monotonic()
        if now - self.last < (1.0 if self.live else 30.0):
            return
        self.last, seconds = now, now - self.started
        parts = [f"{window.first + len(window.inputs):,} answers", f"{self.count / seconds:,.0f}/s"]
        if self.size:
            parts.insert(0, f"{min(1.0, window.end / self.size):4.0%}")
            left = max(0, self.size - window.end)
            parts.append(f"{clock(seconds * left / (window.end - self.begun))} to go")
        line = "  ".join(parts)
        print(f"\r\x1b[K{line}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def done(self) -> None:
        """Nothing stays of the line that changed."""
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
