"""Which pairs are trained on and which are held out: every pair on one side, nothing lost unsaid."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.config.settings import DataSettings, SearchSettings, TextSettings
from seq2see.data.cache import CachedPairs
from seq2see.data.tally import Tally
from seq2see.tasks.corpus import Corpus, cut_off, default_name, least_by_hash, of_length, open_corpus, surveyed
from seq2see.text.tokeniser import train_pair
from small_task import reversed_pairs, write_pairs


def opened(rules: DataSettings) -> Corpus:
    return surveyed(open_corpus(rules), Tally())[0]


def trained_on(corpus: Corpus) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in corpus.training(Tally())]


def test_every_pair_is_on_one_side_and_a_source_never_on_both(tmp_path: Path) -> None:
    pairs = [*reversed_pairs(300), *[(source, target + " again") for source, target in reversed_pairs(300)]]
    corpus = opened(DataSettings(pairs=str(write_pairs(tmp_path / "p.tsv", pairs)), held_out=0.2))
    train, (dev, sentence) = trained_on(corpus), corpus.development()
    assert sorted(train + dev) == sorted(pairs)
    assert not {source for source, _ in train} & {source for source, _ in dev}
    assert 0.1 < len(dev) / len(pairs) < 0.3
    assert sentence.startswith(f"held out: {len(dev):,} pairs")


def test_repetitions_are_dropped_on_request_and_the_first_stays(tmp_path: Path) -> None:
    once = [(str(number), f"answer {number}") for number in range(40)]
    pairs = [*once, once[3], ("3", "another answer"), *once[:5], ("", "blank")]
    file = str(write_pairs(tmp_path / "p.tsv", pairs))
    kept = opened(DataSettings(pairs=file, held_out=0.0, drop_duplicates=True))
    tally = Tally()
    found = [(pair.source, pair.target, pair.line) for pair in kept.training(tally)]
    wanted = [(source, target, line) for line, (source, target) in enumerate(once, start=1)]
    assert found == [*wanted, ("3", "another answer", 42)]
    assert tally.skipped_rows == 7  # six repetitions and a blank side
    assert trained_on(opened(DataSettings(pairs=file, held_out=0.0))) == pairs[:-1]


def test_blank_sides_stay_on_request(tmp_path: Path) -> None:
    pairs = [("a", "b"), ("c", " "), ("d", "e")]
    file = str(write_pairs(tmp_path / "p.tsv", pairs))
    assert trained_on(opened(DataSettings(pairs=file, held_out=0.0, drop_empty=False))) == pairs
    assert trained_on(opened(DataSettings(pairs=file, held_out=0.0))) == [pairs[0], pairs[2]]


def test_with_a_dev_file_all_else_is_trained_on(tmp_path: Path) -> None:
    train, dev = reversed_pairs(30), [*reversed_pairs(9, seed=2), ("", "")]
    files = [str(write_pairs(tmp_path / name, pairs)) for name, pairs in (("t.tsv", train), ("d.tsv", dev))]
    rules = DataSettings(pairs=files[0], dev=(files[1],))
    corpus = opened(rules)
    assert trained_on(corpus) == train
    assert corpus.development() == (dev[:-1], f"dev: 9 pairs of {files[1]}")
    few, sentence = opened(rules.model_copy(update={"held_out_most": 4})).development()
    assert len(few) == 4
    assert "4 of 9 pairs" in sentence
    assert "held_out_most" in sentence


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=2)), max_size=20), st.integers(1, 20), st.randoms())
@settings(deadline=None, max_examples=50)
def test_the_chosen_pairs_do_not_depend_on_their_order(pairs, most, chance) -> None:  # type: ignore[no-untyped-def]
    chosen = least_by_hash(pairs, most)
    assert len(chosen) == min(most, len(pairs))
    positions = iter(pairs)
    assert all(pair in positions for pair in chosen)  # in the order of the pairs
    shuffled = list(pairs)
    chance.shuffle(shuffled)
    assert sorted({source for source, _ in least_by_hash(shuffled, most)}) == sorted({s for s, _ in chosen})


def test_pairs_too_long_are_left_out_by_either_side() -> None:
    tokenisers = train_pair(lambda: [("abc", "abc")], TextSettings(kind="char"), lambda: None)
    pairs = [("abc", "a"), ("abca", "a"), ("a", "abca"), ("", "abc")]
    assert of_length(pairs, tokenisers, 3) == [pairs[0], pairs[3]]


def test_a_run_is_named_after_its_data() -> None:
    assert default_name(DataSettings(pairs="a/names.tsv.gz")) == "names"
    assert default_name(DataSettings(source="train.de", target="train.en")) == "train"
    assert default_name(DataSettings(pairs="-")) == "stdin"


def test_targets_longer_than_any_answer_are_said() -> None:
    sources = [[5] * 3] * 200
    fitting = CachedPairs.from_lists(sources, [[5] * 25] * 200)  # 2 · 3 + 20 less the end
    assert cut_off(fitting, SearchSettings()) == []
    some = CachedPairs.from_lists(sources, [[5] * (26 if row < 3 else 25) for row in range(200)])
    (sentence,) = cut_off(some, SearchSettings())
    assert "1.5%" in sentence
    assert "search.max_length" in sentence
    assert cut_off(some, SearchSettings(max_length=27)) == []
    assert "100.0%" in cut_off(some, SearchSettings(max_length=25))[0]
