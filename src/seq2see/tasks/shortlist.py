"""A translator's short-list: the target pieces that a source may be translated by; others are not looked at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.evaluation.result import Evaluation
from seq2see.storage.tensors import load_tensors, save_tensors
from seq2see.tasks.corpus import Corpus, open_corpus, surveyed
from seq2see.tasks.run import Run
from seq2see.tasks.scoring import evaluate_pairs
from seq2see.tasks.translation import TranslationRun
from seq2see.text.lexicon import TRANSLATIONS, Lexicon, learn
from seq2see.text.tokeniser import TokeniserPair

SHORTLIST = "shortlist.safetensors"
_AT_ONCE = 4_096  # pairs


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
        InputError: no translator, the pairs are not where they were, or none are held out.
    """
    if not isinstance(run, TranslationRun):
        raise InputError(f"{run.folder}: of task {run.settings.task}; short-lists are for translators")
    corpus, _ = surveyed(open_corpus(run.settings.data, check), Tally(), check)
    development, _ = corpus.development(check)
    if not development:
        raise InputError(f"{run.folder}: no pairs are held out, so that nobody could say what a short-list costs")
    pair = run.tokenisers
    lexicon = learn(_ids(corpus, pair, check), pair.source.size, pair.target.size, check)
    save_tensors(run.folder / SHORTLIST, {"best": lexicon.best_SK, "frequent": lexicon.frequent_F}, {})
    translator = replace(run.translator, lexicon=lexicon)
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
    return Learned(run.folder / SHORTLIST, sum(map(len, lists)) / len(lists), covered, cost)


def _ids(corpus: Corpus, pair: TokeniserPair, check: Callable[[], None]) -> Iterator[tuple[list[int], list[int]]]:
    """The training pairs in numbers."""
    some: list[tuple[str, str]] = []

    def encoded() -> Iterator[tuple[list[int], list[int]]]:
        sources = pair.source.encode_ids([source for source, _ in some])
        yield from zip(sources, pair.target.encode_ids([target for _, target in some]), strict=True)
        some.clear()

    for each in corpus.training(Tally(), check):
        some.append((each.source, each.target))
        if len(some) == _AT_ONCE:
            yield from encoded()
    yield from encoded()


def load_shortlist(folder: Path, tokenisers: TokeniserPair) -> Lexicon | None:
    """What :func:`learn_shortlist` has left in a run's folder.

    Raises:
        InputError: the file is damaged, or not of this run.
    """
    path = folder / SHORTLIST
    if not path.is_file():
        return None
    tensors = load_tensors(path, None)
    best, frequent = tensors.get("best"), tensors.get("frequent")
    sources, targets = tokenisers.source.size, tokenisers.target.size
    if best is None or frequent is None or best.dtype is not torch.int32 or frequent.dtype is not torch.int32:
        raise InputError(f"{path}: no short-list; `seq2see shortlist {folder}` makes one")
    fits = best.dim() == 2 and frequent.dim() == 1 and best.shape == (sources, TRANSLATIONS)
    if not fits or bool((best < -1).any()) or any(bool((each >= targets).any()) for each in (best, frequent)):
        raise InputError(f"{path}: not of this run; `seq2see shortlist {folder}` makes one that is")
    if bool((frequent < 0).any()):
        raise InputError(f"{path}: damaged: it holds pieces below 0; `seq2see shortlist {folder}` makes it anew")
    return Lexicon(best, frequent)
