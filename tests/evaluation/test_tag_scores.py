"""Scores of labels from sentences small enough to be counted by hand."""

import pytest

from seq2see.errors import InputError
from seq2see.evaluation.metrics import with_intervals
from seq2see.evaluation.significance import compare_counts
from seq2see.evaluation.tags import Labelled, by_label, by_span_type, by_tokens, confusions, tag_counts


def labelled(gold: str, predicted: str, seen: str = "") -> Labelled:
    words = gold.split()
    return Labelled(words, predicted.split(), [mark == "1" for mark in seen] if seen else [True] * len(words))


SENTENCES = [
    labelled("D N V", "D N N", "110"),
    labelled("N N", "N N", "01"),
    labelled("V D N D", "N D N V", "1101"),
]


def values(sentences: list[Labelled], scheme: str) -> dict[str, float]:
    return {table.name: table.value() for table in tag_counts(sentences, scheme)}  # type: ignore[arg-type]


def test_tokens_sentences_and_unseen_words() -> None:
    found = values(SENTENCES, "none")
    assert found == {
        "token_accuracy": pytest.approx(100 * 6 / 9),
        "sentence_accuracy": pytest.approx(100 / 3),
        "unseen_accuracy": pytest.approx(100 * 2 / 3),  # V wrong, N and N right
    }


def test_scores_that_there_are_none_of() -> None:
    assert "unseen_accuracy" not in values([labelled("D N", "D N")], "none")
    assert "span_f1" in values([labelled("O B-x", "O O")], "bio")


def test_spans() -> None:
    sentences = [
        labelled("B-x I-x O B-y", "B-x I-x O B-x"),  # one of two right, two predicted
        labelled("B-x O", "I-x I-x"),  # one there, one predicted, none right
        labelled("O O", "O O"),
    ]
    found = values(sentences, "bio")
    assert found["span_precision"] == pytest.approx(100 / 3)
    assert found["span_recall"] == pytest.approx(100 / 3)
    assert found["span_f1"] == pytest.approx(100 / 3)
    found = values([labelled("B-x B-x B-x O", "B-x O O O")], "bio")
    assert (found["span_precision"], found["span_recall"]) == (100, pytest.approx(100 / 3))
    assert found["span_f1"] == pytest.approx(50)
    assert values([labelled("O O", "O O")], "bio")["span_f1"] == 0  # as conlleval says of nothing


def test_label_by_label() -> None:
    first, second, third = by_label(SENTENCES)
    assert (first.name, first.right, first.predicted, first.gold) == ("N", 4, 6, 4)
    assert (first.precision, first.recall, first.f1) == pytest.approx((100 * 4 / 6, 100, 80))
    assert (second.name, second.right, second.predicted, second.gold) == ("D", 2, 2, 3)
    assert (third.name, third.f1, third.gold, third.predicted) == ("V", 0, 2, 1)
    assert confusions(SENTENCES) == [("V", "N", 2), ("D", "V", 1)]


def test_type_by_type() -> None:
    found = by_span_type([labelled("B-x I-x O B-y", "B-x I-x O B-x"), labelled("B-z", "O")])
    assert [(each.name, each.right, each.predicted, each.gold) for each in found] == [
        ("x", 1, 2, 1),
        ("y", 0, 0, 1),
        ("z", 0, 0, 1),
    ]


def test_intervals_hold_the_value_and_signatures_say_how() -> None:
    scores = {score.name: score for score in with_intervals(tag_counts(SENTENCES * 20, "none"))}
    for score in scores.values():
        assert score.low < score.value < score.high
    assert scores["unseen_accuracy"].signature.startswith("words:unseen-in-training|unit:token")
    spans = with_intervals(tag_counts([labelled("B-x O", "B-x O")] * 3, "bio"))
    assert {score.signature.split("|version")[0] for score in spans if score.name.startswith("span")} == {
        "unit:span|rules:conlleval|scheme:bio"
    }


def test_another_system_is_compared_sentence_by_sentence() -> None:
    worse = [Labelled(each.gold, ["N"] * len(each.gold), each.seen) for each in SENTENCES * 20]
    ours, theirs = (tag_counts(each, "none")[0] for each in (SENTENCES * 20, worse))
    found = compare_counts(theirs, ours)
    assert found.difference == pytest.approx(100 * (6 - 4) / 9)
    assert found.bootstrap_p < 0.01
    assert compare_counts(ours, ours).bootstrap_p == 1


def test_by_length() -> None:
    sentences = [labelled("D " * n, "D " * (n - 1) + "X") for n in (2, 3, 5) for _ in range(40)]
    buckets = by_tokens(sentences, tag_counts(sentences, "none")[0])
    assert [(each.lower, each.upper, each.sentences) for each in buckets] == [(2, 2, 40), (3, 3, 40), (4, 5, 40)]
    assert [each.value for each in buckets] == pytest.approx([50, 200 / 3, 80])


@pytest.mark.parametrize(
    "sentences",
    [[], [labelled("D N", "D")], [Labelled(["D"], ["D"], [])]],
)
def test_what_cannot_be_scored(sentences: list[Labelled]) -> None:
    with pytest.raises(InputError):
        tag_counts(sentences, "none")
