"""A picture with what each word of the answer looked at drawn over it, as PNG or SVG: the same bytes every time."""

import io
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

from seq2see.text.visible import visible
from seq2see.viewing.figure import write_figure
from seq2see.viewing.fonts import Lettering, lettering, remarks
from seq2see.viewing.pictures import GLOW, Panel, caveat, panels, picture_of
from seq2see.viewing.record import Record

_INK, _MUTED = "#17202e", "#566175"
_UNSURE = "#b93c07"
_RAMP = LinearSegmentedColormap.from_list("glow", [f"{GLOW}00", f"{GLOW}c8"])
_INCHES = 1.5  # the longer side of a picture
_GAP, _HEAD = 0.14, 0.3  # between pictures, and above them for the word
_ACROSS = 6
_LONGEST = 22  # characters of a word


def draw_pictures(
    record: Record, path: Path, *, words: bool = True, layer: int | None = None, head: int | None = None
) -> tuple[str, ...]:
    """Draw the picture, and it again for each word with the places that the word looked at; .png or .svg.

    The remarks that come back say what could not be drawn, such as letters that no font has.

    Raises:
        InputError: another ending, no picture, or no such layer or head.
    """
    figure, said = picture_figure(record, words=words, layer=layer, head=head)
    write_figure(figure, path)
    return said


def picture_figure(
    record: Record, *, words: bool = True, layer: int | None = None, head: int | None = None
) -> tuple[Figure, tuple[str, ...]]:
    """The drawing as a matplotlib figure, and what the reader should know."""
    shown = panels(record, words=words, layer=layer, head=head)
    texts = [
        visible(record.model),
        visible(record.source.text),
        visible(record.target.text),
        visible(record.reference or ""),
    ]
    texts += [panel.label for panel in shown]
    letters = lettering([*texts, caveat(record), "…%→<: reference"])
    with rc_context({"font.family": list(letters.families)}):
        figure = _figure(record, shown, letters)
    return figure, remarks(texts, letters.missing)


def _figure(record: Record, shown: tuple[Panel, ...], letters: Lettering) -> Figure:
    """The picture itself first, then the words, up to six in a row."""
    picture = picture_of(record)
    image = Image.open(io.BytesIO(picture.data), formats=("PNG",)).convert("RGB")
    inch = _INCHES / max(picture.width, picture.height)
    wide, high = max(0.4, picture.width * inch), max(0.4, picture.height * inch)
    count = len(shown) + 1
    across = min(count, _ACROSS)
    down = -(-count // across)
    width = max(3.2, across * (wide + _GAP) + _GAP)
    height = down * (high + _HEAD + _GAP) + 0.7
    figure = Figure(figsize=(width, height))
    for number in range(count):
        line, place = divmod(number, across)
        top = 0.35 + line * (high + _HEAD + _GAP) + _HEAD
        axes = figure.add_axes(
            ((_GAP + place * (wide + _GAP)) / width, 1 - (top + high) / height, wide / width, high / height)
        )
        _picture(axes, image)
        if number:
            _overlay(axes, shown[number - 1], image, letters)
    title = f"{record.model}: {record.source.text} → {record.target.text}"
    told = _cut(letters.drawable(visible(title)), int(width * 15))
    figure.text(_GAP / width, 1 - 0.1 / height, told, fontsize=8.5, color=_INK, va="top", parse_math=False)
    said = (
        [f"reference: {_cut(letters.drawable(visible(record.reference)), int(width * 16))}"] if record.reference else []
    )
    below = "\n".join([*said, caveat(record)])
    figure.text(_GAP / width, 0.06 / height, below, fontsize=6.5, color=_MUTED, va="bottom", parse_math=False)
    return figure


def _picture(axes: Axes, image: Image.Image) -> None:
    axes.imshow(image, interpolation="nearest" if max(image.size) < 128 else "antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#dde2ea")


def _overlay(axes: Axes, panel: Panel, image: Image.Image, letters: Lettering) -> None:
    """The places as a glow over the picture, the word above it."""
    if panel.weights and panel.largest:
        axes.imshow(
            panel.weights,
            cmap=_RAMP,
            vmin=0.0,
            vmax=panel.largest,
            extent=(-0.5, image.width - 0.5, image.height - 0.5, -0.5),
            interpolation="nearest",
            aspect="auto",
        )
    chance = f"{100 * panel.probability:.0f} %" if panel.probability >= 0.005 else "< 1 %"
    axes.set_title(
        f"{_cut(letters.drawable(panel.label), _LONGEST)}  {chance}",
        fontsize=7.5,
        color=_MUTED if panel.special else _UNSURE if panel.probability < 0.5 else _INK,
        pad=3,
        parse_math=False,
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
