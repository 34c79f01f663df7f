"""From a picture and what a model did with it to a record, and a view that draws itself over the picture.

L layers · H heads · T target pieces · S places
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Unpack, cast

from seq2see.config.images import PictureSize
from seq2see.data.pictures import Raw, fitted, look, png
from seq2see.tasks.run import Look, Shown, View
from seq2see.text.words import word_spans
from seq2see.viewing.picture import Picture
from seq2see.viewing.picture_page import picture_notebook, write_picture_page
from seq2see.viewing.pictures import picture_text
from seq2see.viewing.record import Record, Side, Weights

SHOWN = 512  # pixels at most along a side of the picture in a record

Lists = Sequence[Sequence[Sequence[Sequence[float]]]]


@dataclass(frozen=True)
class PictureView(View):
    """A record of a picture that draws itself: in a terminal, in a notebook, to a file."""

    @property
    def words(self) -> bool:
        """Words are always the better unit where a source has none."""
        return True

    def html(self, path: str | Path) -> Path:
        """Write one page that makes no request."""
        write_picture_page(Path(path), [self.record])
        return Path(path)

    def _repr_html_(self) -> str:
        return picture_notebook([self.record])

    def _drawn(self, **look: Unpack[Look]) -> str:
        """A coarse map for each word."""
        return picture_text(self.record, **look)

    def _figure(self, path: Path, **shown: Unpack[Shown]) -> tuple[str, ...]:
        """The picture with each word's places drawn over it."""
        from seq2see.viewing.picture_figure import draw_pictures  # brings matplotlib along

        return draw_pictures(self.record, path, **shown)


def shown_picture(raw: Raw, size: PictureSize, max_pixels: int, grid: tuple[int, int]) -> Picture:
    """The picture as a record holds it: fitted as the model saw it, but as fine as it was, up to `SHOWN` pixels."""
    seen, longest = look(raw, max_pixels), max(size.height, size.width)
    scale = max(1, min(SHOWN // longest, -(-max(seen.width, seen.height) // longest)))
    colours = size.model_copy(update={"colour": "grey" if seen.grey else "rgb"})
    data = png(fitted(raw, colours, max_pixels, scale))
    return Picture(size.width * scale, size.height * scale, *grid, base64.b64encode(data).decode())


def picture_record(
    raw: Raw,
    size: PictureSize,
    max_pixels: int,
    *,
    grid: tuple[int, int],
    task: str,
    model: str,
    target: Side,
    weights: Lists | None,
    log_probs: Sequence[float],
    runners_up: Sequence[Sequence[tuple[str, float]]],
    signature: str,
    score: float | None = None,
    given: bool = False,
) -> Record:
    """A record whose source is a picture: its pieces are ``grid`` rows × columns of places.

    ``weights``: for each layer and head, of each target piece how much it looked at each place; None: it did not.
    """
    rows, columns = grid
    pieces = tuple(f"{row + 1},{column + 1}" for row in range(rows) for column in range(columns))
    # Of a picture in an IDX file the number alone would say nothing.
    name = "/".join(PurePath(raw.name).parts[-1 if raw.shape is None else -2 :])
    source = Side(name, pieces, ((0, 0),) * len(pieces), (), (False,) * len(pieces))
    return Record(
        task=task,
        model=model,
        source=source,
        target=target,
        attention={} if weights is None else {"cross": cast(Weights, weights)},
        log_probs=tuple(log_probs),
        runners_up=tuple(tuple(row) for row in runners_up),
        score=score,
        signature=signature,
        given=given,
        picture=shown_picture(raw, size, max_pixels, grid),
    )


def label_side(label: str) -> Side:
    """A class as the target of a record: one piece."""
    return Side(label, (label,), ((0, len(label)),), word_spans(label), (False,))
