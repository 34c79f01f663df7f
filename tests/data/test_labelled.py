"""Which column is the text and which the label: from names, from what is in them, in every kind of file."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq2see.data.columns import guess_columns
from seq2see.data.labelled import LABELLED, guess_labelled, has_labelled_header
from seq2see.data.reading import open_pairs
from seq2see.errors import InputError

REVIEWS = [[f"what a film number {number}", "good" if number % 3 else "bad"] for number in range(12)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["id", "document", "label"], (1, 2)),
        (["label", "text"], (1, 0)),
        (["Sentiment", "Review_Text"], (1, 0)),
        (["tweet_id", "tweet", "class"], (1, 2)),
        (["utterance", "intent", "lang"], (0, 1)),
        (["title", "content", "category"], (1, 2)),
        (["text", "target"], (0, 1)),
        (["question", "answer"], (0, 1)),
        (["label", "labels", "text"], (2, 0)),
    ],
)
def test_known_names_tell(names: list[str], expected: tuple[int, int]) -> None:
    assert guess_labelled(names, []) == expected


def test_without_names_the_long_column_is_the_text_and_the_repeated_one_the_label() -> None:
    rows = [[str(number), text, label, "2024"] for number, (text, label) in enumerate(REVIEWS)]
    assert guess_labelled([""] * 4, rows) == (1, 2)  # a number of its own each, and one year for all, are no labels
    assert guess_labelled([""] * 2, REVIEWS) == (0, 1)
    assert guess_labelled([""] * 2, [row[::-1] for row in REVIEWS]) == (1, 0)
    names = [["a", "feminine"], ["b", "feminine"], ["c", "masculine"]]  # the label is the longer column here
    assert guess_labelled([""] * 2, names) == (0, 1)
    assert guess_labelled(["x", "p", "z"], [[text, label, label] for text, label in REVIEWS]) is None
    assert guess_labelled(["a", "b", "c"], [["1", "2", "3"]]) is None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["text", "label"], *REVIEWS], True),
        ([["words", "kind"], *REVIEWS], True),  # "kind" is no label of the rows below
        ([["words", "good"], *REVIEWS], False),
        (REVIEWS, False),
        ([["words", "kind"], *REVIEWS[:3]], False),  # too few rows to tell
        ([["one two", "kind"], *REVIEWS], False),
        ([["phrase", "stars"], ["a", "1"], ["b", "2"], ["c", "3"]], True),
        ([["kind", "kind"], *REVIEWS], False),
    ],
)
def test_a_header_is_recognised(rows: list[list[str]], expected: bool) -> None:
    assert has_labelled_header(rows) is expected


def test_pairs_are_still_guessed_as_pairs() -> None:
    assert guess_columns(["id", "document", "label"], [["1", "a b", "0"]]) is None


def read(path: Path, columns: tuple[str, str] | None = None) -> list[tuple[str, str]]:
    asked = columns or (None, None)
    source = open_pairs(path, source_column=asked[0], target_column=asked[1], wanted=LABELLED)
    return [(pair.source, pair.target) for pair in source]


def test_tables(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(
        "stars,review\n" + "".join(f'{number % 2},"a, {text}"\n' for number, (text, _) in enumerate(REVIEWS))
    )
    assert read(path)[:2] == [("a, what a film number 0", "0"), ("a, what a film number 1", "1")]
    assert len(read(path)) == 12
    (note,) = open_pairs(path, wanted=LABELLED).notes
    assert 'text: column 2 ("review"), label: column 1 ("stars"), a guess' in note
    path = tmp_path / "r.tsv"
    path.write_text("".join(f"x{number}\t{label}\t{text}\n" for number, (text, label) in enumerate(REVIEWS)))
    assert read(path) == [(text, label) for text, label in REVIEWS]
    assert read(path, ("1", "2"))[1] == ("x1", "good")


def test_labels_may_be_numbers_and_truth_values(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    rows = [{"text": "a b", "n": {"label": 3}}, {"text": "c", "n": {"label": True}}, {"text": 5, "n": {"label": 1}}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read(path) == [("a b", "3"), ("c", "True")]  # a number is no text
    table = pa.table({"review": ["a b c", "d e f"], "label": pa.array([1, 0], pa.int64()), "ok": [True, False]})
    pq.write_table(table, tmp_path / "r.parquet")
    assert read(tmp_path / "r.parquet") == [("a b c", "1"), ("d e f", "0")]
    assert read(tmp_path / "r.parquet", ("review", "ok")) == [("a b c", "True"), ("d e f", "False")]
    with pytest.raises(InputError, match="does not hold text"):
        open_pairs(tmp_path / "r.parquet", source_column="review", target_column="ok")


def test_what_is_not_clear_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "r.tsv"
    path.write_text("".join(f"{text}\t{label}\t{label}\n" for text, label in REVIEWS))
    with pytest.raises(InputError, match="which are text and label is not clear"):
        open_pairs(path, wanted=LABELLED)
    path.write_text("no tab here\n")
    with pytest.raises(InputError, match="A pair a line is text, tab, label"):
        open_pairs(path, wanted=LABELLED)
    path.write_text("\n")
    with pytest.raises(InputError, match="Give a text and its label in each line"):
        open_pairs(path, wanted=LABELLED)
    path.write_text("a\tb\n" + "lonely\n" * 3)
    with pytest.raises(InputError, match="no column"):
        open_pairs(path, source_column="review", target_column="b", wanted=LABELLED)
    with pytest.raises(InputError, match="cannot be both text and label"):
        open_pairs(path, source_column="1", target_column="1", wanted=LABELLED)
