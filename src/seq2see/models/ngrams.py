"""Counting the m-grams of a text for a Markov chain; what the counts are for is told in ``markov.py``.

The text is read once for each length, block by block: memory is one block, and one entry for each different m-gram.

N places in the text · G m-grams of one length · V vocabulary
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from seq2see.text.alphabet import SOS

Blocks = Callable[[], Iterable[tuple[Tensor, int]]]
"""The text from its beginning: pieces, with the number of those that stand in front and have been told already."""


def count_grams(blocks: Blocks, order: int, vocabulary: int, check: Callable[[], None]) -> list[tuple[Tensor, Tensor]]:
    """Keys and counts of the m-grams of each length from 1 to order + 1, as ``Grams.fill`` takes them.

    ``blocks`` gives the text anew each time, with at least ``order`` pieces in front of each block but the first.
    """
    keys: list[Tensor] = []
    occurrences = torch.empty(0, dtype=torch.long)
    for length in range(1, order + 2):
        found = occurrences = torch.empty(0, dtype=torch.long)
        for window_Nm in _windows(blocks, order, length):
            check()
            found, occurrences = _merged(found, occurrences, _keys(keys, window_Nm, vocabulary))
        if length <= order:
            found, occurrences = _with_beginning(found, occurrences, keys, vocabulary)
        keys.append(found)
    counts = [*_continuations(keys, vocabulary), occurrences]
    return list(zip(keys, counts, strict=True))


def _windows(blocks: Blocks, order: int, length: int) -> Iterator[Tensor]:
    """For each piece, itself and those before it, ``length`` in all; in front of the text stands <sos>."""
    in_front = order  # in front of the first block, <sos> so many times
    for ids, before in blocks():
        padded = torch.cat((ids.new_full((in_front,), SOS), ids))
        yield padded[before + in_front - length + 1 :].unfold(0, length, 1)
        in_front = 0


def _keys(keys: list[Tensor], window_Nm: Tensor, vocabulary: int) -> Tensor:
    """The key of each window, given the keys of all shorter m-grams."""
    *context, last_N = window_Nm.unbind(1)
    number_N = torch.zeros_like(last_N)
    for shorter, piece_N in zip(keys, context, strict=True):
        number_N = torch.searchsorted(shorter, number_N * vocabulary + piece_N)
    return number_N * vocabulary + last_N


def _merged(key_G: Tensor, count_G: Tensor, key_N: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and counts, with more occurrences counted in."""
    return _added_up(torch.cat((key_G, key_N)), torch.cat((count_G, torch.ones_like(key_N))))


def _added_up(key_N: Tensor, count_N: Tensor) -> tuple[Tensor, Tensor]:
    """Each key once, sorted, with the sum of its counts."""
    key_G, place_N = torch.unique(key_N, return_inverse=True)
    return key_G, torch.zeros_like(key_G).index_add(0, place_N, count_N)


def _with_beginning(key_G: Tensor, count_G: Tensor, keys: list[Tensor], vocabulary: int) -> tuple[Tensor, Tensor]:
    """With the m-gram of nothing but <sos>: a context of longer ones, which itself never follows anything."""
    beginning = key_G.new_zeros(1)
    for shorter in keys:
        beginning = torch.searchsorted(shorter, beginning * vocabulary + SOS)
    return _added_up(torch.cat((key_G, beginning * vocabulary + SOS)), torch.cat((count_G, count_G.new_zeros(1))))


def _continuations(keys: list[Tensor], vocabulary: int) -> Iterator[Tensor]:
    """For each length but the longest: after how many different pieces each m-gram stands."""
    suffix = torch.zeros_like(keys[0])  # of a single piece: nothing, the root of the trie
    beginning = torch.searchsorted(keys[0], SOS)
    for shorter, longer in pairwise(keys):
        context, piece = longer // vocabulary, longer % vocabulary
        # The m-gram without its first piece: that of its context, and its last piece.
        suffix = torch.searchsorted(shorter, suffix[context] * vocabulary + piece)
        continues = longer != beginning * vocabulary + SOS  # nothing but <sos> continues nothing
        yield torch.zeros_like(shorter).index_add(0, suffix, continues.long())
        beginning = torch.searchsorted(longer, beginning * vocabulary + SOS)
