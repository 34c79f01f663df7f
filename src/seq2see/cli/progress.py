"""A long job on the screen: a live line and the latest evaluation on a terminal, plain lines anywhere else."""

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from seq2see.cli.streams import drop_output
from seq2see.tasks.reporting import Reporter, event_lines, plain, progress_line
from seq2see.text.visible import visible
from seq2see.training.progress import Evaluated, Progress


class Display:
    """Shows what a reporter is told. Leaves the last state standing when it closes."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False)
        self._live: Live | None = None
        self._samples: list[dict[str, str]] = []
        live = self._console.is_terminal and not self._console.is_dumb_terminal
        self.reporter = Reporter(self._say, self._progress) if live else plain(_print)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _say(self, text: str) -> None:
        self._console.print("\n".join(visible(line) for line in text.split("\n")), soft_wrap=True)

    def _progress(self, progress: Progress) -> None:
        for event in progress.events:
            lines = list(event_lines(event))
            if isinstance(event, Evaluated):
                self._samples = event.development.samples
                lines = lines[:1]
            for line in lines:
                self._say(line)
        if progress.loss is None:
            return
        shown = self._drawn(progress)
        if self._live is None:
            self._live = Live(shown, console=self._console, auto_refresh=False)
            self._live.start()
        # Drawing costs time that training wants: a few times a second is enough.
        self._live.update(shown, refresh=_is_due(self._live, progress))
        if progress.fraction >= 1:
            self.__exit__(None, None, None)

    def _drawn(self, progress: Progress) -> RenderableType:
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=1.0, completed=progress.fraction, width=24), progress_line(progress))
        return Group(bar, *_sample_rows(self._samples, self._console.width))


def _sample_rows(samples: Iterable[dict[str, str]], width: int) -> Iterable[Text]:
    for sample in samples:
        line = Text(
            f"  {visible(sample['source'])}  →  {visible(sample['prediction'])}",
            overflow="ellipsis",
            no_wrap=True,
        )
        right = sample["prediction"] == sample["reference"]
        line.stylize("green" if right else "dim")
        line.truncate(width)
        yield line


def _is_due(live: Live, progress: Progress) -> bool:
    return progress.fraction >= 1 or progress.step % max(1, progress.step // 200) == 0


def _print(line: str) -> None:
    """Whoever reads the lines may leave (`| head`): what is trained matters more, and the run keeps its own journal."""
    try:
        print(line, file=sys.stdout, flush=True)
    except OSError:
        drop_output()
