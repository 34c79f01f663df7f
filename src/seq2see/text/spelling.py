"""What a model sees of a word: its number if it is known, its letters, and the numbers of its n-grams.

Words are in NFC. Letters are those of NFD, so that an accent, or a part of a Hangul syllable, is a letter of its
own, seen far more often than all that it is part of. Letters and n-grams keep capitals and digits.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seq2see.errors import InputError
from seq2see.storage.atomic import write_atomic
from seq2see.text.normalise import refuse_surrogates
from seq2see.text.stored import FORMAT, MOST_BYTES, check_format, read_object
from seq2see.text.vocabulary import MOST_PIECES

UNKNOWN_WORD, FIRST_WORD = 1, 2  # 0 stands where no word is
START, END, CUT, FIRST_CLASS = 1, 2, 3, 4  # of the letters; 0 stands where no letter is
CLASSES = ("Lu", "Ll", "L", "M", "N", "P", "S", "")  # of unknown letters, by the start of their Unicode category
FIRST_LETTER = FIRST_CLASS + len(CLASSES)
SEEN_LETTERS = 3  # a letter seen less often counts as unknown, so that each class of unknown ones is trained
MOST_BUCKETS = 1 << 24

_LONGEST = 4_096  # characters that are looked at of an enormous word, at either end
_FNV_START, _FNV_PRIME, _FNV_BITS = 2_166_136_261, 16_777_619, 0xFFFFFFFF
_FIELDS = ("format", "spelling", "known", "alphabet", "seen")
_RULES = ("lowercase", "letters", "shortest", "longest", "buckets")


@dataclass(frozen=True)
class SpellingRules:
    """How words are looked at; see `TagTextSettings`. ``buckets`` 0: no n-grams; ``letters`` 0: no letters."""

    lowercase: bool
    letters: int
    shortest: int
    longest: int
    buckets: int


@dataclass(frozen=True)
class Spelled:
    """One word: its number, its letters between START and END, its n-grams as numbers of buckets."""

    word: int
    letters: tuple[int, ...]
    ngrams: tuple[int, ...]


@dataclass(frozen=True)
class Spelling:
    """What was learned of the words of a corpus. ``seen`` are its words as they stood there, in NFC."""

    rules: SpellingRules
    known: tuple[str, ...]
    alphabet: tuple[str, ...]
    seen: frozenset[str]

    @staticmethod
    def learn(words: Mapping[str, int], rules: SpellingRules, least: int) -> "Spelling":
        """From words and how often each was seen; the same words give the same spelling, whatever their order.

        A word (with ``lowercase``: whatever its capitals; digits count as equal) seen ``least`` times is known.
        """
        known, letters, seen = Counter[str](), Counter[str](), Counter[str]()
        for word, times in words.items():
            form = composed(word)
            seen[form] += times
            known[_key(form, rules)] += times
            letters.update(dict.fromkeys(_ends(form, rules.letters or 2)[2], times))
        return Spelling(
            rules,
            tuple(_ranked(known, least)[: MOST_PIECES - FIRST_WORD]),
            tuple(_ranked(letters, SEEN_LETTERS)[: MOST_PIECES - FIRST_LETTER]),
            frozenset(_ranked(seen, 1)[:MOST_PIECES]),
        )

    @property
    def words(self) -> int:
        """Numbers of words that there are."""
        return FIRST_WORD + len(self.known)

    @property
    def letters(self) -> int:
        """Numbers of letters that there are."""
        return FIRST_LETTER + len(self.alphabet)

    @cached_property
    def _word_numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.known, start=FIRST_WORD)}

    @cached_property
    def _letter_numbers(self) -> dict[str, int]:
        return {letter: number for number, letter in enumerate(self.alphabet, start=FIRST_LETTER)}

    def has_seen(self, word: str) -> bool:
        """Whether exactly this word was in the corpus."""
        return composed(word) in self.seen

    def describe(self, word: str) -> Spelled:
        """What the model sees. The time is bounded, however long the word.

        Raises:
            InputError: a lone surrogate in the word.
        """
        form = composed(word)
        number = self._word_numbers.get(_key(form, self.rules), UNKNOWN_WORD)
        head, tail, _ = _ends(form, self.rules.letters or 2)
        letters = [START, *map(self._letter, head), *([CUT, *map(self._letter, tail)] if tail else ()), END]
        ngrams = tuple(fnv1a(ngram) % self.rules.buckets for ngram in _ngrams(form, self.rules))
        return Spelled(number, tuple(letters) if self.rules.letters else (), ngrams)

    def _letter(self, letter: str) -> int:
        known = self._letter_numbers.get(letter)
        if known is not None:
            return known
        category = unicodedata.category(letter)
        return FIRST_CLASS + next(place for place, start in enumerate(CLASSES) if category.startswith(start))

    def to_json(self) -> dict[str, object]:
        rules = {name: getattr(self.rules, name) for name in _RULES}
        return {
            "format": FORMAT,
            "spelling": rules,
            "known": list(self.known),
            "alphabet": list(self.alphabet),
            "seen": sorted(self.seen),
        }

    def save(self, path: Path) -> None:
        """Write one JSON file, whole or not at all.

        Raises:
            InputError: it is too large to be read again.
        """
        content = json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":")).encode()
        if len(content) > MOST_BYTES:
            raise InputError(
                f"the words take {len(content):,} bytes, more than the {MOST_BYTES:,} of a file of words; "
                "train on fewer different words"
            )
        write_atomic(path, content)

    @staticmethod
    def load(path: Path) -> "Spelling":
        """Read the file that :meth:`save` wrote.

        Raises:
            InputError: with the name of the file; it is missing, damaged, or from a newer version.
        """
        try:
            data = read_object(path)
            check_format(data)
            return _from_json(data)
        except InputError as error:
            raise InputError(f"{path} holds no words that can be used: {error}") from None


def composed(word: str) -> str:
    """The word in NFC, without what lies between the ends of an enormous one.

    Raises:
        InputError: a lone surrogate.
    """
    refuse_surrogates(word)
    if len(word) > 2 * _LONGEST:
        word = word[:_LONGEST] + word[-_LONGEST:]
    return unicodedata.normalize("NFC", word)


def _key(form: str, rules: SpellingRules) -> str:
    """What known words are looked up by: "1999" and "2001" are one word."""
    return re.sub(r"\d", "0", form.lower() if rules.lowercase else form)


def _ends(form: str, most: int) -> tuple[str, str, str]:
    """The letters of a word, or of a long one the first and the last half of ``most``; and both together."""
    letters = unicodedata.normalize("NFD", form)
    if len(letters) <= most:
        return letters, "", letters
    head, tail = letters[: most - most // 2], letters[-(most // 2) :]
    return head, tail, head + tail


def _ngrams(form: str, rules: SpellingRules) -> Iterator[str]:
    """All n-grams of <word> (Bojanowski et al. 2017, section 3.2), but < and > alone; the ends of a long word."""
    if not rules.buckets:
        return
    half = max(rules.letters, 2 * rules.longest)
    parts = [f"<{form}>"] if len(form) <= 2 * half else [f"<{form[:half]}", f"{form[-half:]}>"]
    for part in parts:
        for length in range(rules.shortest, rules.longest + 1):
            for start in range(len(part) - length + 1):
                ngram = part[start : start + length]
                if ngram not in ("<", ">"):
                    yield ngram


def fnv1a(text: str) -> int:
    """The 32-bit FNV-1a hash of UTF-8, bytes taken as signed: that of fastText's dictionary."""
    value = _FNV_START
    for byte in text.encode():
        value = ((value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * _FNV_PRIME) & _FNV_BITS
    return value


def different_ngrams(
    words: Sequence[str], shortest: int, longest: int, most: int, check: Callable[[], None] = lambda: None
) -> int:
    """How many n-grams some words have, counted up to ``most``."""
    rules = SpellingRules(lowercase=False, letters=2, shortest=shortest, longest=longest, buckets=1)
    found: set[str] = set()
    for place, word in enumerate(words):
        if place % 4_096 == 0:
            check()
        found.update(_ngrams(composed(word), rules))
        if len(found) >= most:
            return most
    return len(found)


def _ranked(counts: Counter[str], least: int) -> list[str]:
    """What was counted so often, the most frequent first; equals by their letters."""
    return sorted((each for each, times in counts.items() if times >= least), key=lambda each: (-counts[each], each))


def _from_json(data: dict[str, Any]) -> Spelling:
    if set(data) != set(_FIELDS):
        raise InputError(f"it does not have the parts {', '.join(_FIELDS)} and no others")
    known, alphabet, seen = (_texts(data[name], name) for name in ("known", "alphabet", "seen"))
    if any(len(letter) != 1 for letter in alphabet):
        raise InputError("a letter of the alphabet is not one character")
    return Spelling(_rules(data["spelling"]), known, alphabet, frozenset(seen))


def _rules(given: object) -> SpellingRules:
    if not isinstance(given, dict) or set(given) != set(_RULES):
        raise InputError(f"the part 'spelling' does not have {', '.join(_RULES)} and no others")
    lowercase, numbers = given["lowercase"], [given[name] for name in _RULES[1:]]
    if type(lowercase) is not bool or any(type(number) is not int or number < 0 for number in numbers):
        raise InputError("the part 'spelling' holds something else than numbers from 0 on, and true or false")
    rules = SpellingRules(lowercase, *numbers)
    if rules.letters > 1_000 or not 1 <= rules.shortest <= rules.longest <= 100 or rules.buckets > MOST_BUCKETS:
        raise InputError("the part 'spelling' holds a number that is out of range")
    return rules


def _texts(given: object, name: str) -> tuple[str, ...]:
    if not isinstance(given, list) or len(given) > MOST_PIECES or not all(isinstance(each, str) for each in given):
        raise InputError(f"the part {name!r} is no list of texts, or has more than {MOST_PIECES:,}")
    if len(set(given)) != len(given):
        raise InputError(f"the part {name!r} has a text twice")
    for each in given:
        refuse_surrogates(each)
    return tuple(given)
