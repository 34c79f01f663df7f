"""How thirty-one locales write a date: CLDR's own formats, and what people write beside them.

A form is a CLDR date pattern (Unicode Technical Standard 35, part 4): ``d`` and ``dd`` the day without and
with its zero, ``M`` and ``MM`` the month in digits, ``MMM`` and ``MMMM`` its name short and whole, ``E`` to
``EEE`` and ``EEEE`` the weekday likewise (``ccc`` and ``cccc`` where it stands alone), ``yy`` and ``y`` the
year, ``G`` the era, ``'text'`` as it stands. Names and most patterns are CLDR's, through Babel; the others
are written by hand below.

Three rules keep every form readable by someone who does not know the language:

1.  Where the month is a number, the day is before it, unless a year of four digits comes first. The American
    month before the day is written only where the day is above 12 and nobody can mistake it.
2.  A year of two digits lies in 1950–2049, stands at the end, or bears a sign of its own ('21, 21年).
3.  The calendar is Gregorian: no Persian, Buddhist or Japanese years, whatever a country prefers.
"""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from babel import Locale
from babel.dates import tokenize_pattern

WRITTEN = {
    "ko": ("y년 M월 d일 (E)", "y.M.d", "y-MM-dd", "yMMdd", "''yy. M. d.", "yy년 M월 d일", "y. M. d(E)"),
    "en_US": ("MMMM d y", "MMM d, ''yy", "M-d-y", "EEEE MMMM d, y", "MMM. d, y"),
    "en_GB": ("d MMM ''yy", "EEE d MMM y", "dd-MMM-y", "d/M/yy", "dd.MM.y", "EEEE d MMMM, y"),
    "de": ("'den' d. MMMM y", "EEEE, 'den' d. MMMM y", "d.M.yy", "EEE, dd.MM.yy", "y-MM-dd"),
    "fr": ("'le' d MMMM y", "'le' EEEE d MMMM y", "d/M/yy", "dd-MM-y", "dd.MM.y"),
    "es": (
        "d 'de' MMMM 'del' y",
        "d MMMM y",
        "EEEE d 'de' MMMM 'de' y",
        "'el' d 'de' MMMM 'de' y",
        "dd-MM-y",
    ),
    "pt": ("d MMMM y", "'dia' d 'de' MMMM 'de' y", "dd-MM-y", "dd.MM.y"),
    "it": ("'il' d MMMM y", "d/M/yy", "dd.MM.y", "EEEE, d MMMM y"),
    "nl": ("d-M-yy", "dd/MM/y", "d MMM ''yy", "'op' d MMMM y", "EEEE, d MMMM y"),
    "sv": ("'den' d MMMM y", "EEEE 'den' d MMMM y", "d/M y", "d.M.y"),
    "da": ("'den' d. MMMM y", "d/M y", "d/M-y", "dd-MM-y"),
    "nb": ("'den' d. MMMM y", "EEEE 'den' d. MMMM y", "dd.MM.yy", "d/M-y"),
    "fi": ("EEEE d.M.y", "d.M.yy", "EEEE, d. MMMM y"),
    "pl": ("d MMMM y 'r.'", "EEEE, d MMMM y 'r.'", "'dnia' d MMMM y 'r.'", "dd-MM-y"),
    "cs": ("d.M.y", "EEEE d. M. y", "'dne' d. MMMM y"),
    "ru": ("d MMMM y", "d MMMM y 'года'", "EEEE, d MMMM y 'года'", "dd.MM.yy"),
    "uk": ("d MMMM y", "d MMMM y 'року'", "EEEE, d MMMM y 'року'", "d.M.y"),
    "ro": ("dd.MM.yy", "'pe' d MMMM y", "EEEE d MMMM y", "d/M/y"),
    "hu": ("y.MM.dd.", "y.M.d", "y. MMMM d. EEEE"),
    "el": ("d/M/y", "EEEE, d MMMM y", "'στις' d MMMM y", "dd-MM-y"),
    "tr": ("d MMMM y, EEEE", "dd/MM/y", "d.M.yy"),
    "ar": ("d MMMM، y", "d MMMM y'م'", "'يوم' EEEE d MMMM y", "y/M/d", "d-M-y"),
    "fa": ("d MMMM y 'میلادی'", "EEEE، d MMMM y", "y/MM/dd"),
    "he": ("'ה'-d בMMMM y", "d/M/y", "d.M.yy", "EEEE d בMMMM y"),
    "hi": ("d MMMM, y", "'दिनांक' d MMMM y", "dd-MM-y", "EEEE, d MMMM, y"),
    "bn": ("d MMMM y", "EEEE d MMMM y", "d-M-y"),
    "th": ("'วันที่' d MMMM y", "EEEE d MMMM y"),
    "vi": (
        "'ngày' d 'tháng' M 'năm' y",
        "EEEE, 'ngày' d 'tháng' M 'năm' y",
        "'ngày' d/M/y",
        "d-M-y",
        "d.M.y",
    ),
    "id": ("'tanggal' d MMMM y", "EEEE d MMMM y", "d-M-y"),
    "ja": ("y年M月d日 EEEE", "y年M月d日（E）", "y.M.d", "y-MM-dd", "yMMdd", "yy年M月d日"),
    "zh": ("y年M月d号", "y年M月d日（E）", "y-MM-dd", "y.M.d", "yMMdd", "yy年M月d日", "y年M月d号 EEEE"),
}

LOCALES = tuple(WRITTEN)

ORDINAL = {  # the day as an ordinal number
    "en_US": ("MMMM d, y", "EEEE, MMMM d, y", "MMM d y", "'the' d 'of' MMMM, y"),
    "en_GB": ("d MMMM y", "d 'of' MMMM y", "'the' d 'of' MMMM y", "EEEE d MMMM y"),
    "fr": ("d MMMM y", "'le' d MMMM y", "EEEE d MMMM y"),
    "es": ("d 'de' MMMM 'de' y", "EEEE, d 'de' MMMM 'de' y"),
    "pt": ("d 'de' MMMM 'de' y", "EEEE, d 'de' MMMM 'de' y"),
    "it": ("d MMMM y", "'il' d MMMM y"),
    "sv": ("'den' d MMMM y",),
    "ru": ("d MMMM y", "d MMMM y 'года'"),
    "uk": ("d MMMM y", "d MMMM y 'року'"),
    "hu": ("y. MMMM d",),
    "el": ("d MMMM y", "EEEE d MMMM y"),
    "bn": ("d MMMM y", "d MMMM, y", "EEEE, d MMMM, y"),
    "vi": ("'ngày' d 'tháng' M 'năm' y",),
}

ROMAN = {  # the month in Roman numerals
    "pl": ("d MMMM y", "d.MMMM.y"),
    "ro": ("d MMMM y", "d.MMMM.y"),
    "hu": ("y. MMMM d.", "y.MMMM.d."),
}

_NOTHING: Mapping[str, str] = MappingProxyType({})
_ROMAN_NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_HUNGARIAN_BACK_VOWELS = (2, 3, 6, 8, 13, 16, 18, 20, 23, 26, 28, 30)  # in the spoken number
_SHORT_YEARS = range(1950, 2050)


@dataclass(frozen=True)
class Names:
    """What a locale calls its months (January first) and weekdays (Monday first), and our era.

    Weekdays come as they stand before a date and as they stand alone: Finnish inflects them.
    """

    months: tuple[str, ...]
    months_short: tuple[str, ...]
    weekdays: tuple[str, ...]
    weekdays_short: tuple[str, ...]
    weekdays_alone: tuple[str, ...]
    weekdays_alone_short: tuple[str, ...]
    era: str


@dataclass(frozen=True)
class Form:
    """One way to write a date in one locale: its pattern, cut into text and (letter, width) fields."""

    locale: str
    name: str
    pieces: tuple[str | tuple[str, int], ...]
    names: Names

    @cached_property
    def fields(self) -> str:
        """The letters of the fields in their order; ``o`` is an ordinal day, ``r`` a Roman month."""
        return "".join(piece[0] for piece in self.pieces if isinstance(piece, tuple))

    @cached_property
    def is_american(self) -> bool:
        """The month in digits is before the day, with no year before them to tell."""
        digits = {("M", 1), ("M", 2)} & set(self.pieces)
        return bool(digits) and self.fields.lstrip("Ec").startswith("Md")

    def allows(self, date: datetime.date) -> bool:
        """Say whether the form can write this date so that it reads as no other."""
        if ("y", 2) in self.pieces and date.year not in _SHORT_YEARS:
            return False
        if "o" in self.fields and ordinal(self.locale, date.day) is None:
            return False
        return date.day > 12 or not self.is_american

    def write(self, date: datetime.date, *, change_zeros: bool = False) -> str:
        """Write the date with Latin digits.

        ``change_zeros`` leaves out the zeros of days and months, or adds them to a form that has none; a form
        of digits only (20210305) keeps its zeros, which nobody could put back.
        """
        padded = ("d", 2) in self.pieces or ("M", 2) in self.pieces
        keep = not change_zeros or all(isinstance(piece, tuple) for piece in self.pieces)
        width = 0 if keep else 1 if padded else 2
        return "".join(
            piece if isinstance(piece, str) else self._write_field(piece[0], piece[1], date, width)
            for piece in self.pieces
        )

    def _write_field(self, letter: str, width: int, date: datetime.date, other_width: int) -> str:
        match letter:
            case "y":
                return f"{date.year % 100:02}" if width == 2 else str(date.year)
            case "M" if width <= 2:
                return f"{date.month:0{other_width or width}}"
            case "M":
                return (self.names.months if width == 4 else self.names.months_short)[date.month - 1]
            case "r":
                return _ROMAN_NUMERALS[date.month - 1]
            case "d":
                return f"{date.day:0{other_width or width}}"
            case "o":
                return ordinal(self.locale, date.day) or str(date.day)
            case "E":
                return (self.names.weekdays if width == 4 else self.names.weekdays_short)[date.weekday()]
            case "c":
                names = self.names.weekdays_alone if width == 4 else self.names.weekdays_alone_short
                return names[date.weekday()]
            case "G":
                return self.names.era
        raise ValueError(f"a date has no field {letter!r}")


def forms_of(code: str) -> tuple[Form, ...]:
    """Return all forms of a locale, CLDR's first, each once."""
    locale = Locale.parse(code)
    names = _names(locale)
    patterns = dict.fromkeys((*_cldr_patterns(locale), *WRITTEN[code]))
    return (
        *(Form(code, p, _pieces(p), names) for p in patterns),
        *(Form(code, f"{p} (ordinal)", _pieces(p, {"d": "o"}), names) for p in ORDINAL.get(code, ())),
        *(Form(code, f"{p} (Roman)", _pieces(p, {"M": "r"}), names) for p in ROMAN.get(code, ())),
    )


def ordinal(locale: str, day: int) -> str | None:
    """Return the day as the locale's people write an ordinal number in a date, or None where they do not."""
    match locale[:2]:
        case "en":
            endings = {1: "st", 21: "st", 31: "st", 2: "nd", 22: "nd", 3: "rd", 23: "rd"}
            return f"{day}{endings.get(day, 'th')}"
        case "fr":
            return "1er" if day == 1 else None
        case "es":
            return "1.º" if day == 1 else None
        case "pt" | "it":
            return "1º" if day == 1 else None
        case "el":
            return "1η" if day == 1 else None
        case "sv":
            return f"{day}:a" if day in (1, 2, 21, 22, 31) else f"{day}:e"
        case "ru" | "uk":
            return f"{day}-го"
        case "hu" if day == 1:
            return "1-jén"
        case "hu":
            return f"{day}-án" if day in _HUNGARIAN_BACK_VOWELS else f"{day}-én"
        case "bn":
            endings = {1: "লা", 2: "রা", 3: "রা", 4: "ঠা"}
            return f"{day}{endings.get(day, 'ই' if day <= 18 else 'শে')}"
        case "vi":
            return f"mùng {day}" if day <= 10 else None
    return None


def _names(locale: Locale) -> Names:
    months, days, alone = locale.months["format"], locale.days["format"], locale.days["stand-alone"]
    return Names(
        months=tuple(months["wide"][number] for number in range(1, 13)),
        months_short=tuple(months["abbreviated"][number] for number in range(1, 13)),
        weekdays=tuple(days["wide"][number] for number in range(7)),
        weekdays_short=tuple(days["abbreviated"][number] for number in range(7)),
        weekdays_alone=tuple(alone["wide"][number] for number in range(7)),
        weekdays_alone_short=tuple(alone["abbreviated"][number] for number in range(7)),
        era=locale.eras["abbreviated"][1],
    )


def _cldr_patterns(locale: Locale) -> Iterator[str]:
    """Yield CLDR's patterns of a year, a month and a day, with or without a weekday."""
    for length in ("full", "long", "medium", "short"):
        pattern = _plain(locale.date_formats[length].pattern)
        if _keeps_the_rules(locale.language, pattern):
            yield pattern
    for skeleton in sorted(locale.datetime_skeletons):
        if set(skeleton) <= set("yMdE") and {"y", "M", "d"} <= set(skeleton):
            yield _plain(locale.datetime_skeletons[skeleton].pattern)


def _plain(pattern: str) -> str:
    """Return the pattern as people type: without marks of direction, and each blank a plain one."""
    return pattern.replace("\u202f", " ").replace("\u00a0", " ").replace("\u200f", "")


def _keeps_the_rules(language: str, pattern: str) -> bool:
    """Say whether a year of two digits, if there is one, is the last field and a Gregorian one."""
    pieces = _pieces(pattern)
    return ("y", 2) not in pieces or (pieces[-1] == ("y", 2) and language != "th")


def _pieces(pattern: str, instead: Mapping[str, str] = _NOTHING) -> tuple[str | tuple[str, int], ...]:
    """Cut a pattern into text and fields, with other letters for those in ``instead``."""
    pieces: list[str | tuple[str, int]] = []
    for _, what in tokenize_pattern(pattern):
        if isinstance(what, str):
            pieces.append(what)
        else:
            letter, width = str(what[0]), int(what[1])
            pieces.append((instead.get(letter, letter), width))
    return tuple(pieces)
