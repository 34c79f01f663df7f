"""Which installed fonts have the letters of a text; what none of them has is said, not drawn as boxes."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from matplotlib import ft2font
from matplotlib.font_manager import fontManager

from seq2see.errors import InputError

# Plain faces by system, broadest first: Noto (Linux), then those of macOS and Windows.
_PREFERRED = (
    "DejaVu Sans",
    "Noto Sans",
    "Noto Sans CJK KR",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans KR",
    "Noto Sans SC",
    "Noto Sans JP",
    "Source Han Sans",
    "NanumGothic",
    "WenQuanYi Zen Hei",
    "Noto Sans Arabic",
    "Noto Naskh Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Bengali",
    "Noto Sans Tamil",
    "Noto Sans Thai",
    "Noto Sans Symbols2",
    "Arial Unicode MS",
    "Apple SD Gothic Neo",
    "Hiragino Sans",
    "PingFang SC",
    "Geeza Pro",
    "Kohinoor Devanagari",
    "Malgun Gothic",
    "Microsoft YaHei",
    "Yu Gothic",
    "Nirmala UI",
    "Leelawadee UI",
    "Segoe UI",
    "Segoe UI Symbol",
)
_NO_TEXT = ("Emoji", "LastResort", "Last Resort", "Adobe Blank")  # colour bitmaps, and fonts made of boxes
_JOINER = "\u200d"
_JOINERS = {"\u200c", _JOINER, "\ufe0e", "\ufe0f"}  # shaping uses them up; no font needs to have them
_CIRCLE = "\u25cc"  # carries marks that have no letter
# These scripts change the shapes or the order of their letters.
_SHAPED = ((0x0590, 0x08FF), (0x0900, 0x0DFF), (0x0E80, 0x109F), (0x1780, 0x17FF), (0xFB1D, 0xFDFF), (0xFE70, 0xFEFC))


@dataclass(frozen=True)
class Lettering:
    """Fonts for some texts: their names, the characters that each of them has, and those that none has."""

    families: tuple[str, ...]
    characters: tuple[frozenset[str], ...]
    missing: frozenset[str]

    def drawable(self, text: str) -> str:
        """The text as these fonts can draw it.

        ``[U+D55C]`` stands for a character that none has. A mark whose letter is in another font stands on a dotted
        circle, since fonts are not mixed within a letter.
        """
        return "".join(map(self._drawable_cluster, _clusters(text)))

    def _drawable_cluster(self, cluster: str) -> str:
        if self._in_one(cluster):
            return cluster
        parts = []
        for each in cluster:
            carried = _CIRCLE + each if _is_mark(each) else each
            if each not in _JOINERS:
                parts.append(carried if self._in_one(carried) else f"[U+{ord(each):04X}]")
        return "".join(parts)

    def _in_one(self, cluster: str) -> bool:
        return any(set(cluster) - _JOINERS <= known for known in self.characters)


def lettering(texts: Iterable[str]) -> Lettering:
    """Installed fonts that together have the characters of the texts, as far as any has them.

    Raises:
        InputError: there is no font at all.
    """
    wanted = {character for text in texts for character in text} - _JOINERS
    every = frozenset(wanted | {_CIRCLE, *"[U+0123456789ABCDEF]"})
    families: list[str] = []
    characters: list[frozenset[str]] = []
    for family, path in _candidates():
        if not wanted and families:
            break
        codes = _characters(path)
        known = frozenset(character for character in every if ord(character) in codes)
        if wanted & known or not families:
            families.append(family)
            characters.append(known)
            wanted -= known
    if not families:
        raise InputError("matplotlib finds no font at all; reinstall it, or install DejaVu Sans")
    return Lettering(tuple(families), tuple(characters), frozenset(wanted))


def _clusters(text: str) -> Iterator[str]:
    """Letters with their marks, and what joiners join."""
    start = 0
    for at in range(1, len(text)):
        if not (_is_mark(text[at]) or text[at] in _JOINERS or text[at - 1] == _JOINER):
            yield text[start:at]
            start = at
    if text:
        yield text[start:]


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _candidates() -> Iterator[tuple[str, str]]:
    """Upright fonts of normal weight: the preferred ones first, then all others by name."""
    paths: dict[str, str] = {}
    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.name, entry.fname)):
        plain = entry.style == "normal" and entry.weight in (400, "normal", "regular") and entry.variant == "normal"
        if plain and not any(mark in entry.name for mark in _NO_TEXT):
            paths.setdefault(entry.name, entry.fname)
    names = [name for name in _PREFERRED if name in paths]
    yield from ((name, paths[name]) for name in names)
    yield from ((name, path) for name, path in paths.items() if name not in names)


def _characters(path: str) -> set[int]:
    try:
        return set(ft2font.FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):  # gone since it was listed, or not readable
        return set()


def remarks(texts: Iterable[str], missing: frozenset[str]) -> tuple[str, ...]:
    """What a reader of a drawing should know of its letters, if anything."""
    said = []
    if missing:
        named = ", ".join(f"U+{ord(character):04X}" for character in sorted(missing)[:8])
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        said.append(
            f"no installed font has {named}{more}; the drawing shows these numbers. "
            "Install a font of the script, such as Noto Sans, or use the page (--html)."
        )
    if not _shapes() and any(_needs_shaping(text) for text in texts):
        said.append(
            "this version of matplotlib does not join or order Arabic, Hebrew or Indic letters; "
            "matplotlib 3.11 and the page (--html) do"
        )
    return tuple(said)


def _needs_shaping(text: str) -> bool:
    return any(first <= ord(character) <= last for character in text for first, last in _SHAPED)


def _shapes() -> bool:
    """Whether matplotlib sets text with libraqm, as from version 3.11 on."""
    return hasattr(ft2font, "__libraqm_version__")
