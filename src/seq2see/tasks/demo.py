"""The demonstration: learn to read dates as people write them, in thirty languages, and look at how it is done."""

import json
from pathlib import Path
from typing import cast

from seq2see.data.dates import DatePair, date_pairs, split
from seq2see.storage.atomic import write_atomic
from seq2see.tasks.folder import REPORT
from seq2see.tasks.reporting import Reporter
from seq2see.tasks.request import TrainRequest
from seq2see.tasks.training import train_run
from seq2see.tasks.translation import TranslationRun
from seq2see.training.interrupt import Interrupt
from seq2see.viewing.terminal import heat_map

_PAIRS = 100_000
_SEED = 1
_SHOWN = 12  # examples in the table
_SETTINGS = (
    "data.max_pieces=64",
    'text.kind="char"',
    "model.encoder.width=192",
    "model.decoder.width=192",
    'model.decoder.attention="additive"',
    "training.batch_tokens=512",
    "training.evaluate_every=250",
    "evaluation.dev_sentences=200",
    "model.dropout=0.0",
    "training.learning_rate=0.004",
    "training.label_smoothing=0.0",
    'evaluation.metrics=["exact_match","cer"]',
    "search.beam=1",
    'search.method="greedy"',
)


def run_demo(folder: Path, *, seconds: float, reporter: Reporter, interrupt: Interrupt) -> TranslationRun:
    """Make the dates, train for ``seconds``, score the held-out ones, and draw the attention of one of them.

    Writes ``attention.html``, ``report.html`` and ``scores.json`` into the run folder.
    """
    _make_room(folder, reporter)
    parts = split(date_pairs(_PAIRS, _SEED))
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name, pairs in (("train", parts.train), ("dev", parts.dev), ("test", parts.test)):
        write_atomic(data / f"{name}.tsv", "".join(f"{pair.source}\t{pair.target}\n" for pair in pairs))
    locales = len({pair.locale for pair in parts.train})
    reporter.say(
        f"dates as people write them in {locales} languages, e.g. {parts.train[0].source!r} = {parts.train[0].target}"
    )
    request = TrainRequest(
        data=data / "train.tsv",
        dev=(data / "dev.tsv",),
        model="lstm-attention",
        assignments=_SETTINGS,
        minutes=seconds / 60,
        out=folder,
        seed=_SEED,
    )
    run = cast(TranslationRun, train_run(request, reporter=reporter, interrupt=interrupt))
    _show(run, parts.test, reporter, interrupt)
    return run


def _make_room(folder: Path, reporter: Reporter) -> None:
    """Move the run of an earlier demonstration aside, so that nothing is lost."""
    if not folder.exists():
        return
    number = next(n for n in range(1, 100_000) if not folder.with_name(f"{folder.name}-{n}").exists())
    earlier = folder.with_name(f"{folder.name}-{number}")
    folder.rename(earlier)
    reporter.say(f"an earlier {folder} is now {earlier}")


def _show(run: TranslationRun, test: tuple[DatePair, ...], reporter: Reporter, interrupt: Interrupt) -> None:
    folder = run.folder
    result = run.evaluate(folder / "data" / "test.tsv", check=interrupt.check)
    answers = dict(zip(result.sources, result.hypotheses, strict=True))
    reporter.say("\nheld-out dates, none of them trained on in any language")
    for pair in _one_a_language(test)[:_SHOWN]:
        answer = answers[pair.source]
        mark = "✓" if answer == pair.target else f"✗ ({pair.target})"
        reporter.say(f"  {pair.locale:<6} {pair.source}  →  {answer} {mark}")
    view = run.see(test[0].source)
    reporter.say("\n" + heat_map(view.record, words=False))
    view.html(folder / "attention.html")
    scores = {score.name: score for score in result.scores}
    exact = scores["exact_match"]
    facts = {
        "exact_match": exact.value / 100,
        "examples": len(test),
        "seconds_training": run.facts["minutes"] * 60,
        "signatures": {name: score.signature for name, score in scores.items()},
        "search": result.signature,
        "data": f"dates|pairs:{_PAIRS}|seed:{_SEED}",
    }
    write_atomic(folder / "scores.json", json.dumps(facts, indent=1) + "\n")
    reporter.say(
        f"\nexact match on {len(test):,} held-out dates: {exact.value:.2f} % "
        f"(95 %: {exact.low:.2f} to {exact.high:.2f}); {exact.signature}"
    )
    for name in ("attention.html", REPORT, "scores.json"):
        reporter.say(f"  {folder / name}")


def _one_a_language(test: tuple[DatePair, ...]) -> list[DatePair]:
    """The first pair of each language, in the order of the test set."""
    first: dict[str, DatePair] = {}
    for pair in test:
        first.setdefault(pair.locale.split("_")[0], pair)
    return list(first.values())
