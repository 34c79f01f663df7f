"""Labels as numbers, their file, and batches whose targets are one piece."""

import json
from pathlib import Path

import pytest
import torch

from seq2see.config.settings import DataSettings, TextSettings
from seq2see.data.batching import Batches
from seq2see.data.cache import build_cache, open_cache
from seq2see.data.labelled_batches import LabelledBatches, label_numbers
from seq2see.data.labels import MOST_LABELS, Labels, count_labels, plain_label
from seq2see.data.tally import Pair
from seq2see.errors import InputError
from seq2see.text.tokeniser import EOS, Tokeniser, TokeniserPair


def nothing() -> None:
    """Never stops."""


def pairs(*labels: str) -> list[Pair]:
    return [Pair(f"text {number}", label, number + 2) for number, label in enumerate(labels)]


def test_labels_are_kept_in_one_form_and_order() -> None:
    assert plain_label("  very\n bad \t") == "very bad"
    assert plain_label("e\u0301") == "\u00e9"
    assert Labels.of(["10", "9", "-1"]).names == ("-1", "9", "10")
    assert Labels.of(["b", "10", "a"]).names == ("10", "a", "b")


def test_counting() -> None:
    found = count_labels([*pairs("b", "a", " b"), Pair("text 0", "a", 9), Pair(" text 0 ", "b", 10)], "f", nothing)
    assert list(found.counts.items()) == [("b", 3), ("a", 2)]
    assert found.share("b") == 0.6
    assert found.contradictions == 1  # "text 0" is b, and a; that it is b once more contradicts nothing
    with pytest.raises(InputError, match=r"f has more than 10,000 different labels in its first 10,001 .*--columns"):
        count_labels(pairs(*map(str, range(MOST_LABELS + 5))), "f", nothing)
    with pytest.raises(InputError, match=r"f, line 3: a label of 1,001 characters"):
        count_labels(pairs("a", "x" * 1_001), "f", nothing)


def test_labels_come_back_from_their_file(tmp_path: Path) -> None:
    labels = Labels(("good", "</s>", "not bad", "나쁨"))
    labels.save(tmp_path / "labels.json")
    assert Labels.load(tmp_path / "labels.json") == labels


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("[]", "JSON object"),
        ('{"labels": ["a", "b"]}', "format"),
        ('{"format": 99, "labels": ["a", "b"]}', "newer"),
        ('{"format": 1, "labels": ["a", "b"], "x": 1}', "format, labels, x"),
        ('{"format": 1, "labels": "ab"}', "not a list"),
        ('{"format": 1, "labels": ["a", 1]}', "not a list"),
        ('{"format": 1, "labels": ["a"]}', "1 labels"),
        ('{"format": 1, "labels": ["a", "a"]}', "twice"),
        ('{"format": 1, "labels": ["a", ""]}', "blank"),
        ('{"format": 1, "labels": ["a", " b"]}', "not written"),
        ('{"format": 1, "labels": ["a", "\\ud800"]}', "half of a character"),
        (json.dumps({"format": 1, "labels": ["a", "x" * 1_001]}), "too long"),
        (json.dumps({"format": 1, "labels": list(map(str, range(MOST_LABELS + 1)))}), "10,001 labels"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_file_of_labels_is_checked(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        Labels.load(path)
    assert str(error.value).startswith(str(path))


def test_numbers_take_the_place_of_labels() -> None:
    labels = Labels(("bad", "very good"))
    assert [pair.target for pair in labels.numbered(pairs("very  good", "bad"), "f")] == ["1", "0"]
    with pytest.raises(InputError, match=r"f, line 3: the label 'ugly' is none of the 2"):
        list(labels.numbered(pairs("bad", "ugly"), "f"))


def test_batches_have_one_gold_position_and_texts_are_cut_not_dropped(tmp_path: Path) -> None:
    labels = Labels(tuple(f"l{number}" for number in range(3)))
    examples = [Pair(" ".join(["a"] * (1 + number % 7)), f"l{number % 3}", number + 1) for number in range(50)]
    text = Tokeniser.train(["a b"], TextSettings(kind="word"))
    tokenisers = TokeniserPair(text, labels.tokeniser())
    rules = DataSettings(max_pieces=4)
    report = build_cache(labels.numbered(examples, "f"), tokenisers, rules, tmp_path / "c", "k", cut=True)
    assert report.kept == 50
    assert report.too_long.count == sum(1 + number % 7 > 4 for number in range(50))
    batches = LabelledBatches(Batches(open_cache(tmp_path / "c", "k"), tokens=40, seed=1))
    seen: dict[int, int] = {}
    for batch in batches.epoch(0):
        assert batch.gold_BT.shape == batch.gold_valid_BT.shape == (len(batch), 1)
        assert batch.tokens == len(batch)
        assert batch.positions == batch.source_BS.numel() + len(batch)
        half = batch.shard(1, 2)
        assert torch.equal(label_numbers(half), label_numbers(batch)[1::2]) or not len(batch) // 2
        for row, number, source_S, valid_S in zip(
            batch.rows_B.tolist(), label_numbers(batch).tolist(), batch.source_BS, batch.source_valid_BS, strict=True
        ):
            seen[row] = number
            assert int(valid_S.sum()) == min(4, 1 + row % 7) + 1
            assert int(source_S[valid_S][-1]) == EOS
    assert seen == {row: row % 3 for row in range(50)}
    assert batches.count(0) == len(list(batches.epoch(0)))
    assert [each.rows_B.tolist() for each in batches.epoch(3, 2)] == [
        each.rows_B.tolist() for each in batches.epoch(3)
    ][2:]
