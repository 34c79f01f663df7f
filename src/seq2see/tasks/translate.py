"""Text to text: pairs are read, settings computed, a model trained, and what it learned is kept and scored."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from seq2see.config.settings import DataSettings, SearchSettings, Settings
from seq2see.config.toml import Table, merged, parse, read_toml, to_toml
from seq2see.data.batching import Batches
from seq2see.data.cache import CachedPairs, cache_key, content_hash, open_or_build
from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.evaluation.metrics import higher_is_better, value
from seq2see.models.build import build
from seq2see.models.seq2seq import Seq2Seq
from seq2see.storage.atomic import clean_leftovers, write_atomic
from seq2see.storage.lock import FolderLock
from seq2see.tasks.choices import choose
from seq2see.tasks.corpus import Corpus, default_name, least_by_hash, open_corpus, surveyed, without_places
from seq2see.tasks.feeding import training_batches
from seq2see.tasks.folder import CONFIG, TOKENISER, default_device, load_run
from seq2see.tasks.objective import objective
from seq2see.tasks.outcome import finish
from seq2see.tasks.prediction import Translator, predict
from seq2see.tasks.reporting import Reporter, plain, silent
from seq2see.tasks.request import TrainRequest
from seq2see.tasks.run import Run
from seq2see.tasks.scoring import forced_loss
from seq2see.text.tokeniser import TokeniserPair, train_pair
from seq2see.training.distributed import World, join
from seq2see.training.interrupt import Interrupt, catch_signals
from seq2see.training.loop import fit
from seq2see.training.progress import Development

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
    reporter: Reporter | None = None,
) -> Run:
    """Train a model on pairs of text; the same as ``seq2see train``.

    Args:
        data: a file of pairs (TSV, CSV, JSON Lines, Parquet), or ``source`` and ``target``, two line-parallel files.
        dev: pairs to choose by: one file, or a source and a target file; a share of ``data`` where it is empty.
        settings: single settings by dotted name, such as ``{"training.learning_rate": 0.002}``.
        resume: go on from the last checkpoint in ``out``.
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
        assignments=tuple(f"{name}={json.dumps(each)}" for name, each in (settings or {}).items()),
        minutes=minutes,
        epochs=epochs,
        steps=steps,
        out=Path(out) if out else None,
        seed=seed,
        resume=resume,
        force=force,
    )
    with catch_signals() as interrupt:
        return train_run(request, reporter=reporter or plain(), interrupt=interrupt)


def train_run(request: TrainRequest, *, reporter: Reporter, interrupt: Interrupt) -> Run:
    """Train as asked, telling ``reporter``, looking out for ``interrupt``; alone, or as one process of ``torchrun``."""
    given = request.given()
    folder = _folder(request, given)
    if request.resume:
        given = merged(read_toml(folder / CONFIG), given)
    rules = parse(DataSettings, given.get("data", {}), request.config)
    corpus = open_corpus(rules, interrupt.check)
    folder.mkdir(parents=True, exist_ok=True)
    with join(default_device()) as world, FolderLock(folder) if world.main else nullcontext():
        reporter = reporter if world.main else silent()
        with world.main_first():
            if world.main:
                clean_leftovers(folder)
            prepared = _prepare(request, given, corpus, folder, world, reporter, interrupt)
        _fit(request, prepared, world, reporter, interrupt)
    return Run(load_run(folder))


def _folder(request: TrainRequest, given: Table) -> Path:
    """Where the run goes. A folder that holds one is never written over.

    Raises:
        InputError: it holds a run and ``--resume`` is not given, or the other way round.
    """
    folder = request.out or Path("runs") / default_name(parse(DataSettings, given.get("data", {}), request.config))
    has_run = (folder / CONFIG).exists()
    if request.resume and not has_run:
        raise InputError(f"{folder}: there is no run to go on with; leave --resume out, or name the folder with --out")
    if has_run and not request.resume:
        if request.out is not None:
            raise InputError(f"{folder}: holds a run already; go on with --resume, or choose another --out")
        numbered = (folder.with_name(f"{folder.name}-{number}") for number in range(2, 10_000))
        return next(each for each in numbered if not (each / CONFIG).exists())
    return folder


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
    choice = choose(found, given, model=request.model, origin=request.config)
    settings = choice.settings
    note(*choice.reasons)
    development = corpus.development(interrupt.check)
    if corpus.dev is None and development:
        note(f"held out: {len(development):,} pairs, {corpus.share:.1%} of the sources, chosen by their hash")
    tokenisers = _tokenisers(folder, corpus, settings, request, world, interrupt)
    source, target = tokenisers.source.size, tokenisers.target.size
    note(f"vocabulary: {source:,} pieces" if tokenisers.joint else f"vocabularies: {source:,} and {target:,} pieces")
    data_hash = content_hash(corpus.pairs, interrupt.check)
    cached = _cached(folder, corpus, tokenisers, data_hash, note, interrupt)
    note(*cached.report.sentences())
    if world.main and (request.force or not request.resume):
        write_atomic(folder / CONFIG, to_toml(settings))
    batches = training_batches(cached, tokenisers, settings)
    return Prepared(folder, settings, tokenisers, corpus, development, batches, tuple(notes), data_hash)


def _tokenisers(
    folder: Path,
    corpus: Corpus,
    settings: Settings,
    request: TrainRequest,
    world: World,
    interrupt: Interrupt,
) -> TokeniserPair:
    """Those of the run that goes on, or new ones from the training pairs alone."""
    if request.resume or not world.main:
        return TokeniserPair.load(folder / TOKENISER)
    tokenisers = train_pair(
        lambda: ((pair.source, pair.target) for pair in corpus.training(Tally(), interrupt.check)),
        settings.text,
        interrupt.check,
    )
    tokenisers.save(folder / TOKENISER)
    return tokenisers


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
    fitted = fit(
        model,
        prepared.batches,
        objective(settings.training),
        settings.training,
        prepared.folder,
        develop=developer(prepared, interrupt) if prepared.development else None,
        report=reporter.progress,
        interrupt=interrupt,
        device=world.device,
        fingerprint=_fingerprint(prepared),
        resume=request.resume,
        force=request.force,
    )
    if world.main:
        reporter.say(f"{fitted.reason}; {fitted.steps:,} updates in {fitted.seconds / 60:.1f} minutes")
        translator = Translator(model.eval(), prepared.tokenisers, settings.data.max_pieces)
        finish(
            prepared.folder,
            translator,
            settings,
            fitted,
            pairs=prepared.development,
            data=_data_name(prepared),
            notes=prepared.notes,
            check=interrupt.check,
        )


def _data_name(prepared: Prepared) -> str:
    """Which text the dev scores are of."""
    dev = prepared.corpus.dev
    if dev is not None:
        return dev.name
    return (
        f"{prepared.corpus.pairs.name} ({prepared.corpus.share:.2%} of its sources, sha256 {prepared.data_hash[:12]})"
    )


def developer(prepared: Prepared, interrupt: Interrupt) -> Callable[[nn.Module], Development]:
    """What judges the weights of the moment: dev loss, and the score of greedy answers to some dev sources."""
    settings = prepared.settings
    pairs = prepared.development
    asked = least_by_hash(pairs, settings.evaluation.dev_sentences)
    greedy = SearchSettings(method="greedy")
    metrics, tokenize = settings.evaluation.metrics, settings.evaluation.tokenize

    def develop(model: nn.Module) -> Development:
        translator = Translator(cast(Seq2Seq, model), prepared.tokenisers, settings.data.max_pieces)
        loss = forced_loss(translator, pairs, interrupt.check)
        answers = [
            each.text
            for each in predict(
                translator, [source for source, _ in asked], greedy, window=len(asked), check=interrupt.check
            )
        ]
        references = [[target] for _, target in asked]
        scores: dict[str, float] = {name: value(name, answers, references, tokenize=tokenize) for name in metrics}
        main = scores[metrics[0]] if higher_is_better(metrics[0]) else -scores[metrics[0]]
        samples = [
            {"source": source, "reference": target, "prediction": answer}
            for (source, target), answer in zip(asked[:_SAMPLES], answers, strict=False)
        ]
        # Early on the score is 0 again and again; the loss then tells which weights are better.
        return Development(loss=loss, scores=scores, key=main - 1e-3 * loss, samples=samples)

    return develop


def _fingerprint(prepared: Prepared) -> dict[str, str]:
    """What must not change between a checkpoint and its resumption, by name."""
    settings = prepared.settings.model_copy(update={"data": without_places(prepared.settings.data)})
    table = settings.model_dump(mode="json", exclude={"search", "evaluation", "version"})
    tokenisers = json.dumps([prepared.tokenisers.source.to_json(), prepared.tokenisers.target.to_json()])
    return {
        **{name: json.dumps(each) for name, each in _flat(table)},
        "content of the data": prepared.data_hash,
        "tokenisers": hashlib.sha256(tokenisers.encode()).hexdigest(),
    }


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in table.items():
        if isinstance(each, Mapping):
            yield from _flat(each, f"{prefix}{name}.")
        else:
            yield prefix + name, each
