"""The labels of a tagger: learned, kept, and read again from files that are not to be believed."""

import json
from pathlib import Path

import pytest

from seq2see.data.tag_labels import MOST_LABELS, Labels
from seq2see.errors import InputError


def test_the_most_frequent_comes_first() -> None:
    labels = Labels.learn([["b", "a", "c"], ["c", "b"], ["c"]], "x")
    assert labels.names == ("c", "b", "a")
    assert labels.numbers == {"c": 0, "b": 1, "a": 2}
    assert labels.unknown(["a", "z", "c", "y", "z"]) == ["z", "y"]
    assert (labels.scheme, labels.ruled) == ("none", False)


def test_rules_only_where_training_data_keeps_them() -> None:
    assert Labels.learn([["O", "B-x", "I-x"]], "x").ruled
    first_kind = Labels.learn([["O", "I-x", "B-x"]], "x")  # IOB1: B- only between two neighbours
    assert (first_kind.scheme, first_kind.ruled) == ("bio", False)


def test_labels_that_cannot_be_meant() -> None:
    with pytest.raises(InputError, match=r"'X'.*nothing to learn"):
        Labels.learn([["X", "X"]], "file")
    with pytest.raises(InputError, match=r"file: 10,001 different labels in 10,001 tokens.*--columns"):
        Labels.learn([[str(number) for number in range(MOST_LABELS + 1)]], "file")


def test_a_file_gives_the_same_labels(tmp_path: Path) -> None:
    for labels in (Labels(("B-x", "O", "I-x"), "bio", True), Labels(("名詞", "</s>"))):
        labels.save(tmp_path / "labels.json")
        assert Labels.load(tmp_path / "labels.json") == labels


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"more": 1},
        {"labels": "ab"},
        {"labels": ["a"]},
        {"labels": ["a", "a"]},
        {"labels": ["a", ""]},
        {"labels": ["a", "b c"]},
        {"labels": ["a", "\ud800"]},
        {"labels": ["a", "x" * 1_001]},
        {"labels": [str(number) for number in range(MOST_LABELS + 1)]},
        {"scheme": "bio"},
        {"ruled": 1},
    ],
)
def test_a_file_is_not_believed(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({**Labels(("a", "b")).to_json(), **change}))
    with pytest.raises(InputError, match=r"labels\.json"):
        Labels.load(path)
