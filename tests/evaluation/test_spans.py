"""Spans by hand, and against the loop of conlleval, which counts without ever making a span."""

import random

import pytest

from seq2see.evaluation.spans import Span, spans_of


@pytest.mark.parametrize(
    ("labels", "spans"),
    [
        ("", []),
        ("O O", []),
        ("B-x I-x O", [(0, 2, "x")]),
        ("B-x B-x", [(0, 1, "x"), (1, 2, "x")]),
        ("B-x I-y", [(0, 1, "x"), (1, 2, "y")]),  # another type begins another span
        ("O I-x I-x", [(1, 3, "x")]),  # a span may begin with I-
        ("I-x O I-x", [(0, 1, "x"), (2, 3, "x")]),
        ("I-x B-x I-x", [(0, 1, "x"), (1, 3, "x")]),  # IOB1: B- tells neighbours apart
        ("B-x I-x E-x O S-y", [(0, 3, "x"), (4, 5, "y")]),
        ("S-x I-x", [(0, 1, "x"), (1, 2, "x")]),  # after S- or E- anything begins anew
        ("B-x E-x E-x", [(0, 2, "x"), (2, 3, "x")]),
        ("E-x", [(0, 1, "x")]),
        ("B-x", [(0, 1, "x")]),
        ("B-x S-x", [(0, 1, "x"), (1, 2, "x")]),
        ("B-x L-x U-y", [(0, 2, "x"), (2, 3, "y")]),  # BILOU
        ("NOUN B-x VERB", [(1, 2, "x")]),
        ("B-a-b I-a-b", [(0, 2, "a-b")]),
    ],
)
def test_spans(labels: str, spans: list[tuple[int, int, str]]) -> None:
    assert spans_of(labels.split()) == [Span(*each) for each in spans]


def chunk_ends(prev_tag: str, tag: str, prev_type: str, kind: str) -> bool:
    """endOfChunk of conlleval, line by line (without its brackets)."""
    end = False
    if prev_tag == "B" and tag == "B":
        end = True
    if prev_tag == "B" and tag == "O":
        end = True
    if prev_tag == "I" and tag == "B":
        end = True
    if prev_tag == "I" and tag == "O":
        end = True
    if prev_tag == "E":
        end = True
    if prev_tag == "S":
        end = True
    if prev_tag in ("B", "I") and tag == "S":
        end = True
    if prev_tag != "O" and prev_tag != "." and prev_type != kind:
        end = True
    return end


def chunk_starts(prev_tag: str, tag: str, prev_type: str, kind: str) -> bool:
    """startOfChunk of conlleval, line by line."""
    start = tag in ("B", "S")
    for before, now in (("O", "I"), ("O", "E"), ("E", "E"), ("E", "I"), ("S", "E"), ("S", "I")):
        if prev_tag == before and tag == now:
            start = True
    if tag != "O" and tag != "." and prev_type != kind:
        start = True
    return start


def conlleval(sentences: list[tuple[list[str], list[str]]]) -> tuple[int, int, int]:
    """(right, predicted, gold) chunks, counted as the script does: token by token, with a flag for an open match."""
    right = predicted = gold = 0
    matching = False
    last_gold, last_guess = ("O", ""), ("O", "")
    for ours, theirs in sentences:
        for one, other in zip([*ours, "O"], [*theirs, "O"], strict=True):  # O stands for the boundary
            tag, kind = one.split("-", 1) if "-" in one else (one, "")
            guess, guessed_kind = other.split("-", 1) if "-" in other else (other, "")
            ends = chunk_ends(*_pairs(last_gold, (tag, kind)))
            guess_ends = chunk_ends(*_pairs(last_guess, (guess, guessed_kind)))
            starts = chunk_starts(*_pairs(last_gold, (tag, kind)))
            guess_starts = chunk_starts(*_pairs(last_guess, (guess, guessed_kind)))
            if matching:
                if ends and guess_ends and last_guess[1] == last_gold[1]:
                    matching = False
                    right += 1
                elif ends != guess_ends or guessed_kind != kind:
                    matching = False
            if starts and guess_starts and guessed_kind == kind:
                matching = True
            gold += starts
            predicted += guess_starts
            last_gold, last_guess = (tag, kind), (guess, guessed_kind)
    return right + matching, predicted, gold


def _pairs(before: tuple[str, str], now: tuple[str, str]) -> tuple[str, str, str, str]:
    return before[0], now[0], before[1], now[1]


@pytest.mark.parametrize("marks", ["BI", "BIES"])
@pytest.mark.parametrize("seed", range(40))
def test_counts_are_those_of_conlleval(marks: str, seed: int) -> None:
    chance = random.Random(seed)
    labels = ["O", *(f"{mark}-{kind}" for mark in marks for kind in ("x", "y"))]
    sentences = []
    for _ in range(20):
        gold = [chance.choice(labels) for _ in range(chance.randint(0, 9))]
        sentences.append((gold, [label if chance.random() < 0.7 else chance.choice(labels) for label in gold]))
    right = sum(len(set(spans_of(gold)) & set(spans_of(guess))) for gold, guess in sentences)
    predicted = sum(len(spans_of(guess)) for _, guess in sentences)
    total = sum(len(spans_of(gold)) for gold, _ in sentences)
    assert (right, predicted, total) == conlleval(sentences)
    assert total > right > 0
