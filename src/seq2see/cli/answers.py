"""`predict`: texts from arguments, a file or standard input; answers to standard output or a file, in order."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from seq2see.config.settings import SearchSettings
from seq2see.data.reading import read_texts
from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.tasks.prediction import Prediction, single_line
from seq2see.tasks.run import Run


def answer(
    run: Run,
    texts: Sequence[str],
    input: Path | None,
    output: Path | None,
    *,
    settings: SearchSettings,
    prefix: str,
    forbid: Sequence[str],
    format: str,
    check: Callable[[], None],
) -> None:
    """Answer each text; an n-best list is one line an answer as text, one object a text as JSON Lines."""
    if format not in ("text", "jsonl"):
        raise InputError(f"--format {format}: there are text and jsonl")
    if texts and input is not None:
        raise InputError("give texts as arguments or a file with --input, not both")
    if run.loaded.note:
        print(f"seq2see: {run.loaded.note}", file=sys.stderr)
    # Somebody typing at a terminal wants each answer at once; a file is read ahead, which is faster.
    window = 1 if not texts and input is None and sys.stdin.isatty() else 1_024
    tally = Tally()
    lines: Iterable[str] = texts or (
        text for _, text in read_texts("-" if input is None else input, tally, check=check)
    )
    answers = run.stream(lines, prefix=prefix, forbid=forbid, search=settings, window=window, check=check)
    with _opened(output) as file:
        for prediction in answers:
            for line in _lines(prediction, format):
                file.write(line + "\n")
            if window == 1:
                file.flush()
    for sentence in tally.sentences():
        print(f"seq2see: {sentence}", file=sys.stderr)


def _lines(prediction: Prediction, format: str) -> Iterator[str]:
    if format == "text":
        for each in (prediction, *prediction.alternatives):
            yield single_line(each.text)
        return
    yield json.dumps({"source": prediction.source, **_facts(prediction)}, ensure_ascii=False)


def _facts(prediction: Prediction) -> dict[str, object]:
    facts: dict[str, object] = {
        "text": prediction.text,
        "score": prediction.score,
        "finished": prediction.finished,
        "pieces": prediction.pieces,
        "log_probs": prediction.log_probs,
    }
    if prediction.alternatives:
        facts["alternatives"] = [_facts(each) for each in prediction.alternatives]
    return facts


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears only when it is whole."""
    if output is None:
        yield sys.stdout
        return
    partial = output.with_name(f".tmp-{output.name}-{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        partial.replace(output)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
