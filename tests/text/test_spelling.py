"""What is seen of a word: hand-made words, fastText's own hash, and files that are not to be believed."""

import json
import time
import unicodedata
from pathlib import Path

import pytest

from seq2see.errors import InputError
from seq2see.text.spelling import (
    CLASSES,
    CUT,
    END,
    FIRST_CLASS,
    FIRST_LETTER,
    FIRST_WORD,
    START,
    UNKNOWN_WORD,
    Spelling,
    SpellingRules,
    different_ngrams,
    fnv1a,
)

RULES = SpellingRules(lowercase=True, letters=8, shortest=3, longest=4, buckets=1 << 24)


def learned(*words: str, times: int = 5, rules: SpellingRules = RULES) -> Spelling:
    return Spelling.learn(dict.fromkeys(words, times), rules, least=2)


@pytest.mark.parametrize(("text", "value"), [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)])
def test_the_hash_is_fnv_1a(text: str, value: int) -> None:
    """The test vectors of its authors."""
    assert fnv1a(text) == value


def test_bytes_are_signed_as_in_fasttext() -> None:
    """``h = h ^ uint32_t(int8_t(c)); h = h * 16777619`` for each byte."""
    value = 2166136261
    for byte in "é한".encode():
        signed = byte - 256 if byte > 127 else byte
        value = (value ^ (signed % 2**32)) * 16777619 % 2**32
    assert fnv1a("é한") == value


def test_ngrams_of_a_word() -> None:
    ngrams = ("<ca", "cat", "at>", "<cat", "cat>")
    assert learned("x").describe("cat").ngrams == tuple(fnv1a(each) % (1 << 24) for each in ngrams)


def test_brackets_alone_are_no_ngrams() -> None:
    rules = SpellingRules(lowercase=True, letters=8, shortest=1, longest=1, buckets=1 << 24)
    assert learned("x", rules=rules).describe("ab").ngrams == (fnv1a("a") % (1 << 24), fnv1a("b") % (1 << 24))
    assert learned("x", rules=rules).describe("<").ngrams == ()


def test_different_ngrams_are_counted_up_to_a_limit() -> None:
    assert different_ngrams(["cat", "cat"], 3, 4, 100) == 5
    assert different_ngrams(["cat", "hat"], 3, 4, 100) == 9  # at> is in both
    assert different_ngrams(["cat", "hat"], 3, 4, 7) == 7


def test_capitals_and_digits_are_seen_though_the_word_is_the_same() -> None:
    spelling = learned("may", "1999", "May", "2001")
    for one, other in (("May", "may"), ("1999", "2001")):
        a, b = spelling.describe(one), spelling.describe(other)
        assert a.word == b.word >= FIRST_WORD
        assert a.letters != b.letters
        assert a.ngrams != b.ngrams
    kept = SpellingRules(lowercase=False, letters=8, shortest=3, longest=4, buckets=16)
    told_apart = learned("may", "May", rules=kept)
    assert told_apart.describe("may").word != told_apart.describe("May").word


def test_only_words_seen_often_enough_are_known() -> None:
    spelling = Spelling.learn({"often": 2, "once": 1, "The": 1, "the": 1}, RULES, least=2)
    assert spelling.describe("often").word >= FIRST_WORD
    assert spelling.describe("once").word == spelling.describe("never").word == UNKNOWN_WORD
    assert spelling.describe("THE").word >= FIRST_WORD  # both spellings count
    assert spelling.has_seen("once") and spelling.has_seen("The")
    assert not spelling.has_seen("THE") and not spelling.has_seen("never")
    assert spelling.words == FIRST_WORD + 2


def test_normal_forms_are_one_word() -> None:
    spelling = learned("café", "각")
    for form in ("NFC", "NFD"):
        for word in ("café", "각"):
            assert spelling.describe(unicodedata.normalize(form, word)) == spelling.describe(word)
            assert spelling.has_seen(unicodedata.normalize(form, word))
    assert len(spelling.describe("각").letters) == 5  # three parts of the syllable between START and END
    assert spelling.describe("가").letters[1:3] == spelling.describe("각").letters[1:3]


def test_unknown_letters_keep_their_class() -> None:
    spelling = Spelling.learn({"ab": 3, "qx": 1}, RULES, least=2)
    a, b = (spelling.describe(letter).letters[1] for letter in "ab")
    assert a != b and min(a, b) >= FIRST_LETTER
    classes = {"Q": "Lu", "q": "Ll", "字": "L", "7": "N", "!": "P", "€": "S", "\u200b": ""}
    for letter, name in classes.items():
        assert spelling.describe(letter).letters == (START, FIRST_CLASS + CLASSES.index(name), END)


def test_of_a_long_word_both_ends_are_read() -> None:
    spelling = learned(*"abcdefghij")
    numbers = [spelling.describe(letter).letters[1] for letter in "abcdefghij"]
    assert spelling.describe("abcdefgh").letters == (START, *numbers[:8], END)
    assert spelling.describe("abcdeXfghij").letters == (START, *numbers[:4], CUT, *numbers[-4:], END)
    start = time.monotonic()
    enormous = spelling.describe("abcd" + "é" * 1_000_000 + "ghij")
    assert time.monotonic() - start < 2
    assert enormous.letters == (START, *numbers[:4], CUT, *numbers[-4:], END)
    assert len(enormous.ngrams) < 100


def test_parts_that_are_not_used_are_empty() -> None:
    rules = SpellingRules(lowercase=True, letters=0, shortest=3, longest=4, buckets=0)
    found = learned("cat", rules=rules).describe("cat")
    assert (found.letters, found.ngrams) == ((), ())
    assert found.word == FIRST_WORD


def test_half_a_character_is_refused() -> None:
    with pytest.raises(InputError, match="surrogate"):
        learned("a").describe("a\ud800")


def test_the_order_of_the_words_does_not_matter() -> None:
    words = {"one": 3, "two": 3, "zwölf": 4, "b": 2}
    assert Spelling.learn(words, RULES, 2) == Spelling.learn(dict(reversed(words.items())), RULES, 2)


def test_a_file_gives_the_same_spelling(tmp_path: Path) -> None:
    spelling = learned("The", "café", "</s>", "한국어", "a\tb")
    spelling.save(tmp_path / "tokenizer.json")
    assert Spelling.load(tmp_path / "tokenizer.json") == spelling


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "newer"),
        ({"format": True}, "format"),
        ({"more": 1}, "no others"),
        ({"known": "abc"}, "known"),
        ({"known": [1]}, "known"),
        ({"known": ["a", "a"]}, "twice"),
        ({"seen": ["\ud800"]}, "surrogate"),
        ({"alphabet": ["ab"]}, "one character"),
        ({"spelling": {}}, "spelling"),
        ({"spelling": {"lowercase": 1, "letters": 8, "shortest": 3, "longest": 4, "buckets": 2}}, "true or false"),
        ({"spelling": {"lowercase": True, "letters": -1, "shortest": 3, "longest": 4, "buckets": 2}}, "numbers"),
        ({"spelling": {"lowercase": True, "letters": 8, "shortest": 3, "longest": 2, "buckets": 2}}, "range"),
        ({"spelling": {"lowercase": True, "letters": 8, "shortest": 3, "longest": 4, "buckets": 1 << 40}}, "range"),
    ],
)
def test_a_file_is_not_believed(tmp_path: Path, change: dict[str, object], said: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**learned("cat").to_json(), **change}))
    with pytest.raises(InputError, match=said) as caught:
        Spelling.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"format":1}'])
def test_no_words_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        Spelling.load(tmp_path / "tokenizer.json")
