"""Which pairs are held out, and which may be used at all.

A pair is held out by a hash of its source alone, so that all pairs with one source are on the same side of
the split, on every machine and whatever stands around them.
"""

import hashlib
import unicodedata
from collections.abc import Container, Iterable, Iterator

from seq2see.config.settings import DataSettings
from seq2see.data.tally import Pair, Tally

HASH_BITS = 64


def source_key(source: str) -> int:
    """A stable 64-bit hash of a source: BLAKE2b of its NFC form, without white space around it."""
    text = unicodedata.normalize("NFC", source.strip())
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=HASH_BITS // 8).digest()
    return int.from_bytes(digest, "big")


def pair_key(pair: Pair) -> int:
    """A stable 64-bit hash of a pair exactly as it is; equal keys count as equal pairs."""
    source = pair.source.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(len(source).to_bytes(8, "big") + source, digest_size=HASH_BITS // 8)
    digest.update(pair.target.encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "big")


def held_out(source: str, share: float) -> bool:
    """Whether pairs with this source are held out when that share (0 to 1) of all sources is to be."""
    return source_key(source) < share * 2.0**HASH_BITS


def held_out_pairs(pairs: Iterable[Pair], share: float) -> Iterator[Pair]:
    """The pairs for dev; with `training_pairs` of the same share, every pair is in exactly one of the two."""
    return (pair for pair in pairs if held_out(pair.source, share))


def training_pairs(pairs: Iterable[Pair], share: float) -> Iterator[Pair]:
    return (pair for pair in pairs if not held_out(pair.source, share))


def texts(pairs: Iterable[Pair]) -> Iterator[tuple[str, str]]:
    """The two sides without their places, as tokenisers learn from them."""
    return ((pair.source, pair.target) for pair in pairs)


def is_blank(pair: Pair) -> bool:
    """Whether a side has nothing but white space."""
    return not pair.source.strip() or not pair.target.strip()


def usable(
    pairs: Iterable[Pair], rules: DataSettings, repetitions: Container[int] | None, tally: Tally
) -> Iterator[Pair]:
    """The pairs that the rules about texts leave; the others are counted in ``tally``.

    ``repetitions`` is what `find_repetitions` found in the same pairs; None when ``drop_duplicates`` is off.
    """
    for place, pair in enumerate(pairs):
        if rules.drop_empty and is_blank(pair):
            tally.skip("a blank side (data.drop_empty)", pair.line)
        elif repetitions is not None and place in repetitions:
            tally.skip("an exact repetition (data.drop_duplicates)", pair.line)
        else:
            tally.pairs += 1
            yield pair
