"""What a model did with one text, as plain data: the only input of every view.

L layers · H heads · T target pieces · S source pieces (``<eos>`` counted on both sides)
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any, Self

from seq2see.errors import InputError
from seq2see.viewing.picture import Picture

VERSION = 2  # 2: a record with a picture; all others are still written as version 1
KINDS = ("cross", "encoder", "decoder")
MOST_PIECES = 10_000  # on one side
MOST_CHARACTERS = 1_000_000  # in one text
MOST_NUMBERS = 50_000_000  # in all attention, or in all traces, of one record
MOST_BYTES = 200_000_000  # of a record as JSON
_DIGITS = 5
_WHOLE = 1.05  # a row of weights sums to one; bfloat16 is off by less than this

Span = tuple[int, int]
RunnerUp = tuple[str, float]
Rows = tuple[tuple[float, ...], ...]
Weights = tuple[tuple[Rows, ...], ...]


@dataclass(frozen=True)
class Side:
    """One side of a pair, cut into pieces.

    Attributes:
        text: what was read or written, normalised.
        pieces: the tokeniser's pieces, as they are called in the vocabulary.
        spans: (start, end) of each piece in ``text``; empty for pieces that stand for no text.
        words: (start, end) of each word in ``text``, in order.
        special: True for the pieces that the model added, such as ``<eos>``.
    """

    text: str
    pieces: tuple[str, ...]
    spans: tuple[Span, ...]
    words: tuple[Span, ...]
    special: tuple[bool, ...]


@dataclass(frozen=True)
class Prediction:
    """One target piece, its natural log-probability, and the pieces that came next to it, likeliest first."""

    piece: str
    log_prob: float
    runners_up: tuple[RunnerUp, ...] = ()


@dataclass(frozen=True)
class Record:
    """Everything a view may show. Lists given are kept as tuples; nothing in it can change.

    Attributes:
        task: the setting, such as ``"translate"``.
        model: the name of the model, for the reader.
        source, target: the two sides; ``<eos>`` is a piece of each where the model read or wrote it.
        attention: L×H×T×S weights under ``"cross"``, and where the model has them L×H×S×S under ``"encoder"`` and
            L×H×T×T under ``"decoder"``. The last index is what was looked at. Row t belongs to the prediction of
            target piece t; column j of ``"decoder"`` is the j-th piece read, so it starts with ``<sos>``. Empty
            for models without attention. None is negative, and a row sums to 1, or less where some is left out.
        log_probs: natural log-probability of each target piece.
        runners_up: for each target piece, the likeliest pieces with their log-probabilities, the piece itself
            among them or not; empty, or one entry a piece.
        score: what search ranked by; None if nothing was searched or scored.
        signature: the settings that found or scored the target.
        given: the target was given and scored, not found by the model.
        reference: what a person wrote, if known.
        notes: what the reader should know.
        traces: further numbers over time by name, such as gates or states: a row a position, a column a unit.
        picture: what the source is where it is no text.

    Raises:
        InputError: a shape, a number or a size is wrong; the message names the field.
    """

    task: str
    model: str
    source: Side
    target: Side
    attention: Mapping[str, Weights] = field(default_factory=dict)
    log_probs: tuple[float, ...] = ()
    runners_up: tuple[tuple[RunnerUp, ...], ...] = ()
    score: float | None = None
    signature: str = ""
    given: bool = False
    reference: str | None = None
    notes: tuple[str, ...] = ()
    traces: Mapping[str, Rows] = field(default_factory=dict)
    picture: Picture | None = None
    version: int = VERSION

    def __post_init__(self) -> None:
        if type(self.version) is not int or self.version < 1:
            raise InputError(f"record: version: a whole number from 1 on is wanted, not {_shown(self.version)}")
        if self.version > VERSION:
            raise InputError(f"record: version {self.version} is newer than {VERSION}, which this seq2see reads")
        for name in ("task", "model", "signature"):
            _text(name, getattr(self, name))
        if self.reference is not None:
            _text("reference", self.reference)
        if type(self.given) is not bool:
            raise InputError(f"record: given: true or false is wanted, not {_shown(self.given)}")
        if self.picture is not None and self.picture.places != len(self.source.pieces):
            wanted = f"{self.picture.places} places (rows × columns) need as many source pieces"
            raise InputError(f"record: picture: {wanted}, not {len(self.source.pieces)}")
        targets = len(self.target.pieces)
        frozen: dict[str, object] = {
            "source": _side("source", self.source),
            "target": _side("target", self.target),
            "attention": _attention(self.attention, len(self.source.pieces), targets),
            "log_probs": _numbers("log_probs", _sized("log_probs", self.log_probs, targets)),
            "runners_up": _runners_up(self.runners_up, targets),
            "score": None if self.score is None else _numbers("score", [self.score])[0],
            "notes": tuple(_text("notes", note) for note in _list("notes", self.notes)),
            "traces": _traces(self.traces),
            "version": 1 if self.picture is None else VERSION,
        }
        for name, value in frozen.items():
            object.__setattr__(self, name, value)

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """One for each target piece; a piece is not listed among its own runners-up."""
        rows = self.runners_up or ((),) * len(self.target.pieces)
        return tuple(
            Prediction(piece, log_prob, tuple(entry for entry in row if not _same(entry, (piece, log_prob))))
            for piece, log_prob, row in zip(self.target.pieces, self.log_probs, rows, strict=True)
        )

    def to_json(self) -> str:
        """One line of JSON, the same bytes for the same record; numbers keep five significant digits."""
        names = [each.name for each in fields(self)]
        content = {name: getattr(self, name) for name in ["version", *names[:-1]]}
        for name in ("source", "target"):
            content[name] = _plain(content[name])
        if self.picture is None:
            del content["picture"]
        else:
            content["picture"] = _plain(self.picture)
        return json.dumps(_rounded(content), ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what :meth:`to_json` wrote; everything is checked before it is believed.

        Raises:
            InputError: not JSON, too long, an unknown, missing or wrong field; the message names it.
        """
        content = _object("record", _parsed(text), [each.name for each in fields(cls)], optional=("picture",))
        for name in ("source", "target"):
            content[name] = Side(**_object(name, content[name], [each.name for each in fields(Side)]))
        if "picture" in content:
            names = [each.name for each in fields(Picture)]
            content["picture"] = Picture(**_object("picture", content["picture"], names))
        return cls(**content)


def _same(entry: RunnerUp, prediction: RunnerUp) -> bool:
    # Two pieces of a vocabulary may read alike; only the same probability makes them the same.
    return entry[0] == prediction[0] and math.isclose(entry[1], prediction[1], rel_tol=1e-3, abs_tol=1e-4)


def _parsed(text: str | bytes) -> object:
    if len(text) > MOST_BYTES:
        raise InputError(f"record: {len(text):,} bytes; at most {MOST_BYTES:,} are read")
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_repetition)
    except RecursionError:
        raise InputError("record: not a record: brackets within brackets without end") from None
    except ValueError as error:
        raise InputError(f"record: not valid JSON: {error}") from None


def _no_constant(name: str) -> float:
    raise InputError(f"record: {name} is not a number that a record may hold")


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise InputError(f"record: {_shown(next(n for n in names if names.count(n) > 1))} stands there twice")
    return content


def _plain(part: Side | Picture) -> dict[str, Any]:
    return {each.name: getattr(part, each.name) for each in fields(part)}


def _object(where: str, value: object, names: list[str], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"record: {where}: an object with {', '.join(names)} is wanted, not {_shown(value)}")
    if unknown := [name for name in value if name not in names]:
        raise InputError(f"record: {where}: unknown field {_shown(unknown[0])}; it has {', '.join(names)}")
    if missing := [name for name in names if name not in value and name not in optional]:
        raise InputError(f"record: {where}: the field {missing[0]} is missing")
    return value


def _shown(value: object) -> str:
    text = ascii(value) if not isinstance(value, list | tuple | dict) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def _list(where: str, value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise InputError(f"record: {where}: a list is wanted, not {_shown(value)}")
    return value


def _sized(where: str, value: object, size: int) -> Sequence[Any]:
    entries = _list(where, value)
    if len(entries) != size:
        raise InputError(f"record: {where}: {size} entries are wanted, not {len(entries)}")
    return entries


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"record: {where}: text is wanted, not {_shown(value)}")
    if len(value) > MOST_CHARACTERS:
        raise InputError(f"record: {where}: {len(value):,} characters; at most {MOST_CHARACTERS:,}")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise InputError(f"record: {where}: half a character (a lone surrogate) in {_shown(value)}")
    return value


def _numbers(where: str, values: object) -> tuple[float, ...]:
    row = _list(where, values)
    if wrong := [value for value in row if type(value) not in (float, int)]:
        raise InputError(f"record: {where}: a number is wanted, not {_shown(wrong[0])}")
    try:
        numbers = tuple(map(float, row))
    except OverflowError:
        raise InputError(f"record: {where}: a number too large to be held") from None
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"record: {where}: {next(n for n in numbers if not math.isfinite(n))} is no finite number")
    return numbers


def _spans(where: str, value: object, length: int) -> tuple[Span, ...]:
    spans = []
    for entry in _list(where, value):
        if len(_list(where, entry)) != 2 or any(type(end) is not int for end in entry):
            raise InputError(f"record: {where}: (start, end) in whole numbers is wanted, not {entry!s:.60}")
        if not 0 <= entry[0] <= entry[1] <= length:
            raise InputError(f"record: {where}: {tuple(entry)!s:.60} does not lie in a text of {length} characters")
        spans.append((entry[0], entry[1]))
    return tuple(spans)


def _side(where: str, side: Side) -> Side:
    text = _text(f"{where}.text", side.text)
    pieces = _list(f"{where}.pieces", side.pieces)
    if len(pieces) > MOST_PIECES:
        raise InputError(f"record: {where}.pieces: {len(pieces):,} pieces; at most {MOST_PIECES:,} can be seen")
    special = _sized(f"{where}.special", side.special, len(pieces))
    if wrong := [value for value in special if type(value) is not bool]:
        raise InputError(f"record: {where}.special: true or false is wanted, not {_shown(wrong[0])}")
    words = _spans(f"{where}.words", side.words, len(text))
    if any(before[1] > after[0] for before, after in pairwise(words)):
        raise InputError(f"record: {where}.words: words overlap or are out of order")
    return Side(
        text=text,
        pieces=tuple(_text(f"{where}.pieces", piece) for piece in pieces),
        spans=_spans(f"{where}.spans", _sized(f"{where}.spans", side.spans, len(pieces)), len(text)),
        words=words,
        special=tuple(special),
    )


def _runners_up(value: object, targets: int) -> tuple[tuple[RunnerUp, ...], ...]:
    rows = _list("runners_up", value)
    if not rows:
        return ()
    return tuple(
        tuple(_runner_up(entry) for entry in _list("runners_up", row)) for row in _sized("runners_up", rows, targets)
    )


def _runner_up(value: object) -> RunnerUp:
    piece, log_prob = _sized("runners_up", value, 2)
    return _text("runners_up", piece), _numbers("runners_up", [log_prob])[0]


def _attention(value: object, sources: int, targets: int) -> dict[str, Weights]:
    if not isinstance(value, Mapping):
        raise InputError(f"record: attention: weights by name are wanted, not {_shown(value)}")
    if unknown := [name for name in value if name not in KINDS]:
        raise InputError(f"record: attention: {_shown(unknown[0])} is unknown; there are {', '.join(KINDS)}")
    shapes = {"cross": (targets, sources), "encoder": (sources, sources), "decoder": (targets, targets)}
    checked: dict[str, Weights] = {}
    left = MOST_NUMBERS
    for kind in (kind for kind in KINDS if kind in value):
        rows, columns = shapes[kind]
        layers = _list(f"attention.{kind}", value[kind])
        heads = max((len(_list(f"attention.{kind}", layer)) for layer in layers), default=0)
        left -= len(layers) * heads * rows * columns
        if not heads or left < 0:
            shape = f"{len(layers)} layers × {heads} heads × {rows} × {columns}"
            raise InputError(f"record: attention.{kind}: {shape}; from 1 to {MOST_NUMBERS:,} weights can be seen")
        checked[kind] = tuple(
            tuple(
                _matrix(f"attention.{kind}, layer {number}, head {head}", matrix, rows, columns)
                for head, matrix in enumerate(_sized(f"attention.{kind}, layer {number}", layer, heads), start=1)
            )
            for number, layer in enumerate(layers, start=1)
        )
    return checked


def _matrix(where: str, value: object, rows: int, columns: int) -> Rows:
    """``rows`` × ``columns`` weights, none below zero, a row's sum not above one."""
    matrix = []
    for number, entry in enumerate(_sized(where, value, rows), start=1):
        row = _numbers(f"{where}, row {number}", _sized(f"{where}, row {number}", entry, columns))
        if row and (min(row) < 0 or sum(row) > _WHOLE):
            raise InputError(
                f"record: {where}, row {number}: weights from {min(row):.3g} with the sum {sum(row):.3g}; "
                "a row of attention is not negative and sums to 1"
            )
        matrix.append(row)
    return tuple(matrix)


def _traces(value: object) -> dict[str, Rows]:
    if not isinstance(value, Mapping):
        raise InputError(f"record: traces: rows of numbers by name are wanted, not {_shown(value)}")
    checked, left = {}, MOST_NUMBERS
    for name, rows in value.items():
        where = f"traces.{_text('traces', name)}"
        checked[name] = tuple(_numbers(where, row) for row in _list(where, rows))
        left -= sum(map(len, checked[name]))
        if left < 0:
            raise InputError(f"record: {where}: more than {MOST_NUMBERS:,} numbers in all")
    return checked


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return {name: _rounded(entry) for name, entry in value.items()}
    if isinstance(value, tuple):
        return [_rounded(entry) for entry in value]
    return value
