import math

import pytest

from seq2see.errors import InputError
from seq2see.evaluation.likelihood import Stretch, compare_likelihoods, likelihood_scores
from seq2see.evaluation.metrics import decimals

TWO = [Stretch(nats=4.0, characters=1, bytes=2, pieces=1), Stretch(nats=2.0, characters=2, bytes=2, pieces=1)]


def test_every_character_byte_and_piece_counts_once() -> None:
    scores = {score.name: score for score in likelihood_scores(TWO, "pieces:char", reversible=True)}
    assert {name: score.value for name, score in scores.items()} == pytest.approx(
        {
            "nats_per_character": 2.0,
            "bits_per_character": 2.0 / math.log(2),
            "bits_per_byte": 1.5 / math.log(2),
            "perplexity": math.exp(3.0),
        }
    )
    assert (scores["nats_per_character"].low, scores["nats_per_character"].high) == (1.0, 4.0)  # the one or the other
    assert all(score.signature == "pieces:char|bootstrap:1000|seed:12345" for score in scores.values())


def test_words_with_unknown_ones_say_nothing_of_characters() -> None:
    assert [score.name for score in likelihood_scores(TWO, "", reversible=False)] == ["perplexity"]


def test_blank_text_has_no_likelihood() -> None:
    with pytest.raises(InputError, match="nothing to score"):
        likelihood_scores([Stretch(0.0, 0, 0, 0)], "", reversible=True)


def test_a_better_model_is_found_better_and_a_like_one_is_not() -> None:
    first = [Stretch(10.0 + n % 7, 10, 10, 10) for n in range(60)]
    better = [Stretch(each.nats - 2.0 - n % 3, 10, 10, 5) for n, each in enumerate(first)]  # of other pieces
    (found,) = compare_likelihoods(first, better)
    assert found.name == "nats_per_character"
    assert found.difference == pytest.approx(-0.3)
    assert found.high < 0
    assert found.bootstrap_p < 0.01
    (same,) = compare_likelihoods(first, first)
    assert (same.difference, same.bootstrap_p, same.randomisation_p) == (0.0, 1.0, 1.0)


def test_other_stretches_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="do not read the text alike"):
        compare_likelihoods(TWO, TWO[:1])


def test_rates_have_four_decimals() -> None:
    assert [decimals(name) for name in ("nats_per_character", "bits_per_byte", "bleu", "perplexity")] == [4, 4, 2, 2]
