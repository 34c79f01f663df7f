"""The pieces of a tokeniser in the order of their ids, checked: what is learnt, kept and read again."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from seq2see.config.settings import TokeniserKind
from seq2see.errors import InputError
from seq2see.text.alphabet import BYTE_CHARACTERS, BYTE_NAMES, SPECIAL_NAMES, bytes_of

# More pieces than any text needs; an embedding of so many rows of width 512 has two gigabytes.
MOST_PIECES = 1_000_000


@dataclass(frozen=True)
class Vocabulary:
    """``pieces[id]`` is the name of piece ``id``: the special ones, 0 to 3; bytes; what was learnt.

    merges: bpe only, the best first: pairs of pieces that become one.
    scores: unigram only, the log-probability of each piece.
    """

    pieces: tuple[str, ...]
    merges: tuple[tuple[str, str], ...] = ()
    scores: tuple[float, ...] = ()


def fixed_pieces(kind: TokeniserKind) -> tuple[str, ...]:
    """The pieces with which the vocabulary of each kind begins: special ones, and bytes where they serve."""
    match kind:
        case "word":
            return SPECIAL_NAMES
        case "char":
            return SPECIAL_NAMES + BYTE_NAMES
        case "byte" | "bpe" | "unigram":
            return SPECIAL_NAMES + BYTE_CHARACTERS


def piece_bytes(kind: TokeniserKind, vocabulary: Vocabulary) -> tuple[bytes, ...]:
    """What each piece writes; the special ones write nothing."""
    learnt = vocabulary.pieces[len(SPECIAL_NAMES) :]
    nothing = (b"",) * len(SPECIAL_NAMES)
    match kind:
        case "word":
            return nothing + tuple(piece.encode() for piece in learnt)
        case "char":
            rest = learnt[len(BYTE_NAMES) :]
            return nothing + tuple(bytes([byte]) for byte in range(256)) + tuple(char.encode() for char in rest)
        case "byte" | "bpe" | "unigram":
            return nothing + tuple(map(bytes_of, learnt))


def check_vocabulary(kind: TokeniserKind, vocabulary: Vocabulary) -> None:
    """Raise InputError unless every text can be encoded with these pieces and every id decoded."""
    pieces, fixed = vocabulary.pieces, fixed_pieces(kind)
    if len(pieces) > MOST_PIECES:
        raise InputError(f"{len(pieces)} pieces are more than the {MOST_PIECES} that a vocabulary may have")
    if pieces[: len(fixed)] != fixed:
        wrong = next(number for number, name in enumerate(fixed) if pieces[number : number + 1] != (name,))
        raise InputError(f"piece {wrong} must be {fixed[wrong]!r} in a vocabulary of kind {kind!r}")
    if len(set(pieces)) != len(pieces):
        raise InputError("a piece stands twice in the vocabulary")
    for number in range(len(fixed), len(pieces)):
        if not _possible(kind, pieces[number]):
            raise InputError(f"piece {number}, {pieces[number][:40]!r}, cannot come from a text with kind {kind!r}")
    if kind == "byte" and len(pieces) != len(fixed):
        raise InputError(f"a vocabulary of kind 'byte' has {len(fixed)} pieces, not {len(pieces)}")
    _check_merges(kind, vocabulary)
    _check_scores(kind, vocabulary)


def _possible(kind: TokeniserKind, piece: str) -> bool:
    match kind:
        case "char":
            return len(piece) == 1 and _encodable(piece)
        case "word":
            return bool(piece) and not any(map(is_white, piece)) and _encodable(piece)
        case "byte" | "bpe" | "unigram":
            return bool(piece) and _ALPHABET.issuperset(piece)


_ALPHABET = frozenset(BYTE_CHARACTERS)


def is_white(char: str) -> bool:
    """Unicode's White_Space, at which words are split. Python counts four separating controls as well."""
    return char.isspace() and not "\x1c" <= char <= "\x1f"


def _encodable(text: str) -> bool:
    return not any(0xD800 <= ord(char) <= 0xDFFF for char in text)


def _check_merges(kind: TokeniserKind, vocabulary: Vocabulary) -> None:
    if kind != "bpe":
        if vocabulary.merges:
            raise InputError(f"a vocabulary of kind {kind!r} has no merges, here are {len(vocabulary.merges)}")
        return
    known = set(fixed_pieces(kind)[len(SPECIAL_NAMES) :])
    for number, (left, right) in enumerate(vocabulary.merges):
        if left not in known or right not in known:
            raise InputError(
                f"merge {number} joins {left[:40]!r} and {right[:40]!r}, which are no pieces at that point"
            )
        known.add(left + right)
    if len(set(vocabulary.merges)) != len(vocabulary.merges):
        raise InputError("a merge stands twice in the table")
    if known != set(vocabulary.pieces) - set(SPECIAL_NAMES):
        raise InputError("the pieces are not those that the merges make")


def _check_scores(kind: TokeniserKind, vocabulary: Vocabulary) -> None:
    expected = len(vocabulary.pieces) if kind == "unigram" else 0
    if len(vocabulary.scores) != expected:
        raise InputError(f"{expected} scores were expected, here are {len(vocabulary.scores)}")
    if not all(math.isfinite(score) for score in vocabulary.scores):
        raise InputError("a score is not a finite number")


def read_vocabulary(kind: TokeniserKind, model: object) -> Vocabulary:
    """The vocabulary in the ``model`` part of the JSON of ``tokenizers``.

    Raises:
        InputError: it is not the model of a tokeniser of this kind, with ids from 0 on without gaps.
    """
    if not isinstance(model, dict):
        raise InputError("the model is not a JSON object")
    expected = {"word": "WordLevel", "unigram": "Unigram"}.get(kind, "BPE")
    if model.get("type") != expected:
        raise InputError(f"kind {kind!r} needs a model of type {expected}, here is another")
    if kind == "unigram":
        pieces, scores = _read_scored(model.get("vocab"))
        vocabulary = Vocabulary(pieces, scores=scores)
    else:
        vocabulary = Vocabulary(_read_numbered(model.get("vocab")), merges=_read_merges(model.get("merges", [])))
    check_vocabulary(kind, vocabulary)
    return vocabulary


def _read_numbered(table: object) -> tuple[str, ...]:
    if not isinstance(table, dict) or not all(type(number) is int for number in table.values()):
        raise InputError("the vocabulary is not a JSON object of whole numbers")
    by_id = {number: piece for piece, number in table.items()}
    if set(by_id) != set(range(len(table))):
        raise InputError(f"the ids of the {len(table)} pieces are not 0 to {len(table) - 1}, each once")
    return tuple(by_id[number] for number in range(len(table)))


def _read_scored(table: object) -> tuple[tuple[str, ...], tuple[float, ...]]:
    pieces, scores = [], []
    for piece, score in _rows(table, "the vocabulary"):
        if not isinstance(piece, str) or not isinstance(score, int | float) or abs(score) > 1e30:
            raise InputError("the vocabulary is not a list of pieces with their scores")
        pieces.append(piece)
        scores.append(float(score))
    return tuple(pieces), tuple(scores)


def _read_merges(table: object) -> tuple[tuple[str, str], ...]:
    merges = []
    for left, right in _rows(table, "the table of merges"):
        if not isinstance(left, str) or not isinstance(right, str):
            raise InputError("the table of merges is not a list of pairs of pieces")
        merges.append((left, right))
    return tuple(merges)


def _rows(table: object, name: str) -> list[list[object]]:
    if not isinstance(table, list) or not all(isinstance(row, list) and len(row) == 2 for row in table):
        raise InputError(f"{name} is not a JSON list of pairs")
    return table


def numbered(fixed: Iterable[str], learnt: Iterable[str]) -> tuple[str, ...]:
    """All pieces in the order of their ids, each once."""
    return tuple(dict.fromkeys((*fixed, *learnt)))
