"""What is in a corpus, counted in one pass with bounded memory, and said to a person before training."""

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from seq2see.config.settings import DataSettings
from seq2see.data.pairs import is_blank, pair_key, source_key
from seq2see.data.split import SplitCounter
from seq2see.data.streams import nothing
from seq2see.data.tally import Pair
from seq2see.errors import InputError

EXACT = 1 << 18  # distinct pairs up to which repetitions are counted exactly
DETAILED = 100_000  # pairs up to which the letters of each are looked at; of the others, one in …
DETAIL_STEP = 16
UNEQUAL = 3.0  # times off the usual proportion of lengths
_LONGEST_COUNTED = 10_000  # characters; longer texts share one place in the histogram


@dataclass(frozen=True)
class Side:
    """One side of a corpus. Characters are Unicode code points; words are what white space separates."""

    characters: float  # mean
    words: float  # mean
    most_characters: int  # 99 of 100 texts have no more
    longest: int  # characters
    distinct_characters: int
    script: str  # the most frequent one, "" without letters
    script_share: float  # of all letters, 0 to 1

    def sentence(self, name: str) -> str:
        script = f", {self.script_share:.0%} {self.script} letters" if self.script else ""
        return (
            f"{name}: on average {self.characters:.1f} characters and {self.words:.1f} words; 99 % have at "
            f"most {self.most_characters:,} characters, the longest {self.longest:,}; "
            f"{self.distinct_characters:,} different characters{script}"
        )


@dataclass(frozen=True)
class Survey:
    """Counts over all pairs that were read, before any is dropped."""

    pairs: int
    blank: int  # pairs with a blank side
    repeated: int  # pairs that occurred before, exactly as they are
    distinct_sources: int
    exact: bool  # whether the two counts above are exact or estimates
    identical: int  # source equals target
    unequal: int  # lengths in characters more than `UNEQUAL` times off the usual proportion
    in_dev: int  # pairs whose source is also in the dev file
    detailed: int  # pairs whose letters and words were looked at
    source: Side
    target: Side
    several_sources: bool
    held_out_share: float  # of the sources, after `held_out_most`; 0.0 when nothing can be held out
    rules: DataSettings

    @property
    def usable(self) -> int:
        """Pairs left by the rules that look at texts (an estimate where repetitions are one)."""
        blank = self.blank if self.rules.drop_empty else 0
        return max(0, self.pairs - blank - (self.repeated if self.rules.drop_duplicates else 0))

    def lines(self) -> list[str]:
        """The survey in sentences; what is zero is not mentioned."""
        about = "" if self.exact else "about "
        facts = [
            (self.blank, "with a blank side", "drop_empty", self.rules.drop_empty, ""),
            (self.repeated, "exact repetitions", "drop_duplicates", self.rules.drop_duplicates, about),
        ]
        said = [f"{self.pairs:,} pairs, {about}{self.distinct_sources:,} different sources"]
        for count, what, rule, dropped, approximately in facts:
            if count:
                fate = "dropped" if dropped else "kept"
                said.append(f"{fate}: {approximately}{count:,} {what} (data.{rule} = {str(dropped).lower()})")
        if self.identical:
            said.append(f"source equals target in {self.identical:,} pairs ({self._part(self.identical)})")
        if self.unequal:
            said.append(
                f"{self.unequal:,} pairs ({self._part(self.unequal)}) have lengths over {UNEQUAL:g} times "
                "off the usual proportion; data.max_ratio drops such pairs"
            )
        if self.in_dev:
            said.append(f"the source of {self.in_dev:,} pairs is in the dev file too: the dev score will flatter")
        said += [self.source.sentence("source"), self.target.sentence("target")]
        if self.detailed < self.pairs:
            said.append(f"(words and letters: from {self.detailed:,} of the pairs)")
        return said

    def _part(self, count: int) -> str:
        return f"{count / self.pairs:.1%}"

    def check_trainable(self, name: str, *, dev_given: bool) -> None:
        """Refuse data from which nothing can be learned or on which nothing can be measured.

        Raises:
            InputError: no usable pair; or nothing to hold out, where a share is wanted and no dev file given.
        """
        if not self.usable:
            raise InputError(
                f"{name}: none of its {self.pairs:,} pairs can be used: "
                f"{self.blank:,} have a blank side. Give pairs with text on both sides."
            )
        if not dev_given and self.rules.held_out and not self.several_sources:
            pairs = "1 pair" if self.pairs == 1 else f"{self.pairs:,} pairs, all with the same source"
            raise InputError(
                f"{name} has {pairs}: nothing can be held out to measure on. Give a dev file, more pairs, "
                "or set data.held_out = 0 to train without measuring."
            )


def survey(
    pairs: Iterable[Pair],
    rules: DataSettings,
    check: Callable[[], None] = nothing,
    *,
    dev_keys: Collection[int] = frozenset(),
) -> Survey:
    """Look through a corpus once. ``dev_keys`` are the `source_key` values of a dev file's sources.

    Memory does not grow with the corpus: repetitions are counted exactly up to `EXACT` distinct pairs, beyond
    that from a sample by hash (Gibbons 2001, "Distinct sampling for highly-accurate answers").
    """
    split, repeats, sources = SplitCounter(), DistinctSample(), DistinctSample()
    sides, proportions = (_SideCounter(), _SideCounter()), Counter[int]()
    total = blank = identical = in_dev = detailed = 0
    for pair in pairs:
        if total % 4_096 == 0:
            check()
        key = source_key(pair.source)
        empty = is_blank(pair)
        blank += empty
        identical += pair.source == pair.target
        in_dev += key in dev_keys
        repeats.add(pair_key(pair))
        sources.add(key)
        if not (empty and rules.drop_empty):
            split.add(key)
        proportions[_proportion(pair)] += 1
        look_closer = total < DETAILED or total % DETAIL_STEP == 0
        detailed += look_closer
        for side, text in zip(sides, pair[:2], strict=True):
            side.add(text, look_closer)
        total += 1
    return Survey(
        pairs=total,
        blank=blank,
        repeated=repeats.repeated,
        distinct_sources=sources.distinct,
        exact=repeats.exact and sources.exact,
        identical=identical,
        unequal=_unequal(proportions),
        in_dev=in_dev,
        detailed=detailed,
        source=sides[0].side(),
        target=sides[1].side(),
        several_sources=split.several,
        held_out_share=split.share(rules.held_out, rules.held_out_most),
        rules=rules,
    )


class DistinctSample:
    """Counts how many keys are distinct and how many are repetitions, with at most ``limit`` keys in memory.

    While there is room, all keys are kept and the counts are exact. When it is full, only every second key by
    hash is kept on (all its occurrences, past and future), and so forth; counts are scaled up.
    """

    def __init__(self, limit: int = EXACT) -> None:
        self._limit = limit
        self._level = 0
        self._counts: dict[int, int] = {}

    def add(self, key: int) -> None:
        if key & ((1 << self._level) - 1):
            return
        self._counts[key] = self._counts.get(key, 0) + 1
        while len(self._counts) > self._limit:
            self._level += 1
            mask = (1 << self._level) - 1
            self._counts = {kept: count for kept, count in self._counts.items() if not kept & mask}

    @property
    def exact(self) -> bool:
        return self._level == 0

    @property
    def distinct(self) -> int:
        return len(self._counts) << self._level

    @property
    def repeated(self) -> int:
        return (sum(self._counts.values()) - len(self._counts)) << self._level


class _SideCounter:
    def __init__(self) -> None:
        self._lengths: Counter[int] = Counter()
        self._letters: Counter[str] = Counter()
        self._characters = self._texts = self._words = self._looked_at = self._longest = 0

    def add(self, text: str, look_closer: bool) -> None:
        length = len(text)
        self._texts += 1
        self._characters += length
        self._longest = max(self._longest, length)
        self._lengths[min(length, _LONGEST_COUNTED)] += 1
        if look_closer:
            self._looked_at += 1
            self._words += len(text.split())
            self._letters.update(text)

    def side(self) -> Side:
        scripts: Counter[str] = Counter()
        for letter, count in self._letters.items():
            if letter.isalpha():
                scripts[script_of(letter)] += count
        script, letters = scripts.most_common(1)[0] if scripts else ("", 0)
        return Side(
            characters=self._characters / max(1, self._texts),
            words=self._words / max(1, self._looked_at),
            most_characters=_quantile(self._lengths, 0.99),
            longest=self._longest,
            distinct_characters=len(self._letters),
            script=script,
            script_share=letters / max(1, scripts.total()),
        )


def script_of(letter: str) -> str:
    """The writing system of a letter, by the first word of its Unicode name: Latin, Hangul, Greek, …"""
    return unicodedata.name(letter, "other").split()[0].title().replace("Cjk", "Chinese")


def _proportion(pair: Pair) -> int:
    """Twenty times the logarithm of target to source length; five characters more on each calm short ones."""
    return round(20 * math.log((len(pair.target) + 5) / (len(pair.source) + 5)))


def _unequal(proportions: Counter[int]) -> int:
    usual = _quantile(proportions, 0.5)
    return sum(count for value, count in proportions.items() if abs(value - usual) > 20 * math.log(UNEQUAL))


def _quantile(histogram: Counter[int], share: float) -> int:
    needed = share * histogram.total()
    for value in sorted(histogram):
        needed -= histogram[value]
        if needed <= 0:
            return value
    return 0
