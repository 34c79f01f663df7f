"""Text to label: labelled texts are read, settings computed, and what training needs is prepared from them.

Pictures are labelled by `classify_images.py`, to which everything is handed over here.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, cast

from torch import nn

from seq2see.config.classify import ClassifySettings, LabelledDataSettings
from seq2see.config.toml import Table, parse, read_toml, refuse_slips
from seq2see.data.batch import Batch
from seq2see.data.batching import Batches, Resegment
from seq2see.data.cache import CachedPairs, cache_key, content_hash, open_or_build
from seq2see.data.images import holds_pictures
from seq2see.data.labelled_batches import LabelledBatches
from seq2see.data.labels import Labels, count_labels, plain_label
from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.evaluation.classes import accuracy_counts, macro_f1
from seq2see.evaluation.result import Evaluation
from seq2see.models.classifier import Classifier, build_classifier
from seq2see.tasks.classification import ClassificationRun
from seq2see.tasks.classify_choices import choose
from seq2see.tasks.classify_objective import classification
from seq2see.tasks.classify_scoring import evaluate_labels
from seq2see.tasks.classifying import TextClassifier, beginnings, ranked
from seq2see.tasks.corpus import Corpus, surveyed, without_places
from seq2see.tasks.folder import CONFIG, TOKENISER, load_weights, open_folder
from seq2see.tasks.labelled_corpus import (
    balance,
    open_examples,
    require_known,
    require_labels,
    rules_of,
    survey_sentences,
    unknown_labels,
)
from seq2see.tasks.reporting import tell
from seq2see.tasks.resuming import digest, fingerprint
from seq2see.tasks.run import Run
from seq2see.tasks.task import Ground, Prepared, Task
from seq2see.text.tokeniser import Tokeniser, TokeniserPair
from seq2see.training.interrupt import Interrupt
from seq2see.training.progress import Development

LABELS = "labels.json"
_SAMPLES = 4  # dev texts whose labels are shown as they improve
# Where the data lie may change, what is in them may not.
_NOWHERE: Table = {"file": None, "source": None, "target": None, "dev": (), "columns": None}
_WORKBOOKS = (".xlsx", ".xlsm", ".ods")  # archives as well, of which a person is told to save the sheet as CSV


class Classify:
    """See ``Task``."""

    name = "classify"
    data_key = "file"
    donors: tuple[str, ...] = ("lm", "masked", "classify", "translate")
    try_it = 'seq2see predict {run} "TEXT", or: seq2see see {run} "TEXT" --html page.html'

    def default_name(self, given: Table, origin: Path | None) -> str:
        data = given.get("data", {})
        named = data.get("file") or data.get("source") or "run"
        stem = Path(str(named)).name.split(".")[0] if named != "-" else "stdin"
        return stem or "run"

    def open_data(self, given: Table, origin: Path | None, interrupt: Interrupt) -> Callable[[Ground], Prepared[Any]]:
        if are_pictures(given.get("data", {})):
            if given.get("training", {}).get("init_from") is not None:
                raise InputError("--init-from: a classifier of pictures begins with no other run; leave it out")
            return _pictures().open_data(given, origin, interrupt)
        refuse_slips(ClassifySettings, given, origin)
        data = parse(LabelledDataSettings, given.get("data", {}), origin, "data")
        corpus = open_examples(data, interrupt.check)
        return lambda ground: _prepare(ground, corpus)

    def open_run(self, folder: Path) -> Run:
        if read_toml(folder / CONFIG).get("data", {}).get("kind") == "images":
            return _pictures().open_run(folder)
        opened = open_folder(folder)
        settings = parse(ClassifySettings, opened.table, opened.config)
        tokeniser = TokeniserPair.load(folder / TOKENISER).source
        labels = Labels.load(folder / LABELS)
        model = build_classifier(settings.model, tokeniser.size, len(labels))
        note = load_weights(opened, model)
        return ClassificationRun(opened, settings, model, note, tokeniser, labels)


TASK = Classify()


def are_pictures(data: Table) -> bool:
    """Whether the data are pictures: their settings say so, or they are a folder, an archive or an IDX file."""
    if "kind" in data:
        return bool(data["kind"] == "images")
    named = data.get("file") or data.get("source")
    if not isinstance(named, str) or named.lower().endswith(_WORKBOOKS):
        return False
    path = Path(named)
    # What comes through a pipe can be read once, and is text.
    return (path.is_dir() or path.is_file()) and holds_pictures(path)


def _pictures() -> Task:
    from seq2see.tasks.classify_images import CLASSIFY_IMAGES

    return CLASSIFY_IMAGES


def _prepare(ground: Ground, corpus: Corpus) -> Prepared[Batch]:
    """Read and survey the texts, count the labels, settle the settings, train the tokeniser, fill the cache."""
    check, note, tally = ground.interrupt.check, ground.note, Tally()
    tell(note, corpus.pairs.notes)
    corpus, found = surveyed(corpus, tally, check)
    tell(note, (*tally.sentences(), *survey_sentences(found)))
    where = corpus.pairs.name
    count = count_labels(corpus.training(Tally(), check), where, check)
    labels = Labels.load(ground.folder / LABELS) if ground.resumed else require_labels(count, where)
    if ground.request.force:  # other data are refused further down, but not then
        require_known(labels, count, where)
    tell(note, balance(count))
    largest = max(map(count.share, count.counts))
    choice = choose(found, largest, ground.given, model=ground.request.model, origin=ground.origin)
    settings = choice.settings
    tell(note, choice.reasons)
    development = _development(corpus, labels, note, check)
    data_hash = content_hash(corpus.pairs, check)
    tokeniser = _tokeniser(ground, corpus, settings, labels)
    note(f"vocabulary: {tokeniser.size:,} pieces")
    made_of = fingerprint(
        settings.model_copy(update={"data": settings.data.model_copy(update=_NOWHERE)}),
        {
            "content of the data": data_hash,
            "content of the held-out data": digest(development),
            "tokenisers and labels": digest([tokeniser.to_json(), labels.names]),
        },
    )
    ground.agree(settings, made_of)
    cached = _cached(ground, corpus, TokeniserPair(tokeniser, labels.tokeniser()), labels, settings, data_hash)
    long = cached.report.too_long
    if long.count:
        texts = "1 text to its" if long.count == 1 else f"{long.count:,} texts to their"
        note(f"cut: {texts} first {settings.data.max_pieces:,} pieces (data.max_pieces; {long})")
    judge = Judge(settings, tokeniser, labels, development, _data_name(corpus, development, data_hash), ground)
    places = (settings.data.file, settings.data.source, settings.data.target)
    return Prepared(
        settings=settings,
        files=(TOKENISER, LABELS),
        model=lambda: ground.begun(
            build_classifier(settings.model, tokeniser.size, len(labels)), leave=_fresh(ground, labels)
        ),
        batches=_batches(cached, tokeniser, settings),
        loss=classification(settings),
        develop=judge.develop if development else None,
        evaluate=judge.evaluate if development else lambda model: None,
        fingerprint=made_of,
        data=" and ".join(place for place in places if place),
    )


def _development(
    corpus: Corpus, labels: Labels, note: Callable[[str], None], check: Callable[[], None]
) -> list[tuple[str, str]]:
    """The held-out examples, and what is to be said of them."""
    found, _ = corpus.development(check)
    if not found:
        return []
    if corpus.dev is None:
        note(f"held out: {len(found):,} examples, {corpus.share:.1%} of the texts, chosen by their hash")
    else:
        most = " (data.held_out_most)" if len(found) == corpus.rules.held_out_most else ""
        note(f"dev: {len(found):,} examples of {corpus.dev.name}{most}")
    tell(note, unknown_labels(found, labels, corpus.dev.name if corpus.dev else "held out"))
    return found


def _tokeniser(ground: Ground, corpus: Corpus, settings: ClassifySettings, labels: Labels) -> Tokeniser:
    """That of a run that goes on, or a new one, in the folder, with the labels beside it."""
    if ground.resumed:
        return TokeniserPair.load(ground.folder / TOKENISER).source
    ground.begin(settings)
    check = ground.interrupt.check
    labels.save(ground.folder / LABELS)
    if ground.donor is not None:
        tokeniser = ground.donor.tokenisers.source
    else:
        texts = (pair.source for pair in corpus.training(Tally(), check))
        tokeniser = Tokeniser.train(texts, settings.text, check)
    TokeniserPair(tokeniser, tokeniser).save(ground.folder / TOKENISER)
    return tokeniser


def _fresh(ground: Ground, labels: Labels) -> tuple[str, ...]:
    """Weights that a donor does not give: those of the labels, unless it has the same ones."""
    donor = ground.donor
    same = donor is not None and donor.task == "classify" and Labels.load(donor.folder / LABELS).names == labels.names
    return () if same else ("output.",)


def _cached(
    ground: Ground,
    corpus: Corpus,
    tokenisers: TokeniserPair,
    labels: Labels,
    settings: ClassifySettings,
    data_hash: str,
) -> CachedPairs:
    """The training texts as piece numbers, each with its label as a target of one piece."""
    check, rules = ground.interrupt.check, without_places(rules_of(settings.data))
    part = f"beginnings without {corpus.share!r} of the texts, labels {digest(labels.names)}"
    key = cache_key(data_hash, rules, tokenisers, part)
    pairs = labels.numbered(corpus.training(Tally(), check), corpus.pairs.name)
    return open_or_build(pairs, tokenisers, rules, ground.folder / "cache", key, ground.note, check, cut=True)


def _batches(cached: CachedPairs, tokeniser: Tokeniser, settings: ClassifySettings) -> LabelledBatches:
    """The batches of a cache; their order and content are a pure function of seed and epoch."""
    seed = settings.training.seed
    resegment = _cut_anew(cached, tokeniser, settings) if settings.text.dropout else None
    tokens = settings.training.batch_tokens
    return LabelledBatches(Batches(cached, tokens=tokens, seed=seed, resegment=resegment))


def _cut_anew(cached: CachedPairs, tokeniser: Tokeniser, settings: ClassifySettings) -> Resegment:
    """BPE-dropout (Provilkov et al. 2020): the pieces of a text in an epoch, drawn by seed, epoch and row."""
    seed, most = settings.training.seed, settings.data.max_pieces

    def pieces(row: int, epoch: int) -> tuple[list[int], list[int]]:
        name = f"{seed} {epoch} {row}".encode()
        chance = Random(int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big"))
        ((source, label),) = cached.ids([row])
        # A text that was cut may end inside a character, of which nothing sensible can be read.
        text = tokeniser.decode(source).rstrip("\ufffd")
        return tokeniser.encode_with_dropout(text, chance)[:most], label

    return pieces


def _data_name(corpus: Corpus, examples: list[tuple[str, str]], data_hash: str) -> str:
    """Which texts the dev scores are of."""
    if corpus.dev is not None:
        return f"{corpus.dev.name}, {len(examples):,} examples"
    return f"{corpus.pairs.name} ({corpus.share:.2%} of its texts, sha256 {data_hash[:12]})"


@dataclass(frozen=True)
class Judge:
    """How good a model is on the held-out examples."""

    settings: ClassifySettings
    tokeniser: Tokeniser
    labels: Labels
    examples: list[tuple[str, str]]
    data: str
    ground: Ground

    def classifier(self, model: nn.Module) -> TextClassifier:
        return TextClassifier(cast(Classifier, model), self.tokeniser, self.labels, self.settings.data.max_pieces)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """All scores."""
        return evaluate_labels(
            self.classifier(model),
            self.examples,
            run=str(self.ground.folder),
            data=f"dev: {self.data}",
            metrics=self.settings.evaluation.metrics,
            check=self.ground.interrupt.check,
        )

    def develop(self, model: nn.Module) -> Development:
        """While training goes on: dev loss, and the scores."""
        found = ranked(self.classifier(model), self.pieces, 1, self.golds, self.ground.interrupt.check)
        losses = [-each.reference for each in found if each.reference is not None]
        answers = [each.classes[0] for each in found]
        # A label that training did not see is one more class, which no answer is.
        golds = [len(self.labels) if gold is None else gold for gold in self.golds]
        values = {"accuracy": accuracy_counts(answers, golds).value(), "macro_f1": macro_f1(answers, golds)}
        scores: dict[str, float] = {name: values[name] for name in self.settings.evaluation.metrics}
        loss = sum(losses) / len(losses)
        samples = [
            {"source": text, "reference": plain_label(label), "prediction": self.labels.names[answer]}
            for (text, label), answer in zip(self.examples[:_SAMPLES], answers, strict=False)
        ]
        # Of equal scores on a few examples, the loss tells which weights are better.
        return Development(loss=loss, scores=scores, key=next(iter(scores.values())) - 1e-3 * loss, samples=samples)

    @cached_property
    def pieces(self) -> list[list[int]]:
        """The held-out texts as piece numbers."""
        return beginnings(self.tokeniser, [text for text, _ in self.examples], self.settings.data.max_pieces)

    @cached_property
    def golds(self) -> list[int | None]:
        """The number of each one's label; None: training did not see it."""
        numbers = {name: number for number, name in enumerate(self.labels.names)}
        return [numbers.get(plain_label(label)) for _, label in self.examples]
