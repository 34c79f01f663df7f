"""The pictures of a run: found, surveyed, brought to one size, held out or not. Both picture tasks stand on it.

Shapes: B pictures of a batch, N pictures, C colour channels, H height, W width.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from seq2see.config.images import CaptionSettings, ClassifyImagesSettings, PictureData, PictureSize
from seq2see.config.toml import Table, parse
from seq2see.data.image_batches import split_rows
from seq2see.data.image_cache import CachedPictures, cached_pictures
from seq2see.data.image_survey import PictureSurvey, survey_pictures
from seq2see.data.images import PictureSet, open_pictures
from seq2see.data.streams import nothing
from seq2see.errors import InputError
from seq2see.tasks.reporting import tell
from seq2see.tasks.resuming import fingerprint

AT_ONCE = 256  # pictures of one pass of a model in use
_MEASURED = 4_096


@dataclass(frozen=True, eq=False)
class Gallery:
    """Some pictures of a cache, in order, each with its name and what is said of it."""

    pictures: CachedPictures
    rows_N: Tensor
    keys: tuple[int, ...]
    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]

    @staticmethod
    def of(pictures: CachedPictures) -> "Gallery":
        """All of them."""
        entries = list(pictures.entries())
        return Gallery(
            pictures,
            torch.arange(len(entries)),
            tuple(entry.key for entry in entries),
            tuple(entry.name for entry in entries),
            tuple(entry.texts for entry in entries),
        )

    def __len__(self) -> int:
        return len(self.names)

    def only(self, rows: Sequence[int]) -> "Gallery":
        """Those at these places."""
        return Gallery(
            self.pictures,
            self.rows_N[list(rows)],
            tuple(self.keys[row] for row in rows),
            tuple(self.names[row] for row in rows),
            tuple(self.texts[row] for row in rows),
        )

    def some(self, most: int) -> "Gallery":
        """At most so many, chosen as if at random but always the same."""
        least = sorted(range(len(self)), key=lambda row: (self.keys[row], row))[:most]
        return self if len(self) <= most else self.only(sorted(least))

    def measured(self) -> Tensor:
        """Some pictures ``[B, C, H, W]`` whose mean and spread scale all."""
        return self.pictures.pictures(self.some(_MEASURED).rows_N)

    def split(self, wanted: float, most: int) -> tuple["Gallery", "Gallery"]:
        """Pictures to train on and pictures held out by the hash of their bytes."""
        kept, held = split_rows(self.keys, wanted, most)
        return self.only(kept), self.only(held)

    def batches(self, size: int = AT_ONCE, check: Callable[[], None] = nothing) -> Iterator[tuple[slice, Tensor]]:
        """Places and pictures ``[B, C, H, W]``, ``size`` at a time."""
        for start in range(0, len(self), size):
            check()
            part = slice(start, start + size)
            yield part, self.pictures.pictures(self.rows_N[part])


@dataclass(frozen=True)
class Found:
    """The data of a run that is to be trained: where they are, and what they look like."""

    training: PictureSet
    dev: PictureSet | None
    rules: PictureData


def open_found(rules: PictureData, check: Callable[[], None] = nothing) -> Found:
    """Find the files that ``rules`` names.

    Raises:
        InputError: nothing or too much is named, or it cannot be used.
    """
    training = _open(rules, rules.file, rules.source, rules.target, check)
    match rules.dev:
        case ():
            return Found(training, None, rules)
        case (file,):
            return Found(training, _open(rules, file, None, None, check), rules)
        case _:
            return Found(training, _open(rules, None, rules.dev[0], rules.dev[1], check), rules)


def _open(
    rules: PictureData, file: str | None, source: str | None, target: str | None, check: Callable[[], None]
) -> PictureSet:
    most = rules.max_unpacked_bytes
    return open_pictures(file, source, target, columns=rules.columns, most_bytes=most, check=check)


def surveyed(
    found: Found, note: Callable[[str], None], check: Callable[[], None]
) -> tuple[PictureSurvey, PictureSurvey | None]:
    """What the pictures to train on, and those to choose by, look like; all that is to be known is said."""
    surveys: list[PictureSurvey | None] = []
    for pictures in (found.training, found.dev):
        surveys.append(None if pictures is None else survey_pictures(pictures, found.rules.max_picture_pixels, check))
        if pictures is not None and surveys[-1] is not None:
            tell(note, (*pictures.notes, *surveys[-1].sentences()))
    assert surveys[0] is not None
    return surveys[0], surveys[1]


def galleries(
    found: Found,
    surveys: tuple[PictureSurvey, PictureSurvey | None],
    size: PictureSize,
    folder: Path,
    note: Callable[[str], None],
    check: Callable[[], None],
) -> tuple[Gallery, Gallery]:
    """Pictures to train on and pictures to choose by, from the caches in ``folder`` or into them.

    Raises:
        InputError: nothing is left to train on.
    """
    most, rules = found.rules.max_picture_pixels, found.rules
    cached = cached_pictures(found.training, size, most, surveys[0].content, folder / "pictures", note, check)
    whole = Gallery.of(cached)
    _tell_damaged(cached, surveys[0], note)
    if found.dev is not None and surveys[1] is not None:
        other = cached_pictures(found.dev, size, most, surveys[1].content, folder / "dev-pictures", note, check)
        _tell_damaged(other, surveys[1], note)
        return whole, Gallery.of(other)
    training, dev = whole.split(rules.held_out, rules.held_out_most)
    if not len(training):
        raise InputError(f"{found.training.name} has no picture to train on; give more, or lower data.held_out")
    if len(dev):
        note(f"held out: {len(dev):,} pictures, chosen by the hash of their bytes")
    return training, dev


def _tell_damaged(pictures: CachedPictures, survey: PictureSurvey, note: Callable[[str], None]) -> None:
    """Say what only decoding has shown; the survey has said the rest."""
    if pictures.damaged.count > survey.damaged.count:
        note(f"left out, cannot be decoded: {pictures.damaged}")


@contextmanager
def exhibited(
    pictures: PictureSet, size: PictureSize, rules: PictureData, check: Callable[[], None] = nothing
) -> Iterator[tuple[Gallery, tuple[str, ...]]]:
    """All pictures of a set at a size, from a cache that is gone afterwards; and what is to be said of them."""
    with TemporaryDirectory(prefix="seq2see-") as folder:
        path = Path(folder, "pictures")
        cached = cached_pictures(pictures, size, rules.max_picture_pixels, "", path, lambda text: None, check)
        left_out = (f"left out: {cached.damaged}",) if cached.damaged.count else ()
        yield Gallery.of(cached), (*pictures.notes, *left_out)


def picture_rules(given: Table, origin: Path | None, wanted: str) -> PictureData:
    """Which pictures a run is to read.

    Raises:
        InputError: none are named; the message says what is ``wanted``.
    """
    rules = parse(PictureData, given.get("data", {}), origin, "data")
    if rules.file is None and rules.source is None:
        raise InputError(f"no pictures given: name {wanted}")
    return rules


def made_of(
    settings: ClassifyImagesSettings | CaptionSettings,
    surveys: tuple[PictureSurvey, PictureSurvey | None],
    parts: Mapping[str, str],
) -> dict[str, str]:
    """What must not change under a run that goes on: settings, pictures, and ``parts``."""
    places: Table = {"file": None, "source": None, "target": None, "dev": (), "columns": None}
    return fingerprint(
        settings.model_copy(update={"data": settings.data.model_copy(update=places)}),
        {
            "content of the data": surveys[0].content,
            "content of the held-out data": surveys[1].content if surveys[1] else "",
            **parts,
        },
    )


def data_name(found: Found, dev: Gallery) -> str:
    """Which pictures the dev scores are of."""
    if found.dev is not None:
        return f"{found.dev.name}, {len(dev):,} pictures"
    return f"{found.training.name} ({len(dev):,} of its pictures, by their hash)"


def default_name(rules: PictureData) -> str:
    """A name for the run, after the data."""
    named = Path(rules.file or rules.source or "pictures")
    return named.name.split(".")[0] or "pictures"
