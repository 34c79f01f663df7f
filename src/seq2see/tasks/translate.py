"""Text to text: pairs are read, settings computed, a model trained, and what it learned is kept and scored."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from seq2see.config.settings import DataSettings, SearchSettings, Settings
from seq2see.config.toml import Table, parse, read_toml
from seq2see.data.batching import Batches
from seq2see.data.cache import CachedPairs, cache_key, content_hash, open_or_build
from seq2see.data.tally import Tally
from seq2see.errors import Stopped
from seq2see.evaluation.metrics import higher_is_better, value
from seq2see.models.build import build
from seq2see.models.seq2seq import Seq2Seq
from seq2see.storage.atomic import clean_leftovers, disk_errors
from seq2see.storage.lock import FolderLock
from seq2see.tasks.choices import choose
from seq2see.tasks.corpus import Corpus, cut_off, least_by_hash, of_length, open_corpus, surveyed, without_places
from seq2see.tasks.feeding import training_batches
from seq2see.tasks.folder import CONFIG, FIGURES, TOKENISER, default_device, load_run
from seq2see.tasks.objective import objective
from seq2see.tasks.outcome import finish, last_words
from seq2see.tasks.prediction import Translator, predict
from seq2see.tasks.reporting import Reporter, drawn_too, plain, silent
from seq2see.tasks.request import TrainRequest, require_model
from seq2see.tasks.resuming import (
    fingerprint,
    finished_already,
    has_checkpoint,
    is_finished,
    refuse_changes,
    refuse_run,
    resumed,
    run_folder,
    way_on,
    write_config,
)
from seq2see.tasks.run import Run
from seq2see.tasks.scoring import forced_loss, questions
from seq2see.text.tokeniser import TokeniserPair, train_pair
from seq2see.training.distributed import World, join
from seq2see.training.interrupt import Interrupt, catch_signals
from seq2see.training.loop import fit
from seq2see.training.progress import Development
from seq2see.training.tensorboard import require_tensorboard

_SAMPLES = 4  # dev sentences whose predictions are shown as they improve


def train(
    data: str | Path | None = None,
    *,
    source: str | Path | None = None,
    target: str | Path | None = None,
    dev: Sequence[str | Path] = (),
    columns: tuple[str, str] | None = None,
    model: str | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    out: str | Path | None = None,
    seed: int | None = None,
    resume: bool = False,
    force: bool = False,
    tensorboard: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Train a model on pairs of text; the same as ``seq2see train``.

    Args:
        data: a file of pairs (TSV, CSV, JSON Lines, Parquet), or ``source`` and ``target``, two line-parallel files.
        dev: pairs to choose by: one file, or a source and a target file; a share of ``data`` where it is empty.
        settings: single settings by dotted name, such as ``{"training.learning_rate": 0.002}``.
        resume: go on from the last checkpoint in ``out``; ``force``, although settings or data have changed.
        tensorboard: write the figures for TensorBoard too, into ``out/tensorboard``.
        reporter: where sentences and progress go; plain lines on standard output where there is none.

    Returns:
        The finished run.

    Raises:
        InputError: something given cannot be used; the message says what would work.
        Stopped: a signal came; everything so far is saved.
    """
    request = TrainRequest(
        data=data,
        source=source,
        target=target,
        dev=tuple(dev),
        columns=columns,
        model=model,
        config=Path(config) if config else None,
        settings=settings or {},
        minutes=minutes,
        epochs=epochs,
        steps=steps,
        out=Path(out) if out else None,
        seed=seed,
        resume=resume,
        force=force,
        tensorboard=tensorboard,
    )
    with catch_signals() as interrupt:
        return train_run(request, reporter=reporter or plain(), interrupt=interrupt)


def train_run(request: TrainRequest, *, reporter: Reporter, interrupt: Interrupt) -> Run:
    """Train as asked, telling ``reporter``, looking out for ``interrupt``; alone, or as one process of ``torchrun``.

    Going on with a run that is finished changes nothing and says so.
    """
    if request.tensorboard:
        require_tensorboard()
    given = request.given()
    folder = run_folder(request, given)
    if request.resume:
        given = resumed(folder, given)
        require_model(given, request.model)
        if is_finished(folder) and given == read_toml(folder / CONFIG):
            loaded = load_run(folder)
            reporter.say(finished_already(loaded))
            return Run(loaded)
    try:
        _train(request, given, folder, reporter, interrupt)
        interrupt.check()
    except Stopped as stopped:
        raise Stopped(f"{stopped}; {way_on(folder, given)}", stopped.signal_number) from stopped
    return Run(load_run(folder))


def _train(request: TrainRequest, given: Table, folder: Path, reporter: Reporter, interrupt: Interrupt) -> None:
    rules = parse(DataSettings, given.get("data", {}), request.origin(folder), "data")
    corpus = open_corpus(rules, interrupt.check)
    is_new = not folder.exists()
    with disk_errors(folder, 0):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with join(default_device()) as world, FolderLock(folder) if world.main else nullcontext():
            reporter = reporter if world.main else silent()
            with world.main_first():
                if world.main:
                    clean_leftovers(folder)
                    if not request.resume:
                        refuse_run(folder)  # another process may have made one meanwhile
                prepared = _prepare(request, given, corpus, folder, world, reporter, interrupt)
            _fit(request, prepared, world, reporter, interrupt)
    finally:
        if is_new:
            with suppress(OSError):
                folder.rmdir()  # only if nothing has come into it


@dataclass(frozen=True)
class Prepared:
    """Everything training needs, read and computed."""

    folder: Path
    settings: Settings
    tokenisers: TokeniserPair
    corpus: Corpus
    development: list[tuple[str, str]]
    batches: Batches
    notes: tuple[str, ...]
    data_hash: str
    fingerprint: dict[str, str]


def _prepare(
    request: TrainRequest,
    given: Table,
    corpus: Corpus,
    folder: Path,
    world: World,
    reporter: Reporter,
    interrupt: Interrupt,
) -> Prepared:
    """Read and survey the pairs, settle the settings, train the tokenisers, fill the cache."""
    notes: list[str] = []

    def note(*sentences: str) -> None:
        notes.extend(sentences)
        for sentence in sentences:
            reporter.say(sentence)

    tally = Tally()
    note(*corpus.pairs.notes)
    corpus, found = surveyed(corpus, tally, interrupt.check)
    note(*tally.sentences(), *found.lines())
    choice = choose(found, given, model=request.model, origin=request.origin(folder))
    settings = choice.settings
    note(*choice.reasons)
    development, sentence = corpus.development(interrupt.check)
    if development:
        note(sentence)
    data_hash = content_hash(corpus.pairs, interrupt.check)
    tokenisers, made_of = _begun(request, corpus, settings, development, data_hash, folder, world, interrupt)
    source, target = tokenisers.source.size, tokenisers.target.size
    note(f"vocabulary: {source:,} pieces" if tokenisers.joint else f"vocabularies: {source:,} and {target:,} pieces")
    cached = _cached(folder, corpus, tokenisers, data_hash, note, interrupt)
    note(*cached.report.sentences(), *cut_off(cached, settings.search))
    scored = of_length(development, tokenisers, settings.data.max_pieces, interrupt.check)
    if len(scored) < len(development):
        note(f"{len(development) - len(scored):,} pairs to choose by are too long to be scored (data.max_pieces)")
    batches = training_batches(cached, tokenisers, settings)
    return Prepared(folder, settings, tokenisers, corpus, scored, batches, tuple(notes), data_hash, made_of)


def _begun(
    request: TrainRequest,
    corpus: Corpus,
    settings: Settings,
    development: list[tuple[str, str]],
    data_hash: str,
    folder: Path,
    world: World,
    interrupt: Interrupt,
) -> tuple[TokeniserPair, dict[str, str]]:
    """Configuration and tokenisers in the folder: those of a run that goes on, if all is as it was, or new ones.

    Returns the tokenisers and the fingerprint of the run.
    """
    if not world.main or (request.resume and has_checkpoint(folder)):
        tokenisers = TokeniserPair.load(folder / TOKENISER)
        made_of = fingerprint(settings, tokenisers, data_hash, development)
        if world.main:
            refuse_changes(folder, made_of, force=request.force)
            write_config(folder, settings)
        return tokenisers, made_of
    # First of all the configuration: with it, a run that is stopped from here on can be resumed.
    write_config(folder, settings)
    tokenisers = train_pair(
        lambda: ((pair.source, pair.target) for pair in corpus.training(Tally(), interrupt.check)),
        settings.text,
        interrupt.check,
    )
    tokenisers.save(folder / TOKENISER)
    return tokenisers, fingerprint(settings, tokenisers, data_hash, development)


def _cached(
    folder: Path,
    corpus: Corpus,
    tokenisers: TokeniserPair,
    data_hash: str,
    note: Callable[[str], None],
    interrupt: Interrupt,
) -> CachedPairs:
    """The training pairs as piece numbers, from the run's cache or into it."""
    rules = without_places(corpus.rules)
    key = cache_key(data_hash, rules, tokenisers, f"without {corpus.share!r} of the sources")
    pairs = corpus.training(Tally(), interrupt.check)
    return open_or_build(pairs, tokenisers, rules, folder / "cache", key, note, interrupt.check)


def _fit(request: TrainRequest, prepared: Prepared, world: World, reporter: Reporter, interrupt: Interrupt) -> None:
    settings = prepared.settings
    torch.manual_seed(settings.training.seed)
    model = build(settings.model, prepared.tokenisers.source.size, prepared.tokenisers.target.size)
    model.to(world.device)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    reporter.say(f"model: {settings.model.name}, {parameters:,} parameters, on {world.device.type}")
    figures = prepared.folder / FIGURES if request.tensorboard and world.main else None
    with drawn_too(reporter.progress, figures) as report:
        fitted = fit(
            model,
            prepared.batches,
            objective(settings.training),
            settings.training,
            prepared.folder,
            develop=developer(prepared, interrupt) if prepared.development else None,
            report=report,
            interrupt=interrupt,
            device=world.device,
            fingerprint=prepared.fingerprint,
            resume=request.resume,
            force=request.force,
        )
    if world.main:
        reporter.say(f"{fitted.reason}; {fitted.steps:,} updates in {fitted.seconds / 60:.1f} minutes")
        translator = Translator(model.eval(), prepared.tokenisers, settings.data.max_pieces)
        evaluation = finish(
            prepared.folder,
            translator,
            settings,
            fitted,
            pairs=prepared.development,
            data=_data_name(prepared),
            notes=prepared.notes,
            check=interrupt.check,
        )
        for sentence in last_words(prepared.folder, evaluation):
            reporter.say(sentence)
    world.highest([0.0])  # all wait for the first process: the folder they load is whole then


def _data_name(prepared: Prepared) -> str:
    """Which text the dev scores are of."""
    dev = prepared.corpus.dev
    if dev is not None:
        return f"{dev.name}, {len(prepared.development):,} pairs"
    return (
        f"{prepared.corpus.pairs.name} ({prepared.corpus.share:.2%} of its sources, sha256 {prepared.data_hash[:12]})"
    )


def developer(prepared: Prepared, interrupt: Interrupt) -> Callable[[nn.Module], Development]:
    """What judges the weights of the moment: dev loss, and the score of greedy answers to some dev sources."""
    settings = prepared.settings
    pairs = prepared.development
    metrics, tokenize = settings.evaluation.metrics, settings.evaluation.tokenize
    sources, references = questions(least_by_hash(pairs, settings.evaluation.dev_sentences), metrics)
    greedy = SearchSettings.model_validate(
        {**settings.search.model_dump(), "method": "greedy", "nbest": 1, "coverage_penalty": 0.0}
    )

    def develop(model: nn.Module) -> Development:
        translator = Translator(cast(Seq2Seq, model), prepared.tokenisers, settings.data.max_pieces)
        loss = forced_loss(translator, pairs, interrupt.check)
        answers = [
            each.text for each in predict(translator, sources, greedy, window=len(sources), check=interrupt.check)
        ]
        scores: dict[str, float] = {name: value(name, answers, references, tokenize=tokenize) for name in metrics}
        main = scores[metrics[0]] if higher_is_better(metrics[0]) else -scores[metrics[0]]
        samples = [
            {"source": source, "reference": several[0], "prediction": answer}
            for source, several, answer in zip(sources[:_SAMPLES], references, answers, strict=False)
        ]
        # Early on the score is 0 again and again; the loss then tells which weights are better.
        return Development(loss=loss, scores=scores, key=main - 1e-3 * loss, samples=samples)

    return develop
