"""A heat map as a picture: PNG or SVG, the same bytes for the same record on the same machine."""

from io import BytesIO
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from seq2see.errors import InputError
from seq2see.storage.atomic import write_atomic
from seq2see.text.visible import visible
from seq2see.viewing.fonts import Lettering, lettering, remarks
from seq2see.viewing.grid import CAVEAT, Grid, Label, averaged, grid
from seq2see.viewing.palette import LIGHT
from seq2see.viewing.record import Record

_INK, _MUTED = "#17202e", "#566175"
_INCH = 0.29  # side of a cell in inches
_MOST_INCHES = 26.0  # of the cells of one map; with more cells, cells shrink
_RAMP = LinearSegmentedColormap.from_list("seq2see", LIGHT)
_GAP = 0.45  # between small maps, in inches
_LONGEST = 24  # characters of a label
_FORMATS = ("png", "svg")


def draw_heat_map(
    record: Record,
    path: Path,
    *,
    words: bool = True,
    layer: int | None = None,
    head: int | None = None,
    kind: str = "cross",
    heads: bool = False,
) -> tuple[str, ...]:
    """Draw the attention of a record into a file; its name ends in .png or .svg.

    Args:
        words: merge sub-words to words.
        layer, head: which ones, counted from 1; None: their mean.
        kind: ``"cross"``, ``"encoder"`` or ``"decoder"``.
        heads: a small map for each head, side by side, in place of one.

    Returns:
        What the reader should know, such as letters that no installed font has; mostly nothing.

    Raises:
        InputError: another ending; or no such attention, layer or head.
    """
    figure, said = heat_map_figure(record, words=words, layer=layer, head=head, kind=kind, heads=heads)
    write_figure(figure, path)
    return said


def heat_map_svg(record: Record, *, words: bool = True) -> str:
    """The drawing as SVG text, for a notebook."""
    return rendered(heat_map_figure(record, words=words)[0], "svg").decode()


def heat_map_figure(
    record: Record,
    *,
    words: bool = True,
    layer: int | None = None,
    head: int | None = None,
    kind: str = "cross",
    heads: bool = False,
) -> tuple[Figure, tuple[str, ...]]:
    """The drawing as a matplotlib figure, and what the reader should know. Arguments as in :func:`draw_heat_map`."""
    if heads and head is not None:
        raise InputError(f"all heads side by side and head {head} were asked for; ask for one of the two")
    averaged(record, kind, layer=layer, head=head)
    count = len(record.attention[kind][0]) if heads else 1
    numbers = range(1, count + 1) if heads else (head,)
    grids = [grid(record, kind=kind, words=words, layer=layer, head=each) for each in numbers]
    texts = [label.text for label in (*grids[0].rows, *grids[0].columns)] + [visible(record.model)]
    letters = lettering([*texts, CAVEAT, "…%·"])
    with rc_context({"font.family": list(letters.families)}):
        figure = _figure(record, grids, letters)
    return figure, remarks(texts, letters.missing)


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as the file's name ends.

    Raises:
        InputError: it ends in something else than .png or .svg.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in _FORMATS:
        raise InputError(
            f"{path}: a drawing is written as .png or .svg, not as {path.suffix or 'a name without ending'}"
        )
    write_atomic(path, rendered(figure, form))


def rendered(figure: Figure, form: str) -> bytes:
    """The bytes of a figure as ``"png"`` or ``"svg"``, without dates or random names."""
    buffer = BytesIO()
    metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
    with rc_context({"svg.hashsalt": "seq2see", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=form, dpi=160, bbox_inches="tight", pad_inches=0.15, metadata=metadata)
    return buffer.getvalue()


def _figure(record: Record, grids: list[Grid], letters: Lettering) -> Figure:
    """Maps from the top left, side by side, up to four in a row; then the bar that explains the colours."""
    rows, columns = max(1, len(grids[0].rows)), max(1, len(grids[0].columns))
    across = min(len(grids), 4)
    down = -(-len(grids) // across)
    inch = min(_INCH, _MOST_INCHES / max(rows * down, columns * across))
    high, wide = inch * rows, inch * columns
    figure = Figure(figsize=(across * (wide + _GAP) + 1.0, down * (high + _GAP)))
    full = max(_full(each) for each in grids)
    norm = Normalize(0.0, full)
    for number, shown in enumerate(grids):
        line, place = divmod(number, across)
        axes = _axes(figure, place * (wide + _GAP), line * (high + _GAP), wide, high)
        _map(axes, shown, norm, inch, letters, left=place == 0, top=line == 0)
        if len(grids) > 1:
            axes.set_xlabel(f"head {number + 1}", fontsize=9, color=_INK)
        else:
            _probabilities(axes, shown.probabilities, _points(inch))
    beside = across * (wide + _GAP) - _GAP + (0.6 if len(grids) == 1 and grids[0].probabilities else 0.2)
    bar = figure.colorbar(ScalarMappable(norm, _RAMP), cax=_axes(figure, beside, 0.0, 0.12, max(0.5, min(2.0, high))))
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if full >= 0.1 else 1))
    bar.ax.tick_params(labelsize=8, colors=_MUTED, length=2)
    bar.outline.set_visible(False)
    _captions(figure, letters.drawable(visible(record.model)), _title(grids))
    return figure


def _axes(figure: Figure, left: float, top: float, wide: float, high: float) -> Axes:
    """Axes at a place in inches from the top left of the figure."""
    width, height = figure.get_size_inches()
    return figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height))


def _title(grids: list[Grid]) -> str:
    title = grids[0].title
    return title if len(grids) == 1 else title.rpartition(", head")[0] + f", {len(grids)} heads"


def _captions(figure: Figure, model: str, title: str) -> None:
    """Title above the labels and caveat below the maps, both from the left edge of the first map's labels."""
    figure.canvas.draw()
    inverse = figure.transFigure.inverted()
    boxes = [inverse.transform_bbox(box) for each in figure.axes if (box := each.get_tightbbox()) is not None]
    left, top, lowest = min(b.x0 for b in boxes), max(b.y1 for b in boxes), min(b.y0 for b in boxes)
    space = 0.12 / figure.get_figheight()
    figure.text(left, top + space, f"{model}: {title}", fontsize=9.5, color=_INK, parse_math=False, va="bottom")
    figure.text(left, lowest - space, CAVEAT, fontsize=7, color=_MUTED, parse_math=False, va="top")


def _full(shown: Grid) -> float:
    """The largest weight, of ``<eos>`` and the like only if there is nothing else."""
    flat = [
        (weight, column.special) for row in shown.weights for weight, column in zip(row, shown.columns, strict=True)
    ]
    return (
        max((weight for weight, special in flat if not special), default=0.0)
        or max(flat, default=(1.0, True))[0]
        or 1.0
    )


def _points(inch: float) -> float:
    """The size of letters that fits a cell."""
    return max(2.0, min(10.0, inch * 72 * 0.55))


def _map(axes: Axes, shown: Grid, norm: Normalize, inch: float, letters: Lettering, *, left: bool, top: bool) -> None:
    """Cells and labels. Text that runs from right to left keeps its direction: its first word stands right."""
    rows, columns = len(shown.rows), len(shown.columns)
    if not rows or not columns:
        axes.set_axis_off()
        return
    opaque = [[0.4 if row.special or column.special else 1.0 for column in shown.columns] for row in shown.rows]
    axes.imshow(shown.weights, cmap=_RAMP, norm=norm, alpha=opaque, aspect="equal", interpolation="nearest")
    if shown.right_to_left:
        axes.invert_xaxis()
    axes.set_xticks(range(columns), [_label(column, letters) for column in shown.columns] if top else [""] * columns)
    axes.set_yticks(range(rows), [_label(row, letters) for row in shown.rows] if left else [""] * rows)
    axes.xaxis.tick_top()
    size = _points(inch)
    axes.tick_params(length=0, labelsize=size, pad=3)
    for tick, label in [
        *zip(axes.get_xticklabels(), shown.columns, strict=True),
        *zip(axes.get_yticklabels(), shown.rows, strict=True),
    ]:
        tick.set_parse_math(False)
        tick.set_color(_MUTED if label.special else _INK)
        tick.set_alpha(0.7 if label.special else 1.0)
    for tick in axes.get_xticklabels():
        tick.set(rotation=55, ha="left", va="bottom", rotation_mode="anchor")
    if inch > 0.15:  # white lines between cells, where cells are large enough to lose some of themselves
        axes.set_xticks([at - 0.5 for at in range(1, columns)], minor=True)
        axes.set_yticks([at - 0.5 for at in range(1, rows)], minor=True)
        axes.grid(which="minor", color="white", linewidth=0.8)
        axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)


def _label(label: Label, letters: Lettering) -> str:
    text = letters.drawable(label.text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _probabilities(axes: Axes, probabilities: tuple[float, ...], size: float) -> None:
    """How sure the model was of each row, right of it."""
    for row, share in enumerate(probabilities):
        axes.annotate(
            f"{100 * share:.0f} %" if share >= 0.005 else "< 1 %",
            (1.0, row),
            xycoords=("axes fraction", "data"),
            xytext=(8 + 2.6 * size, 0),
            ha="right",
            textcoords="offset points",
            fontsize=size * 0.85,
            color=_INK if share < 0.5 else _MUTED,
            va="center",
            parse_math=False,
        )
