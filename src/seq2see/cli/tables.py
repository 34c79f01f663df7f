"""What commands print when they are done: plain tables and pictures made of text."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from seq2see.evaluation.metrics import decimals
from seq2see.evaluation.result import Evaluation
from seq2see.tasks.run import View
from seq2see.tasks.shortlist import Learned
from seq2see.text.visible import visible
from seq2see.viewing.comparison import ComparisonData

_MOST_ROWS = 20  # of a table of details


def console() -> Console:
    """Standard output, without colour or markup surprises; `NO_COLOR` and pipes are respected by rich."""
    return Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())


def show_shortlist(learned: Learned, count: int) -> None:
    """What a short-list holds and costs."""
    out = console()
    out.print(
        visible(
            f"wrote {learned.path}: with search.shortlist = {count} a sentence is translated by one of "
            f"{learned.pieces:,.0f} pieces on average, which cover {learned.covered:.2%} of the references held out"
        )
    )
    show_evaluation(learned.cost)


def show_evaluation(result: Evaluation, picture: Path | None = None, record: Path | None = None) -> None:
    """Scores with signatures and intervals, quality against length, and the comparison if there was one.

    ``picture``: where quality against length is drawn; ``record``: where all figures have been written.
    """
    out = console()
    for note in result.notes:
        out.print(visible(note))
    searched = f"; search {result.signature}" if result.signature else ""
    out.print(visible(f"{result.run} on {result.data}: {result.examples}{searched}"))
    table = Table(box=None, pad_edge=False)
    for heading, side in (
        ("score", "left"),
        ("value", "right"),
        ("95 % interval", "right"),
        ("signature", "left"),
    ):
        table.add_column(heading, justify="right" if side == "right" else "left", overflow="fold")
    for score in result.scores:
        value, low, high = (f"{each:.{decimals(score.name)}f}" for each in (score.value, score.low, score.high))
        table.add_row(score.name, value, f"{low} to {high}", score.signature)
    out.print(table)
    if len(result.lengths) > 1:
        out.print(f"\n{result.length_metric} by length of the source, in pieces")
        longest = max(bucket.value for bucket in result.lengths)
        for bucket in result.lengths:
            bar = "█" * round(30 * bucket.value / longest) if longest > 0 else ""
            span = f"{bucket.lower}-{bucket.upper}"
            out.print(f"{span:>9}  {bucket.value:6.2f}  {bar:<30}  {bucket.sentences:,} sentences")
    for one in result.comparisons:
        places = decimals(one.name)
        out.print()
        out.print(
            visible(
                f"{one.name}: {one.second:.{places}f} here, {one.first:.{places}f} with {result.versus}; "
                f"difference {one.difference:+.{places}f} "
                f"(95 %: {one.low:+.{places}f} to {one.high:+.{places}f}), "
                f"p = {one.bootstrap_p:.4f} (paired bootstrap), {one.randomisation_p:.4f} (approximate randomisation)"
            )
        )
    for name, rows in result.details.items():
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            _show_rows(out, name, rows)
    if picture is not None:
        for remark in (*_draw_lengths(result, picture), f"wrote {picture}"):
            out.print(visible(remark))
    if record is not None:
        out.print(visible(f"wrote {record}"))


def _show_rows(out: Console, name: str, rows: list[dict[str, object]]) -> None:
    """A table of details: a column for each name, shares with two decimals, the first rows of many."""
    table = Table(box=None, pad_edge=False)
    for heading, value in rows[0].items():
        table.add_column(heading, justify="left" if isinstance(value, str) else "right", overflow="fold")
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else visible(str(value)) for value in row.values()))
    out.print(f"\n{name}")
    out.print(table)
    if len(rows) > _MOST_ROWS:
        out.print(f"and {len(rows) - _MOST_ROWS:,} more; --json writes all")


def _draw_lengths(result: Evaluation, picture: Path) -> tuple[str, ...]:
    """Quality against length, of both runs side by side where there are two."""
    from seq2see.viewing.curves import draw_length_quality

    runs = {Path(result.versus).name: result.versus_lengths} if result.versus_lengths else {}
    runs[Path(result.run).name] = result.lengths
    series = {
        name: [(b.lower, b.upper, b.sentences, b.value, b.low, b.high) for b in bars] for name, bars in runs.items()
    }
    return draw_length_quality(series, picture, metric=result.length_metric)


def show_comparison(compared: ComparisonData, folder: Path) -> None:
    """A row a model, the differences, and where the page is."""
    out = console()
    out.print(visible(compared.data))
    names = list(dict.fromkeys(score.name for run in compared.runs for score in run.scores))
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "parameters", "minutes", "tokens/s", *names):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for run in compared.runs:
        scores = {score.name: f"{score.value:.{decimals(score.name)}f}" for score in run.scores}
        rate = f"{run.rate:,.0f}" if run.rate else "–"
        sizes = (f"{run.parameters:,}", f"{run.seconds / 60:.1f}", rate)
        table.add_row(run.name, *sizes, *(scores.get(name, "–") for name in names))
    out.print(table)
    for each in compared.differences:
        gain, low, high = (f"{value:+.{decimals(each.metric)}f}" for value in (each.difference, each.low, each.high))
        out.print(visible(f"{each.second} − {each.first}: {each.metric} {gain} ({low} to {high}), p = {each.p:.4f}"))
    out.print(visible(f"wrote {folder / 'comparison.html'} and {folder / 'comparison.json'}"))


def show_view(
    view: View,
    *,
    words: bool | None,
    layer: int | None,
    head: int | None,
    html: Path | None,
    png: Path | None,
    svg: Path | None,
    json: Path | None,
) -> None:
    """The heat map in the terminal, and the files that were asked for."""
    out = console()
    colour = out.color_system is not None and not out.no_color
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    truecolour = out.color_system == "truecolor"
    drawn = view.text(
        words=words,
        layer=layer,
        head=head,
        width=out.width,
        colour=colour,
        unicode=unicode,
        truecolour=truecolour,
    )
    sys.stdout.write(drawn + "\n")
    remarks: dict[str, None] = {}
    # Of a model without attention there are a page and a record, but no drawing: those first.
    for path, write in ((html, view.html), (json, view.json)):
        if path is not None:
            write(path)
            out.print(visible(f"wrote {path}"))
    for path in (png, svg):
        if path is not None:
            remarks |= dict.fromkeys(view.png(path, words=words, layer=layer, head=head))
            out.print(visible(f"wrote {path}"))
    for remark in remarks:
        out.print(visible(remark))


def show_models(tasks: Sequence[str], vocabulary: int) -> None:
    """The presets of each task: name, parameters, and what each is."""
    from seq2see.tasks.model_lists import model_lists

    out = console()
    for number, each in enumerate(each for task in tasks for each in model_lists(task, vocabulary)):
        table = Table(box=None, pad_edge=False)
        table.add_column("model")
        table.add_column("parameters", justify="right")
        table.add_column("what it is", overflow="fold")
        for row in each.models:
            table.add_row(row.name, f"{row.parameters:,}" if row.parameters else "counted", row.summary)
        out.print(f"{chr(10) if number else ''}--task {each.task}: sizes for {each.sizes}")
        out.print(table)
