import json
import math
import time
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import peaked, record, reversal, side

from seq2see.errors import InputError
from seq2see.viewing.record import Record, Side

EXAMPLE = reversal("north", "wind", "and", "sun")


@st.composite
def sides(draw: st.DrawFn) -> Side:
    text = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
    places = st.integers(0, len(text))
    spans = draw(st.lists(st.tuples(places, places).map(lambda pair: (min(pair), max(pair))), max_size=5))
    cuts = sorted(draw(st.sets(places, max_size=6)))
    words = tuple(zip(cuts[::2], cuts[1::2], strict=False))
    pieces = draw(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=4), min_size=len(spans), max_size=len(spans)
        )
    )
    special = draw(st.lists(st.booleans(), min_size=len(spans), max_size=len(spans)))
    return Side(text, tuple(pieces), tuple(spans), words, tuple(special))


@st.composite
def records(draw: st.DrawFn) -> Record:
    source, target = draw(sides()), draw(sides())
    sizes = {"source": len(source.pieces), "target": len(target.pieces)}
    shapes = {"cross": ("target", "source"), "encoder": ("source", "source"), "decoder": ("target", "target")}

    def weights(rows: int, columns: int) -> st.SearchStrategy[Any]:
        row = st.lists(st.floats(0, 1 / max(1, columns)), min_size=columns, max_size=columns)
        return st.lists(row, min_size=rows, max_size=rows)

    attention = {}
    for kind in draw(st.sets(st.sampled_from(sorted(shapes)))):
        layers, heads = draw(st.integers(1, 2)), draw(st.integers(1, 3))
        matrix = weights(sizes[shapes[kind][0]], sizes[shapes[kind][1]])
        attention[kind] = [[draw(matrix) for _ in range(heads)] for _ in range(layers)]
    numbers = st.floats(-1e6, 0)
    targets = sizes["target"]
    words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    return Record(
        task=draw(words),
        model=draw(words),
        source=source,
        target=target,
        attention=attention,  # type: ignore[arg-type]
        log_probs=tuple(draw(st.lists(numbers, min_size=targets, max_size=targets))),
        runners_up=tuple(
            draw(st.lists(st.lists(st.tuples(words, numbers), max_size=2), min_size=targets, max_size=targets))
        ),  # type: ignore[arg-type]
        score=draw(st.none() | st.floats(-1e300, 1e300)),
        signature=draw(words),
        given=draw(st.booleans()),
        reference=draw(st.none() | words),
        notes=tuple(draw(st.lists(words, max_size=2))),
        traces=draw(st.dictionaries(words, st.lists(st.lists(st.floats(-9, 9), max_size=3), max_size=3), max_size=2)),  # type: ignore[arg-type]
    )


def close(first: Any, second: Any) -> bool:
    """Equal, numbers to five significant digits."""
    if isinstance(first, float):
        return math.isclose(first, second, rel_tol=5e-5)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(close(first[name], second[name]) for name in first)
    if isinstance(first, tuple):
        return len(first) == len(second) and all(map(close, first, second))
    if isinstance(first, Record | Side):
        return close(vars(first), vars(second))
    return type(first) is type(second) and first == second


@settings(deadline=None, max_examples=60)
@given(records())
def test_json_gives_the_record_back(original: Record) -> None:
    written = original.to_json()
    again = Record.from_json(written)
    assert close(original, again)
    assert again.to_json() == written
    assert Record.from_json(written.encode()) == again
    assert written.endswith("\n") and written.count("\n") == 1


def test_numbers_keep_five_significant_digits() -> None:
    original = replace(EXAMPLE, score=-1234.5678, log_probs=(-0.000123456,) * 5)
    content = json.loads(original.to_json())
    assert content["score"] == -1234.6
    assert content["log_probs"][0] == -0.00012346


def test_lists_become_tuples_that_nobody_changes() -> None:
    weights = [[[[0.25, 0.75], [1.0, 0.0]]]]
    made = record(side("a"), side("b"), attention={"cross": weights})
    weights[0][0][0][0] = 9.0
    assert made.attention["cross"] == ((((0.25, 0.75), (1.0, 0.0)),),)
    with pytest.raises(FrozenInstanceError):
        made.task = "other"  # type: ignore[misc]


def test_a_record_of_nothing() -> None:
    empty = Side("", (), (), (), ())
    made = Record(task="translate", model="m", source=empty, target=empty, attention={"cross": [[[]]]})  # type: ignore[dict-item]
    assert Record.from_json(made.to_json()) == made
    assert made.predictions == ()


def test_predictions_leave_out_the_piece_itself() -> None:
    same = math.log(0.8)
    rows = ((("b", same), ("c", -2.0)), (("b", -3.0), ("<eos>", same)))
    made = record(side("a"), side("b"), peaked([0, 1], 2), runners_up=rows)
    assert [prediction.runners_up for prediction in made.predictions] == [(("c", -2.0),), (("b", -3.0),)]
    assert [prediction.piece for prediction in made.predictions] == ["b", "<eos>"]


def changed(**fields: Any) -> dict[str, Any]:
    content = json.loads(EXAMPLE.to_json())
    for path, value in fields.items():
        *outer, last = path.split("__")
        place = content
        for name in outer:
            place = place[int(name) if isinstance(place, list) else name]
        place[int(last) if isinstance(place, list) else last] = value
    return content  # type: ignore[no-any-return]


WRONG = {
    "version": (changed(version=3), "version 3 is newer"),
    "version text": (changed(version="1"), "version"),
    "version true": (changed(version=True), "version"),
    "task": (changed(task=7), "task"),
    "reference": (changed(reference=[]), "reference"),
    "given": (changed(given=1), "given"),
    "score": (changed(score="0.5"), "score"),
    "score true": (changed(score=True), "score"),
    "huge number": (changed(score=10**400), "score"),
    "log_probs count": (changed(log_probs=[-1.0]), "log_probs: 5 entries are wanted, not 1"),
    "log_probs text": (changed(log_probs__2="x"), "log_probs"),
    "log_probs null": (changed(log_probs=None), "log_probs"),
    "notes": (changed(notes="one"), "notes"),
    "unknown kind": (changed(attention__self=[]), "'self' is unknown"),
    "no layer": (changed(attention__cross=[]), "attention.cross: 0 layers"),
    "no head": (changed(attention__cross=[[]]), "attention.cross: 1 layers × 0 heads"),
    "a head missing": (changed(attention__encoder=[[[[0.2] * 5] * 5] * 2, [[[0.2] * 5] * 5]]), "layer 2: 2 entries"),
    "rows": (changed(attention__cross=[[[[0.2] * 5] * 4]]), "attention.cross, layer 1, head 1: 5 entries"),
    "columns": (changed(attention__cross=[[[[0.2] * 4] * 5]]), "row 1: 5 entries are wanted, not 4"),
    "too deep": (changed(attention__cross=[[[[[0.2]] * 5] * 5]]), "a number is wanted, not a list"),
    "negative": (changed(attention__cross__0__0__3__1=-0.25), "head 1, row 4: weights from -0.25"),
    "sum": (changed(attention__cross__0__0__0=[0.5] * 5), "row 1: weights from 0.5 with the sum 2.5"),
    "runners_up": (changed(runners_up=[[["a"]]] * 5), "runners_up: 2 entries"),
    "runners_up count": (changed(runners_up=[[]]), "runners_up: 5 entries"),
    "traces": (changed(traces={"gate": [["x"]]}), "traces.gate"),
    "source": (changed(source=None), "source"),
    "pieces": (changed(source__pieces__0=3), "source.pieces"),
    "special count": (changed(source__special=[]), "source.special: 5 entries"),
    "special": (changed(source__special__1=0), "source.special"),
    "span order": (changed(source__spans__0=[3, 1]), "source.spans"),
    "span outside": (changed(target__spans__0=[0, 99]), "target.spans"),
    "span number": (changed(target__spans__0=[0, 1.0]), "target.spans"),
    "span three": (changed(target__spans__0=[0, 1, 2]), "target.spans"),
    "words overlap": (changed(target__words=[[0, 3], [2, 5]]), "target.words"),
    "unknown field": (changed(extra=1), "unknown field 'extra'"),
    "unknown in side": (changed(source__ids=[]), "source: unknown field 'ids'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_by_the_name_of_its_field(name: str) -> None:
    content, message = WRONG[name]
    with pytest.raises(InputError) as caught:
        Record.from_json(json.dumps(content))
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("field", list(json.loads(EXAMPLE.to_json())))
def test_each_field_must_be_there(field: str) -> None:
    content = json.loads(EXAMPLE.to_json())
    del content[field]
    with pytest.raises(InputError, match=f"field {field} is missing"):
        Record.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[1]", "an object"),
        ("null", "an object"),
        ("[" * 200_000, "brackets"),
        ('{"score": NaN}', "NaN"),
        ('{"score": -Infinity}', "-Infinity"),
        ('{"task": "a", "task": "b"}', "'task' stands there twice"),
        ('{"score": ' + "9" * 5_000 + "}", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (json.dumps(changed(score=0)).replace('"score": 0', '"score": 1e400'), "score: inf"),
        (json.dumps(changed(task="\ud800")), "task: half a character"),
    ],
)
def test_hostile_json_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Record.from_json(text)


def test_a_nan_is_refused_where_it_stands() -> None:
    rows = ((0.5, 0.5), (math.nan, 0.5))
    with pytest.raises(InputError, match="layer 1, head 1, row 2"):
        record(side("a"), side("b"), rows)


def test_transposed_weights_are_noticed_by_their_sums() -> None:
    everything_at_the_first = peaked([0, 0, 0], 3, 1.0)
    turned = tuple(zip(*everything_at_the_first, strict=True))
    record(side("a", "b"), side("c", "d"), everything_at_the_first)
    with pytest.raises(InputError, match="sum 3"):
        record(side("a", "b"), side("c", "d"), turned)


def test_sizes_are_refused_before_numbers_are_looked_at() -> None:
    row = [0.0] * 10_000
    many = Side("", ("x",) * 10_000, ((0, 0),) * 10_000, (), (False,) * 10_000)
    start = time.monotonic()
    with pytest.raises(InputError, match="1 layers × 1 heads × 10000 × 10000"):
        Record("translate", "m", many, many, attention={"cross": [[[row] * 10_000]]}, log_probs=(0.0,) * 10_000)  # type: ignore[dict-item,list-item]
    with pytest.raises(InputError, match="10,001 pieces"):
        Record("translate", "m", replace(many, pieces=("x",) * 10_001), many)
    assert time.monotonic() - start < 2
