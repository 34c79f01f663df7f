"""`predict`: texts from arguments, a file or standard input; answers to standard output or a file, in order."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from seq2see.config.settings import SearchSettings
from seq2see.data.reading import read_texts
from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.storage.atomic import atomic_text
from seq2see.tasks.prediction import Prediction, single_line
from seq2see.tasks.run import Run
from seq2see.text.visible import visible


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
) -> None:
    """Answer each text; an n-best list is one object a text as JSON Lines, and as text one line an answer.

    As text every list has as many lines, lest nobody knows which answer is whose: where there are fewer answers
    (a blank text has one), the rest are blank.
    """
    if format not in ("text", "jsonl"):
        raise InputError(f"--format {format}: there are text and jsonl")
    if texts and input is not None:
        raise InputError("give texts as arguments or a file with --input, not both")
    if run.loaded.note:
        print(f"seq2see: {run.loaded.note}", file=sys.stderr)
    # Somebody typing at a terminal wants each answer at once; a file is read ahead, which is faster.
    typed = not texts and input is None and sys.stdin is not None and sys.stdin.isatty()
    window = 1 if typed else 1_024
    shown = output is None and sys.stdout.isatty()
    tally = Tally()
    lines: Iterable[str] = texts or (text for _, text in read_texts("-" if input is None else input, tally))
    answers = run.stream(lines, prefix=prefix, forbid=forbid, search=settings, window=window)
    with nullcontext(sys.stdout) if output is None else atomic_text(output) as file:
        for prediction in answers:
            for line in _lines(prediction, format, settings.nbest):
                # A file or a pipe gets every character; a terminal must not obey those that steer it.
                file.write((visible(line) if shown else line) + "\n")
            if window == 1:
                file.flush()
    for sentence in tally.sentences():
        print(f"seq2see: {sentence}", file=sys.stderr)


def _lines(prediction: Prediction, format: str, nbest: int) -> Iterator[str]:
    if format == "text":
        texts = [single_line(each.text) for each in (prediction, *prediction.alternatives)]
        yield from texts + [""] * (nbest - len(texts))
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
