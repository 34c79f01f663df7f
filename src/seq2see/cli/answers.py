"""`predict`: inputs from arguments, a file or standard input; answers to standard output or a file, in order."""

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

from seq2see.data.reading import read_texts
from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.storage.atomic import atomic_text
from seq2see.tasks.run import Asked, Run
from seq2see.text.visible import visible


def answer(
    run: Run, texts: Sequence[str], input: Path | None, output: Path | None, *, asked: Asked, format: str
) -> None:
    """Answer each input, as lines of text or as one object a line (JSON Lines)."""
    if format not in ("text", "jsonl"):
        raise InputError(f"--format {format}: there are text and jsonl")
    if texts and input is not None:
        raise InputError("give texts as arguments or a file with --input, not both")
    if run.note:
        print(f"seq2see: {run.note}", file=sys.stderr)
    # Somebody typing at a terminal, or a stream, wants each answer at once; a file is read ahead, which is faster.
    typed = not texts and input is None and sys.stdin is not None and sys.stdin.isatty()
    window = 1 if typed or asked.stream else 1_024
    shown = output is None and sys.stdout.isatty()
    tally = Tally()
    lines: Iterable[str] = texts or (text for _, text in read_texts("-" if input is None else input, tally))
    answers = run.answers(lines, asked, window=window)
    with nullcontext(sys.stdout) if output is None else atomic_text(output) as file:
        for each in answers:
            for line in each.lines if format == "text" else [json.dumps(each.facts, ensure_ascii=False)]:
                # A file or a pipe gets every character; a terminal must not obey those that steer it.
                file.write((visible(line) if shown else line) + "\n")
            if window == 1:
                file.flush()
    for sentence in tally.sentences():
        print(f"seq2see: {sentence}", file=sys.stderr)
