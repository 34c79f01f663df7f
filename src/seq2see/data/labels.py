"""Labels as numbers: the classes of a model, in one strict JSON file."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from seq2see.config.settings import TextSettings
from seq2see.data.pairs import source_key
from seq2see.data.survey import DistinctSample
from seq2see.data.tally import Pair
from seq2see.errors import InputError
from seq2see.storage.atomic import write_atomic
from seq2see.text.stored import FORMAT, check_format, read_object
from seq2see.text.tokeniser import Tokeniser
from seq2see.text.vocabulary import Vocabulary, fixed_pieces

MOST_LABELS = 10_000
MOST_LABEL_CHARACTERS = 1_000


def plain_label(label: str) -> str:
    """A label as it is kept: in NFC, one blank for any white space inside it, none around it."""
    return " ".join(normalize("NFC", label).split())


@dataclass(frozen=True)
class Labels:
    """The classes of a model; a label's place is its number."""

    names: tuple[str, ...]

    @staticmethod
    def of(found: Iterable[str]) -> "Labels":
        """Numbers in their order, else names in that of their letters."""
        names = set(found)
        if all(re.fullmatch(r"-?[0-9]{1,18}", name) for name in names):
            return Labels(tuple(sorted(names, key=lambda name: (int(name), name))))
        return Labels(tuple(sorted(names)))

    def __len__(self) -> int:
        return len(self.names)

    def save(self, path: Path) -> None:
        """Write a JSON file, whole or not at all."""
        content = {"format": FORMAT, "labels": self.names}
        write_atomic(path, json.dumps(content, ensure_ascii=False, indent=0) + "\n")

    @staticmethod
    def load(path: Path) -> "Labels":
        """Read what :meth:`save` wrote.

        Raises:
            InputError: with the name of the file; it is missing, damaged, or from a newer version.
        """
        try:
            data = read_object(path)
            check_format(data)
            return Labels(_checked(data))
        except InputError as error:
            raise InputError(f"{path} is no file of labels that can be used: {error}") from None

    def tokeniser(self) -> Tokeniser:
        """One piece a label; what it cuts are numbers of labels."""
        pieces = fixed_pieces("word") + tuple(map(str, range(len(self.names))))
        return Tokeniser(TextSettings(kind="word", vocabulary=len(pieces), joint=False), Vocabulary(pieces))

    def numbered(self, pairs: Iterable[Pair], where: str) -> Iterator[Pair]:
        """The pairs with the number of their label in its place.

        Raises:
            InputError: a label is none of these; ``where`` is the file.
        """
        numbers = {name: str(number) for number, name in enumerate(self.names)}
        for pair in pairs:
            number = numbers.get(plain_label(pair.target))
            if number is None:
                raise InputError(
                    f"{where}, line {pair.line:,}: the label {plain_label(pair.target)[:80]!r} is none of the "
                    f"{len(self.names):,} that this model was begun with; start another run (another --out)"
                )
            yield Pair(pair.source, number, pair.line)


def _checked(data: dict[str, object]) -> tuple[str, ...]:
    if set(data) != {"format", "labels"}:
        raise InputError(f'it has {", ".join(sorted(data))[:200]}, and should have "format" and "labels"')
    names = data["labels"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError('"labels" is not a list of texts')
    if not 2 <= len(names) <= MOST_LABELS:
        raise InputError(f"it has {len(names):,} labels; from 2 to {MOST_LABELS:,} are possible")
    for name in names:
        if not name or plain_label(name) != name or len(name) > MOST_LABEL_CHARACTERS:
            raise InputError(f"the label {name[:80]!r} is blank, too long, or not written as labels are kept")
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise InputError(f"the label {ascii(name)[:80]} holds half of a character")
    if len(set(names)) < len(names):
        raise InputError("a label stands there twice")
    return tuple(names)


@dataclass(frozen=True)
class LabelCount:
    """How often each label occurs, the most frequent first; and how often a text came with yet another label."""

    counts: Counter[str]
    contradictions: int  # an estimate in very large corpora

    @property
    def examples(self) -> int:
        """All of them."""
        return self.counts.total()

    def share(self, label: str) -> float:
        """The part of the examples that have it, 0 to 1."""
        return self.counts[label] / self.examples


def count_labels(pairs: Iterable[Pair], where: str, check: Callable[[], None]) -> LabelCount:
    """Look through the labels of a corpus once. Memory does not grow with the corpus.

    Raises:
        InputError: a label that is no label, or so many of them that the column is none of labels.
    """
    counts: Counter[str] = Counter()
    texts, labelled = DistinctSample(), DistinctSample()
    for number, pair in enumerate(pairs):
        if number % 4_096 == 0:
            check()
        label = plain_label(pair.target)
        if len(label) > MOST_LABEL_CHARACTERS:
            size = f"{len(label):,} characters; at most {MOST_LABEL_CHARACTERS:,} are possible"
            raise InputError(f"{where}, line {pair.line:,}: a label of {size}. {_ADVICE}")
        counts[label] += 1
        if len(counts) > MOST_LABELS:
            size = f"more than {MOST_LABELS:,} different labels in its first {number + 1:,} examples"
            raise InputError(f"{where} has {size}. {_ADVICE}")
        texts.add(source_key(pair.source))
        labelled.add(source_key(f"{label}\n{pair.source.strip()}"))
    ordered = Counter(dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))))
    return LabelCount(ordered, max(0, labelled.distinct - texts.distinct))


_ADVICE = "Is that the label column? Name the two: --columns TEXT,LABEL"
