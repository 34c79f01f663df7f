"""Pictures and what is said of each: sub-folders as classes, a file of names and texts, or IDX labels.

Found out once, read as often as wanted, one picture at a time; only names and texts are held.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from seq2see.data.archives import Archive, archive_kind, read_member
from seq2see.data.idx import IdxHeader, first_bytes, idx_labels, idx_pictures, is_idx, picture_header
from seq2see.data.pictures import ENDINGS, SIGNATURES, Raw
from seq2see.data.reading import open_pairs, read
from seq2see.data.streams import InputFile, head, input_file, nothing, unreadable
from seq2see.data.tally import LISTED, Tally
from seq2see.errors import InputError

TEXT_FILES = ("captions", "labels", "metadata")  # with one of the endings, beside the pictures
TEXT_ENDINGS = (".tsv", ".csv", ".jsonl")
_KINDS = "a folder, a tar (plain or .gz), a zip or an IDX file"


@dataclass
class Named:
    """How many things were met, and what the first few are called."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.names) < LISTED:
            self.names.append(name)

    def __str__(self) -> str:
        return f"{self.count:,} ({', '.join(self.names)}{', …' if self.count > len(self.names) else ''})"


@dataclass(frozen=True)
class IdxPictures:
    """Pictures in an IDX file; they are called by their numbers, from 0."""

    file: InputFile
    header: IdxHeader


Place = Archive | IdxPictures


@dataclass(frozen=True)
class PictureSet:
    """Pictures of which something is said.

    Attributes:
        place: where they are.
        texts: for each picture that is used, by its name, its label or its captions.
        notes: sentences for a person: what was recognised and left out.
    """

    place: Place
    texts: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.place.file.name

    def raws(self, check: Callable[[], None] = nothing) -> Iterator[Raw]:
        """The pictures of which something is said, in the order in which they are stored."""
        if isinstance(self.place, IdxPictures):
            return (raw for raw in idx_pictures(self.place.file, self.place.header, check) if raw.name in self.texts)
        members = self.place.members(self.texts.__contains__, check)
        return (Raw(member.name, member.data) for member in members)


def holds_pictures(path: str | Path) -> bool:
    """Whether what lies there can be a data set of pictures: a folder, a tar, a zip or an IDX file."""
    place = Path(path)
    try:
        if not place.exists() or place.is_dir():
            return place.is_dir()
        return archive_kind(place) is not None or is_idx(first_bytes(InputFile(place, str(place))))
    except InputError:
        return False


def open_place(path: str | Path, most_bytes: int) -> Place:
    """Find out what kind of a collection lies at ``path``.

    Raises:
        InputError: nothing lies there, or it is another kind of file.
    """
    place = Path(path)
    if str(path) == "-":
        raise InputError(f"pictures cannot come from standard input; give {_KINDS}")
    try:
        place.stat()
    except OSError as error:
        raise unreadable(str(path), error) from None
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{str(path)!r} cannot be the name of a file: {error}") from None
    if kind := archive_kind(place):
        return Archive(InputFile(place, str(path)), kind, most_bytes)
    file = input_file(place)
    if head(file).startswith(SIGNATURES):
        raise InputError(f"{path} is a single picture; give {_KINDS} of pictures")
    if not is_idx(first_bytes(file)):
        raise InputError(f"{path} holds no pictures in a way that is read: give {_KINDS} of PNG or JPEG pictures")
    return IdxPictures(file, picture_header(file, most_bytes))


def open_pictures(
    file: str | Path | None = None,
    source: str | Path | None = None,
    target: str | Path | None = None,
    *,
    columns: tuple[str, str] | None = None,
    most_bytes: int = 20_000_000_000,
    check: Callable[[], None] = nothing,
) -> PictureSet:
    """The pictures in ``file`` with what belongs to them, or those of ``source`` with the texts in ``target``.

    Without ``target``: the labels of an IDX file are in the file beside it; a folder or archive has a file of names
    and texts in it (captions, labels or metadata; .tsv, .csv, .jsonl), or the folder a picture lies in is its class.

    Raises:
        InputError: nothing, too much or something of another kind is given, or the two do not belong together.
    """
    given = source if file is None else file
    if given is None or (file is not None and (source is not None or target is not None)):
        raise InputError(
            f"give the pictures ({_KINDS}), or --source with the pictures and --target with their labels or captions"
        )
    place = open_place(given, most_bytes)
    if isinstance(place, IdxPictures):
        return _idx_set(place, target, columns, most_bytes, check)
    names = [name for name in _names(place, check) if not _is_hidden(name)]
    pictures = [name for name in names if name.lower().endswith(ENDINGS)]
    if not pictures:
        found = f"its files are {', '.join(names[:LISTED])}" if names else "it holds no file"
        raise InputError(f"{place.name} has no picture that ends in {', '.join(ENDINGS)}; {found}")
    if target is not None:
        return _with_table(place, pictures, Path(target), columns, (), check)
    if inside := _table_inside(names):
        return _with_table_inside(place, pictures, inside, columns, check)
    return _by_folder(place, pictures)


def _names(place: Archive, check: Callable[[], None]) -> list[str]:
    names: list[str] = []

    def noted(name: str) -> bool:
        names.append(name)
        return False

    for _ in place.members(noted, check):
        pass
    return names


def _is_hidden(name: str) -> bool:
    """What systems leave behind: ``.DS_Store``, ``__MACOSX/._a.png``."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _idx_set(
    place: IdxPictures,
    target: str | Path | None,
    columns: tuple[str, str] | None,
    most_bytes: int,
    check: Callable[[], None],
) -> PictureSet:
    count, path = place.header.dimensions[0], Path(target) if target is not None else _labels_beside(place.file)
    file = input_file(path, check)
    if not is_idx(first_bytes(file)):
        return _with_table(place, [str(number) for number in range(count)], path, columns, (), check)
    labels = idx_labels(file, most_bytes, check)
    if len(labels) != count:
        raise InputError(
            f"{place.file.name} has {count:,} pictures, but {file.name} has {len(labels):,} labels: "
            "they do not belong together"
        )
    said = f"{place.file.name}: IDX, {count:,} pictures; labels: {file.name}"
    return PictureSet(place, {str(number): (str(label),) for number, label in enumerate(labels)}, (said,))


def _labels_beside(file: InputFile) -> Path:
    """The file of labels that belongs to a file of pictures by its name, as MNIST's are called."""
    for pictures, labels in (("images-idx3", "labels-idx1"), ("images.idx3", "labels.idx1"), ("images", "labels")):
        path = file.path.with_name(file.path.name.replace(pictures, labels))
        if path != file.path and path.is_file():
            return path
    raise InputError(
        f"{file.name} has pictures only; name the file with their labels: --source PICTURES --target LABELS"
    )


def _table_inside(names: Sequence[str]) -> str | None:
    """The file of names and texts among the pictures, if there is just one."""
    found = [
        name for name in names if PurePosixPath(name).stem.lower() in TEXT_FILES and name.lower().endswith(TEXT_ENDINGS)
    ]
    depth = min((name.count("/") for name in found), default=0)
    shallow = [name for name in found if name.count("/") == depth]
    return shallow[0] if len(shallow) == 1 else None


def _with_table_inside(
    place: Archive, pictures: Sequence[str], name: str, columns: tuple[str, str] | None, check: Callable[[], None]
) -> PictureSet:
    data = read_member(place, name)
    with tempfile.TemporaryDirectory(prefix="seq2see-") as folder:
        copy = Path(folder, PurePosixPath(name).name)
        copy.write_bytes(data or b"")
        return _with_table(place, pictures, copy, columns, (f"{place.name}: names and texts are in its {name}",), check)


def _with_table(
    place: Place,
    pictures: Sequence[str],
    path: Path,
    columns: tuple[str, str] | None,
    notes: tuple[str, ...],
    check: Callable[[], None],
) -> PictureSet:
    """Pictures and the file that has the name of a picture and a text in each row."""
    first, second = columns or (None, None)
    table, tally = open_pairs(path, source_column=first, target_column=second, check=check), Tally()
    index, texts, missing = _index(pictures), dict[str, list[str]](), Named()
    example = ""
    for number, (given, text, line) in enumerate(read(table, tally, check)):
        key = str(PurePosixPath(given.strip().replace("\\", "/")))
        name = index.get(key) or index.get(PurePosixPath(key).name)
        if name is None:
            if number or given.lower().endswith(ENDINGS):  # else it is a header
                example = example or given
                missing.add(f"line {line}: {given:.40}")
        elif not text.strip():
            tally.skip("a blank text", line)
        else:
            texts.setdefault(name, []).append(text.strip())
    if not texts:
        raise InputError(
            f"no row of {path.name} names a picture of {place.file.name}: it has {example!r:.60}, and the pictures are "
            f"called {pictures[0]!r:.80}"
        )
    unsaid = len(pictures) - len(texts)
    said = [*notes, *table.notes, *tally.sentences()]
    said += [f"left out: rows whose picture is not there: {missing}"] if missing.count else []
    said += [f"left out: {unsaid:,} pictures of which nothing is said"] if unsaid else []
    return PictureSet(place, {name: tuple(several) for name, several in texts.items()}, tuple(said))


def _index(pictures: Iterable[str]) -> dict[str, str]:
    """Each picture by its path, and by its bare name, with and without its ending, where that is its alone."""
    paths = [PurePosixPath(name) for name in pictures]
    bare = Counter(short for path in paths for short in {path.name, path.stem})
    index = {short: str(path) for path in paths for short in (path.name, path.stem) if bare[short] == 1}
    tops = {path.parts[0] for path in paths}
    if len(tops) == 1 and all(len(path.parts) > 1 for path in paths):
        index |= {str(PurePosixPath(*path.parts[1:])): str(path) for path in paths}
    return index | {str(path): str(path) for path in paths}


def _by_folder(place: Archive, pictures: Sequence[str]) -> PictureSet:
    """The folder that a picture lies in is its class."""
    texts = {name: (PurePosixPath(name).parent.name,) for name in pictures}
    classes = {text for (text,) in texts.values()}
    if len(classes) < 2:
        raise InputError(
            f"{place.name}: its {len(pictures):,} pictures lie in one folder, which makes no classes; put each class "
            "into a folder of its own, or give a file with a picture's name and text in each row (--source, --target)"
        )
    said = f"{place.name}: {len(pictures):,} pictures in {len(classes):,} folders, which are the classes"
    return PictureSet(place, texts, (said,))
