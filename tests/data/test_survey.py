import random
from collections import Counter
from collections.abc import Iterator

import pytest

from seq2see.config.settings import DataSettings
from seq2see.data import survey as module
from seq2see.data.pairs import held_out, source_key
from seq2see.data.survey import DistinctSample, script_of, survey
from seq2see.data.tally import Pair
from seq2see.errors import InputError


def numbered(*pairs: tuple[str, str]) -> list[Pair]:
    return [Pair(source, target, line) for line, (source, target) in enumerate(pairs, 1)]


def test_every_count_by_hand() -> None:
    found = survey(
        numbered(
            ("Go now", "지금 가"),
            ("Go now", "지금 가"),  # repeated
            ("Go now", "가"),
            ("same", "same"),  # identical
            ("", "비었다"),  # blank
            ("ab", "  "),  # blank
            ("x", "아주 긴 문장이라서 길이가 전혀 맞지 않는다고 해도 될 만큼 길다"),  # unequal
        ),
        DataSettings(),
        dev_keys={source_key("same")},
    )
    assert (found.pairs, found.blank, found.repeated, found.distinct_sources) == (7, 2, 1, 5)
    assert (found.identical, found.unequal, found.in_dev, found.exact) == (1, 1, 1, True)
    assert found.usable == 5
    assert found.source.characters == pytest.approx((6 + 6 + 6 + 4 + 0 + 2 + 1) / 7)
    assert found.source.words == pytest.approx((2 + 2 + 2 + 1 + 0 + 1 + 1) / 7)
    assert found.source.longest == found.source.most_characters == 6
    assert found.source.distinct_characters == len(set("Go nowsameabx"))
    assert (found.source.script, found.source.script_share) == ("Latin", 1.0)
    assert found.target.script == "Hangul"
    hangul = sum(
        "가" <= letter <= "힣"
        for letter in "지금 가지금 가가비었다아주 긴 문장이라서 길이가 전혀 맞지 않는다고 해도 될 만큼 길다"
    )
    assert found.target.script_share == pytest.approx(hangul / (hangul + 4))


def test_it_is_said_what_happens_to_whom() -> None:
    pairs = numbered(("a", "b"), ("a", "b"), ("", "c"), ("d", "d"))
    said = "\n".join(survey(pairs, DataSettings()).lines())
    assert "4 pairs, 3 different sources" in said
    assert "dropped: 1 with a blank side (data.drop_empty = true)" in said
    assert "kept: 1 exact repetitions (data.drop_duplicates = false)" in said
    assert "source equals target in 1 pairs (25.0%)" in said
    said = "\n".join(survey(pairs, DataSettings(drop_empty=False, drop_duplicates=True)).lines())
    assert "kept: 1 with a blank side (data.drop_empty = false)" in said
    assert "dropped: 1 exact repetitions" in said
    clean = "\n".join(survey(numbered(("a", "b"), ("c", "d")), DataSettings()).lines())
    assert not any(word in clean for word in ("dropped", "kept", "equals", "dev file", "times off"))


def test_the_held_out_share_holds_out_some_usable_pairs_but_not_too_many() -> None:
    pairs = numbered(*((f"sentence {n}", "x") for n in range(3_000)))
    found = survey(pairs, DataSettings(held_out=0.5, held_out_most=100))
    held = sum(held_out(pair.source, found.held_out_share) for pair in pairs)
    assert 80 <= held <= 100


def test_blank_pairs_are_not_what_is_held_out() -> None:
    pairs = numbered(("", "x"), ("one", ""), ("two", "x"))
    found = survey(pairs, DataSettings())
    assert not found.several_sources
    assert survey(pairs, DataSettings(drop_empty=False)).several_sources


@pytest.mark.parametrize(
    ("pairs", "rules", "dev_given", "said"),
    [
        ([], {}, True, "none of its 0 pairs"),
        ([("", "x"), ("y", " ")], {}, True, "none of its 2 pairs can be used: 2 have a blank side"),
        ([("a", "b")], {}, False, "has 1 pair: nothing can be held out .* Give a dev file"),
        ([("a", "b")] * 3, {}, False, "3 pairs, all with the same source"),
        ([("a", "b")], {}, True, ""),
        ([("a", "b")], {"held_out": 0.0}, False, ""),
        ([("a", "b"), ("c", "d")], {}, False, ""),
    ],
)
def test_data_that_cannot_train_is_refused_with_the_way_out(
    pairs: list[tuple[str, str]], rules: dict[str, float], dev_given: bool, said: str
) -> None:
    found = survey(numbered(*pairs), DataSettings.model_validate(rules))
    if said:
        with pytest.raises(InputError, match=said):
            found.check_trainable("pairs.tsv", dev_given=dev_given)
    else:
        found.check_trainable("pairs.tsv", dev_given=dev_given)


def test_counting_with_room_is_exact_and_without_it_nearly_so() -> None:
    draw = random.Random(1)
    # Keys like those of a hash, a quarter of which occur several times.
    distinct = [draw.getrandbits(64) for _ in range(20_000)]
    keys = distinct + draw.choices(distinct[:5_000], k=15_000)
    draw.shuffle(keys)
    expected = Counter(keys)
    exact, about = DistinctSample(20_000), DistinctSample(4_000)
    for key in keys:
        exact.add(key)
        about.add(key)
    repeated = len(keys) - len(expected)
    assert exact.exact
    assert (exact.distinct, exact.repeated) == (len(expected), repeated)
    assert not about.exact
    assert about.distinct == pytest.approx(len(expected), rel=0.08)
    assert about.repeated == pytest.approx(repeated, rel=0.15)


def test_estimates_are_said_to_be_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DistinctSample", lambda: DistinctSample(16))
    found = survey(numbered(*((f"sentence {n}", "x") for n in range(200))), DataSettings())
    assert not found.exact
    assert "about " in found.lines()[0]


def test_of_a_large_corpus_only_some_texts_are_looked_at_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DETAILED", 10)

    def pairs() -> Iterator[Pair]:
        for line in range(170):
            yield Pair("one two", "three", line)

    found = survey(pairs(), DataSettings())
    assert found.detailed == 10 + len(range(16, 170, 16))
    assert found.source.words == 2.0
    assert found.source.characters == 7.0
    assert f"from {found.detailed} of the pairs" in found.lines()[-1]


def test_check_is_called_regularly() -> None:
    calls = []
    survey(numbered(*[("a", "b")] * 9_000), DataSettings(), lambda: calls.append(1))
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("letter", "script"),
    [
        ("a", "Latin"),
        ("é", "Latin"),
        ("한", "Hangul"),
        ("漢", "Chinese"),
        ("ひ", "Hiragana"),
        ("ب", "Arabic"),
        ("я", "Cyrillic"),
    ],
)
def test_scripts_have_names(letter: str, script: str) -> None:
    assert script_of(letter) == script
