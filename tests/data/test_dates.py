"""The demo's dates: right by Babel's own formatting, read one way only, held out by date and by rendering."""

import datetime
import os
import random
import re
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest
from babel.dates import format_date
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.data.date_forms import LOCALES, ORDINAL, ROMAN, WRITTEN, Form, forms_of, ordinal
from seq2see.data.date_slips import slips_of, write
from seq2see.data.dates import FIRST, LAST, DatePair, DateSplit, date_pairs, has_held_out_rendering, split

FORMS = {locale: forms_of(locale) for locale in LOCALES}
EVERY_FORM = [form for forms in FORMS.values() for form in forms]

EXAMPLES = """
2021-03-05 | ko | 2021년 3월 5일 금요일
2021-03-05 | ko | 2021. 3. 5. (금)
2021-03-05 | ko | '21. 3. 5.
2021-03-05 | ko | 20210305
2021-03-05 | en_US | Friday, March 5, 2021
2021-03-03 | en_US | the 3rd of March, 2021
2021-03-25 | en_US | 3/25/21
2021-03-05 | en_GB | Friday, 5 March 2021
2021-05-03 | en_GB | 3rd of May 2021
2021-03-05 | en_GB | 05-Mar-2021
2021-04-03 | en_GB | 03/04/2021
2021-03-05 | de | 5. März 2021
2021-03-05 | de | Freitag, den 5. März 2021
2021-03-05 | de | 05.03.21
1999-05-01 | fr | 1er mai 1999
1999-05-01 | fr | le 1er mai 1999
2021-03-05 | fr | ven. 5 mars 2021
2021-03-05 | es | viernes, 5 de marzo de 2021
1999-05-01 | es | 1.º de mayo de 1999
2021-03-05 | pt | sexta-feira, 5 de março de 2021
1999-05-01 | it | 1º maggio 1999
2021-03-05 | nl | vrijdag 5 maart 2021
2021-03-05 | sv | den 5:e mars 2021
2021-03-05 | sv | 5/3 2021
2021-03-05 | da | fredag den 5. marts 2021
2021-03-05 | nb | 5. mars 2021
2021-03-05 | fi | perjantai 5. maaliskuuta 2021
2021-03-05 | fi | perjantaina 5.3.2021
2021-03-05 | pl | piątek, 5 marca 2021
2021-03-05 | pl | 5 III 2021
2021-03-05 | cs | pátek 5. března 2021
2021-03-05 | ru | пятница, 5 марта 2021 г.
2021-03-05 | ru | 5-го марта 2021 года
2021-03-05 | uk | 5 березня 2021 року
2021-03-05 | ro | vineri, 5 martie 2021
2021-03-05 | hu | 2021. március 5., péntek
2021-03-05 | hu | 2021. március 5-én
2021-03-05 | el | Παρασκευή 5 Μαρτίου 2021
1999-05-01 | el | 1η Μαΐου 1999
2021-03-05 | tr | 5 Mart 2021 Cuma
2021-03-05 | ar | الجمعة، 5 مارس 2021
2021-03-05 | fa | جمعه ۵ مارس ۲۰۲۱
2021-03-05 | he | יום שישי, 5 במרץ 2021
2021-03-05 | hi | शुक्रवार, 5 मार्च 2021
2021-03-05 | bn | শুক্রবার, ৫ মার্চ, ২০২১
2021-03-05 | bn | ৫ই মার্চ ২০২১
2021-03-05 | th | วันศุกร์ที่ 5 มีนาคม ค.ศ. 2021
2021-03-05 | vi | Thứ Sáu, ngày 5 tháng 3 năm 2021
2021-03-05 | vi | ngày mùng 5 tháng 3 năm 2021
2021-03-05 | id | Jumat, 05 Maret 2021
2021-03-05 | ja | 2021年3月5日金曜日
2021-03-05 | zh | 2021年3月5日星期五
2021-03-05 | zh | 2021年3月5号
"""

SLIPPED = """
2021-03-05 | ar | d MMMM y | native | ٥ مارس ٢٠٢١
2021-03-05 | hi | d MMMM y | native | ५ मार्च २०२१
2021-03-05 | fa | d MMM y | latin | 5 مارس 2021
2021-03-05 | th | d MMM y | native no_dots | ๕ มีค ๒๐๒๑
2021-03-23 | zh | y年M月d日 | kanji | 二〇二一年三月二十三日
2021-10-20 | ja | y年M月d日 | kanji | 二〇二一年十月二十日
2021-03-05 | ja | yy年M月d日 | kanji | 二一年三月五日
2021-03-05 | ja | y年M月d日 | wide | ２０２１年３月５日
2021-03-05 | de | d. MMMM y | lower | 5. märz 2021
2021-03-05 | de | dd.MM.y | zeros | 5.3.2021
2021-03-05 | de | dd.MM.y | zeros spread | 5 3 2021
2021-03-05 | de | d. MMMM y | no_dots | 5 März 2021
2021-03-05 | de | d. MMMM y | no_dots hard | 5\u00a0März\u00a02021
2021-03-05 | ko | y. M. d. | points | 2021.3.5.
2021-03-05 | ko | y. M. d. | no_dots | 2021. 3. 5
2021-03-05 | ko | yMMdd | zeros | 20210305
2021-03-05 | zh | y年M月d号 EEEE | joined | 2021年3月5号星期五
2021-03-05 | zh | y年M月d号 EEEE | doubled | 2021年3月5号  星期五
2021-03-05 | sv | d/M y | joined | 5/3 2021
2021-02-05 | fr | EEEE d MMMM y | unaccented capital | Vendredi 5 Fevrier 2021
2021-02-05 | fr | d MMM y | no_dots upper | 5 FÉVR 2021
2021-11-26 | tr | d MMMM y | upper | 26 KASIM 2021
2021-06-05 | tr | d MMMM y EEEE | upper | 5 HAZİRAN 2021 CUMARTESİ
2021-05-05 | el | d MMMM y | upper | 5 ΜΑΪΟΥ 2021
2021-05-05 | ru | d MMMM y | upper | 5 МАЯ 2021
2021-03-05 | en_US | MMMM d, y | no_commas | March 5 2021
2021-03-05 | vi | E, d MMM, y | no_commas | Th 6 5 thg 3 2021
2021-03-05 | vi | d MMMM, y | unaccented | 5 thang 3, 2021
"""


def lines(text: str) -> list[list[str]]:
    return [[part.strip(" ") for part in line.split(" | ")] for line in text.strip().splitlines()]


def box() -> list[datetime.date]:
    """Dates whose day, month and short year can be taken for one another: the worst that can happen."""
    return [
        datetime.date(year, month, day) for year in (2003, 2011, 2012) for month in range(1, 13) for day in range(1, 13)
    ]


def contradictions(writings: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    answers: dict[str, str] = {}
    return [(text, answers[text], date) for text, date in writings if answers.setdefault(text, date) != date]


@pytest.fixture(scope="module")
def sample() -> list[DatePair]:
    return list(date_pairs(100_000, seed=1))


@pytest.fixture(scope="module")
def parts(sample: list[DatePair]) -> DateSplit:
    return split(sample)


def test_examples_written_by_hand_are_written_so_and_read_as_no_other_date() -> None:
    """Every way of writing every day of 1999 and 2021: each example is there, under its own date alone."""
    dates_of: dict[str, set[str]] = {text: set() for _, _, text in lines(EXAMPLES)}
    generator = random.Random(1)
    days = [datetime.date(year, 1, 1) + datetime.timedelta(k) for year in (1999, 2021) for k in range(365)]
    for form in EVERY_FORM:
        for date in days:
            if form.allows(date):
                text = write(form, date, frozenset(), generator).text
                if text in dates_of:
                    dates_of[text].add(date.isoformat())
    for date_text, locale, text in lines(EXAMPLES):
        assert dates_of[text] == {date_text}, (locale, text)
        date = datetime.date.fromisoformat(date_text)
        own = [write(form, date, frozenset(), generator).text for form in FORMS[locale] if form.allows(date)]
        assert text in own


@pytest.mark.parametrize("line", SLIPPED.strip().splitlines())
def test_slips_written_by_hand(line: str) -> None:
    date, locale, pattern, slips, text = lines(line)[0]
    form = next(form for form in FORMS[locale] if form.name == pattern)
    names = frozenset(name.replace("no_", "no ") for name in slips.split())
    assert write(form, datetime.date.fromisoformat(date), names, random.Random(2)).text == text


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(EVERY_FORM), st.dates(FIRST, LAST))
def test_cldr_forms_are_what_babel_writes(form: Form, date: datetime.date) -> None:
    if not form.name.endswith(")") or form.name in WRITTEN[form.locale]:
        theirs = format_date(date, form.name, locale=form.locale)
        for odd, plain in (("\u202f", " "), ("\u00a0", " "), ("\u200f", "")):
            theirs = theirs.replace(odd, plain)
        assert form.write(date) == theirs


def test_the_formats_of_the_locale_are_among_its_forms() -> None:
    """Full, long and medium of every locale, from Babel directly, for a day with nothing to mistake."""
    date = datetime.date(2021, 11, 23)
    for locale in LOCALES:
        texts = {form.write(date) for form in FORMS[locale]}
        for length in ("full", "long", "medium"):
            theirs = format_date(date, length, locale=locale)
            theirs = theirs.replace("\u202f", " ").replace("\u00a0", " ").replace("\u200f", "")
            assert theirs in texts, (locale, length)


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def letters(text: str) -> str:
    """What is left of a text without case, accents, digits, marks and blanks."""
    bare = [c for c in unicodedata.normalize("NFD", text.casefold()) if unicodedata.category(c)[0] == "L"]
    return unicodedata.normalize("NFC", "".join(bare).casefold()).replace("ı", "i")


@settings(deadline=None, max_examples=600)
@given(st.data())
def test_slips_change_no_number_and_no_letter(data: st.DataObject) -> None:
    """Whatever slips: the same numbers in the same order, the same letters in the same order."""
    form = data.draw(st.sampled_from(EVERY_FORM))
    date = data.draw(st.dates(FIRST, LAST).filter(form.allows))
    groups = [[name for name in names if name != "kanji"] for names in slips_of(form.locale)]
    slips = {data.draw(st.sampled_from(names)) for names in groups if names and data.draw(st.booleans())}
    writing = write(form, date, frozenset(slips), random.Random(data.draw(st.integers(0, 99))))
    plain = form.write(date)
    assert numbers(writing.text) == numbers(plain)
    assert letters(writing.text) == letters(plain)
    assert set(writing.slips) <= slips
    assert bool(writing.slips) == (writing.text != write(form, date, frozenset(), random.Random(1)).text)


def test_no_text_has_two_dates_in_a_large_sample(sample: list[DatePair]) -> None:
    assert contradictions((pair.source, pair.target) for pair in sample) == []


def test_no_text_has_two_dates_where_days_months_and_years_look_alike() -> None:
    """All forms of 432 dates such as 3.11.12, without slips, and each once with slips by chance."""
    generator = random.Random(7)
    writings = []
    for form in EVERY_FORM:
        groups = slips_of(form.locale)
        for date in filter(form.allows, box()):
            slips = frozenset(generator.choice(names) for names in groups if generator.random() < 0.4)
            texts = [write(form, date, some, generator).text for some in (frozenset[str](), slips)]
            writings += [(text, date.isoformat()) for text in texts]
    assert len(writings) > 200_000
    assert contradictions(writings) == []


def test_in_digits_the_day_is_before_the_month_or_cannot_be_mistaken(sample: list[DatePair]) -> None:
    seen = Counter[str]()
    for pair in sample:
        found = re.fullmatch(r"(\d\d?)\D+(\d\d?)\D+(\d{4}|\d\d)", pair.source)
        if found and not any(character.isalpha() for character in pair.source):
            first, second, year = map(int, found.groups())
            order = "American" if second > 12 else "day first"
            day, month = (second, first) if second > 12 else (first, second)
            assert (pair.date.day, pair.date.month) == (day, month)
            assert pair.date.year == year or (year < 100 and pair.date.year % 100 == year)
            seen[order] += 1
    assert seen["day first"] > 10_000
    assert seen["American"] > 500


def test_years_of_two_digits_lie_between_1950_and_2049(sample: list[DatePair]) -> None:
    short = [pair for pair in sample if "yy" in pair.form]
    assert len(short) > 2_000
    assert {pair.date.year for pair in short} == set(range(1950, 2050))


def test_a_weekday_is_the_true_one(sample: list[DatePair]) -> None:
    """The weekday's name comes from Babel and from the pair's answer, and stands in the text."""
    counted = 0
    for pair in sample:
        if set(pair.form) & {"E", "c"} and not set(pair.slips) & {"unaccented", "joined", "doubled"}:
            width = next(width for width in ("EEEE", "cccc", "ccc", "E") if width in pair.form)
            name = format_date(datetime.date.fromisoformat(pair.target), width, locale=pair.locale)
            counted += 1
            assert letters(name) in letters(pair.source), pair
    assert counted > 20_000


def test_all_locales_are_there_in_equal_shares(sample: list[DatePair]) -> None:
    counts = Counter(pair.locale for pair in sample)
    assert len({locale[:2] for locale in counts}) == 30
    assert {"ko", "en", "de", "fr", "es", "ja", "ar", "hi", "vi"} <= {locale[:2] for locale in counts}
    assert min(counts.values()) > 0.9 * 100_000 / len(LOCALES)
    assert max(counts.values()) < 1.1 * 100_000 / len(LOCALES)


def test_every_form_and_every_slip_is_there(sample: list[DatePair]) -> None:
    assert {(pair.locale, pair.form) for pair in sample} == {(f.locale, f.name) for f in EVERY_FORM}
    seen: dict[str, set[str]] = defaultdict(set)
    for pair in sample:
        seen[pair.locale] |= set(pair.slips)
    marks = {"no dots", "slashes", "points", "dashes", "spread"}
    everywhere = {"zeros", "doubled", "joined", "hard"}
    assert seen["de"] == everywhere | marks | {"lower", "upper", "capital", "unaccented", "no commas"}
    assert seen["ko"] == everywhere | marks
    assert seen["ja"] >= everywhere | {"wide", "kanji", "slashes", "points", "dashes", "spread"}
    assert seen["fr"] >= everywhere | {"upper", "capital", "unaccented"}
    assert all("native" in seen[locale] for locale in ("ar", "hi", "th"))
    assert all("latin" in seen[locale] for locale in ("fa", "bn"))
    shares = Counter(len(pair.slips) for pair in sample)
    assert 50_000 < shares[0] < 60_000
    assert shares[1] > 25_000
    assert shares[2] > 10_000


def test_every_locale_with_forms_by_hand_is_a_locale() -> None:
    assert set(ORDINAL) | set(ROMAN) <= set(LOCALES)


def test_ordinals_known_by_hand() -> None:
    english = {
        1: "1st",
        2: "2nd",
        3: "3rd",
        4: "4th",
        11: "11th",
        12: "12th",
        13: "13th",
        22: "22nd",
        31: "31st",
    }
    assert {day: ordinal("en_GB", day) for day in english} == english
    assert [ordinal("sv", day) for day in (1, 2, 3, 11, 12, 22)] == [
        "1:a",
        "2:a",
        "3:e",
        "11:e",
        "12:e",
        "22:a",
    ]
    assert [ordinal("hu", day) for day in (1, 2, 4, 12, 15, 20)] == [
        "1-jén",
        "2-án",
        "4-én",
        "12-én",
        "15-én",
        "20-án",
    ]
    assert [ordinal("bn", day) for day in (1, 3, 4, 18, 19)] == ["1লা", "3রা", "4ঠা", "18ই", "19শে"]
    assert ordinal("fr", 2) is None and ordinal("vi", 11) is None and ordinal("de", 1) is None


def test_texts_are_clean_lines(sample: list[DatePair]) -> None:
    """NFC, one line, no blank at an end, nothing invisible but the joiner inside a Persian word."""
    characters = set("".join(pair.source for pair in sample))
    assert {c for c in characters if unicodedata.category(c)[0] == "C"} == {"\u200c"}
    assert all(unicodedata.is_normalized("NFC", pair.source) for pair in sample)
    assert all(pair.source == pair.source.strip() != "" for pair in sample)
    assert all(re.fullmatch(r"(19|20)\d\d-\d\d-\d\d", pair.target) for pair in sample)
    assert {pair.date.year for pair in sample} == set(range(1900, 2100))


def test_the_split_holds_out_dates(parts: DateSplit) -> None:
    train, dev, test = ({pair.date for pair in part} for part in (parts.train, parts.dev, parts.test))
    assert not train & dev and not train & test and not dev & test
    assert len(parts.dev) == 1_000 and len(parts.test) == 2_000
    assert 60_000 < len(parts.train) < 100_000


def test_the_split_holds_out_renderings_made_of_known_parts(parts: DateSplit) -> None:
    known = {pair.rendering for pair in (*parts.train, *parts.dev)}
    unseen = [pair for pair in parts.test if has_held_out_rendering(pair)]
    assert not known & {pair.rendering for pair in unseen}
    assert len(unseen) > 100
    forms_learnt_plain = {(pair.locale, pair.form) for pair in parts.train if not pair.slips}
    slips_learnt: dict[str, set[str]] = defaultdict(set)
    for pair in parts.train:
        for name in pair.slips:
            slips_learnt[pair.locale].add(name)
    for pair in unseen:
        assert (pair.locale, pair.form) in forms_learnt_plain
        assert set(pair.slips) <= slips_learnt[pair.locale]


def test_no_training_source_is_in_the_test(parts: DateSplit) -> None:
    assert not {pair.source for pair in parts.train} & {pair.source for pair in parts.test}


def test_the_split_does_not_depend_on_the_other_pairs(sample: list[DatePair], parts: DateSplit) -> None:
    few = split(reversed(sample[:20_000]), dev=10**6, test=10**6)
    assert set(few.train) <= set(parts.train)
    assert not set(few.test) & set(parts.train)


def test_pairs_are_a_function_of_count_and_seed(sample: list[DatePair]) -> None:
    assert list(date_pairs(500, seed=1)) == sample[:500]
    assert list(date_pairs(500, seed=2)) != sample[:500]


def test_another_process_writes_the_same_pairs(sample: list[DatePair]) -> None:
    """The order of sets and dictionaries changes with the hash seed; the pairs must not."""
    code = (
        "from seq2see.data.dates import date_pairs\n"
        "import sys; sys.stdout.reconfigure(encoding='utf-8')\n"
        "for p in date_pairs(300, seed=1): print(p.source, p.target, p.rendering, sep='\\t')"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    ours = [f"{pair.source}\t{pair.target}\t{pair.rendering}" for pair in sample[:300]]
    assert done.stdout.decode().split("\n")[:-1] == ours
