"""Two files whose lines belong together, and what to say when they do not."""

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from seq2see.data.lines import lines
from seq2see.data.streams import InputFile, nothing
from seq2see.data.tables import too_long
from seq2see.data.tally import Pair, Tally
from seq2see.errors import InputError

COMPARED = 1_000_000  # lines looked at to find where two files part


def parallel_pairs(
    source: InputFile,
    target: InputFile,
    max_line_bytes: int,
    tally: Tally,
    check: Callable[[], None] = nothing,
) -> Iterator[Pair]:
    """Line n of one file with line n of the other; where one is over-long, both are skipped."""
    sides = zip(lines(source, max_line_bytes, check), lines(target, max_line_bytes), strict=True)
    try:
        for (number, source_text), (_, target_text) in sides:
            if source_text is None or target_text is None:
                tally.skip(too_long(max_line_bytes), number)
            else:
                yield Pair(source_text, target_text, number)
    except ValueError:
        raise InputError(f"{source.name} and {target.name} changed while they were read; start again.") from None


def check_parallel(
    source: InputFile, target: InputFile, max_line_bytes: int, check: Callable[[], None] = nothing
) -> int:
    """The number of lines of both files.

    Raises:
        InputError: they differ; with both counts and the line where the files seem to part.
    """
    lengths, counts = [], []
    for file in (source, target):
        characters, count = array("L"), 0
        for _, text in lines(file, max_line_bytes, check):
            count += 1
            if len(characters) < COMPARED:
                characters.append(max_line_bytes if text is None else len(text))
        lengths.append(characters)
        counts.append(count)
    if counts[0] == counts[1]:
        return counts[0]
    raise InputError(
        f"{source.name} has {counts[0]:,} lines and {target.name} has {counts[1]:,}; line n of one must "
        f"belong to line n of the other. {_where_they_part(lengths[0], lengths[1], counts[1] - counts[0])}"
    )


def _where_they_part(source: Sequence[int], target: Sequence[int], surplus: int) -> str:
    short, long = (source, target) if surplus > 0 else (target, source)
    if abs(surplus) > len(short) // 10:
        return "So many more: are these two sides of the same text?"
    place = parting(short, long, abs(surplus))
    if place is None:
        return "Where they part cannot be seen from the lengths of the lines; the surplus may be at the end."
    return f"Judging by the lengths of the lines alone, they part near line {place + 1:,}: look there first."


def parting(short: Sequence[int], long: Sequence[int], surplus: int) -> int | None:
    """Where ``surplus`` lines were likely put into ``long``: an index from 0; None when it cannot be seen.

    Lines that belong together have lengths in about the same proportion. The place is the split that makes
    the deviations from it smallest when all lines behind it are compared ``surplus`` further on.
    """
    count = min(len(short), len(long) - surplus)
    if count <= 0:
        return None
    usual = math.log((sum(short) + 1) / (sum(long) + 1))

    def deviation(first: int, second: int) -> float:
        return abs(math.log((first + 1) / (second + 1)) - usual)

    before = accumulate((deviation(short[i], long[i]) for i in range(count)), initial=0.0)
    behind = accumulate((deviation(short[i], long[i + surplus]) for i in range(count)), initial=0.0)
    # total(p) = before(p) + behind(count) - behind(p); the last term does not move the minimum
    gains = [kept - moved for kept, moved in zip(before, behind, strict=True)]
    place = min(range(count + 1), key=lambda p: (gains[p], p))
    return None if gains[place] >= gains[count] else place
