"""One text for the many ways of writing it: Unicode normal form, and lower case if asked for."""

import unicodedata
from functools import lru_cache, partial
from itertools import groupby
from typing import Literal

from seq2see.config.settings import TextSettings
from seq2see.errors import InputError

# unicodedata orders combining marks by insertion, which is quadratic in a run of marks: 250,000 marks on one
# letter, a line of one megabyte, would take minutes. Runs in texts up to this length cost a few milliseconds.
_SHORT = 2_000


def normalise(text: str, settings: TextSettings) -> str:
    """``text`` in the normal form ``settings.normalisation``, in lower case if ``settings.lowercase``.

    Idempotent. The time grows linearly with the length, whatever the text.

    Raises:
        InputError: the text holds a lone surrogate, which is half a character and no text at all.
    """
    if text.isascii():
        return text.lower() if settings.lowercase else text
    refuse_surrogates(text)
    text = _normal_form(text, settings.normalisation)
    if settings.lowercase:
        text = _normal_form(text.lower(), settings.normalisation)
    return text


def refuse_surrogates(text: str) -> None:
    """Raise :class:`InputError` if the text holds a lone surrogate; it can be neither printed nor saved."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        number = ord(text[error.start])
        raise InputError(
            f"character {error.start + 1} of the text is half of a surrogate pair (U+{number:04X}); "
            "remove it, or read the text again as UTF-8 or UTF-16"
        ) from None


def _normal_form(text: str, form: Literal["NFC", "NFKC"]) -> str:
    if unicodedata.is_normalized(form, text):
        return text
    if len(text) > _SHORT:
        text = _marks_in_order(text, form)
    return unicodedata.normalize(form, text)


def _marks_in_order(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """``text`` decomposed, with each run of marks in canonical order (Unicode Standard, section 3.11, D109).

    The canonical order is the one of a stable sort by combining class.
    """
    decompose = lru_cache(maxsize=4_096)(partial(unicodedata.normalize, "NFD" if form == "NFC" else "NFKD"))
    runs = groupby("".join(map(decompose, text)), key=lambda char: unicodedata.combining(char) != 0)
    return "".join("".join(sorted(run, key=unicodedata.combining)) if marks else "".join(run) for marks, run in runs)
