"""What a long job tells a person while it runs."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seq2see.text.visible import visible
from seq2see.training.progress import Evaluated, Event, Progress, Said, Saved
from seq2see.training.tensorboard import open_tensorboard


@dataclass(frozen=True)
class Reporter:
    """Where sentences and progress go. Neither changes what the job does."""

    say: Callable[[str], None]
    progress: Callable[[Progress], None]


def silent() -> Reporter:
    """Say nothing."""
    return Reporter(say=lambda text: None, progress=lambda progress: None)


def tell(note: Callable[[str], None], sentences: Iterable[str]) -> None:
    """One sentence after the other."""
    for sentence in sentences:
        note(sentence)


@contextmanager
def drawn_too(report: Callable[[Progress], None], folder: Path | None) -> Iterator[Callable[[Progress], None]]:
    """``report``, and where a folder is given, TensorBoard's figures in it beside."""
    if folder is None:
        yield report
        return
    board = open_tensorboard(folder)

    def both(progress: Progress) -> None:
        report(progress)
        board(progress)

    try:
        yield both
    finally:
        board.close()


def plain(write: Callable[[str], None] = print, every_seconds: float = 10.0) -> Reporter:
    """Plain lines for a log or a notebook: sentences at once, progress every so often, every evaluation."""
    last = -every_seconds

    def say(text: str) -> None:
        write("\n".join(visible(line) for line in text.split("\n")))

    def progress(progress: Progress) -> None:
        nonlocal last
        for event in progress.events:
            for line in event_lines(event):
                say(line)
        if progress.loss is not None and progress.seconds - last >= every_seconds:
            last = progress.seconds
            say(progress_line(progress))

    return Reporter(say, progress)


def progress_line(progress: Progress) -> str:
    """Where training stands, in one line."""
    parts = [f"{progress.fraction:4.0%}", f"step {progress.step:,}", f"epoch {progress.epoch:.2f}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    parts.append(f"rate {progress.learning_rate:.2g}")
    if progress.target_tokens_per_second is not None:
        parts.append(f"{progress.target_tokens_per_second:,.0f} tokens/s")
    if progress.eta_seconds is not None:
        parts.append(f"{clock(progress.eta_seconds)} to go")
    return "  ".join(parts)


def event_lines(event: Event) -> Iterator[str]:
    """What happened, for a person."""
    match event:
        case Said(text, warning):
            yield f"warning: {text}" if warning else text
        case Saved():
            return  # every evaluation saves; saying so each time would drown the rest
        case Evaluated(step, development, best):
            scores = "  ".join(f"{name} {each:.2f}" for name, each in development.scores.items())
            yield f"step {step:,}: dev loss {development.loss:.3f}  {scores}{'  (best so far)' if best else ''}"
            for sample in development.samples[:2]:
                yield f"    {sample['source']}  →  {sample['prediction']}"


def clock(seconds: float) -> str:
    """Seconds as people read them: 5 s, 1:05, 2:00:00."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"
