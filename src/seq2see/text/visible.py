"""Text that shows all of itself: nothing in it can steer a terminal, reorder a page or hide.

Controls become their pictures (␛, ␀, ␍), other invisible characters labels (‹RLO›, ‹ZWSP›, ‹U+0085›). What
writing needs stays as it is: letters of any script and direction, combining marks up to a bound, variation
selectors, emoji with their joiners, and the joiners of Persian and Indic words. For display only: a text may
hold a label of its own. Escaping for HTML or CSV is the business of those who write HTML or CSV.
"""

import re
import unicodedata
from functools import lru_cache

MOST_MARKS = 8  # combining marks on one character; more would be drawn over the lines around

_NAMES = {
    0x00AD: "SHY", 0x034F: "CGJ", 0x061C: "ALM", 0x180E: "MVS",
    0x200B: "ZWSP", 0x200C: "ZWNJ", 0x200D: "ZWJ", 0x200E: "LRM", 0x200F: "RLM",
    0x2028: "LS", 0x2029: "PS", 0x202A: "LRE", 0x202B: "RLE", 0x202C: "PDF", 0x202D: "LRO", 0x202E: "RLO",
    0x2060: "WJ", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0xFEFF: "ZWNBSP",
}  # fmt: skip
# A regional flag (Wales, Texas) is a black flag and invisible letters; a longer row of those hides something.
_UNITS = re.compile("\U0001f3f4[\U000e0030-\U000e007a]{3,6}\U000e007f|.", re.DOTALL)
# Format characters that are drawn: the Arabic, Syriac and Kaithi signs that stand over or under numbers.
_DRAWN = {*range(0x0600, 0x0606), 0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x110BD, 0x110CD}
# Letters without a shape, and unassigned characters that are to be drawn as nothing (Default_Ignorable).
_SHAPELESS = {0x115F, 0x1160, 0x3164, 0xFFA0, 0x2065, *range(0xFFF0, 0xFFF9)}
# Scripts whose spelling uses joiners: Arabic to Georgian's end, Khmer to Vedic signs, their later extensions.
_JOINING = ((0x0600, 0x10FF), (0x1780, 0x1CFF), (0xA800, 0xABFF), (0x10A00, 0x11FFF))

# The fast way for most texts: characters of which each is harmless wherever it stands.
_PLAIN = re.compile(
    r"[ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u0590\u2010-\u2027"
    r"\u3001-\u3029\u3041-\u3096\u30a1-\u30ff\u4e00-\u9fff\uac00-\ud7a3]*"
)


def visible(text: str) -> str:
    """``text`` as one harmless line. Idempotent; ordinary text of any script comes back unchanged."""
    if _PLAIN.fullmatch(text):
        return text
    shown: list[str] = []
    before = ""  # the last character shown
    marks = dropped = 0  # on the current character: marks shown, marks (and joiners after them) left out
    for unit in _UNITS.findall(text):
        mark, joiner = _is_mark(unit), unit in ("\u200c", "\u200d")
        if (mark and marks == MOST_MARKS) or (joiner and dropped):
            dropped += 1
            continue
        if dropped:
            shown.append(_cut(dropped))
            before, dropped = "›", 0
        new = unit if mark or (joiner and _may_join(before, unit)) else _shown(unit)
        marks = marks + 1 if mark else marks if new in ("\u200c", "\u200d") else 0
        shown.append(new)
        before = new[-1]
    return "".join(shown) + (_cut(dropped) if dropped else "")


def _cut(dropped: int) -> str:
    return f"‹+{dropped} marks›"


def _is_mark(unit: str) -> bool:
    """Whether it is drawn on the character before it."""
    return len(unit) == 1 and unicodedata.category(unit) in ("Mn", "Me") and ord(unit) not in _NAMES


@lru_cache(maxsize=4_096)
def _shown(unit: str) -> str:
    if len(unit) > 1:
        return unit
    code = ord(unit)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code in _NAMES:
        return f"‹{_NAMES[code]}›"
    hidden = unicodedata.category(unit) in ("Cc", "Cf", "Cs", "Zl", "Zp") and code not in _DRAWN
    if hidden or code in _SHAPELESS or (0xE0000 <= code <= 0xE0FFF):
        return f"‹U+{code:04X}›"
    return unit


def _may_join(before: str, joiner: str) -> bool:
    """Whether a joiner after this character belongs to an emoji or to the spelling of a script."""
    if not before:
        return False
    code, category = ord(before), unicodedata.category(before)
    if joiner == "\u200d" and (category == "So" or code == 0xFE0F or 0x1F3FB <= code <= 0x1F3FF):
        return True
    return category[0] in "LM" and any(first <= code <= last for first, last in _JOINING)
