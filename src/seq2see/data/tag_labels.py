"""The labels of a tagger in the order of their numbers, and how they mark spans: kept in `labels.json`."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from seq2see.data.label_scheme import Scheme, keeps_rules, scheme_of
from seq2see.errors import InputError
from seq2see.storage.atomic import write_atomic
from seq2see.text.normalise import refuse_surrogates
from seq2see.text.stored import FORMAT, check_format, read_object

MOST_LABELS = 10_000
_LONGEST = 1_000  # characters
_FIELDS = ("format", "labels", "scheme", "ruled")


@dataclass(frozen=True)
class Labels:
    """``names[number]`` is a label. ``ruled``: training data keeps the rules of the scheme, so answers shall."""

    names: tuple[str, ...]
    scheme: Scheme = "none"
    ruled: bool = False

    @staticmethod
    def learn(sentences: Sequence[Sequence[str]], name: str) -> "Labels":
        """The labels of some sentences, the most frequent first.

        Raises:
            InputError: more than `MOST_LABELS`, or a single one; ``name`` is that of the file.
        """
        counts = Counter(label for labels in sentences for label in labels)
        if len(counts) > MOST_LABELS:
            raise InputError(
                f"{name}: {len(counts):,} different labels in {counts.total():,} tokens; at most {MOST_LABELS:,} can "
                "be learned. Is this the column of the labels? --columns names those of tokens and labels."
            )
        if len(counts) == 1:
            raise InputError(f"{name}: every token has the label {next(iter(counts))!r}: there is nothing to learn")
        names = tuple(sorted(counts, key=lambda label: (-counts[label], label)))
        scheme = scheme_of(names)
        return Labels(names, scheme, scheme != "none" and keeps_rules(sentences, scheme))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each label."""
        return {name: number for number, name in enumerate(self.names)}

    def unknown(self, labels: Iterable[str]) -> list[str]:
        """Which of ``labels`` are none of these, each once."""
        return [label for label in dict.fromkeys(labels) if label not in self.numbers]

    def to_json(self) -> dict[str, object]:
        return {"format": FORMAT, "labels": list(self.names), "scheme": self.scheme, "ruled": self.ruled}

    def save(self, path: Path) -> None:
        """Write one JSON file, whole or not at all."""
        write_atomic(path, json.dumps(self.to_json(), ensure_ascii=False, indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> "Labels":
        """Read the file that :meth:`save` wrote.

        Raises:
            InputError: with the name of the file; it is missing, damaged, or from a newer version.
        """
        try:
            data = read_object(path)
            check_format(data)
            return _from_json(data)
        except InputError as error:
            raise InputError(f"{path} holds no labels that can be used: {error}") from None


def _from_json(data: dict[str, object]) -> Labels:
    if set(data) != set(_FIELDS):
        raise InputError(f"it does not have the parts {', '.join(_FIELDS)} and no others")
    names, scheme, ruled = data["labels"], data["scheme"], data["ruled"]
    if not isinstance(names, list) or not 2 <= len(names) <= MOST_LABELS:
        raise InputError(f"the part 'labels' is no list of 2 to {MOST_LABELS:,} labels")
    if any(not isinstance(name, str) or not 1 <= len(name) <= _LONGEST or name.split() != [name] for name in names):
        raise InputError("a label is not text without blanks")
    if len(set(names)) != len(names):
        raise InputError("a label stands there twice")
    refuse_surrogates("".join(names))
    if scheme != scheme_of(names) or type(ruled) is not bool:
        raise InputError("the parts 'scheme' and 'ruled' do not fit the labels")
    return Labels(tuple(names), scheme, ruled)
