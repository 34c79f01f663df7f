"""Pictures by their paths, as people name them: a file, one in an archive, or one of an IDX file by its number."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from seq2see.data.archives import MOST_MEMBER_BYTES, Archive
from seq2see.data.idx import idx_pictures
from seq2see.data.images import open_place
from seq2see.data.pictures import Raw
from seq2see.data.streams import nothing, unreadable
from seq2see.errors import InputError


def picture_files(paths: Sequence[str], most_bytes: int, check: Callable[[], None] = nothing) -> list[Raw]:
    """The picture at each path: ``a.png``, ``icons.tar.gz/below/a.png``, or ``images-idx3-ubyte.gz/17``.

    Every archive is read once, whatever number of its pictures is asked for.

    Raises:
        InputError: there is no picture at a path; the message names it.
    """
    found: dict[str, Raw] = {}
    inside: dict[Path, dict[str, str]] = {}
    for path in paths:
        place = Path(path)
        parent = _file_above(place)
        if parent is None:
            found[path] = _file(place, path)
        else:
            inside.setdefault(parent, {})[place.relative_to(parent).as_posix()] = path
    for parent, names in inside.items():
        for name, raw in _found_in(parent, set(names), most_bytes, check):
            found[names[name]] = Raw(names[name], raw.data, raw.shape)
        if missing := [path for path in names.values() if path not in found]:
            raise InputError(f"{missing[0]}: there is no such picture in {parent}")
    return [found[path] for path in paths]


def _file_above(place: Path) -> Path | None:
    """The file that lies on the way to ``place``, if there is one: an archive."""
    try:
        if place.exists():
            return None
        return next((parent for parent in place.parents if parent.is_file()), None)
    except (OSError, ValueError):
        return None


def _file(place: Path, name: str) -> Raw:
    try:
        if place.is_dir():
            raise InputError(f"{name} is a folder; name one picture (PNG or JPEG)")
        if place.stat().st_size > MOST_MEMBER_BYTES:
            raise InputError(f"{name} has {place.stat().st_size:,} bytes; at most {MOST_MEMBER_BYTES:,} are read")
        return Raw(name, place.read_bytes())
    except OSError as error:
        raise unreadable(name, error) from None
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{name!r} cannot be the name of a file: {error}") from None


def _found_in(parent: Path, names: set[str], most_bytes: int, check: Callable[[], None]) -> Iterable[tuple[str, Raw]]:
    place = open_place(parent, most_bytes)
    if isinstance(place, Archive):
        return ((each.name, Raw(each.name, each.data)) for each in place.members(names.__contains__, check))
    return ((raw.name, raw) for raw in idx_pictures(place.file, place.header, check) if raw.name in names)
