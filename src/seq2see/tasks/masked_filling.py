"""Texts with blanks in, texts with the likeliest pieces in their place out, in order.

B rows: texts, or parts of long ones · S pieces of the longest · N blanks · K best · D width · V vocabulary
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import exp

import torch
from torch import Tensor

from seq2see.data.masking import FIRST, MASK
from seq2see.data.stream_cache import encoded
from seq2see.errors import InputError
from seq2see.tasks.masked_scoring import MOST_POSITIONS, MaskedReader, states
from seq2see.tasks.piece_records import alone
from seq2see.text.subwords import PREFIX, has_prefix
from seq2see.text.tokeniser import PAD, Tokeniser

BEST = 5  # pieces that are told of each blank
_BLANK = re.compile("_{3,}")
_AT_ONCE = 512  # blanks whose logits are held together


@dataclass(frozen=True)
class Filled:
    """A text whose blanks are filled.

    ``blanks`` has, for each, the likeliest pieces with their probabilities, best first. Every blank is foretold while
    all of them are hidden: the probability of several together is taken for the product. ``alternatives`` are less
    likely ways to fill them.
    """

    source: str
    text: str
    score: float
    blanks: tuple[tuple[tuple[str, float], ...], ...]
    alternatives: tuple["Filled", ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Gapped:
    """A text in pieces, with ``MASK`` in each of ``places``; ``apart``: the piece there begins with a blank."""

    ids: tuple[int, ...]
    places: tuple[int, ...]
    apart: tuple[bool, ...]


def has_blank(text: str) -> bool:
    """Whether there is something to fill in."""
    return _BLANK.search(text) is not None


def gapped(tokeniser: Tokeniser, text: str) -> Gapped:
    """A text with blanks as the model reads it.

    Sub-words carry the blank in front of them, so the one in front of the underscores is a part of what is hidden.

    Raises:
        InputError: there is no blank in the text.
    """
    runs = _BLANK.split(text)
    if len(runs) == 1:
        raise InputError(
            f"{text!r}: nothing is hidden; write three underscores for each piece that is to be filled in, "
            'such as "the cat ___ on the mat"'
        )
    carries = has_prefix(tokeniser.settings.kind)
    apart = tuple(carries and (run.endswith(PREFIX) or not (run or number)) for number, run in enumerate(runs[:-1]))
    cut = [run[:-1] if gap and run else run for run, gap in zip(runs, (*apart, False), strict=True)]
    ids: list[int] = []
    places: list[int] = []
    for number, run in enumerate(cut):
        if number:
            places.append(len(ids))
            ids.append(MASK)
        ids += next(encoded(tokeniser, [run], begins=not ids)) if run else []
    return Gapped(tuple(ids), tuple(places), apart)


@dataclass(frozen=True)
class Filler:
    """Fills blanks with the ``best`` likeliest pieces that fit there."""

    reader: MaskedReader
    best: int

    def fill(self, texts: Sequence[str], check: Callable[[], None] = lambda: None) -> list[Filled]:
        """Each text, filled; as many ways as ``best`` says, or as there are."""
        return self.fill_read(texts, [gapped(self.reader.tokeniser, text) for text in texts], check)

    def fill_read(
        self, texts: Sequence[str], read: Sequence[Gapped], check: Callable[[], None] = lambda: None
    ) -> list[Filled]:
        """The same of texts that are in pieces already."""
        rows = [(number, *row) for number, each in enumerate(read) for row in _rows(each, self.reader.cut.length)]
        likely: list[dict[int, list[tuple[int, float]]]] = [{} for _ in texts]
        for several in _batches(rows):
            check()
            for (number, place), found in self._likeliest(read, several):
                likely[number][place] = found
        return [
            self._filled(text, each, [found[place] for place in each.places])
            for text, each, found in zip(texts, read, likely, strict=True)
        ]

    @cached_property
    def _fits_2V(self) -> Tensor:
        """For a place inside a word, and for one behind a blank: the pieces that can stand there."""
        tokeniser = self.reader.tokeniser
        # The first piece of a text is shown without its blank; so that none is, one stands before all.
        shown = tokeniser.pieces([FIRST, *range(tokeniser.size)])[1:]
        if not has_prefix(tokeniser.settings.kind):
            return (torch.arange(tokeniser.size) >= FIRST).expand(2, -1)
        begins_V = torch.tensor([piece.startswith(PREFIX) for piece in shown])
        return torch.stack((~begins_V, begins_V)) & (torch.arange(tokeniser.size) >= FIRST)

    def _likeliest(
        self, read: Sequence[Gapped], rows: Sequence["_Row"]
    ) -> Iterator[tuple[tuple[int, int], list[tuple[int, float]]]]:
        """The likeliest pieces of each blank of some rows, under the number of its text and its place."""
        device, width = self.reader.device, max(stop - start for _, start, stop, _ in rows)
        input_BS = torch.full((len(rows), width), PAD)
        lengths_B = torch.tensor([stop - start for _, start, stop, _ in rows])
        for row, (number, start, stop, _) in enumerate(rows):
            input_BS[row, : stop - start] = torch.tensor(read[number].ids[start:stop])
        states_BSD = states(self.reader, input_BS, torch.arange(width) < lengths_B[:, None])
        asked = [
            (row, place - start, number, place)
            for row, (number, start, _, places) in enumerate(rows)
            for place in places
        ]
        for first in range(0, len(asked), _AT_ONCE):
            several = asked[first : first + _AT_ONCE]
            row_N, at_N = (torch.tensor(each, device=device) for each in list(zip(*several, strict=True))[:2])
            apart = [dict(zip(read[each[2]].places, read[each[2]].apart, strict=True))[each[3]] for each in several]
            with torch.inference_mode():
                log_probs_NV = self.reader.model.output(states_BSD[row_N, at_N]).float().log_softmax(dim=-1).cpu()
            log_probs_NV = log_probs_NV.masked_fill(~self._fits_2V[torch.tensor(apart).long()], -torch.inf)
            best_NK, ids_NK = log_probs_NV.topk(min(self.best, log_probs_NV.shape[1]), dim=1)
            for each, ids, best in zip(several, ids_NK.tolist(), best_NK.tolist(), strict=True):
                yield (
                    each[2:],
                    [(one, log_prob) for one, log_prob in zip(ids, best, strict=True) if log_prob > -torch.inf],
                )

    def _filled(self, source: str, read: Gapped, likely: Sequence[Sequence[tuple[int, float]]]) -> Filled:
        tokeniser = self.reader.tokeniser
        # Rounding may not make a probability more than 1.
        blanks = tuple(tuple((alone(tokeniser, one), exp(min(0.0, p))) for one, p in each) for each in likely)
        ways = [
            Filled(source, _with(tokeniser, read, pieces), score, blanks)
            for pieces, score in _likeliest_ways(likely, self.best)
        ]
        return Filled(source, ways[0].text, ways[0].score, blanks, tuple(ways[1:]))


def _with(tokeniser: Tokeniser, read: Gapped, pieces: Sequence[int]) -> str:
    ids = list(read.ids)
    for place, piece in zip(read.places, pieces, strict=True):
        ids[place] = piece
    return tokeniser.decode(ids)


def _likeliest_ways(likely: Sequence[Sequence[tuple[int, float]]], most: int) -> list[tuple[tuple[int, ...], float]]:
    """The likeliest choices of a piece for every blank, best first, each blank by itself."""
    ways: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    for each in likely:
        longer = [((*pieces, one), score + log_prob) for pieces, score in ways for one, log_prob in each]
        ways = sorted(longer, key=lambda way: -way[1])[:most]
    return ways


_Row = tuple[int, int, int, tuple[int, ...]]  # number of a text, its first piece, the one behind the last, places asked


def _rows(read: Gapped, length: int) -> list[tuple[int, int, tuple[int, ...]]]:
    """A text whole, or, where it is longer than a window, the window around each of its blanks."""
    if len(read.ids) <= length:
        return [(0, len(read.ids), read.places)]
    starts = [min(max(0, place - length // 2), len(read.ids) - length) for place in read.places]
    return [(start, start + length, (place,)) for start, place in zip(starts, read.places, strict=True)]


def _batches(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    """Rows of like length together, as many as one pass can hold."""
    held: list[_Row] = []
    for row in sorted(rows, key=lambda each: each[1] - each[2]):  # the longest first
        if held and (len(held) + 1) * (held[0][2] - held[0][1]) > MOST_POSITIONS:
            yield held
            held = []
        held.append(row)
    if held:
        yield held


def filled(
    reader: MaskedReader,
    texts: Iterable[str],
    *,
    best: int,
    window: int,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Filled]:
    """Each text filled, in order, holding no more than ``window`` of them at a time; a blank line stays blank."""
    filler, remaining = Filler(reader, best), iter(texts)
    while several := list(islice(remaining, window)):
        answers = iter(filler.fill([text for text in several if text.strip()], check))
        for text in several:
            yield next(answers) if text.strip() else Filled(text, text, 0.0, ())
