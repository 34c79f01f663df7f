"""Which columns hold the sentences: given by name or number, or guessed from names and first rows."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from seq2see.errors import InputError

# Pairs of names, the likelier first.
_ROLES: tuple[tuple[str, str], ...] = (
    ("source", "target"),
    ("src", "tgt"),
    ("src", "trg"),
    ("question", "answer"),
    ("q", "a"),
    ("input", "output"),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("original", "translation"),
    ("sentence", "translation"),
    ("text", "translation"),
    ("from", "to"),
    ("before", "after"),
    ("document", "summary"),
    ("article", "summary"),
    ("text", "summary"),
    ("text", "target"),
    ("word", "pronunciation"),
    ("word", "ipa"),
    ("sentence1", "sentence2"),
    ("x", "y"),
)
_LABEL_NAMES = """
    label id index idx no number row line text sentence score split file path name title date lang
    language category
"""
_CODES = """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de
    dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id
    ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu
    lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu
    rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr
    ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu eng deu ger fra fre spa kor jpn zho chi rus
    ara hin vie ita por nld pol tur ukr swe heb ces hun fin kmr
"""
_LANGUAGE_NAMES = """
    english german french spanish korean japanese chinese russian arabic hindi vietnamese italian
    portuguese dutch polish turkish ukrainian swedish hebrew czech hungarian finnish danish norwegian
    greek thai indonesian malay persian urdu bengali tamil telugu swahili romanian bulgarian croatian
    serbian slovak catalan basque welsh irish latin esperanto mongolian kazakh uzbek georgian armenian
    nepali burmese khmer lao tagalog
"""
_LANGUAGES = frozenset(_CODES.split()) | frozenset(_LANGUAGE_NAMES.split())
_KNOWN = frozenset(_LABEL_NAMES.split()) | {role for pair in _ROLES for role in pair}


def find_column(asked: str, names: Sequence[str] | None, width: int, where: str) -> int:
    """The index of the column a person asked for by its name or by its number from 1.

    ``names`` is None where the table has no header; then only numbers can be given. ``width`` is 0 where only
    names can.

    Raises:
        InputError: no such column; the names there are, or how many columns, are listed.
    """
    if names is not None and asked in names:
        return list(names).index(asked)
    if asked.isdecimal() and 1 <= int(asked) <= width:
        return int(asked) - 1
    if names is not None:
        folded = [name.strip().casefold() for name in names]
        if folded.count(asked.strip().casefold()) == 1:
            return folded.index(asked.strip().casefold())
    known = f"its columns are {listed(names)}" if names is not None else f"it has {width} columns and no header"
    advice = f"Give a name it has, or a number from 1 to {width}." if width else "Give a name it has."
    raise InputError(f"{where} has no column {listed([asked])}; {known}. {advice}")


def listed(names: Sequence[str]) -> str:
    """Names in quotes; what would not print is escaped."""
    return ", ".join(f'"{name}"' if name.isprintable() else ascii(name) for name in names)


def guess_columns(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> tuple[int, int] | None:
    """Indices of the likely source and target: a known pair of names, two languages, else the first texts."""
    found = _by_role(names) or _by_language(names, rows)
    if found:
        return found
    texts = [column for column in range(len(names)) if _is_text(rows, column)]
    if len(texts) >= 2:
        return texts[0], texts[1]
    return (0, 1) if len(names) == 2 else None


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: two known names in it, or a word over a column of numbers."""
    first, rest = rows[0], rows[1:]
    cells = [cell.strip() for cell in first]
    if len(set(cells)) < len(cells) or "" in cells or any(len(cell) > 40 for cell in cells):
        return False
    if _looks_like_names(cells):
        return not any(_looks_like_names(row) for row in rest[:5])
    return any(
        len(rest) >= 3 and not _is_number(cell) and all(column < len(row) and _is_number(row[column]) for row in rest)
        for column, cell in enumerate(cells)
    )


@dataclass(frozen=True)
class Wanted:
    """Which two columns a reader looks for.

    Attributes:
        first, second: what a person calls them.
        guess: their indices, from the names of all columns and the first rows; None: not clear.
        has_header: whether the first row names the columns.
        labels: the second holds labels, for which numbers and truth values are as good as text.
    """

    first: str
    second: str
    guess: Callable[[Sequence[str], Sequence[Sequence[str | None]]], tuple[int, int] | None]
    has_header: Callable[[Sequence[Sequence[str]]], bool]
    labels: bool


PAIRS = Wanted("source", "target", guess_columns, has_header, labels=False)


def _looks_like_names(cells: Sequence[str]) -> bool:
    return _by_role(cells) is not None or sum(_is_known(cell) for cell in cells) >= 2


def _by_role(names: Sequence[str]) -> tuple[int, int] | None:
    words = [_words(name) for name in names]
    whole = ["".join(parts) for parts in words]
    for source, target in _ROLES:
        if source in whole and target in whole:
            return whole.index(source), whole.index(target)
    for source, target in _ROLES[:3]:
        hits = [[i for i, parts in enumerate(words) if word in parts] for word in (source, target)]
        if len(hits[0]) == len(hits[1]) == 1 and hits[0] != hits[1]:
            return hits[0][0], hits[1][0]
    return None


def _by_language(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> tuple[int, int] | None:
    """Two columns whose names are languages, or which differ only in one (``text_en``, ``text_ko``)."""
    words = [_words(name) for name in names]
    texts = [column for column in range(len(names)) if not rows or _is_text(rows, column)]
    for first, second in combinations(texts, 2):
        languages = [[word for word in words[column] if _is_language(word)] for column in (first, second)]
        others = [[word for word in words[column] if not _is_language(word)] for column in (first, second)]
        if languages[0] and languages[1] and languages[0] != languages[1] and others[0] == others[1]:
            return first, second
    return None


def _words(name: str) -> list[str]:
    """``Text_EN`` and ``translation.en-US`` as lower-case words; a region (``US``) is left out."""
    parts = re.split(r"[\s_.\-]+", name.strip().lstrip("\ufeff"))
    if len(parts) > 1 and re.fullmatch(r"[A-Z]{2}", parts[-1]) and parts[-2].casefold() in _LANGUAGES:
        parts.pop()
    return [part.casefold() for part in parts]


def _is_language(word: str) -> bool:
    return word in _LANGUAGES


def _is_known(name: str) -> bool:
    words = _words(name)
    return "".join(words) in _KNOWN or (len(words) == 1 and _is_language(words[0]))


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"\s*[-+]?[\d.,]+(?:[eE][-+]?\d+)?%?\s*", cell) is not None


def _is_text(rows: Sequence[Sequence[str | None]], column: int) -> bool:
    cells = [row[column] for row in rows if column < len(row)]
    filled = [cell for cell in cells if cell and cell.strip()]
    worded = sum(any(letter.isalpha() for letter in cell) for cell in filled)
    return bool(filled) and worded * 2 >= len(filled)
