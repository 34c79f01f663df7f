"""A translator's short-list: the target pieces that a source may be translated by; others are not looked at."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from seq2see.data.cache import content_hash
from seq2see.data.cache_writer import usable_rows
from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.evaluation.result import Evaluation
from seq2see.tasks.corpus import Corpus, of_length, open_corpus, surveyed
from seq2see.tasks.resuming import DATA
from seq2see.tasks.run import Run
from seq2see.tasks.scoring import evaluate_pairs
from seq2see.tasks.translation import TranslationRun
from seq2see.text.lexicon import learn, save_lexicon
from seq2see.training.checkpoint import snapshots


@dataclass(frozen=True)
class Learned:
    """What was learned, and what it costs.

    Attributes:
        pieces: how many a sentence may be translated by, on average of those held out.
        covered: the share of their references that is on the lists.
        cost: scores with the short-list on the pairs held out, beside those without.
    """

    path: Path
    pieces: float
    covered: float
    cost: Evaluation


def learn_shortlist(run: Run, count: int, check: Callable[[], None] = lambda: None) -> Learned:
    """Learn it from the pairs that the run was trained on, and keep it in the run's folder.

    ``count``: translations of a source piece; only what is said of lengths and costs depends on it, and
    ``search.shortlist`` decides anew each time.

    Raises:
        InputError: no translator, the pairs are not where they were or not what they were, or none are held out.
    """
    if not isinstance(run, TranslationRun):
        raise InputError(f"{run.folder}: of task {run.settings.task}; short-lists are for translators")
    corpus, pair, rules = _corpus(run, check), run.tokenisers, run.settings.data
    development = of_length(corpus.development(check)[0], pair, rules.max_pieces, check)
    if not development:
        raise InputError(f"{run.folder}: no pairs are held out, so that nobody could say what a short-list costs")
    trained_on = usable_rows(corpus.training(Tally(), check), pair, rules, check)
    lexicon = learn(trained_on, pair.source.size, pair.target.size, check)
    path = save_lexicon(run.folder, lexicon)
    translator = replace(run.translator(), lexicon=lexicon)
    targets = pair.target.encode_ids([target for _, target in development])
    sources = pair.source.encode_ids([source for source, _ in development])
    lists = [set(translator.shortlist(ids, (), count)) for ids in sources]
    found = sum(piece in some for some, ids in zip(lists, targets, strict=True) for piece in ids)
    evaluation, search = run.settings.evaluation, run.settings.search
    cost = evaluate_pairs(
        translator,
        development,
        run=str(run.folder),
        data="the pairs held out",
        metrics=evaluation.metrics,
        tokenize=evaluation.tokenize,
        search=search.model_copy(update={"shortlist": count}),
        versus=("all pieces", translator, search.model_copy(update={"shortlist": 0})),
        check=check,
    )
    covered = found / max(1, sum(map(len, targets)))
    return Learned(path, sum(map(len, lists)) / len(lists), covered, cost)


def _corpus(run: TranslationRun, check: Callable[[], None]) -> Corpus:
    """The pairs of the run, where they were and as they were."""
    if run.settings.data.pairs == "-" and sys.stdin is not None and sys.stdin.isatty():
        raise InputError(
            f"{run.folder}: its pairs came from standard input; give them again: "
            f"seq2see shortlist {run.folder} < THE-SAME-DATA"
        )
    corpus = open_corpus(run.settings.data, check)
    known = [found.fingerprint[DATA] for found in snapshots(run.folder) if DATA in found.fingerprint]
    if known and known[0] != content_hash(corpus.pairs, check):
        raise InputError(
            f"{corpus.pairs.name}: not the pairs any more that {run.folder} was trained on, and those held out may be "
            "among them; put the old ones back"
        )
    return surveyed(corpus, Tally(), check)[0]
