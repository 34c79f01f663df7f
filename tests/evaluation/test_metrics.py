"""Scores against sacrebleu's own, against numbers found by hand, and against planted errors."""

import importlib.util
import logging
import math
import random

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.errors import InputError
from seq2see.evaluation.counts import METRICS, looks_tokenised
from seq2see.evaluation.metrics import (
    best_of,
    higher_is_better,
    perplexity,
    score,
    token_accuracy,
    value,
)

WORDS = ["the", "cat", "sat", "on", "a", "mat", ".", "dog", "don't", "Größe", "고양이"]


def corpus(sentences: int, references: int, seed: int) -> tuple[list[str], list[list[str]]]:
    """Made-up hypotheses near to their references, some of them blank."""
    generator = random.Random(seed)
    hypotheses, all_references = [], []
    for _ in range(sentences):
        words = generator.choices(WORDS, k=generator.randint(1, 11))
        noisy = [word if generator.random() < 0.8 else generator.choice(WORDS) for word in words]
        hypotheses.append("" if generator.random() < 0.05 else " ".join(noisy))
        rest = [" ".join(generator.choices(WORDS, k=len(words))) for _ in range(references - 1)]
        all_references.append([" ".join(words), *rest])
    return hypotheses, all_references


def streams(references: list[list[str]]) -> list[list[str | None]]:
    """sacrebleu's way round: one list for each reference, None where a sentence has fewer."""
    most = max(len(sentence) for sentence in references)
    return [[s[k] if k < len(s) else None for s in references] for k in range(most)]


@pytest.mark.parametrize("references", [1, 3])
@pytest.mark.parametrize("tokenize", ["13a", "none", "intl", "char", "zh"])
def test_bleu_is_sacrebleus_to_the_last_bit(references: int, tokenize: str) -> None:
    hypotheses, refs = corpus(301, references, seed=references)
    theirs = sacrebleu.corpus_bleu(hypotheses, streams(refs), tokenize=tokenize, force=True)
    assert value("bleu", hypotheses, refs, tokenize=tokenize) == theirs.score


@pytest.mark.parametrize("references", [1, 3])
def test_chrf_and_ter_are_sacrebleus_to_the_last_bit(references: int) -> None:
    hypotheses, refs = corpus(301, references, seed=7 + references)
    assert value("chrf", hypotheses, refs) == sacrebleu.corpus_chrf(hypotheses, streams(refs)).score
    assert value("ter", hypotheses, refs) == sacrebleu.corpus_ter(hypotheses, streams(refs)).score


def test_sentences_may_have_different_numbers_of_references() -> None:
    hypotheses, refs = corpus(523, 3, seed=3)
    refs = [sentence[: 1 + number % 3] for number, sentence in enumerate(refs)]
    scores = score(["bleu", "chrf", "ter"], hypotheses, refs)
    assert scores[0].value == sacrebleu.corpus_bleu(hypotheses, streams(refs)).score
    assert scores[1].value == sacrebleu.corpus_chrf(hypotheses, streams(refs)).score
    assert scores[2].value == sacrebleu.corpus_ter(hypotheses, streams(refs)).score
    assert all("nrefs:var" in one.signature for one in scores)


def test_signatures_of_bleu_chrf_and_ter_begin_with_sacrebleus_own() -> None:
    hypotheses, refs = corpus(20, 2, seed=1)
    theirs = [sacrebleu.BLEU(tokenize="none"), sacrebleu.CHRF(), sacrebleu.TER()]
    ours = score(["bleu", "chrf", "ter"], hypotheses, refs, tokenize="none", bootstrap=50, seed=11)
    for metric, one in zip(theirs, ours, strict=True):
        metric.corpus_score(hypotheses, streams(refs))
        assert one.signature == f"{metric.get_signature()}|bootstrap:50|seed:11"


def test_our_signatures_say_what_a_unit_is() -> None:
    exact, characters = score(["exact_match", "cer"], ["a"], [["a", "b"]])
    assert exact.signature.startswith("nrefs:2|case:mixed|unit:sentence|norm:none|version:")
    assert characters.signature.startswith("nrefs:2|case:mixed|unit:char|norm:none|version:")
    assert characters.signature.endswith("|bootstrap:1000|seed:12345")


def test_error_rates_known_by_hand() -> None:
    """Sitting → kitten: 3 edits of 7 characters; the other lacks 1 of 3 words, 4 of 9 characters."""
    hypotheses = ["kitten", "a cat"]
    references = [["sitting"], ["a fat cat"]]
    assert value("cer", hypotheses, references) == pytest.approx(100 * (3 + 4) / (7 + 9))
    assert value("wer", hypotheses, references) == pytest.approx(100 * (1 + 1) / (1 + 3))
    assert value("exact_match", ["x", "y", "z"], [["x"], ["Y"], ["a", "z"]]) == pytest.approx(200 / 3)


def test_the_nearest_reference_counts_and_of_equally_near_ones_the_longer() -> None:
    assert value("cer", ["abcd"], [["wxyz", "abce"]]) == pytest.approx(25.0)
    assert value("cer", ["abc"], [["ab", "abcd"]]) == pytest.approx(25.0)


def test_blank_hypotheses_and_blank_references_have_scores() -> None:
    scores = {one.name: one.value for one in score(METRICS, ["", ""], [["a b"], ["c"]])}
    nothing = dict.fromkeys(("bleu", "bleu1", "bleu2", "bleu3", "chrf", "exact_match"), 0)
    assert scores == {**nothing, "ter": 100, "cer": 100, "wer": 100}
    blank = {one.name: one.value for one in score(METRICS, [""], [[""]])}
    assert blank["exact_match"] == 100
    assert blank["cer"] == blank["wer"] == blank["ter"] == 0
    assert value("cer", ["invented"], [[""]]) == 100


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), min_size=1, max_size=5))
def test_any_text_has_a_score_between_its_interval(pairs: list[tuple[str, str]]) -> None:
    hypotheses, references = [a for a, _ in pairs], [[b] for _, b in pairs]
    for one in score(["exact_match", "cer"], hypotheses, references, bootstrap=200):
        assert one.low <= one.high
        assert one.value >= 0
    perfect = score(["exact_match", "cer"], hypotheses, [[h] for h in hypotheses], bootstrap=40)
    assert [one.value for one in perfect] == [100, 0]


def test_intervals_hold_the_planted_accuracy_nineteen_times_of_twenty() -> None:
    """Each corpus is 150 coin tosses with p = 0.7; the interval must cover 70 about 95 % of the time."""
    generator = random.Random(5)
    covered = 0
    for trial in range(100):
        hypotheses = ["right" if generator.random() < 0.7 else "wrong" for _ in range(150)]
        one = score(["exact_match"], hypotheses, [["right"]] * 150, bootstrap=400, seed=trial)[0]
        covered += one.low <= 70 <= one.high
    assert 88 <= covered <= 99


def test_intervals_are_those_of_the_binomial() -> None:
    """Of 900 sentences 810 are right: the normal approximation gives 90 ± 1.96 %."""
    hypotheses = ["right"] * 810 + ["wrong"] * 90
    one = score(["exact_match"], hypotheses, [["right"]] * 900, bootstrap=4000)[0]
    assert one.low == pytest.approx(90 - 1.96, abs=0.25)
    assert one.high == pytest.approx(90 + 1.96, abs=0.25)


def test_intervals_are_a_function_of_the_seed_and_of_nothing_else() -> None:
    hypotheses, refs = corpus(211, 1, seed=2)
    alone = score(["ter"], hypotheses, refs)[0]
    together = score(["bleu", "ter"], hypotheses, refs)[1]
    other = score(["ter"], hypotheses, refs, seed=1)[0]
    assert alone == together == score(["ter"], hypotheses, refs)[0]
    assert alone.value == other.value
    assert (alone.low, alone.high) != (other.low, other.high)


def test_perplexity_and_accuracy_known_by_hand() -> None:
    """Two tokens of probability 1/2 and one of 1/4: the perplexity is (2·2·4)^(1/3)."""
    one = perplexity([2 * math.log(0.5), math.log(0.25)], [2, 1])
    assert one.value == pytest.approx(16 ** (1 / 3))
    assert one.low == pytest.approx(2) and one.high == pytest.approx(4)
    assert perplexity([-math.inf, -1.0], [1, 1]).value == math.inf
    assert perplexity([-2000.0], [1]).value == math.inf
    assert token_accuracy([3, 1], [4, 4]).value == pytest.approx(50)


@pytest.mark.parametrize(
    ("log_probs", "tokens", "message"),
    [
        ([-1.0], [1, 2], "1 log-probabilities but 2 counts"),
        ([], [], "no tokens"),
        ([math.nan], [3], "sentence 1 is nan"),
        ([-1.0, 5.0], [1, 1], "sentence 2 is 5.0"),
    ],
)
def test_impossible_probabilities_are_refused(log_probs: list[float], tokens: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        perplexity(log_probs, tokens)


def test_more_correct_tokens_than_tokens_are_refused() -> None:
    with pytest.raises(InputError, match="sentence 1 has 4 correct tokens of 3"):
        token_accuracy([4], [3])


@pytest.mark.parametrize(
    ("names", "hypotheses", "references", "options", "message"),
    [
        (["bleu"], ["a", "b"], [["a"]], {}, "2 hypotheses but 1 sentences"),
        (["bleu"], [], [], {}, "nothing to score"),
        (["bleu"], ["a"], [[]], {}, "sentence 1 has no reference"),
        (["bleu"], ["a"], ["a"], {}, "sentence 1 must be a list of texts, not 'a'"),
        (["bleu"], [None], [["a"]], {}, "hypothesis 1 is NoneType"),
        (["blue"], ["a"], [["a"]], {}, "no metric 'blue'; there are bleu, bleu1"),
        ([], ["a"], [["a"]], {}, "no metric was named"),
        (["bleu"], ["a"], [["a"]], {"tokenize": "moses"}, "no tokeniser 'moses'"),
        (["bleu"], ["a"], [["a"]], {"bootstrap": 10}, "at least 40"),
    ],
)
def test_what_cannot_be_scored_is_said(names, hypotheses, references, options, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        score(names, hypotheses, references, **options)


@pytest.mark.skipif(importlib.util.find_spec("MeCab") is not None, reason="MeCab is installed")
def test_a_tokeniser_that_is_not_installed_says_how_to_get_it() -> None:
    with pytest.raises(InputError, match=r"pip install 'sacrebleu\[ja\]'"):
        value("bleu", ["猫"], [["猫"]], tokenize="ja-mecab")


def test_tokenised_text_is_told_by_us_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    hypotheses = ["a cat ."] * 100
    with caplog.at_level(logging.DEBUG):
        for tokenize in ("none", "13a"):
            score(["bleu"], hypotheses, [["a cat ."]] * 100, tokenize=tokenize)
    assert caplog.records == []
    assert looks_tokenised(hypotheses)
    assert not looks_tokenised(hypotheses[1:])


def test_a_check_that_raises_stops_the_scoring() -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    hypotheses, refs = corpus(700, 1, seed=1)
    for name in ("ter", "wer"):
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            value(name, hypotheses, refs, check=check)


def test_the_best_is_the_highest_score_or_the_lowest_error() -> None:
    assert best_of("bleu", [1.0, 3.0, 3.0, math.nan]) == 1
    assert best_of("ter", [2.0, math.nan, 1.0, 1.0]) == 2
    assert best_of("perplexity", [math.inf, 9.0]) == 1
    with pytest.raises(InputError, match="no bleu to choose"):
        best_of("bleu", [math.nan])
    with pytest.raises(InputError, match="no metric 'loss'"):
        higher_is_better("loss")


def test_every_metric_prefers_the_perfect_output() -> None:
    """The direction of each metric, found by scoring a perfect and a bad system."""
    references = [["the cat sat on the mat today"]] * 5
    perfect, bad = ["the cat sat on the mat today"] * 5, ["a mat on sat"] * 5
    for name in METRICS:
        values = [value(name, bad, references), value(name, perfect, references)]
        assert best_of(name, values) == 1
