"""Learning a vocabulary from texts: the same texts and settings always give the same vocabulary."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import tokenizers
from tokenizers import models, trainers

from seq2see.config.settings import TextSettings
from seq2see.errors import InputError
from seq2see.text.alphabet import BYTE_CHARACTERS, in_alphabet
from seq2see.text.subwords import PREFIX, runs, splitting
from seq2see.text.unigram import learn_pieces
from seq2see.text.vocabulary import Vocabulary, check_vocabulary, fixed_pieces, numbered

# At most so many characters are learnt from. Learning BPE takes up to 400 bytes for each of them (measured on
# random Han text, the worst case; ordinary English takes a few), so this bounds it to about 4 GB; and two
# million words are more than enough to rank some ten thousand pieces.
MOST_CHARACTERS = 10_000_000

_CHECK_EVERY = 1_000  # texts between two calls of check


def sample(groups: Iterable[tuple[str, ...]], check: Callable[[], None], most: int = MOST_CHARACTERS) -> list[str]:
    """At most ``most`` characters of text, spread evenly over all of it, in memory bounded by as much.

    Each k-th group is kept, whole, where k is the least power of two that fits. The sides of a pair make one
    group, so that a sample of pairs has as much of either side.
    """
    kept: list[tuple[str, ...]] = []
    size, stride = 0, 1
    for number, group in enumerate(groups):
        if number % _CHECK_EVERY == 0:
            check()
        if number % stride:
            continue
        kept.append(tuple(text[: most // len(group)] for text in group))
        size += sum(map(len, kept[-1]))
        while size > most:
            kept, stride = kept[::2], stride * 2
            size = sum(len(text) for group in kept for text in group)
    return [text for group in kept for text in group]


def learn(texts: Sequence[str], settings: TextSettings, check: Callable[[], None]) -> Vocabulary:
    """The vocabulary for normalised ``texts``, of at most ``settings.vocabulary`` pieces.

    Kinds char and byte always have the 256 bytes and the special pieces, however small the bound.

    Raises:
        InputError: there is no text, or the bound leaves no room.
    """
    if settings.kind != "byte" and not any(texts):
        raise InputError(f"there is no text to learn the vocabulary of a {settings.kind} tokeniser from")
    fixed = fixed_pieces(settings.kind)
    room = settings.vocabulary - len(fixed)
    if room < 0 and settings.kind in ("bpe", "unigram", "word"):
        raise InputError(
            f"text.vocabulary = {settings.vocabulary} is too small: kind {settings.kind!r} begins with "
            f"{len(fixed)} pieces (special ones{'' if settings.kind == 'word' else ' and the 256 bytes'})"
        )
    match settings.kind:
        case "byte":
            vocabulary = Vocabulary(fixed)
        case "char":
            vocabulary = Vocabulary(fixed + _frequent_characters(texts, max(room, 0)))
        case "word":
            vocabulary = Vocabulary(fixed + _frequent_words(texts, room))
        case "bpe":
            vocabulary = _byte_pairs(texts, room, check)
        case "unigram":
            vocabulary = _unigram(texts, room, check)
    check_vocabulary(settings.kind, vocabulary)
    return vocabulary


def _frequent_characters(texts: Iterable[str], room: int) -> tuple[str, ...]:
    """The most frequent characters, ties in the order of their code points."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    return tuple(sorted(counts, key=lambda char: (-counts[char], char))[:room])


def _frequent_words(texts: Iterable[str], room: int) -> tuple[str, ...]:
    """The most frequent words, ties in the order of their code points."""
    if not room:
        return ()
    learner = tokenizers.Tokenizer(models.WordLevel())
    learner.pre_tokenizer = splitting("word")
    trainer = trainers.WordLevelTrainer(vocab_size=room, min_frequency=0, show_progress=False, special_tokens=[])
    learner.train_from_iterator(texts, trainer)
    ids: dict[str, int] = json.loads(learner.to_str())["model"]["vocab"]
    return tuple(sorted(ids, key=ids.__getitem__))


def _byte_pairs(texts: Iterable[str], room: int, check: Callable[[], None]) -> Vocabulary:
    """Byte-pair encoding (Sennrich et al. 2016, section 3.2) over bytes. Pairs seen once are not merged."""
    learner = tokenizers.Tokenizer(models.BPE())
    learner.pre_tokenizer = splitting("bpe")
    trainer = trainers.BpeTrainer(
        vocab_size=len(BYTE_CHARACTERS) + room,
        min_frequency=2,
        show_progress=False,
        special_tokens=[],
        initial_alphabet=list(BYTE_CHARACTERS),
    )
    learner.train_from_iterator((PREFIX + text for text in _checked(texts, check)), trainer)
    check()
    merges = tuple((left, right) for left, right in json.loads(learner.to_str())["model"]["merges"])
    return Vocabulary(numbered(fixed_pieces("bpe"), (left + right for left, right in merges)), merges=merges)


def _unigram(texts: Iterable[str], room: int, check: Callable[[], None]) -> Vocabulary:
    """Unigram pieces, learnt over characters and then written as bytes, so that none ends inside a character.

    Single bytes score so low that they are used only for characters that have no piece.
    """
    cut = runs()
    counts: Counter[str] = Counter()
    for text in _checked(texts, check):
        if text:
            counts.update(piece for piece, _ in cut.pre_tokenize_str(PREFIX + text))
    ascii_characters = frozenset(map(chr, range(128)))  # one byte each, and so a piece already
    found = learn_pieces(counts, room, check, ascii_characters)
    learnt = {in_alphabet(piece): score for piece, score in found.items()}
    last_resort = min(learnt.values(), default=0.0) - 10.0
    fixed = fixed_pieces("unigram")
    pieces = numbered(fixed, learnt)
    return Vocabulary(pieces, scores=tuple(round(learnt.get(piece, last_resort), 6) for piece in pieces))


def _checked(texts: Iterable[str], check: Callable[[], None]) -> Iterable[str]:
    for number, text in enumerate(texts):
        if number % _CHECK_EVERY == 0:
            check()
        yield text
