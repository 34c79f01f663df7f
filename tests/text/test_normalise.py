import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_samples import texts

from seq2see.config.settings import TextSettings
from seq2see.errors import InputError
from seq2see.text.normalise import _marks_in_order, normalise

choices = st.builds(TextSettings, normalisation=st.sampled_from(["NFC", "NFKC"]), lowercase=st.booleans())
FORMS = [TextSettings(normalisation=form, lowercase=low) for form in ("NFC", "NFKC") for low in (False, True)]


@settings(deadline=None, max_examples=200)
@given(texts(), choices)
def test_idempotent(text: str, chosen: TextSettings) -> None:
    once = normalise(text, chosen)
    assert normalise(once, chosen) == once


@settings(deadline=None, max_examples=200)
@given(texts())
def test_every_spelling_of_a_text_comes_out_the_same(text: str) -> None:
    nfc = normalise(text, TextSettings())
    assert nfc == unicodedata.normalize("NFC", text)
    assert normalise(unicodedata.normalize("NFD", text), TextSettings()) == nfc
    assert normalise(text, TextSettings(normalisation="NFKC")) == unicodedata.normalize("NFKC", text)


@pytest.mark.parametrize("chosen", FORMS, ids=str)
def test_idempotent_for_every_character(chosen: TextSettings) -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    for start in range(0, len(every), 4096):
        block = "\n".join(every[start : start + 4096])
        once = normalise(block, chosen)
        assert normalise(once, chosen) == once


def test_lower_case_keeps_to_the_normal_form() -> None:
    chosen = TextSettings(lowercase=True)
    assert normalise("ÄRGER im CAFÉ", chosen) == "ärger im café"
    assert normalise("İ", chosen) == "i\u0307"
    assert normalise("ΑΣ", chosen) == "ας"
    assert normalise("J\u030c", chosen) == "ǰ", "composed only in lower case"
    assert normalise("ABC", TextSettings()) == "ABC"


@pytest.mark.parametrize("text, place", [("\ud800", 1), ("abc\udfffdef", 4), ("é\ud83d", 2)])
def test_a_lone_surrogate_is_refused_with_its_place(text: str, place: int) -> None:
    with pytest.raises(InputError, match=f"character {place} .*U\\+{ord(text[place - 1]):04X}"):
        normalise(text, TextSettings())


marks = st.text(st.sampled_from("a가\u0301\u0323\u0327\u0344\u0345\u0f71\u0f73\u0f74\u05b8\uff9e\u1161"), max_size=60)


@settings(deadline=None, max_examples=300)
@given(marks, st.sampled_from(["NFC", "NFKC"]))
def test_ordering_marks_first_changes_nothing(text: str, form: str) -> None:
    ordered = _marks_in_order(text, form)  # type: ignore[arg-type]
    assert unicodedata.normalize(form, ordered) == unicodedata.normalize(form, text)  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", ["\u0301\u0323", "\u0f73", "\u0344\u0323"])
def test_many_marks_take_linear_time(unit: str) -> None:
    """unicodedata alone needs about a minute for these."""
    start = time.process_time()
    normalise("a" + unit * 100_000, TextSettings())
    assert time.process_time() - start < 5
