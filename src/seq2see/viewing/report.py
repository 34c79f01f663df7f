"""A run as one HTML page: what was trained on what, curves, scores, samples, settings. The page makes no request."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from seq2see.evaluation.metrics import decimals
from seq2see.storage.atomic import write_atomic
from seq2see.text.visible import visible
from seq2see.viewing import charts
from seq2see.viewing.charts import LengthBar, bar_chart, line_chart
from seq2see.viewing.page import filled
from seq2see.viewing.series import Axis, Panel, Row, duration, number, panels, score_names, short_number

_MOST_POINTS = 800  # of a curve on the page, which holds each twice: against steps and against time
_MOST_SAMPLES = 20
_MOST_TIMES = 30  # evaluations shown of one sample
_MOST_NOTES = 200
_READING = (
    "point at a curve, or use the arrow keys, to read it; thick lines are running means, "
    "red marks values that were not finite"
)


class ScoreLine(NamedTuple):
    """A final score, its 95 % interval where there is one, and the signature that says how it came about."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    signature: str = ""


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows, as plain data.

    Attributes:
        name: the run.
        task, model: what it does, and the preset's name.
        parameters: how many numbers were learned.
        data: what it was trained on, in a sentence.
        settings: the whole configuration, section by section.
        metrics: the rows of ``metrics.jsonl``, in order. A value may be missing, null or NaN.
        scores: the final scores.
        lengths: for each system by name, its score by source length:
            (shortest, longest, sentences, score, low, high), lengths in pieces, both ends included.
        length_metric: the name of that score.
        notes: what was dropped, chosen or skipped.
    """

    name: str
    task: str
    model: str
    parameters: int
    data: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    metrics: Sequence[Row] = ()
    scores: Sequence[ScoreLine] = ()
    lengths: Mapping[str, Sequence[LengthBar]] = field(default_factory=dict)
    length_metric: str = "score"
    notes: Sequence[str] = ()


def write_report(path: Path, run: ReportData) -> None:
    """Write the report, whole or not at all."""
    write_atomic(path, report_page(run))


def report_page(run: ReportData) -> str:
    """The report as one string of HTML."""
    curves, described = _curves(run.metrics)
    parts = {
        "heading": safe(run.name),
        "summary": _summary(run),
        "notes": _notes(run),
        "scores": _scores(run.scores),
        "curves": curves,
        "lengths": lengths_card(run.lengths, run.length_metric),
        "samples": _samples(run.metrics),
        "settings": _settings(run.settings),
    }
    title = f"{visible(run.name)}: report"
    return filled(
        "report",
        title=title,
        data=frame(described),
        parts=parts,
        styles=("house.css", "report.css"),
        scripts=("report.js",),
    )


def safe(value: object) -> str:
    """Text for a page: nothing acts, nothing hides, no markup."""
    return html.escape(visible(str(value)))


def card(title: str, inside: str, aside: str = "") -> str:
    """A part of a page under its heading."""
    small = f" <small>{aside}</small>" if aside else ""
    return f'<section class="card"><h2>{title}{small}</h2>{inside}</section>'


def _summary(run: ReportData) -> str:
    what = f"<b>{safe(run.model)}</b>, task “{safe(run.task)}”" + (f", trained on {safe(run.data)}" if run.data else "")
    tiles = [("Parameters", f"{run.parameters:,}"), *_figures(run.metrics)]
    entries = "".join(f"<div><dt>{safe(name)}</dt><dd>{safe(value)}</dd></div>" for name, value in tiles)
    return f'<section class="card"><p class="what">{what}</p><dl class="tiles">{entries}</dl></section>'


def _figures(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Steps, time and the last and best values, as far as they were logged."""
    last: dict[str, float] = {}
    for key in ("loss", "learning_rate", "target_tokens_per_second", "padding_share", *score_names(rows)):
        newest = next((value for row in reversed(rows) if (value := number(row.get(key))) is not None), None)
        last |= {} if newest is None else {key: newest}
    for key in ("step", "epoch", "seconds", "target_tokens"):  # a resumed run may have logged in another order
        reached = [value for row in rows if (value := number(row.get(key))) is not None and math.isfinite(value)]
        last |= {key: max(reached)} if reached else {}
    figures = []
    for key, name, shown in (
        ("step", "Steps", short_number),
        ("epoch", "Epochs", short_number),
        ("seconds", "Time", duration),
        ("target_tokens", "Target tokens", short_number),
        ("loss", "Last training loss", short_number),
        ("learning_rate", "Last learning rate", short_number),
        ("target_tokens_per_second", "Target tokens/s", short_number),
        ("padding_share", "Padding", lambda share: f"{100 * share:.1f} %"),
    ):
        if key in last:
            figures.append((name, shown(last[key]) if math.isfinite(last[key]) else "not finite"))
    losses = [loss for row in rows if (loss := number(row.get("dev_loss"))) is not None and math.isfinite(loss)]
    if losses:
        figures.append(("Best dev loss", short_number(min(losses))))
    figures += [
        (f"Last dev {name.removeprefix('dev_')}", short_number(last[name]))
        for name in score_names(rows)[:6]
        if name in last
    ]
    return figures


def _notes(run: ReportData) -> str:
    warnings = [f"step {row.get('step', '?')}: {row['warning']}" for row in run.metrics if row.get("warning")]
    notes = [*map(str, run.notes), *warnings]
    if not run.metrics:
        notes.append("No metrics were logged: there are no curves.")
    if not notes:
        return ""
    left_out = len(notes) - _MOST_NOTES
    shown = notes[:_MOST_NOTES] + ([f"… and {left_out:,} more"] if left_out > 0 else [])
    entries = "".join(f"<li>{safe(note)}</li>" for note in shown)
    return f'<section class="card notes"><h2>What to know</h2><ul>{entries}</ul></section>'


def _scores(scores: Sequence[ScoreLine]) -> str:
    if not scores:
        return ""
    lines = []
    for name, value, low, high, signature in scores:
        interval = "–" if low is None or high is None else f"{score_figure(name, low)} to {score_figure(name, high)}"
        lines.append(
            f'<tr><th scope="row">{safe(name)}</th><td class="number"><b>{score_figure(name, value)}</b></td>'
            f'<td class="number">{safe(interval)}</td><td class="signature">{safe(signature)}</td></tr>'
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Score", "Value", "95 % interval", "Signature"))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return card("Scores", f'<div class="scroll">{table}</div>')


def score_figure(name: str, value: float) -> str:
    """A score with the digits that its metric is worth."""
    return f"{value:.{decimals(name)}f}" if math.isfinite(value) else "not finite"


def _curves(rows: Sequence[Row]) -> tuple[str, list[dict[str, object]]]:
    """The charts of one run, and what their pointers need."""
    return curves_card({axis: panels(rows, axis) for axis in ("step", "seconds")})


def curves_card(found: Mapping[Axis, Sequence[Panel]]) -> tuple[str, list[dict[str, object]]]:
    """Charts against steps and against time, and what their pointers need."""
    figures: list[str] = []
    described: list[dict[str, object]] = []
    for axis, several in found.items():
        seconds = axis == "seconds"
        for panel in several:
            drawing, description = line_chart(panel, seconds=seconds, most=_MOST_POINTS)
            plain = len(panel.series) == 1 and not panel.series[0].gaps
            legend = (
                ""
                if plain
                else "".join(
                    f'<li><i class="s{at % charts.COLOURS}"></i>{html.escape(curve.name)}{_gaps(len(curve.gaps))}</li>'
                    for at, curve in enumerate(panel.series)
                )
            )
            figures.append(
                f'<figure class="chart {"time" if seconds else "steps"}" data-chart="{len(described)}">'
                f'<h3>{html.escape(panel.title)}</h3><ul class="legend">{legend}</ul>{drawing}'
                '<p class="read" aria-live="polite"></p></figure>'
            )
            described.append(description)
    if not figures:
        return "", []
    choices = (
        f'<label><input type="radio" name="axis" value="{value}"{checked}><span>{value}</span></label>'
        for value, checked in (("steps", " checked"), ("time", ""))
    )
    switch = f'<fieldset id="axis"><legend>Against</legend>{"".join(choices)}</fieldset>'
    return card("Curves", f'{switch}<div class="charts">{"".join(figures)}</div>', _READING), described


def frame(described: list[dict[str, object]]) -> dict[str, object]:
    """What the page's script must know of its charts."""
    return {
        "frame": {
            "width": charts.WIDTH,
            "height": charts.HEIGHT,
            "left": charts.LEFT,
            "right": charts.RIGHT,
            "top": charts.TOP,
            "bottom": charts.BOTTOM,
        },
        "charts": described,
    }


def _gaps(count: int) -> str:
    return f" ({count:,} not finite)" if count else ""


def lengths_card(lengths: Mapping[str, Sequence[LengthBar]], metric: str) -> str:
    """Scores against source length, systems side by side."""
    groups = {name: bars for name, bars in lengths.items() if bars}
    if not groups:
        return ""
    legend = "".join(f'<li><i class="s{at % charts.COLOURS}"></i>{safe(name)}</li>' for at, name in enumerate(groups))
    drawing = bar_chart(groups, visible(metric))
    figure = f'<figure class="chart"><ul class="legend">{legend}</ul>{drawing}</figure>'
    return card(
        f"{safe(metric)} against source length",
        figure,
        "pieces of the source; lines are 95 % intervals, n counts sentences",
    )


def _samples(rows: Sequence[Row]) -> str:
    """Each sample with what the model made of it at every evaluation, earliest first."""
    histories: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in rows:
        samples = row.get("samples")
        for sample in samples if isinstance(samples, Sequence) and not isinstance(samples, str) else ():
            if isinstance(sample, Mapping):
                source, reference = str(sample.get("source", "")), str(sample.get("reference", ""))
                step = number(row.get("step"))
                when = "?" if step is None else short_number(step) + (" (averaged)" if row.get("averaged") else "")
                histories.setdefault((source, reference), []).append((when, str(sample.get("prediction", ""))))
    if not histories:
        return ""
    parts = [
        _sample(source, reference, history, opened=at < 3)
        for at, ((source, reference), history) in enumerate(list(histories.items())[:_MOST_SAMPLES])
    ]
    return card("Samples over time", "".join(parts), "unselected; ✓ marks a prediction that equals its reference")


def _sample(source: str, reference: str, history: Sequence[tuple[str, str]], *, opened: bool) -> str:
    runs: list[tuple[str, str, str]] = []  # first step, last step, prediction
    for when, prediction in history:
        if runs and runs[-1][2] == prediction:
            runs[-1] = (runs[-1][0], when, prediction)
        else:
            runs.append((when, when, prediction))
    if len(runs) > _MOST_TIMES:
        runs = [runs[at * (len(runs) - 1) // (_MOST_TIMES - 1)] for at in range(_MOST_TIMES)]
    lines = "".join(
        f"<tr{' class=right' if prediction == reference else ''}>"
        f'<th scope="row">step {html.escape(first if first == last else f"{first} to {last}")}</th>'
        f'<td class="words" dir="auto">{safe(prediction) or "(blank)"}</td></tr>'
        for first, last, prediction in runs
    )
    return (
        f'<details class="sample"{" open" if opened else ""}><summary dir="auto">{safe(source)}</summary>'
        f'<p class="reference" dir="auto">{safe(reference)}</p><table><tbody>{lines}</tbody></table></details>'
    )


def _settings(settings: Mapping[str, object]) -> str:
    if not settings:
        return ""
    return f'<details class="card"><summary>Settings</summary>{_section(settings)}</details>'


def _section(settings: Mapping[str, object], depth: int = 0) -> str:
    plain = {name: value for name, value in settings.items() if not isinstance(value, Mapping) or depth > 8}
    rows = "".join(
        f'<tr><th scope="row">{safe(name)}</th><td class="words">{safe(value)}</td></tr>'
        for name, value in plain.items()
    )
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    return table + "".join(
        f"<details open><summary>{safe(name)}</summary>{_section(value, depth + 1)}</details>"
        for name, value in settings.items()
        if isinstance(value, Mapping) and name not in plain
    )
