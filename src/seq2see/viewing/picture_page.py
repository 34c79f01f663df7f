"""Records of pictures as one HTML page: each word of an answer with the places that it looked at. No request is made.

The pictures are in the page itself; its policy allows them as data and forbids every connection.
"""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seq2see.errors import InputError
from seq2see.storage.atomic import write_atomic
from seq2see.text.visible import visible
from seq2see.viewing.grid import piece_labels, shown_piece, word_groups, word_texts
from seq2see.viewing.page import MOST_WEIGHTS, UNIT, bounded, facts, filled, framed, weights_map, without_scripts
from seq2see.viewing.pictures import caveat, picture_of
from seq2see.viewing.record import Record

MOST_RECORDS = 200
MOST_PICTURES = 50_000_000  # characters of all pictures of a page, in Base64


def write_picture_page(path: Path, records: Sequence[Record]) -> None:
    """Write the page of one or several records, whole or not at all.

    Raises:
        InputError: no record, one without a picture, or more than a page can hold.
    """
    write_atomic(path, picture_page(records))


def picture_page(records: Sequence[Record]) -> str:
    """The page as one string of HTML; see :func:`write_picture_page`."""
    if not 1 <= len(records) <= MOST_RECORDS:
        raise InputError(f"a page shows from 1 to {MOST_RECORDS} pictures, not {len(records)}")
    size = sum(len(picture_of(record).png) for record in records)
    if size > MOST_PICTURES:
        raise InputError(f"the pictures have {size:,} characters in all; a page holds {MOST_PICTURES:,}: show fewer")
    classes = records[0].task == "classify"
    content = {
        "unit": UNIT,
        "about": f"{visible(records[0].model)} · {visible(records[0].task)}",
        "records": [_content(record, MOST_WEIGHTS // len(records)) for record in records],
    }
    how = (
        "A place glows as far as it adds to the score of this class beyond what it adds to the mean class."
        if classes
        else "Each word stands below the picture as it looked at it. Pieces merged to words: weights are averaged. "
        "Layers and heads are averaged where “mean” is chosen."
    )
    return filled(
        "picture_page",
        title=f"{'Evidence' if classes else 'Attention'}: {visible(records[0].source.text)[:80]}",
        data=content,
        parts={
            "heading": "What speaks for the class" if classes else "Where the model looked",
            "caveat": html.escape(caveat(records[0])),
            "how": how,
            "fallback": without_scripts(records),
        },
        styles=("house.css", "picture_page.css"),
        scripts=("elements.js", "picture_page.js"),
        pictures=True,
    )


def picture_notebook(records: Sequence[Record], height: int = 640) -> str:
    """The page inside a frame, for ``_repr_html_`` of a notebook; see ``page.notebook``."""
    return framed(picture_page(records), "Where the model looked", height)


def _content(record: Record, most: int) -> dict[str, Any]:
    """What the page's script needs of a record; every text in it is safe to show."""
    picture, target = picture_of(record), record.target
    attention, said = bounded({kind: each for kind, each in record.attention.items() if kind == "cross"}, most)
    groups = word_groups(target)
    single = len(target.pieces) == 1
    return {
        "source": visible(record.source.text),
        "target": visible(target.text),
        "given": record.given,
        "reference": None if record.reference is None else visible(record.reference),
        "labels": [label.text for label in piece_labels(target)],
        "special": list(target.special),
        "groups": groups,
        "words": [shown_piece(text) for text in word_texts(target, groups)],
        "logProbs": [round(min(0.0, log_prob), 5) for log_prob in record.log_probs],
        "runnersUp": [
            [shown_piece(name), round(min(0.0, value), 5)] for row in record.runners_up for name, value in row
        ]
        if single
        else [],
        "map": weights_map(attention["cross"]) if "cross" in attention else None,
        "picture": {
            "width": picture.width,
            "height": picture.height,
            "rows": picture.rows,
            "columns": picture.columns,
            "png": picture.png,
        },
        "facts": [*(_class_facts(record) if single else facts(record)), *said, *map(visible, record.notes)],
    }


def _class_facts(record: Record) -> list[str]:
    """What is to be said of a class: a piece that is alone has no mean over pieces."""
    return [visible(record.signature)] if record.signature else []
