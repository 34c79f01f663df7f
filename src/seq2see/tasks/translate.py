"""Text to text: pairs are read, settings computed, and what training needs is prepared from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from torch import nn

from seq2see.config.settings import DataSettings, SearchSettings, TranslateSettings
from seq2see.config.toml import Table, parse, refuse_slips
from seq2see.data.batch import Batch
from seq2see.data.batching import Machine
from seq2see.data.cache import CachedPairs, cache_key, content_hash, open_or_build
from seq2see.data.tally import Tally
from seq2see.evaluation.metrics import higher_is_better, value
from seq2see.evaluation.result import Evaluation
from seq2see.models.build import build
from seq2see.models.seq2seq import Seq2Seq
from seq2see.tasks.choices import choose
from seq2see.tasks.corpus import (
    Corpus,
    cut_off,
    default_name,
    least_by_hash,
    of_length,
    open_corpus,
    surveyed,
    without_places,
)
from seq2see.tasks.feeding import training_batches
from seq2see.tasks.folder import TOKENISER, load_weights, open_folder
from seq2see.tasks.objective import objective
from seq2see.tasks.prediction import Translator, predict
from seq2see.tasks.reporting import tell
from seq2see.tasks.resuming import DATA, digest, fingerprint
from seq2see.tasks.scoring import evaluate_pairs, forced_loss, questions
from seq2see.tasks.task import Ground, Prepared
from seq2see.tasks.translation import TranslationRun
from seq2see.text.tokeniser import TokeniserPair, train_pair
from seq2see.training.interrupt import Interrupt
from seq2see.training.progress import Development

_SAMPLES = 4  # dev sentences whose predictions are shown as they improve


class Translate:
    """See ``Task``."""

    name = "translate"
    data_key = "pairs"
    donors: tuple[str, ...] = ("translate",)
    try_it = 'seq2see predict {run} "TEXT", or: seq2see see {run} "TEXT" --html page.html'

    def default_name(self, given: Table, origin: Path | None) -> str:
        return default_name(_rules(given, origin))

    def open_data(self, given: Table, origin: Path | None, interrupt: Interrupt) -> Callable[[Ground], Prepared[Batch]]:
        refuse_slips(TranslateSettings, given, origin)
        corpus = open_corpus(_rules(given, origin), interrupt.check)
        return lambda ground: _prepare(ground, corpus)

    def open_run(self, folder: Path) -> TranslationRun:
        opened = open_folder(folder)
        settings = parse(TranslateSettings, opened.table, opened.config)
        tokenisers = TokeniserPair.load(folder / TOKENISER)
        model = build(settings.model, tokenisers.source.size, tokenisers.target.size)
        note = load_weights(opened, model)
        return TranslationRun(opened, settings, model, note, tokenisers)


TASK = Translate()


def _rules(given: Table, origin: Path | None) -> DataSettings:
    return parse(DataSettings, given.get("data", {}), origin, "data")


def _prepare(ground: Ground, corpus: Corpus) -> Prepared[Batch]:
    """Read and survey the pairs, settle the settings, train the tokenisers, fill the cache."""
    check, note, tally = ground.interrupt.check, ground.note, Tally()
    tell(note, corpus.pairs.notes)
    corpus, found = surveyed(corpus, tally, check)
    tell(note, (*tally.sentences(), *found.lines()))
    choice = choose(found, ground.given, model=ground.request.model, origin=ground.origin)
    settings = choice.settings
    tell(note, choice.reasons)
    development, sentence = corpus.development(check)
    if development:
        note(sentence)
    data_hash = content_hash(corpus.pairs, check)
    tokenisers = _tokenisers(ground, corpus, settings)
    source, target = tokenisers.source.size, tokenisers.target.size
    note(f"vocabulary: {source:,} pieces" if tokenisers.joint else f"vocabularies: {source:,} and {target:,} pieces")
    made_of = fingerprint(
        settings.model_copy(update={"data": without_places(settings.data)}),
        {
            DATA: data_hash,
            "content of the held-out data": digest(development),
            "tokenisers": digest([tokenisers.source.to_json(), tokenisers.target.to_json()]),
        },
    )
    ground.agree(settings, made_of)
    cached = _cached(ground, corpus, tokenisers, data_hash)
    tell(note, (*cached.report.sentences(), *cut_off(cached, settings.search)))
    scored = of_length(development, tokenisers, settings.data.max_pieces, check)
    if len(scored) < len(development):
        note(f"{len(development) - len(scored):,} pairs to choose by are too long to be scored (data.max_pieces)")
    judge = Judge(settings, tokenisers, scored, _data_name(corpus, scored, data_hash), ground.interrupt, ground.folder)
    places = (settings.data.pairs, settings.data.source, settings.data.target)
    return Prepared(
        settings=settings,
        files=(TOKENISER,),
        model=lambda: ground.begun(build(settings.model, source, target)),
        batches=training_batches(cached, tokenisers, settings, Machine(ground.world.machine, ground.world.machines)),
        loss=objective(settings.training),
        develop=judge.develop if scored else None,
        evaluate=judge.evaluate if scored else lambda model: None,
        fingerprint=made_of,
        data=" and ".join(place for place in places if place),
    )


def _tokenisers(ground: Ground, corpus: Corpus, settings: TranslateSettings) -> TokeniserPair:
    """Those of a run that goes on, or new ones, in the folder."""
    if ground.resumed:
        return TokeniserPair.load(ground.folder / TOKENISER)
    ground.begin(settings)
    check = ground.interrupt.check
    if ground.donor is not None:
        tokenisers = ground.donor.tokenisers
    else:
        pairs = corpus.training
        tokenisers = train_pair(
            lambda: ((pair.source, pair.target) for pair in pairs(Tally(), check)), settings.text, check
        )
    tokenisers.save(ground.folder / TOKENISER)
    return tokenisers


def _cached(ground: Ground, corpus: Corpus, tokenisers: TokeniserPair, data_hash: str) -> CachedPairs:
    """The training pairs as piece numbers, from the run's cache or into it."""
    check, rules = ground.interrupt.check, without_places(corpus.rules)
    key = cache_key(data_hash, rules, tokenisers, f"without {corpus.share!r} of the sources")
    pairs = corpus.training(Tally(), check)
    return open_or_build(pairs, tokenisers, rules, ground.folder / "cache", key, ground.note, check)


def _data_name(corpus: Corpus, scored: Sequence[tuple[str, str]], data_hash: str) -> str:
    """Which text the dev scores are of."""
    if corpus.dev is not None:
        return f"{corpus.dev.name}, {len(scored):,} pairs"
    return f"{corpus.pairs.name} ({corpus.share:.2%} of its sources, sha256 {data_hash[:12]})"


@dataclass(frozen=True)
class Judge:
    """How good a model is on the held-out pairs."""

    settings: TranslateSettings
    tokenisers: TokeniserPair
    pairs: list[tuple[str, str]]
    data: str
    interrupt: Interrupt
    folder: Path

    def translator(self, model: nn.Module) -> Translator:
        return Translator(cast(Seq2Seq, model), self.tokenisers, self.settings.data.max_pieces)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """All scores, with the run's own search."""
        return evaluate_pairs(
            self.translator(model),
            self.pairs,
            run=str(self.folder),
            data=f"dev: {self.data}",
            metrics=self.settings.evaluation.metrics,
            tokenize=self.settings.evaluation.tokenize,
            search=self.settings.search,
            check=self.interrupt.check,
        )

    def develop(self, model: nn.Module) -> Development:
        """While training goes on: dev loss, and the score of greedy answers to some dev sources."""
        translator = self.translator(model)
        metrics, tokenize = self.settings.evaluation.metrics, self.settings.evaluation.tokenize
        loss = forced_loss(translator, self.pairs, self.interrupt.check)
        sources, references = self.questions
        found = predict(translator, sources, self.greedy, window=len(sources), check=self.interrupt.check)
        answers = [each.text for each in found]
        scores: dict[str, float] = {name: value(name, answers, references, tokenize=tokenize) for name in metrics}
        main = scores[metrics[0]] if higher_is_better(metrics[0]) else -scores[metrics[0]]
        samples = [
            {"source": source, "reference": several[0], "prediction": answer}
            for source, several, answer in zip(sources[:_SAMPLES], references, answers, strict=False)
        ]
        # Early on the score is 0 again and again; the loss then tells which weights are better.
        return Development(loss=loss, scores=scores, key=main - 1e-3 * loss, samples=samples)

    @cached_property
    def questions(self) -> tuple[list[str], list[list[str]]]:
        """The sources that are answered while training goes on, with their references."""
        return questions(
            least_by_hash(self.pairs, self.settings.evaluation.dev_sentences), self.settings.evaluation.metrics
        )

    @cached_property
    def greedy(self) -> SearchSettings:
        return SearchSettings.model_validate(
            {**self.settings.search.model_dump(), "method": "greedy", "nbest": 1, "coverage_penalty": 0.0}
        )
