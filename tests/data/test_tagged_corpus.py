"""Sentences as numbers: the same sentences again, and a split that keeps equal ones together."""

import pytest

from seq2see.data.tagged_corpus import collect, sentence_key
from seq2see.data.treebank import Sentence
from seq2see.errors import InputError

ROWS = [
    Sentence(("the", "dog"), ("D", "N"), 1),
    Sentence(("the", "the"), ("D", "X"), 4),
    Sentence(("a", "b", "c"), ("N", "N", "D"), 7),
]


def test_sentences_come_back() -> None:
    corpus = collect(ROWS)
    assert [corpus.sentence(row) for row in corpus.rows] == ROWS
    assert corpus.words == ("the", "dog", "a", "b", "c")
    assert corpus.labels == ("D", "N", "X")
    assert corpus.word_counts(corpus.rows[:2]) == {"the": 3, "dog": 1}


def test_the_content_is_all_that_was_read() -> None:
    def content(*sentences: Sentence) -> str:
        return collect(sentences).content

    assert content(*ROWS) == collect(ROWS).content
    others = [
        [ROWS[1], ROWS[0], ROWS[2]],
        ROWS[:2],
        [Sentence(("the", "dog"), ("D", "X"), 1), *ROWS[1:]],
        [Sentence(("the", "doG"), ("D", "N"), 1), *ROWS[1:]],
        [Sentence(("the", "dog", "the", "the"), ("D", "N", "D", "X"), 1), ROWS[2]],
    ]
    assert len({content(*each) for each in (ROWS, *others)}) == 6


def test_equal_sentences_are_on_one_side() -> None:
    rows = [Sentence((f"w{number}",), ("X",), number) for number in range(300)] * 2
    corpus = collect(rows)
    share = corpus.share(0.2, 10_000, "x")
    assert share == 0.2
    training, held = corpus.split(share)
    assert len(training) + len(held) == 600
    assert 60 < len(held) < 180
    assert not {row.key for row in training} & {row.key for row in held}
    assert all(row.key < share * 2**64 for row in held)
    few = corpus.split(corpus.share(0.2, 20, "x"))[1]
    assert 1 <= len(few) <= 20
    assert corpus.split(corpus.share(0.0, 20, "x"))[1] == []


def test_the_key_knows_normal_forms_and_blanks() -> None:
    assert sentence_key(["caf\u00e9"]) == sentence_key(["cafe\u0301"])
    assert sentence_key(["a", "b"]) != sentence_key(["ab"])


def test_nothing_can_be_held_out() -> None:
    with pytest.raises(InputError, match="x has 1 sentence: nothing can be held out"):
        collect(ROWS[:1]).share(0.1, 10, "x")
    with pytest.raises(InputError, match="2 sentences, all with the same tokens"):
        collect(ROWS[:1] * 2).share(0.1, 10, "x")
    assert collect(ROWS[:1]).share(0.0, 10, "x") == 0.0
