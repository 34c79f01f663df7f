"""One or more records as one HTML page: heat map, ribbons, probabilities. The page makes no request.

Its Content-Security-Policy allows exactly the page's own style and script, by their hashes, and no connection.
Texts of records reach it as JSON and are shown as text only.
"""

import base64
import hashlib
import html
import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from seq2see.errors import InputError
from seq2see.storage.atomic import write_atomic
from seq2see.text.visible import visible
from seq2see.viewing.grid import piece_labels, probability, right_to_left, shown_piece, word_groups, word_texts
from seq2see.viewing.palette import DARK, LIGHT
from seq2see.viewing.record import Record, Rows, Side, Weights

UNIT = 10_000  # weights travel as whole numbers of 1/UNIT
MOST_WEIGHTS = 3_000_000  # in one page; beyond it, heads and layers are averaged first
MOST_RECORDS = 1_000


def write_page(path: Path, records: Sequence[Record]) -> None:
    """Write the page of one or several records, whole or not at all.

    Raises:
        InputError: no record, or more than a page can hold.
    """
    write_atomic(path, attention_page(records))


def attention_page(records: Sequence[Record]) -> str:
    """The page as one string of HTML.

    Raises:
        InputError: no record, or more than a page can hold.
    """
    if not 1 <= len(records) <= MOST_RECORDS:
        raise InputError(f"a page shows from 1 to {MOST_RECORDS} records, not {len(records)}")
    content = {
        "unit": UNIT,
        "ramps": {"light": LIGHT, "dark": DARK},
        "records": [_content(record, MOST_WEIGHTS // len(records)) for record in records],
    }
    title = f"Attention: {visible(records[0].source.text)[:80]}"
    return filled(
        "page",
        title=title,
        data=content,
        parts={"fallback": without_scripts(records)},
        styles=("house.css", "page.css"),
        scripts=("elements.js", "page_drawing.js", "page.js"),
    )


def notebook(records: Sequence[Record], height: int = 900) -> str:
    """The page inside a frame, for ``_repr_html_`` of a notebook."""
    return framed(attention_page(records), "Attention", height)


def framed(page: str, title: str, height: int) -> str:
    """A page inside a frame that may run its own script and nothing else."""
    style = f"width:100%;height:{height}px;border:0"
    inside = html.escape(page, quote=True)
    return f'<iframe sandbox="allow-scripts" style="{style}" title="{title}" srcdoc="{inside}"></iframe>'


def filled(
    name: str,
    *,
    title: str,
    data: object,
    parts: Mapping[str, str],
    styles: Sequence[str],
    scripts: Sequence[str],
    pictures: bool = False,
) -> str:
    """The template ``name``.html in the frame of all pages, with styles, scripts, title (plain text), data and parts.

    ``parts`` are HTML. ``pictures``: the data hold some, which the page may show; it may fetch none all the same.
    """
    folder = files("seq2see.viewing")

    def joined(names: Sequence[str]) -> str:
        return "".join(folder.joinpath(each).read_text(encoding="utf-8") for each in names)

    style, script = joined(styles), f'(() => {{\n"use strict";\n{joined(scripts)}}})();\n'
    policy = (
        f"default-src 'none'; script-src {_hash_source(script)}; style-src {_hash_source(style)}; "
        "base-uri 'none'; form-action 'none'" + ("; img-src data:" if pictures else "")
    )
    filling = {"policy": policy, "title": html.escape(title), "style": style, "script": script, **parts}
    filling["data"] = inert_json(data)
    # Split once and join: what is put in is never searched for marks itself.
    pieces = joined(["frame.html"]).replace("@@body@@", joined([f"{name}.html"])).split("@@")
    return "".join(filling[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def inert_json(content: object) -> str:
    """JSON that is safe inside a script element: no character of it can end the element or start a comment."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _hash_source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _content(record: Record, most: int) -> dict[str, Any]:
    """What the page's script needs of a record; every text in it is safe to show."""
    attention, said = bounded(record.attention, most)
    return {
        "model": visible(record.model),
        "task": visible(record.task),
        "source": _side(record.source),
        "target": _side(record.target),
        "given": record.given,
        "reference": None if record.reference is None else visible(record.reference),
        "logProbs": [_rounded(min(0.0, log_prob)) for log_prob in record.log_probs],
        "runnersUp": [
            [[shown_piece(piece), _rounded(min(0.0, log_prob))] for piece, log_prob in prediction.runners_up]
            for prediction in record.predictions
        ],
        "attention": {kind: weights_map(weights) for kind, weights in attention.items()},
        "facts": [*facts(record), *said, *map(visible, record.notes)],
    }


def _side(side: Side) -> dict[str, Any]:
    groups = word_groups(side)
    return {
        "text": visible(side.text),
        "labels": [label.text for label in piece_labels(side)],
        "special": list(side.special),
        "groups": groups,
        "words": [shown_piece(text) for text in word_texts(side, groups)],
        "rtl": right_to_left(side.text),
    }


def weights_map(weights: Weights) -> dict[str, Any]:
    """Weights as a page takes them: whole numbers in one row."""
    rows = weights[0][0]
    return {
        "layers": len(weights),
        "heads": len(weights[0]),
        "rows": len(rows),
        "columns": len(rows[0]) if rows else 0,
        "weights": [round(UNIT * weight) for layer in weights for head in layer for row in head for weight in row],
    }


def _rounded(number: float) -> float:
    return float(f"{number:.5g}")


def facts(record: Record) -> list[str]:
    """How the target came about, in sentences that are safe to show."""
    said = []
    if record.log_probs:
        total = math.fsum(record.log_probs)
        how = "given and scored, not found by the model" if record.given else "found by the model"
        said.append(
            f"The target was {how}. Log-probability {total:.4g} over {len(record.log_probs)} pieces "
            f"({100 * probability(total / len(record.log_probs)):.1f} % for each, in the geometric mean)."
        )
    if record.score is not None:
        said.append(f"Score: {record.score:.5g}.")
    if record.signature:
        said.append(f"Search: {visible(record.signature)}")
    return said


def bounded(attention: Mapping[str, Weights], most: int) -> tuple[dict[str, Weights], list[str]]:
    """Attention that fits into ``most`` numbers: averaged over heads, then over layers; and what was done."""
    kept, said = dict(attention), []
    if _size(kept) > most:
        kept = {kind: tuple((_mean(layer),) for layer in weights) for kind, weights in kept.items()}
        said.append("Too many weights for a page: heads are shown by their mean.")
    if _size(kept) > most:
        kept = {kind: ((_mean([layer[0] for layer in weights]),),) for kind, weights in kept.items()}
        said.append("Still too many: layers are shown by their mean.")
    if _size(kept) > most and len(kept) > 1:
        kept = {kind: kept[kind] for kind in list(kept)[:1]}
        said.append(f"Still too many: only the {next(iter(kept))} attention is shown.")
    return kept, said


def _size(attention: Mapping[str, Weights]) -> int:
    return sum(len(w) * len(w[0]) * len(w[0][0]) * len(w[0][0][0]) for w in attention.values() if w[0][0])


def _mean(matrices: Sequence[Rows]) -> Rows:
    return tuple(
        tuple(sum(column) / len(matrices) for column in zip(*rows, strict=True)) for rows in zip(*matrices, strict=True)
    )


def without_scripts(records: Sequence[Record]) -> str:
    """What a reader without scripts sees: the texts, and how sure the model was of each word."""
    parts = ["<p>The drawings on this page need JavaScript, which is switched off. The texts:</p>"]
    for record in records[:100]:
        groups = word_groups(record.target)
        words = zip(word_texts(record.target, groups), groups, strict=True)
        sure = (
            f"{shown_piece(text)} {100 * probability(sum(record.log_probs[piece] for piece in group)):.0f} %"
            for text, group in words
        )
        lines = (visible(record.source.text), visible(record.target.text), " · ".join(sure))
        parts += [f"<p dir=auto>{html.escape(line)}</p>" for line in lines]
    return "".join(parts)
