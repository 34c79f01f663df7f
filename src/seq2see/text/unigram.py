"""Learning the pieces of a unigram model.

After Kudo 2018 (Subword Regularization, section 3.2), with the counts of the best segmentation in place of
expected counts. The trainer of ``tokenizers`` adds floating-point numbers in an order that differs from run
to run, and so gives other scores, and sometimes other pieces, for the same texts. Counts are whole numbers:
their sum does not depend on the order. The best segmentations are found by ``tokenizers`` itself.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import tokenizers
from tokenizers import models

from seq2see.text.alphabet import SPECIAL_NAMES, UNK

LONGEST = 16  # characters in a piece
_MOST_RUNS = 200_000  # the most frequent runs are learnt from: the rest are rare, and each takes memory
_SEEDS = 12  # candidates at the beginning, as a multiple of the pieces wanted
_KEPT = 0.75  # share of the pieces that outlives one round (Kudo 2018: 80 %; the package: 75 %)
_ROUNDS = 2  # segmentations before each pruning


def learn_pieces(
    counts: Mapping[str, int], room: int, check: Callable[[], None], free: Collection[str] = ()
) -> dict[str, float]:
    """Pieces with their log-probabilities, the likeliest first.

    Half of the room at most goes to single characters, the most frequent ones; the rest of the characters
    have no piece (the caller has bytes for them).

    Args:
        counts: the runs of text to write with the pieces, with how often they occur.
        room: at most so many pieces,
        free: beside these characters, if they occur.
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_RUNS]
    words, weights = [word for word, _ in ordered], [count for _, count in ordered]
    characters = _characters(words, weights, room // 2, free)
    room += len(characters.keys() & set(free))
    if not characters:
        return {}
    pieces: dict[str, int] = dict(characters)
    pieces.update(_seeds(words, weights, characters, _SEEDS * room, check))
    while True:
        for _ in range(_ROUNDS):
            check()
            pieces = _recount(pieces, words, weights, characters)
        if len(pieces) <= room:
            break
        pieces = _pruned(pieces, characters, max(room, int(_KEPT * len(pieces))))
    total = sum(pieces.values())
    return {piece: math.log(count / total) for piece, count in _by_count(pieces)}


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _characters(words: Iterable[str], weights: Iterable[int], most: int, free: Collection[str]) -> dict[str, int]:
    """The free characters and the most frequent others, with their counts."""
    counts: Counter[str] = Counter()
    for word, weight in zip(words, weights, strict=True):
        for char in word:
            counts[char] += weight
    paid = [char for char, _ in _by_count(counts) if char not in free][:most]
    return {char: counts[char] for char in counts if char in free} | {char: counts[char] for char in paid}


def _seeds(
    words: Sequence[str],
    weights: Sequence[int],
    characters: Mapping[str, int],
    most: int,
    check: Callable[[], None],
) -> dict[str, int]:
    """The substrings of two characters or more that save most: those with the highest count × length.

    A substring is as frequent as its own substrings at most, so each length needs to look only at what
    continues a frequent substring of the length before: memory stays bounded by the places in the words.
    """
    found: dict[str, int] = {}
    frequent: set[str] = set(characters)
    for length in range(2, LONGEST + 1):
        check()
        counts: Counter[str] = Counter()
        for word, weight in zip(words, weights, strict=True):
            for start in range(len(word) - length + 1):
                if word[start : start + length - 1] in frequent and word[start + length - 1] in characters:
                    counts[word[start : start + length]] += weight
        frequent = {piece for piece, count in counts.items() if count > 1}
        if not frequent:
            break
        found.update((piece, counts[piece]) for piece in frequent)
        found = dict(sorted(found.items(), key=lambda item: (-item[1] * len(item[0]), item[0]))[:most])
    return found


def _recount(
    pieces: Mapping[str, int], words: Sequence[str], weights: Sequence[int], characters: Mapping[str, int]
) -> dict[str, int]:
    """How often each piece is in the best segmentations; pieces that never are leave, characters stay."""
    names = sorted(pieces)
    total = sum(pieces.values())
    unknown = (SPECIAL_NAMES[UNK], 0.0)  # the package wants one; no run contains it
    scored = [(piece, math.log(pieces[piece] / total)) for piece in names]
    segmenter = tokenizers.Tokenizer(models.Unigram([*scored, unknown], unk_id=len(names)))
    used = [0] * (len(names) + 1)
    for encoding, weight in zip(segmenter.encode_batch_fast(words), weights, strict=True):
        for number in encoding.ids:
            used[number] += weight
    return {piece: max(count, 1) for piece, count in zip(names, used[:-1], strict=True) if count or piece in characters}


def _pruned(pieces: Mapping[str, int], characters: Mapping[str, int], size: int) -> dict[str, int]:
    """The ``size`` pieces that the likelihood would miss most; characters always stay.

    Without a piece, its occurrences are written with its next best segmentation, whose pieces grow by as much
    (Kudo 2018, section 3.2, step 3b).
    """
    total = sum(pieces.values())
    scores = {piece: math.log(count / total) for piece, count in pieces.items()}
    losses = []
    for piece, count in pieces.items():
        if piece in characters:
            continue
        parts = _next_best(piece, scores)
        after = math.log(total + count * (len(parts) - 1))
        alternative = sum(math.log(pieces[part] + count) - after for part in parts)
        losses.append((-count * (scores[piece] - alternative), piece))
    kept = {piece: pieces[piece] for piece in characters}
    for _, piece in sorted(losses)[: size - len(kept)]:
        kept[piece] = pieces[piece]
    return kept


def _next_best(piece: str, scores: Mapping[str, float]) -> list[str]:
    """The likeliest way to write ``piece`` with at least two pieces. Its characters all have scores."""
    best = [0.0] + [-math.inf] * len(piece)
    back = [0] * (len(piece) + 1)
    for end in range(1, len(piece) + 1):
        for start in range(end):
            score = scores.get(piece[start:end])
            if score is not None and end - start < len(piece) and best[start] + score > best[end]:
                best[end], back[end] = best[start] + score, start
    parts, end = [], len(piece)
    while end:
        parts.append(piece[back[end] : end])
        end = back[end]
    return parts[::-1]
