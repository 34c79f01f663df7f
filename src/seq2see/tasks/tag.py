"""A label for every token: labelled sentences are read, settings computed, and what training needs is prepared.

B sentences · S tokens · N tokens of a batch · D width
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from torch import Tensor, nn

from seq2see.config.settings import TrainingSettings
from seq2see.config.tag import TagDataSettings, TagSettings
from seq2see.config.toml import Table, parse, refuse_slips
from seq2see.data.batching import Batches
from seq2see.data.cache import CachedPairs
from seq2see.data.tag_labels import Labels
from seq2see.data.tagged_corpus import Row, TaggedCorpus, collect, sentence_key
from seq2see.data.tagging import TagBatch, TagBatches, WordTable
from seq2see.data.tally import Places, Tally
from seq2see.data.treebank import Sentence, Treebank, open_treebank, read_sentences
from seq2see.errors import InputError
from seq2see.evaluation.result import Evaluation
from seq2see.evaluation.tags import tag_counts
from seq2see.models.tagger import Tagger, TaggerSizes, build_tagger
from seq2see.tasks.folder import TOKENISER, load_weights, open_folder
from seq2see.tasks.labelling import Labeller, log_probs
from seq2see.tasks.resuming import digest, fingerprint
from seq2see.tasks.tag_choices import Found, choose
from seq2see.tasks.tag_scoring import compared, evaluate_sentences
from seq2see.tasks.tagging import TagRun
from seq2see.tasks.task import Ground, Prepared
from seq2see.text.spelling import Spelling, SpellingRules
from seq2see.training.batch import LossFunction
from seq2see.training.consistency import r_drop
from seq2see.training.interrupt import Interrupt
from seq2see.training.loss import cross_entropy
from seq2see.training.progress import Development

LABELS = "labels.json"
_SAMPLES = 4  # dev sentences whose labels are shown as they improve


class Tag:
    """See ``Task``."""

    name = "tag"
    data_key = "file"
    donors: tuple[str, ...] = ()
    try_it = 'seq2see predict {run} "TOKENS WITH BLANKS", or: seq2see see {run} "TOKENS WITH BLANKS" --html page.html'

    def default_name(self, given: Table, origin: Path | None) -> str:
        file = _rules(given, origin).file or "run"
        return (Path(file).name.split(".")[0] if file != "-" else "stdin") or "run"

    def open_data(
        self, given: Table, origin: Path | None, interrupt: Interrupt
    ) -> Callable[[Ground], Prepared[TagBatch]]:
        refuse_slips(TagSettings, given, origin)
        rules, check = _rules(given, origin), interrupt.check
        if rules.file is None:
            raise InputError(
                "no data given: name a file of labelled sentences (CoNLL-U, or a token and its label a line)"
            )
        files = [
            open_treebank(path, rules.columns, max_line_bytes=rules.max_line_bytes, check=check)
            for path in (rules.file, *rules.dev)
        ]
        return lambda ground: _prepare(ground, rules, files[0], files[1] if rules.dev else None)

    def open_run(self, folder: Path) -> TagRun:
        opened = open_folder(folder)
        settings = parse(TagSettings, opened.table, opened.config)
        spelling, labels = Spelling.load(folder / TOKENISER), Labels.load(folder / LABELS)
        model = build_tagger(settings.model, _sizes(settings, spelling, labels))
        note = load_weights(opened, model)
        return TagRun(opened, settings, model, note, spelling, labels)


TASK = Tag()


def _rules(given: Table, origin: Path | None) -> TagDataSettings:
    return parse(TagDataSettings, given.get("data", {}), origin, "data")


def _sizes(settings: TagSettings, spelling: Spelling, labels: Labels) -> TaggerSizes:
    return TaggerSizes(spelling.words, spelling.letters, settings.text.buckets, len(labels))


def _prepare(ground: Ground, rules: TagDataSettings, file: Treebank, dev: Treebank | None) -> Prepared[TagBatch]:
    """Read the sentences, settle the settings, learn words and labels, and number everything."""
    check, note = ground.interrupt.check, ground.note
    corpus = collect(_read(file, note, check), check)
    share = 0.0 if dev is not None else corpus.share(rules.held_out, rules.held_out_most, file.name)
    training, held_out = corpus.split(share)
    training = _short(training, rules.max_tokens, file, note)
    development = [corpus.sentence(row) for row in held_out] if dev is None else list(_read(dev, note, check))
    learned = Labels.learn([corpus.sentence(row).labels for row in training], file.name)
    counts = corpus.word_counts(training)
    tokens = sum(map(len, training))
    note(_survey(len(training), tokens, counts, learned))
    choice = choose(
        Found(tokens, sorted(counts), learned.names), ground.given, model=ground.request.model, origin=ground.origin
    )
    settings = choice.settings
    for sentence in (*choice.reasons, *_about_dev(dev, development, training, learned, share)):
        note(sentence)
    spelling, labels = _learned(ground, settings, counts, learned)
    made_of = fingerprint(
        settings.model_copy(
            update={"data": rules.model_copy(update={"file": None, "dev": (), "columns": None})},
        ),
        {
            "content of the data": corpus.content,
            "content of the held-out data": digest([[each.tokens, each.labels] for each in development]),
            "tokenisers": digest([spelling.to_json(), labels.to_json()]),
        },
    )
    ground.agree(settings, made_of)
    name = dev.name if dev is not None else f"{file.name} ({share:.2%} of its sentences, sha256 {corpus.content[:12]})"
    judge = Judge(settings, spelling, labels, development, name, ground.folder, ground.interrupt)
    return Prepared(
        settings=settings,
        files=(TOKENISER, LABELS),
        model=lambda: build_tagger(settings.model, _sizes(settings, spelling, labels)),
        batches=_batches(corpus, training, spelling, labels, settings),
        loss=objective(settings.training),
        develop=judge.develop if development else None,
        evaluate=judge.evaluate if development else lambda model: None,
        fingerprint=made_of,
        data=rules.file or "",
    )


def _read(file: Treebank, note: Callable[[str], None], check: Callable[[], None]) -> Iterator[Sentence]:
    """The sentences of a file; what was recognised and skipped is told."""
    for each in file.notes:
        note(each)
    tally = Tally()
    yield from read_sentences(file, tally, check)
    for each in tally.sentences():
        note(f"{file.name}: {each}")


def _short(rows: Sequence[Row], most: int, file: Treebank, note: Callable[[str], None]) -> list[Row]:
    """The rows that are not too long to be trained on."""
    long = Places()
    for row in rows:
        if len(row) > most:
            long.add(row.line)
    if long.count:
        note(f"dropped: longer than data.max_tokens: {long.count:,} ({long})")
    if long.count == len(rows):
        raise InputError(f"{file.name}: no sentence has at most {most} tokens; raise data.max_tokens")
    return [row for row in rows if len(row) <= most]


def _survey(sentences: int, tokens: int, words: dict[str, int], labels: Labels) -> str:
    shown = ", ".join(labels.names[:8]) + (", …" if len(labels) > 8 else "")
    once = sum(times == 1 for times in words.values())
    return (
        f"training: {sentences:,} sentences, {tokens:,} tokens, {len(words):,} different words ({once:,} seen once), "
        f"{len(labels):,} labels: {shown}"
    )


def _about_dev(
    dev: Treebank | None, development: Sequence[Sentence], training: Sequence[Row], labels: Labels, share: float
) -> Iterator[str]:
    if dev is None:
        if development:
            yield f"held out: {len(development):,} sentences, {share:.1%} of the different ones, chosen by their hash"
        return
    keys = {row.key for row in training}
    same = sum(sentence_key(each.tokens) in keys for each in development)
    also = f"; {same:,} of them are in the training data too: the dev score will flatter" if same else ""
    yield f"dev: {len(development):,} sentences of {dev.name}{also}"
    if unknown := labels.unknown(label for each in development for label in each.labels):
        yield f"labels of {dev.name} that are not in the training data: {', '.join(unknown[:5])}"


def _learned(ground: Ground, settings: TagSettings, words: dict[str, int], labels: Labels) -> tuple[Spelling, Labels]:
    """The words and labels of a run that goes on, or new ones, in the folder."""
    if ground.resumed:
        return Spelling.load(ground.folder / TOKENISER), Labels.load(ground.folder / LABELS)
    ground.begin(settings)
    text, parts = settings.text, settings.model.words
    rules = SpellingRules(
        lowercase=text.lowercase,
        letters=text.letters if parts.letters else 0,
        shortest=text.ngrams[0],
        longest=text.ngrams[1],
        buckets=text.buckets if parts.ngram else 0,
    )
    spelling = Spelling.learn(words, rules, text.least)
    spelling.save(ground.folder / TOKENISER)
    labels.save(ground.folder / LABELS)
    ground.note(f"known: {len(spelling.known):,} words and {len(spelling.alphabet):,} letters")
    return spelling, labels


def _batches(
    corpus: TaggedCorpus, rows: Sequence[Row], spelling: Spelling, labels: Labels, settings: TagSettings
) -> TagBatches:
    """The training sentences; their order is a pure function of seed and epoch."""
    used = sorted({number for row in rows for number in row.words})
    place = {number: at for at, number in enumerate(used)}
    table = WordTable([spelling.describe(corpus.words[number]) for number in used])
    if unknown := labels.unknown(corpus.labels[number] for row in rows for number in row.labels):
        raise InputError(f"the run does not know labels of the data: {', '.join(unknown[:5])}; start another run")
    pairs = CachedPairs.from_lists(
        [[place[number] for number in row.words] for row in rows],
        [[labels.numbers[corpus.labels[number]] for number in row.labels] for row in rows],
    )
    return TagBatches(Batches(pairs, tokens=settings.training.batch_tokens, seed=settings.training.seed), table)


def objective(settings: TrainingSettings) -> LossFunction[TagBatch]:
    """The sum of the cross-entropy over the tokens of a batch; with "r-drop", of two passes that shall agree."""
    smoothing, weight = settings.label_smoothing, settings.consistency_weight

    def plain(model: nn.Module, batch: TagBatch) -> Tensor:
        output = cast(Tagger, model).output
        hidden_ND = _hidden(model, batch)
        return cross_entropy(hidden_ND, output.weight_VD, output.bias_V, batch.gold_BS[batch.valid_BS], smoothing)

    def with_r_drop(model: nn.Module, batch: TagBatch) -> Tensor:
        output = cast(Tagger, model).output
        first_ND, second_ND = _hidden(model, batch), _hidden(model, batch)
        gold_N = batch.gold_BS[batch.valid_BS]
        return r_drop(first_ND, second_ND, output.weight_VD, output.bias_V, gold_N, smoothing, weight)

    return with_r_drop if settings.consistency == "r-drop" else plain


def _hidden(model: nn.Module, batch: TagBatch) -> Tensor:
    hidden_BSD: Tensor = model(batch.words, batch.index_BS, batch.valid_BS)
    return hidden_BSD[batch.valid_BS]


@dataclass(frozen=True)
class Judge:
    """How good a model is on the held-out sentences."""

    settings: TagSettings
    spelling: Spelling
    labels: Labels
    sentences: list[Sentence]
    data: str
    folder: Path
    interrupt: Interrupt

    def evaluate(self, model: nn.Module) -> Evaluation:
        """All scores."""
        result = evaluate_sentences(
            self._labeller(model),
            self.sentences,
            run=str(self.folder),
            data=f"dev: {self.data}, {len(self.sentences):,} sentences",
            metric=self.settings.evaluation.metric,
            check=self.interrupt.check,
        )
        return replace(result, notes=())

    def develop(self, model: nn.Module) -> Development:
        """While training goes on: dev loss, and the scores of tokens and spans."""
        labeller, metric = self._labeller(model), self.settings.evaluation.metric
        answers, surprise, count = dict[int, tuple[str, ...]](), 0.0, 0
        for at, log_probs_SC in log_probs(labeller, [each.tokens for each in self.sentences], self.interrupt.check):
            answers[at] = labeller.tagged(self.sentences[at].tokens, log_probs_SC).labels
            for place, label in enumerate(self.sentences[at].labels):
                number = self.labels.numbers.get(label)
                if number is not None:
                    surprise -= float(log_probs_SC[place, number])
                    count += 1
        predicted = [answers[at] for at in range(len(self.sentences))]
        tables = tag_counts(compared(labeller, self.sentences, predicted), self.labels.scheme)
        scores = {table.name: table.value() for table in tables if table.name in ("token_accuracy", "span_f1")}
        samples = [
            {"source": " ".join(each.tokens), "reference": " ".join(each.labels), "prediction": " ".join(labels)}
            for each, labels in zip(self.sentences[:_SAMPLES], predicted, strict=False)
        ]
        loss = surprise / max(1, count)
        # Where scores are equal the loss tells which weights are better.
        return Development(loss=loss, scores=scores, key=scores[metric] - 1e-3 * loss, samples=samples)

    def _labeller(self, model: nn.Module) -> Labeller:
        return Labeller(cast(Tagger, model), self.spelling, self.labels)
