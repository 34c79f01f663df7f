"""Edit distance: how many insertions, deletions and substitutions turn one sequence into another."""

from collections.abc import Hashable, Sequence


def edit_distance(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Return the Levenshtein distance of two sequences: of characters, words or anything else that hashes.

    Bit-parallel after Myers (1999) in the form of Hyyrö (2003, figure 4): a column of the table of distances
    is held as two integers, the bits where it rises and the bits where it falls, so that each element of
    ``second`` costs a dozen operations on integers of ``len(first)`` bits.
    """
    first, second = _without_common_ends(first, second)
    if not first or not second:
        return len(first) + len(second)
    matches: dict[Hashable, int] = {}
    for position, element in enumerate(first):
        matches[element] = matches.get(element, 0) | 1 << position
    every = (1 << len(first)) - 1
    last = 1 << (len(first) - 1)
    rises, falls, distance = every, 0, len(first)
    for element in second:
        equal = matches.get(element, 0)
        vertical = equal | falls
        horizontal = (((equal & rises) + rises) ^ rises) | equal
        right = falls | (every & ~(horizontal | rises))
        left = rises & horizontal
        if right & last:
            distance += 1
        elif left & last:
            distance -= 1
        right = right << 1 | 1
        rises = (left << 1 | ~(vertical | right)) & every
        falls = right & vertical & every
    return distance


def _without_common_ends(
    first: Sequence[Hashable], second: Sequence[Hashable]
) -> tuple[Sequence[Hashable], Sequence[Hashable]]:
    """Cut the common beginning and the common end off both sequences: they never cost an edit."""
    shorter = min(len(first), len(second))
    start = 0
    while start < shorter and first[start] == second[start]:
        start += 1
    end = 0
    while end < shorter - start and first[-1 - end] == second[-1 - end]:
        end += 1
    return first[start : len(first) - end], second[start : len(second) - end]
