"""All labelled sentences of a file as numbers: a different word or label is held once, a token takes eight bytes."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from seq2see.data.pairs import HASH_BITS, source_key
from seq2see.data.split import SplitCounter
from seq2see.data.streams import nothing
from seq2see.data.treebank import Sentence
from seq2see.errors import InputError


@dataclass(frozen=True)
class Row:
    """One sentence: the numbers of its words and labels, its place in the file, and the hash that splits by."""

    words: "array[int]"
    labels: "array[int]"
    line: int
    key: int

    def __len__(self) -> int:
        return len(self.words)


@dataclass(frozen=True)
class TaggedCorpus:
    """Words and labels stand in the order in which they were met; ``content`` is a hash of all that was read."""

    words: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[Row, ...]
    content: str
    counter: SplitCounter

    def sentence(self, row: Row) -> Sentence:
        """A row as it was read."""
        tokens = tuple(self.words[number] for number in row.words)
        return Sentence(tokens, tuple(self.labels[number] for number in row.labels), row.line)

    def split(self, share: float) -> tuple[list[Row], list[Row]]:
        """Rows to train on, and that ``share`` of the different sentences that is held out, by their hash."""
        limit = share * 2.0**HASH_BITS
        return [row for row in self.rows if row.key >= limit], [row for row in self.rows if row.key < limit]

    def share(self, wanted: float, most: int, name: str) -> float:
        """The share of the different sentences to hold out, of about ``most`` sentences at most.

        Raises:
            InputError: there are not two different sentences.
        """
        if wanted and not self.counter.several:
            count = "1 sentence" if len(self.rows) == 1 else f"{len(self.rows):,} sentences, all with the same tokens"
            raise InputError(
                f"{name} has {count}: nothing can be held out to measure on. Give a dev file, more sentences, or set "
                "data.held_out = 0 to train without measuring."
            )
        return self.counter.share(wanted, most)

    def word_counts(self, rows: Iterable[Row]) -> dict[str, int]:
        """How often each word stands in some rows."""
        counts = Counter[int]()
        for row in rows:
            counts.update(row.words)
        return {self.words[number]: times for number, times in counts.items()}


def sentence_key(tokens: Sequence[str]) -> int:
    """A stable 64-bit hash of a sentence, by which it is held out or not."""
    return source_key(" ".join(tokens))


def collect(sentences: Iterable[Sentence], check: Callable[[], None] = nothing) -> TaggedCorpus:
    """Read all sentences into memory."""
    words, labels = dict[str, int](), dict[str, int]()
    rows, digest, counter = list[Row](), hashlib.sha256(), SplitCounter()
    for place, sentence in enumerate(sentences):
        if place % 1_024 == 0:
            check()
        digest.update("\t".join((*sentence.tokens, "\n", *sentence.labels, "\n")).encode())
        key = sentence_key(sentence.tokens)
        counter.add(key)
        rows.append(
            Row(
                array("i", [words.setdefault(token, len(words)) for token in sentence.tokens]),
                array("i", [labels.setdefault(label, len(labels)) for label in sentence.labels]),
                sentence.line,
                key,
            )
        )
    return TaggedCorpus(tuple(words), tuple(labels), tuple(rows), digest.hexdigest(), counter)
