"""Several runs on the same data as one HTML page: scores, significance, curves, sizes, speed, quality by length."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seq2see.evaluation.metrics import decimals
from seq2see.storage.atomic import write_atomic
from seq2see.text.visible import visible
from seq2see.viewing.charts import LengthBar
from seq2see.viewing.page import filled
from seq2see.viewing.report import ScoreLine, card, curves_card, frame, lengths_card, safe, score_figure
from seq2see.viewing.series import Axis, Panel, Row, Series, duration, score_names, series, short_number


@dataclass(frozen=True)
class Competitor:
    """One of the runs. ``metrics`` are the rows of its journal; ``rate`` is in target tokens a second, 0: unknown."""

    name: str
    parameters: int
    seconds: float
    updates: int
    rate: float
    scores: Sequence[ScoreLine] = ()
    metrics: Sequence[Row] = ()
    lengths: Sequence[LengthBar] = ()


@dataclass(frozen=True)
class Difference:
    """Two runs under one metric: second minus first, its 95 % interval, and how likely chance alone is."""

    metric: str
    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class ComparisonData:
    """Everything the page shows."""

    name: str
    data: str
    runs: Sequence[Competitor]
    differences: Sequence[Difference] = ()
    length_metric: str = "score"
    notes: Sequence[str] = field(default_factory=tuple)


def write_comparison(path: Path, compared: ComparisonData) -> None:
    """Write the page, whole or not at all. It makes no request."""
    curves, described = curves_card({axis: _panels(compared.runs, axis) for axis in _AXES})
    parts = {
        "heading": safe(compared.name),
        "summary": f'<section class="card"><p class="what">{safe(compared.data)}</p></section>',
        "notes": _list(compared.notes),
        "scores": _table(compared.runs) + _significance(compared.differences),
        "curves": curves,
        "lengths": lengths_card({run.name: run.lengths for run in compared.runs}, compared.length_metric),
        "samples": "",
        "settings": "",
    }
    page = filled(
        "report",
        title=f"{visible(compared.name)}: comparison",
        data=frame(described),
        parts=parts,
        styles=("house.css", "report.css"),
        scripts=("report.js",),
    )
    write_atomic(path, page)


_AXES: tuple[Axis, ...] = ("step", "seconds")


def _panels(runs: Sequence[Competitor], axis: Axis) -> list[Panel]:
    """The same curve of every run in one panel: dev loss and dev scores."""
    names = list(dict.fromkeys(name for run in runs for name in score_names(run.metrics)))
    found = []
    for key, title in (("dev_loss", "Dev loss"), *((name, f"Dev {name.removeprefix('dev_')}") for name in names)):
        curves: list[Series] = []
        for run in runs:
            curve = series([row for row in run.metrics if not row.get("averaged")], axis, key, visible(run.name))
            curves += [curve] if curve.points or curve.gaps else []
        if curves:
            found.append(Panel(visible(title), tuple(curves)))
    return found


def _list(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    return card("What to know", f"<ul>{''.join(f'<li>{safe(note)}</li>' for note in notes)}</ul>")


def _table(runs: Sequence[Competitor]) -> str:
    names = list(dict.fromkeys(score.name for run in runs for score in run.scores))
    heads = ("Model", "Parameters", "Training", "Updates", "Tokens/s", *names)
    lines = []
    for run in runs:
        scores = {score.name: score for score in run.scores}
        cells = [
            f"{run.parameters:,}",
            duration(run.seconds),
            f"{run.updates:,}",
            short_number(round(run.rate)) if run.rate else "–",
            *(_score(scores.get(name)) for name in names),
        ]
        row = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        lines.append(f'<tr><th scope="row">{safe(run.name)}</th>{row}</tr>')
    head = "".join(f'<th scope="col">{safe(name)}</th>' for name in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    signatures = dict.fromkeys(score.signature for run in runs for score in run.scores if score.signature)
    below = "".join(f'<p class="signature">{safe(each)}</p>' for each in signatures)
    return card("Scores", f'<div class="scroll">{table}</div>{below}', "in brackets: 95 % intervals")


def _score(score: ScoreLine | None) -> str:
    if score is None:
        return "–"
    interval = ""
    if score.low is not None and score.high is not None:
        interval = f" <small>({score_figure(score.name, score.low)} to {score_figure(score.name, score.high)})</small>"
    return f"<b>{score_figure(score.name, score.value)}</b>{interval}"


def _significance(differences: Sequence[Difference]) -> str:
    if not differences:
        return ""
    lines = "".join(
        f'<tr><th scope="row">{safe(each.second)} − {safe(each.first)}</th><td>{safe(each.metric)}</td>'
        f'<td class="number"><b>{each.difference:+.{decimals(each.metric)}f}</b></td>'
        f'<td class="number">{each.low:+.{decimals(each.metric)}f} to {each.high:+.{decimals(each.metric)}f}</td>'
        f'<td class="number">{each.p:.4f}</td></tr>'
        for each in differences
    )
    heads = ("Runs", "Score", "Difference", "95 % interval", "p")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
    return card("Differences", f'<div class="scroll">{table}</div>', "p: paired bootstrap, two-sided")
