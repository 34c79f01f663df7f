"""What commands print when they are done: plain tables and pictures made of text."""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from seq2see.evaluation.result import Evaluation
from seq2see.tasks.run import View
from seq2see.text.visible import visible
from seq2see.viewing.terminal import heat_map


def console() -> Console:
    """Standard output, without colour or markup surprises; `NO_COLOR` and pipes are respected by rich."""
    return Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())


def show_evaluation(result: Evaluation) -> None:
    """Scores with signatures and intervals, quality against length, and the comparison if there was one."""
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
        table.add_row(score.name, f"{score.value:.2f}", f"{score.low:.2f} to {score.high:.2f}", score.signature)
    out.print(table)
    if len(result.lengths) > 1:
        out.print(f"\n{result.length_metric} by length of the source, in pieces")
        longest = max(bucket.value for bucket in result.lengths)
        for bucket in result.lengths:
            bar = "█" * round(30 * bucket.value / longest) if longest > 0 else ""
            span = f"{bucket.lower}-{bucket.upper}"
            out.print(f"{span:>9}  {bucket.value:6.2f}  {bar:<30}  {bucket.sentences:,} sentences")
    for one in result.comparisons:
        out.print()
        out.print(
            visible(
                f"{one.name}: {one.second:.2f} here, {one.first:.2f} with {result.versus}; "
                f"difference {one.difference:+.2f} "
                f"(95 %: {one.low:+.2f} to {one.high:+.2f}), p = {one.bootstrap_p:.4f} (paired bootstrap), "
                f"{one.randomisation_p:.4f} (approximate randomisation)"
            )
        )


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
    drawn = heat_map(
        view.record,
        words=view.words if words is None else words,
        layer=layer,
        head=head,
        width=out.width,
        colour=colour,
        unicode=unicode,
        truecolour=truecolour,
    )
    sys.stdout.write(drawn + "\n")
    remarks: list[str] = []
    # Of a model without attention there are a page and a record, but no drawing: those first.
    if html is not None:
        view.html(html)
    if json is not None:
        view.json(json)
    for path in (png, svg):
        if path is not None:
            remarks += view.png(path, words=words, layer=layer, head=head)
    for remark in dict.fromkeys(remarks):
        out.print(visible(remark))
    for path in (html, png, svg, json):
        if path is not None:
            out.print(visible(f"wrote {path}"))


def show_models(vocabulary: int) -> None:
    """The presets: name, parameters, and what each is."""
    from seq2see.models.presets import describe

    out = console()
    table = Table(box=None, pad_edge=False)
    table.add_column("model")
    table.add_column("parameters", justify="right")
    table.add_column("what it is", overflow="fold")
    for row in describe(vocabulary, vocabulary):
        table.add_row(row.name, f"{row.parameters:,}", row.summary)
    out.print(f"sizes for a joint vocabulary of {vocabulary:,} pieces")
    out.print(table)
