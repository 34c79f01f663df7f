import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.config.settings import DataSettings
from seq2see.data.pairs import held_out, held_out_pairs, pair_key, source_key, training_pairs, usable
from seq2see.data.repetitions import find_repetitions
from seq2see.data.split import SplitCounter
from seq2see.data.tally import Pair, Tally

SMALL_PAIRS = st.lists(st.tuples(st.sampled_from(["a", "b", "c ", ""]), st.sampled_from(["x", "y", " "])), max_size=40)


def numbered(pairs: list[tuple[str, str]]) -> list[Pair]:
    return [Pair(source, target, line) for line, (source, target) in enumerate(pairs, 1)]


@settings(deadline=None, max_examples=100)
@given(SMALL_PAIRS, st.floats(0, 1))
def test_a_split_is_complete_and_no_source_straddles_it(pairs: list[tuple[str, str]], share: float) -> None:
    corpus = numbered(pairs)
    dev, training = list(held_out_pairs(corpus, share)), list(training_pairs(corpus, share))
    assert sorted(dev + training, key=lambda pair: pair.line) == corpus
    assert not {pair.source for pair in dev} & {pair.source for pair in training}


def test_the_hash_is_the_same_on_every_machine() -> None:
    assert source_key("Go.") == 0xC6E45C93D5542CF1  # printf 'Go.' | b2sum -l 64


def test_composed_decomposed_and_padded_sources_are_one() -> None:
    composed = "한국어 é"
    assert source_key(composed) == source_key(unicodedata.normalize("NFD", composed)) == source_key(f" {composed}\t")
    assert source_key("a b") != source_key("ab")


def test_a_share_of_the_sources_is_held_out() -> None:
    held = sum(held_out(f"sentence {number}", 0.1) for number in range(10_000))
    assert 900 < held < 1_100  # three standard deviations are 90
    assert not any(held_out(f"sentence {number}", 0.0) for number in range(1_000))


def test_pairs_that_read_the_same_end_to_end_are_different() -> None:
    assert pair_key(Pair("ab", "c", 1)) != pair_key(Pair("a", "bc", 2))
    assert pair_key(Pair("ab", "c", 1)) == pair_key(Pair("ab", "c", 9))


def counter(sources: list[str]) -> SplitCounter:
    found = SplitCounter()
    for source in sources:
        found.add(source_key(source))
    return found


def held(sources: list[str], share: float) -> int:
    return sum(held_out(source, share) for source in sources)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 200), st.floats(0.001, 0.99), st.integers(1, 50))
def test_something_is_held_out_and_something_is_left(count: int, wanted: float, most: int) -> None:
    sources = [f"sentence {number}" for number in range(count)]
    share = counter(sources).share(wanted, most)
    assert 1 <= held(sources, share) <= max(most, 1)
    assert held(sources, share) < count


def test_about_as_many_as_wanted_are_held_out_at_most() -> None:
    sources = [f"sentence {number}" for number in range(20_000)]
    found = counter(sources)
    assert found.share(0.05, 10_000) == 0.05
    assert 190 <= held(sources, found.share(0.05, 200)) <= 200


def test_repeated_sources_count_as_often_as_they_occur() -> None:
    sources = [f"sentence {number % 100}" for number in range(10_000)]
    share = counter(sources).share(0.5, 300)
    assert held(sources, share) in (100, 200, 300)


def test_nothing_is_held_out_of_one_source_or_when_nothing_is_wanted() -> None:
    assert counter(["a", "a", " a "]).share(0.5, 10) == 0.0
    assert counter(["a", "b"]).share(0.0, 10) == 0.0
    assert counter([]).share(0.5, 10) == 0.0
    assert not counter(["a", "a"]).several
    assert counter(["a", "b"]).several


@settings(deadline=None, max_examples=25)
@given(SMALL_PAIRS)
def test_repetitions_are_those_seen_before(pairs: list[tuple[str, str]]) -> None:
    corpus = numbered(pairs)
    expected = [pair in pairs[:place] for place, pair in enumerate(pairs)]
    found = find_repetitions(iter(corpus))
    assert [place in found for place in range(len(corpus))] == expected
    assert found.count == sum(expected)


@pytest.mark.parametrize("blank", [True, False])
@pytest.mark.parametrize("repeated", [True, False])
def test_rules_drop_and_count_exactly_what_they_say(blank: bool, repeated: bool) -> None:
    corpus = numbered([("a", "x"), ("a", "x"), (" \u2003", "y"), ("b", "\n"), ("a", "y"), ("a", "x")])
    rules, tally = DataSettings(drop_empty=blank, drop_duplicates=repeated), Tally()
    repetitions = find_repetitions(corpus) if repeated else None
    lines = [pair.line for pair in usable(corpus, rules, repetitions, tally)]
    dropped = ({3, 4} if blank else set()) | ({2, 6} if repeated else set())
    assert lines == [line for line in range(1, 7) if line not in dropped]
    assert {line for places in tally.skipped.values() for line in places.lines} == dropped
    assert tally.pairs == len(lines)


def test_check_ends_the_search_for_repetitions() -> None:
    class Enough(Exception):
        pass

    def check() -> None:
        raise Enough

    with pytest.raises(Enough):
        find_repetitions(numbered([("a", "b")]), check)
