"""Text to numbered pieces and back, with the place of each piece in the text.

Kinds char, byte, bpe and unigram are reversible: decoding what was encoded gives the normalised text back,
for any text. Their pieces are made of bytes (char: of characters, with bytes for those that training did not
see), so nothing is unknown. Kind word cuts at white space only, which suits text that is already tokenised: it
gives the words back with one blank between them, without those that are not in the vocabulary.

The names of the special pieces cannot come from a text, and ``<s>``, ``</s>``, ``<unk>``, ``<pad>``, ``▁`` or
``<0x41>`` in a text are text.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pydantic import ValidationError

from seq2see.config.settings import TextSettings
from seq2see.errors import InputError
from seq2see.storage.atomic import write_atomic
from seq2see.text.alphabet import (
    EOS,
    PAD,
    SOS,
    SPECIAL_NAMES,
    SPECIAL_SHOWN,
    UNK,
    escaped,
    legible,
    owners,
    spans_of,
    unescaped,
)
from seq2see.text.dropout import MergeTable
from seq2see.text.learning import learn, sample
from seq2see.text.normalise import normalise
from seq2see.text.stored import FORMAT, MOST_BYTES, check_format, read_object
from seq2see.text.subwords import PREFIX, build, has_prefix
from seq2see.text.vocabulary import Vocabulary, check_vocabulary, piece_bytes, read_vocabulary

__all__ = ["EOS", "PAD", "SOS", "UNK", "Encoding", "Tokeniser", "TokeniserPair", "train_pair"]

_AT_ONCE = 4_096  # texts encoded in one parallel call: the package's objects for one text are large


@dataclass(frozen=True)
class Encoding:
    """A text in pieces.

    text: the normalised text (of a decoding: the decoded text).
    ids: the number of each piece.
    pieces: each piece as people read it: the text it covers; bytes of a split character as labels (‹E2›);
        special pieces as <pad>, <sos>, <eos>, <unk>.
    spans: (start, end) of each piece in ``text``, in characters. A piece with a part of a character covers
        that character; a special piece in a decoding covers nothing.
    """

    text: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


class Tokeniser:
    """A vocabulary, and how text is cut into its pieces. Does not change once it is made."""

    def __init__(self, settings: TextSettings, vocabulary: Vocabulary) -> None:
        """Raises InputError if the vocabulary does not fit ``settings.kind``."""
        check_vocabulary(settings.kind, vocabulary)
        self.settings = settings
        self._vocabulary = vocabulary
        self._model = build(settings.kind, vocabulary)
        self._prefix = PREFIX if has_prefix(settings.kind) else ""
        self._bytes = piece_bytes(settings.kind, vocabulary)
        self._shown = SPECIAL_SHOWN + tuple(map(legible, self._bytes[len(SPECIAL_NAMES) :]))
        self._merges = MergeTable(vocabulary) if settings.kind == "bpe" else None

    @staticmethod
    def train(texts: Iterable[str], settings: TextSettings, check: Callable[[], None] = lambda: None) -> "Tokeniser":
        """Learn a vocabulary from ``texts``; the same texts give the same tokeniser.

        Takes memory for a bounded sample of the texts only (learning.MOST_CHARACTERS).

        Raises:
            InputError: no text, a lone surrogate in a text, or too small a ``settings.vocabulary``.
        """
        return _train_on(sample(((text,) for text in texts), check), settings, check)

    @property
    def size(self) -> int:
        """The number of pieces, V; ids go from 0 to V - 1."""
        return len(self._vocabulary.pieces)

    def encode(self, text: str) -> Encoding:
        """``text`` in pieces, without <sos> and <eos>. Kind word shows the text of an unknown word.

        Raises:
            InputError: a lone surrogate in the text.
        """
        text = normalise(text, self.settings)
        found = self._model.encode(text, add_special_tokens=False)
        if self.settings.kind == "word":
            spans = tuple((start, end) for start, end in found.offsets)
            pieces = tuple(text[start:end] for start, end in spans)
            return Encoding(text, tuple(found.ids), pieces, spans)
        return self._placed(text, tuple(found.ids), owners(text), prefixed=bool(self._prefix))

    def encode_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, as :meth:`encode` gives them, on all cores."""
        ids: list[list[int]] = []
        for start in range(0, len(texts), _AT_ONCE):
            part = [normalise(text, self.settings) for text in texts[start : start + _AT_ONCE]]
            ids.extend(found.ids for found in self._model.encode_batch_fast(part, add_special_tokens=False))
        return ids

    def encode_with_dropout(self, text: str, random: Random) -> list[int]:
        """The ids of one random segmentation of ``text``: BPE-dropout with ``settings.dropout``.

        Raises:
            InputError: the tokeniser is not of kind bpe, or a lone surrogate is in the text.
        """
        if self._merges is None:
            raise InputError(f'BPE-dropout needs a tokeniser of kind "bpe", not "{self.settings.kind}"')
        text = normalise(text, self.settings)
        if not text:
            return []
        cut = self._model.pre_tokenizer
        runs = [run for run, _ in cut.pre_tokenize_str(self._prefix + text)]
        return self._merges.encode(runs, self.settings.dropout, random.random)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``, the special ones left out. Bytes that make no character become U+FFFD.

        Raises:
            InputError: an id is not in the vocabulary.
        """
        known = self._known(ids)
        if self.settings.kind == "word":
            return " ".join(self._shown[number] for number in known if number > UNK)
        return unescaped(escaped(self._joined(known)))[self._prefix_length(known) :]

    def pieces(self, ids: Iterable[int]) -> tuple[str, ...]:
        """Each of ``ids`` as people read it, as :meth:`decode_with_spans` shows them, without looking for places.

        Raises:
            InputError: an id is not in the vocabulary.
        """
        known = self._known(ids)
        prefixed = self.settings.kind != "word" and bool(self._prefix_length(known))
        return self._as_read(known, prefixed=prefixed)

    def decode_with_spans(self, ids: Iterable[int]) -> Encoding:
        """The decoded text with the place of each of ``ids``; a special one covers nothing, where it stands.

        Raises:
            InputError: an id is not in the vocabulary.
        """
        known = self._known(ids)
        if self.settings.kind == "word":
            return self._words_placed(known)
        prefix = self._prefix_length(known)
        text = escaped(self._joined(known))[prefix:]
        placed = self._placed(text, known, owners(text), prefixed=bool(prefix))
        return Encoding(unescaped(text), placed.ids, placed.pieces, placed.spans)

    def _known(self, ids: Iterable[int]) -> tuple[int, ...]:
        known = tuple(ids)
        if known and not (min(known) >= 0 and max(known) < self.size):
            wrong = next(number for number in known if not 0 <= number < self.size)
            raise InputError(f"id {wrong} is not in the vocabulary: its {self.size} ids are 0 to {self.size - 1}")
        return known

    def _joined(self, ids: Iterable[int]) -> bytes:
        return b"".join([self._bytes[number] for number in ids])

    def _prefix_length(self, ids: Iterable[int]) -> int:
        """1 if the text of ``ids`` begins with the blank that encoding puts there, else 0."""
        first = next((self._bytes[number] for number in ids if number > UNK), b"")
        return int(bool(self._prefix) and first.startswith(PREFIX.encode()))

    def _placed(self, text: str, ids: tuple[int, ...], owner: list[int], *, prefixed: bool) -> Encoding:
        """The pieces that write ``text``; the blank put before it counts as part of its first character."""
        if prefixed:
            owner = [0, *owner]
        spans = spans_of((len(self._bytes[number]) for number in ids), owner, len(text))
        return Encoding(text, ids, self._as_read(ids, prefixed=prefixed), spans)

    def _as_read(self, ids: tuple[int, ...], *, prefixed: bool) -> tuple[str, ...]:
        pieces = [self._shown[number] for number in ids]
        if prefixed:
            first = next((at for at, number in enumerate(ids) if number > UNK), None)
            if first is not None and len(pieces[first]) > 1:
                pieces[first] = pieces[first].removeprefix(PREFIX)
        return tuple(pieces)

    def _words_placed(self, ids: tuple[int, ...]) -> Encoding:
        spans, length = [], 0
        for number in ids:
            if number > UNK:
                start = length + 1 if length else 0
                length = start + len(self._shown[number])
                spans.append((start, length))
            else:
                spans.append((length, length))
        shown = tuple(self._shown[number] for number in ids)
        return Encoding(self.decode(ids), ids, shown, tuple(spans))

    def to_json(self) -> dict[str, object]:
        """Everything, as :meth:`from_json` reads it: the settings, and the JSON of ``tokenizers``."""
        return {
            "format": FORMAT,
            "settings": self.settings.model_dump(mode="json"),
            "tokenizer": json.loads(self._model.to_str()),
        }

    @staticmethod
    def from_json(data: object) -> "Tokeniser":
        """The tokeniser that :meth:`to_json` wrote. Only its vocabulary and settings are used: the rest must
        be what this version would write.

        Raises:
            InputError: anything else.
        """
        if not isinstance(data, dict):
            raise InputError("a tokeniser is a JSON object")
        check_format(data)
        try:
            settings = TextSettings.model_validate(data.get("settings"))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["settings", *map(str, first["loc"])])[:80]
            raise InputError(f"{place}: {first['msg']}") from None
        stored = data.get("tokenizer")
        if not isinstance(stored, dict):
            raise InputError("the part 'tokenizer' is missing or is not a JSON object")
        tokeniser = Tokeniser(settings, read_vocabulary(settings.kind, stored.get("model")))
        _check_same_rules(stored, tokeniser)
        return tokeniser


@dataclass(frozen=True)
class TokeniserPair:
    """The tokenisers of both sides; one and the same object where they share a vocabulary."""

    source: Tokeniser
    target: Tokeniser

    @property
    def joint(self) -> bool:
        """Whether both sides share one vocabulary."""
        return self.source is self.target

    def save(self, path: Path) -> None:
        """Write one JSON file, whole or not at all.

        Raises:
            Seq2seeError: the file cannot be written.
            InputError: the vocabulary is too large to be read again.
        """
        data: dict[str, object] = {"format": FORMAT, "joint": self.joint, "source": self.source.to_json()}
        if not self.joint:
            data["target"] = self.target.to_json()
        content = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
        if len(content) > MOST_BYTES:
            raise InputError(
                f"the tokeniser takes {len(content)} bytes, more than the {MOST_BYTES} of a tokeniser file; "
                "choose a lower text.vocabulary"
            )
        write_atomic(path, content)

    @staticmethod
    def load(path: Path) -> "TokeniserPair":
        """Read the file that :meth:`save` wrote.

        Raises:
            InputError: with the name of the file; it is missing, damaged, or from a newer version.
        """
        try:
            data = read_object(path)
            check_format(data)
            source = Tokeniser.from_json(data.get("source"))
            if data.get("joint") is True:
                return TokeniserPair(source, source)
            if data.get("joint") is not False:
                raise InputError("the part 'joint' is not true or false")
            return TokeniserPair(source, Tokeniser.from_json(data.get("target")))
        except InputError as error:
            raise InputError(f"{path} is no tokeniser that can be used: {error}") from None


def train_pair(
    pairs: Callable[[], Iterable[tuple[str, str]]],
    settings: TextSettings,
    check: Callable[[], None] = lambda: None,
) -> TokeniserPair:
    """Learn the tokenisers for pairs of texts: one for both sides if ``settings.joint``, else one for each.

    ``pairs`` is called once. As :meth:`Tokeniser.train` otherwise.
    """
    texts = sample(pairs(), check)
    if settings.joint:
        tokeniser = _train_on(texts, settings, check)
        return TokeniserPair(tokeniser, tokeniser)
    return TokeniserPair(_train_on(texts[0::2], settings, check), _train_on(texts[1::2], settings, check))


def _train_on(texts: Iterable[str], settings: TextSettings, check: Callable[[], None]) -> Tokeniser:
    """Learn a vocabulary from all of ``texts``, which are few enough to be held in memory."""
    return Tokeniser(settings, learn([normalise(text, settings) for text in texts], settings, check))


def _check_same_rules(stored: dict[str, object], tokeniser: Tokeniser) -> None:
    """Whatever ``stored`` says about cutting text must be what this version does, or ids would differ."""
    expected = tokeniser.to_json()["tokenizer"]
    assert isinstance(expected, dict)
    for part in ("added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if stored.get(part) != expected[part]:
            raise InputError(f"the part 'tokenizer.{part}' is not what a tokeniser of this kind has")
