"""Marks of spans: what may follow what, written out by hand."""

from itertools import product

import pytest

from seq2see.data.label_scheme import keeps_rules, may_follow, parts, scheme_of

BIO = ("O", "B-x", "I-x", "B-y", "I-y")
BIOES = ("O", "B-x", "I-x", "E-x", "S-x", "I-y", "E-y")


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        (("O", "B-PER", "I-PER"), "bio"),
        (("B-PER",), "bio"),
        (("O", "I-PER"), "bio"),
        (("O", "B-PER", "E-PER"), "bioes"),
        (("O", "U-PER", "B-PER", "L-PER"), "bioes"),
        (("NOUN", "VERB"), "none"),
        (("O", "B-PER", "X"), "none"),
        (("O",), "none"),
        ((), "none"),
        (("B-", "O"), "none"),
        (("b-per", "O"), "none"),
    ],
)
def test_schemes(labels: tuple[str, ...], scheme: str) -> None:
    assert scheme_of(labels) == scheme


def test_parts() -> None:
    assert parts("B-a-b") == ("B", "a-b")
    assert parts("U-x") == ("S", "x")
    assert parts("L-x") == ("E", "x")
    assert parts("O") == parts("PART") == ("O", "")


def test_bio() -> None:
    allowed = {(a, b) for a, b in product((None, *BIO), (None, *BIO)) if may_follow(a, b, "bio")}
    forbidden = {(a, "I-x") for a in (None, "O", "B-y", "I-y")} | {(a, "I-y") for a in (None, "O", "B-x", "I-x")}
    assert allowed == set(product((None, *BIO), (None, *BIO))) - forbidden


def test_bioes() -> None:
    allowed = {(a, b) for a, b in product((None, *BIOES), (None, *BIOES)) if may_follow(a, b, "bioes")}
    closed, opening = (None, "O", "E-x", "S-x", "E-y"), (None, "O", "B-x", "S-x")
    within = {(a, b) for a in ("B-x", "I-x") for b in ("I-x", "E-x")} | {("I-y", "I-y"), ("I-y", "E-y")}
    assert allowed == set(product(closed, opening)) | within


def test_labels_without_marks_may_follow_each_other() -> None:
    assert may_follow("NOUN", "VERB", "none")
    assert may_follow("O", "I-x", "none")


@pytest.mark.parametrize(
    ("sentences", "kept"),
    [
        ([["O", "B-x", "I-x"], ["B-y"]], True),
        ([["B-x"], ["I-x"]], False),  # the second begins with it
        ([["O", "I-x"]], False),
        ([["B-x", "I-y"]], False),
        ([], True),
    ],
)
def test_whether_rules_are_kept(sentences: list[list[str]], kept: bool) -> None:
    assert keeps_rules(sentences, "bio") == kept


def test_an_open_end() -> None:
    assert not keeps_rules([["B-x"]], "bioes")
    assert keeps_rules([["B-x", "E-x"]], "bioes")
