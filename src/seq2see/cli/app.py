"""The command line: one command is a few lines over one library function."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from seq2see.cli.options import (
    DRAWINGS,
    Assignments,
    Beam,
    Columns,
    Config,
    Dev,
    Epochs,
    Minutes,
    RunFolder,
    Searched,
    Seed,
    Source,
    Steps,
    Target,
    TaskName,
)

app = typer.Typer(
    name="seq2see",
    help="Sequence-to-sequence models you can see: train, look into and use them on your own data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of all commands."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Where the run goes.")] = Path("runs/demo"),
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long to train.")] = 75.0,
) -> None:
    """Learn to read dates as people write them, in many languages, and show what the model looks at."""
    from seq2see.cli.progress import Display
    from seq2see.tasks.demo import run_demo
    from seq2see.training.interrupt import catch_signals

    with catch_signals() as interrupt, Display() as display:
        run_demo(out, seconds=seconds, reporter=display.reporter, interrupt=interrupt)


@app.command()
def train(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="Pairs of text (TSV, CSV, JSON Lines, Parquet; .gz, .zst), or what another --task learns from: texts "
            "with labels, CoNLL, a plain text, pictures, series. - is standard input.",
        ),
    ] = None,
    source: Source = None,
    target: Target = None,
    task: TaskName = None,
    dev: Dev = None,
    columns: Columns = None,
    model: Annotated[str | None, typer.Option("--model", help="A preset; `seq2see models` lists them.")] = None,
    config: Config = None,
    assignments: Assignments = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    steps: Steps = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="Run folder; runs/NAME-OF-THE-DATA by default."),
    ] = None,
    seed: Seed = None,
    init_from: Annotated[
        Path | None,
        typer.Option("--init-from", metavar="RUN", help="Begin with the pieces, the model and the weights of a run."),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the figures for TensorBoard too, into RUN/tensorboard.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of the run folder.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --resume: go on although settings or data have changed.")
    ] = False,
) -> None:
    """Train a model: on pairs of text, or on what another --task learns from."""
    from seq2see.cli.progress import Display
    from seq2see.tasks.request import TrainRequest
    from seq2see.tasks.training import train_run
    from seq2see.training.interrupt import catch_signals

    request = TrainRequest(
        task=task,
        data=data,
        source=source,
        target=target,
        dev=tuple(dev or ()),
        columns=_two(columns),
        model=model,
        config=config,
        assignments=tuple(assignments or ()),
        minutes=minutes,
        epochs=epochs,
        steps=steps,
        out=out,
        seed=seed,
        resume=resume,
        force=force,
        tensorboard=tensorboard,
        init_from=init_from,
    )
    with catch_signals() as interrupt, Display() as display:
        train_run(request, reporter=display.reporter, interrupt=interrupt)


@app.command()
def predict(
    run: RunFolder,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT]...",
            help="Texts, or paths where a run is about pictures or series; none: standard input, line by line.",
        ),
    ] = None,
    input: Annotated[Path | None, typer.Option("--input", help="Read texts from a file, line by line.")] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Write the answers to a file, line by line.")] = None,
    beam: Beam = None,
    nbest: Annotated[int | None, typer.Option("--nbest", min=1, help="How many answers to each text.")] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Draw answers at random instead of searching for the best.")
    ] = False,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Of --sample: below 1 is safer, above 1 bolder.")
    ] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", help="Of --sample: draw from the k likeliest pieces.")] = None,
    top_p: Annotated[
        float | None,
        typer.Option("--top-p", help="Of --sample: draw from the likeliest pieces with this share."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of --sample.")] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="What every answer has to begin with.")] = "",
    forbid: Annotated[
        list[str] | None, typer.Option("--forbid", help="A word no answer may contain (may be repeated).")
    ] = None,
    no_repeat: Annotated[
        int | None, typer.Option("--no-repeat", min=0, help="No n-gram of this many pieces twice.")
    ] = None,
    max_length: Annotated[int | None, typer.Option("--max-length", min=1, help="Most pieces of an answer.")] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Of a tagger of one direction: a token a line, its label at once.")
    ] = False,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Of a forecast: how many steps ahead.")] = None,
    assignments: Searched = None,
    format: Annotated[str, typer.Option("--format", help="text or jsonl.")] = "text",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that answer; one a core by default.")
    ] = None,
) -> None:
    """Answer texts, pictures or series: one answer a line, in the order of the input."""
    from seq2see.cli.answers import Asking, answer
    from seq2see.storage.atomic import check_place
    from seq2see.tasks.catalogue import load
    from seq2see.tasks.run import Asked
    from seq2see.training.interrupt import stop_at_once

    given = {
        "beam": beam,
        "nbest": nbest,
        "sample": sample or None,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
        "no_repeat_ngram": no_repeat,
        "max_length": max_length,
    }
    asked = Asked(
        search={name: value for name, value in given.items() if value is not None},
        assignments=tuple(assignments or ()),
        prefix=prefix,
        forbid=tuple(forbid or ()),
        stream=stream,
        steps=steps,
    )
    with stop_at_once():
        if output is not None:
            check_place(output, [input, *(texts or [])])
        answer(Asking(load(run), asked, format, workers), texts or [], input, output)


@app.command()
def evaluate(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="Data as for training; or use --source and --target.")
    ] = None,
    source: Source = None,
    target: Target = None,
    columns: Columns = None,
    beam: Beam = None,
    assignments: Searched = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            help="bleu,chrf,ter,exact_match,cer,wer; other tasks have others.",
        ),
    ] = None,
    tokenize: Annotated[
        str | None,
        typer.Option("--tokenize", help="BLEU's tokeniser: 13a, none (text is tokenised already), intl, char, zh."),
    ] = None,
    versus: Annotated[
        Path | None,
        typer.Option("--versus", metavar="RUN", help="Another run: is the difference significant?"),
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures to a file.")] = None,
    png: Annotated[
        Path | None, typer.Option("--png", help="Draw quality against length, of the other run too (.png or .svg).")
    ] = None,
) -> None:
    """Score a run on data it has not seen: scores with signatures, 95 % intervals, and quality against length."""
    from seq2see.cli.tables import show_evaluation
    from seq2see.storage.atomic import check_place
    from seq2see.tasks.catalogue import load
    from seq2see.tasks.run import Asked, Held
    from seq2see.training.interrupt import stop_at_once

    with stop_at_once():
        for path, endings in ((json, ()), (png, DRAWINGS)):
            if path is not None:
                check_place(path, [data, source, target], endings)
        result = load(run).score(
            Held(data, source, target, _two(columns)),
            asked=Asked(search={} if beam is None else {"beam": beam}, assignments=tuple(assignments or ())),
            metrics=[name.strip() for name in metrics.split(",")] if metrics else None,
            tokenize=tokenize,
            versus=load(versus) if versus else None,
        )
        if json is not None:
            result.write_json(json)
        show_evaluation(result, png, json)


@app.command()
def see(
    run: RunFolder,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the model is shown.")],
    target: Annotated[
        str | None, typer.Option("--target", help="Score this answer instead of the model's own.")
    ] = None,
    beam: Beam = None,
    assignments: Searched = None,
    words: Annotated[
        bool | None,
        typer.Option("--words/--pieces", help="Units to show; pieces where the answer is a single word."),
    ] = None,
    layer: Annotated[int | None, typer.Option("--layer", min=1, help="One layer instead of the mean.")] = None,
    head: Annotated[int | None, typer.Option("--head", min=1, help="One head instead of the mean.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page that works without a network.")] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Write a picture.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write a drawing.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the record.")] = None,
) -> None:
    """Show where the model looks while it answers."""
    from seq2see.cli.tables import show_view
    from seq2see.storage.atomic import check_place
    from seq2see.tasks.catalogue import load
    from seq2see.tasks.run import Asked
    from seq2see.training.interrupt import stop_at_once

    with stop_at_once():
        for path, endings in ((html, ()), (png, DRAWINGS), (svg, DRAWINGS), (json, ())):
            if path is not None:
                check_place(path, [text], endings)
        loaded = load(run)
        if loaded.note:
            print(f"seq2see: {loaded.note}", file=sys.stderr)
        asked = Asked(search={} if beam is None else {"beam": beam}, assignments=tuple(assignments or ()))
        view = loaded.view(text, target=target, asked=asked)
        show_view(view, words=words, layer=layer, head=head, html=html, png=png, svg=svg, json=json)


@app.command()
def compare(
    models: Annotated[str, typer.Option("--models", metavar="A,B,C", help="Presets, trained one after the other.")],
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="What to train on; or use --source and --target.")
    ] = None,
    source: Source = None,
    target: Target = None,
    task: TaskName = None,
    dev: Dev = None,
    test: Annotated[
        list[Path] | None,
        typer.Option("--test", help="Data to score on (twice: a source and a target file); --dev where there is none."),
    ] = None,
    columns: Columns = None,
    config: Config = None,
    assignments: Assignments = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    steps: Steps = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the runs and the page.")] = Path("runs/comparison"),
    seed: Seed = None,
) -> None:
    """Train several models on the same data, seed and budget, and compare them. Given again, it goes on."""
    from seq2see.cli.progress import Display
    from seq2see.cli.tables import show_comparison
    from seq2see.tasks.comparison import compare_models
    from seq2see.tasks.request import TrainRequest
    from seq2see.tasks.run import Held
    from seq2see.training.interrupt import catch_signals

    request = TrainRequest(
        task=task,
        data=data,
        source=source,
        target=target,
        dev=tuple(dev or ()),
        columns=_two(columns),
        config=config,
        assignments=tuple(assignments or ()),
        minutes=minutes,
        epochs=epochs,
        steps=steps,
        seed=seed,
    )
    names = [name.strip() for name in models.split(",") if name.strip()]
    match test or dev or []:
        case []:
            held = None
        case [only]:
            held = Held(only, columns=_two(columns))
        case [first, second]:
            held = Held(source=first, target=second)
        case _:
            raise typer.BadParameter("one file, or a source and a target file", param_hint="--test")
    with catch_signals() as interrupt, Display() as display:
        found = compare_models(request, names, held, folder=out, reporter=display.reporter, interrupt=interrupt)
    show_comparison(found.data, out)


@app.command()
def shortlist(
    run: RunFolder,
    count: Annotated[
        int, typer.Option("--count", min=1, max=100, help="Translations of each source piece that are looked at.")
    ] = 40,
) -> None:
    """Learn a translator's short-list from the pairs it was trained on, and say what it costs on those held out."""
    from seq2see.cli.tables import show_shortlist
    from seq2see.tasks.catalogue import load
    from seq2see.tasks.shortlist import learn_shortlist
    from seq2see.training.interrupt import stop_at_once

    with stop_at_once():
        show_shortlist(learn_shortlist(load(run), count), count)


@app.command()
def models(
    vocabulary: Annotated[
        int, typer.Option("--vocabulary", min=5, help="Pieces (of a tagger, words) that the sizes are for.")
    ] = 10_000,
    task: Annotated[str | None, typer.Option("--task", help="The models of one task; of all by default.")] = None,
) -> None:
    """List the presets of every task with their sizes."""
    from seq2see.cli.tables import show_models
    from seq2see.tasks.catalogue import NAMES, task_named

    show_models(NAMES if task is None else [task_named(task).name], vocabulary)


def _two(columns: str | None) -> tuple[str, str] | None:
    """``SOURCE,TARGET`` as two names."""
    if columns is None:
        return None
    source, comma, target = columns.partition(",")
    if not comma or "," in target:
        raise typer.BadParameter(f"{columns}: name two columns, SOURCE,TARGET", param_hint="--columns")
    return source.strip(), target.strip()


def main() -> None:
    """Run a command; an error is one message and an exit code, never a traceback (but with --debug)."""
    from seq2see.cli.outcome import run

    sys.exit(run(app, sys.argv[1:]))
