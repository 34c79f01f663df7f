import json
import os
import subprocess
import sys
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_samples import SENTENCES, texts

from seq2see.config.settings import TextSettings, TokeniserKind
from seq2see.errors import InputError, Stopped
from seq2see.text.alphabet import BYTE_CHARACTERS, BYTE_NAMES, SPECIAL_NAMES, bytes_of
from seq2see.text.learning import learn, sample
from seq2see.text.tokeniser import Tokeniser, train_pair

KINDS: tuple[TokeniserKind, ...] = ("char", "word", "byte", "bpe", "unigram")


def nothing() -> None:
    pass


@settings(deadline=None, max_examples=60)
@given(st.lists(texts(3), max_size=5), st.sampled_from(KINDS), st.integers(260, 300))
def test_any_corpus_can_be_learnt_from(corpus: list[str], kind: TokeniserKind, most: int) -> None:
    if kind != "byte" and not any(corpus):
        return
    tokeniser = Tokeniser.train(corpus, TextSettings(kind=kind, vocabulary=most))
    assert tokeniser.size <= most
    for line in corpus:
        tokeniser.decode(tokeniser.encode(line).ids)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [260, 261, 263, 270, 500])
def test_the_size_stays_within_the_bound(kind: TokeniserKind, most: int) -> None:
    tokeniser = Tokeniser.train(SENTENCES, TextSettings(kind=kind, vocabulary=most))
    assert tokeniser.size <= most
    if kind in ("bpe", "char") and most <= 270:
        assert tokeniser.size == most
    if kind == "unigram" and most <= 270:
        assert tokeniser.size >= most - 1  # a piece that no segmentation uses has no place


def test_the_same_texts_give_the_same_file_in_every_process() -> None:
    """Symmetrical words make ties everywhere; hash orders differ between the processes."""
    program = (
        "import itertools, json\n"
        "from seq2see.config.settings import TextSettings\n"
        "from seq2see.text.tokeniser import Tokeniser\n"
        "texts = [' '.join(map(''.join, itertools.permutations('abcde', 3))), 'cab deb abc ébé 가나다'] * 3\n"
        "for kind in ('char', 'word', 'byte', 'bpe', 'unigram'):\n"
        "    settings = TextSettings(kind=kind, vocabulary=290)\n"
        "    print(json.dumps(Tokeniser.train(texts, settings).to_json()))\n"
    )
    outputs = set()
    for seed in "123":
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", program]
        outputs.add(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert len(outputs) == 1
    lines = outputs.pop().splitlines()
    assert [json.loads(line)["settings"]["kind"] for line in lines] == list(KINDS)


def test_the_first_pieces_are_always_the_same() -> None:
    for kind, names in (
        ("char", SPECIAL_NAMES + BYTE_NAMES),
        ("byte", SPECIAL_NAMES + BYTE_CHARACTERS),
        ("bpe", SPECIAL_NAMES + BYTE_CHARACTERS),
        ("unigram", SPECIAL_NAMES + BYTE_CHARACTERS),
        ("word", SPECIAL_NAMES),
    ):
        vocabulary = learn(SENTENCES, TextSettings(kind=kind), nothing)  # type: ignore[arg-type]
        assert vocabulary.pieces[: len(names)] == names


def test_characters_and_words_by_frequency() -> None:
    chars = learn(["bbaac", "cd"], TextSettings(kind="char", vocabulary=263), nothing)
    assert chars.pieces[260:] == ("a", "b", "c")
    few = learn(["bbaac"], TextSettings(kind="char", vocabulary=5), nothing)
    assert few.pieces == SPECIAL_NAMES + BYTE_NAMES, "the bytes are there, whatever the bound"
    words = learn(["b  a b", "a\tc", "d"], TextSettings(kind="word", vocabulary=7), nothing)
    assert words.pieces[4:] == ("a", "b", "c")
    assert learn(["a b"], TextSettings(kind="word", vocabulary=4), nothing).pieces == SPECIAL_NAMES


def test_byte_pairs_by_hand() -> None:
    """ "low" ×5, "lower" ×2 (Sennrich et al. 2016): among pairs as frequent, the lower ids go first."""
    vocabulary = learn(["low low low low low lower lower"], TextSettings(kind="bpe", vocabulary=264), nothing)
    assert vocabulary.merges == (("l", "o"), ("Ġ", "lo"), ("Ġlo", "w"), ("e", "r"))
    once = learn(["xy"], TextSettings(kind="bpe", vocabulary=300), nothing)
    assert once.merges == (), "a pair seen once is not merged"


def test_unigram_pieces_end_between_characters() -> None:
    vocabulary = learn(SENTENCES, TextSettings(kind="unigram", vocabulary=500), nothing)
    assert len(vocabulary.pieces) > 300
    for piece in vocabulary.pieces[260:]:
        bytes_of(piece).decode()
    lowest = min(vocabulary.scores[260:])
    unused = vocabulary.pieces.index(BYTE_CHARACTERS[0xFF])
    assert vocabulary.scores[unused] < lowest - 5


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_too_small_a_vocabulary_is_refused(kind: TokeniserKind) -> None:
    with pytest.raises(InputError, match=r"vocabulary = 259 .* 260 pieces"):
        Tokeniser.train(["text"], TextSettings(kind=kind, vocabulary=259))
    with pytest.raises(InputError, match=r"vocabulary = 3 .* 4 pieces"):
        Tokeniser.train(["text"], TextSettings(kind="word", vocabulary=3))


def test_no_text_is_refused() -> None:
    for kind in KINDS:
        if kind != "byte":
            with pytest.raises(InputError, match=f"no text .* {kind} "):
                Tokeniser.train(["", ""], TextSettings(kind=kind))


# The sample


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=40), st.integers(4, 60))
def test_the_sample_is_every_kth_pair(pairs: list[tuple[str, str]], most: int) -> None:
    """The least power of two k with which every k-th pair fits, sides cut to half the bound."""
    cut = [(left[: most // 2], right[: most // 2]) for left, right in pairs]
    stride = 1
    while sum(len(left) + len(right) for left, right in cut[::stride]) > most:
        stride *= 2
    expected = [text for pair in cut[::stride] for text in pair]
    assert sample(iter(pairs), nothing, most) == expected


def test_the_sample_holds_little_at_any_time() -> None:
    """Texts that are dropped are really gone: never more than the bound and one text are alive."""
    alive = 0

    class Text(str):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

        def __getitem__(self, key: object) -> str:
            return self

    def made() -> Iterable[tuple[str, ...]]:
        nonlocal alive
        for _ in range(2_000):
            alive += 1
            assert alive <= 64 + 2
            yield (Text("x" * 1_000),)

    kept = sample(made(), nothing, 64_000)
    assert 32 < len(kept) <= 64


def test_signals_are_looked_at_while_reading() -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Stopped("a signal", 15)

    def endless() -> Iterable[str]:
        while True:
            yield "text"

    with pytest.raises(Stopped):
        Tokeniser.train(endless(), TextSettings(), stop)


# Pairs


def test_one_vocabulary_for_both_sides_or_one_for_each() -> None:
    pairs = [("aa ab", "ŝŝ ŝĝ")] * 4
    joint = train_pair(lambda: pairs, TextSettings(kind="char"))
    assert joint.joint and joint.source is joint.target
    assert joint.source.size == 4 + 256 + 5
    apart = train_pair(lambda: pairs, TextSettings(kind="char", joint=False))
    assert not apart.joint
    assert apart.source.encode("ab").pieces == ("a", "b")
    assert apart.source.encode("ŝ").pieces == ("‹C5›", "‹9D›")
    assert apart.target.encode("ŝ").pieces == ("ŝ",)
    assert apart.target.size == 4 + 256 + 3


def test_both_sides_are_sampled_alike() -> None:
    """A sample that took every second text, not every second pair, would see one side only."""
    kept = sample((("a" * 10, "b" * 10) for _ in range(100)), nothing, 100)
    assert "".join(kept).count("a") == "".join(kept).count("b") == 40
