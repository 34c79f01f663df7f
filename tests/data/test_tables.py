import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.data.tables import Row, Table, csv_rows, has_quoted_tab, table_pairs, tsv_rows
from seq2see.data.tally import Pair, Tally
from seq2see.errors import InputError

CELL = st.text(alphabet='ab ",;\n\t가\u2028\x85', max_size=8)


def numbered(text: str) -> list[tuple[int, str | None]]:
    found = text.split("\n")
    if not found[-1]:
        found.pop()
    return list(enumerate(found, 1))


def rows_of(text: str, separator: str = ",", most: int = 1_000, tally: Tally | None = None) -> list[Row]:
    return list(csv_rows(numbered(text), separator, "f.csv", most, tally or Tally()))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(CELL, min_size=2, max_size=4), min_size=1, max_size=5), st.sampled_from(",;\t"))
def test_csv_reads_what_the_standard_library_writes(table: list[list[str]], separator: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=separator, lineterminator="\n").writerows(table)
    assert [cells for _, cells in rows_of(written.getvalue(), separator)] == table


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(CELL, min_size=2, max_size=3), min_size=1, max_size=4))
def test_csv_with_every_cell_in_quotes(table: list[list[str]]) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(table)
    tally = Tally()
    assert [cells for _, cells in rows_of(written.getvalue(), tally=tally)] == table
    assert not tally.skipped


def test_a_record_over_several_lines_has_the_number_of_its_first() -> None:
    assert rows_of('a,b\n"one\n\ntwo ""three""",c\nd,e\n') == [
        (1, ["a", "b"]),
        (2, ['one\n\ntwo "three"', "c"]),
        (5, ["d", "e"]),
    ]


def test_a_quote_inside_an_unquoted_cell_is_a_letter() -> None:
    assert rows_of('5" disk,he said "no"\n') == [(1, ['5" disk', 'he said "no"'])]


def test_a_quote_never_closed_names_the_line_where_it_opened() -> None:
    with pytest.raises(InputError, match=r"f\.csv, line 2: the quote .* not closed: the file ends first"):
        rows_of('a,b\nc,"d\ne,f\n')
    with pytest.raises(InputError, match=r"f\.csv, line 2: the quote .* more than 20 characters"):
        rows_of('a,b\n"c,d\n' + "e,f\n" * 1_000, most=20)


def test_a_quote_closed_by_one_of_a_later_line_is_not_swallowed() -> None:
    with pytest.raises(InputError, match=r"line 2: .* line 4 has text after the next quote"):
        rows_of('a,b\n"c,d\ne,f\ng,say "hi" to\n')


def test_text_behind_a_closing_quote_skips_that_row_only() -> None:
    tally = Tally()
    assert rows_of('a,b\n"c"x,d\ne,f\n', tally=tally) == [(1, ["a", "b"]), (3, ["e", "f"])]
    assert tally.sentences() == ["skipped: text after a closing quote: 1 (line 2)"]


def test_an_over_long_line_is_skipped_but_not_inside_a_quote() -> None:
    tally = Tally()
    assert list(csv_rows([(1, "a,b"), (2, None), (3, "c,d")], ",", "f.csv", 9, tally)) == [
        (1, ["a", "b"]),
        (3, ["c", "d"]),
    ]
    assert tally.skipped["line longer than 9 bytes"].lines == [2]
    with pytest.raises(InputError, match=r"line 1: .*line 2 is a line longer than 9 bytes"):
        list(csv_rows([(1, '"a,b'), (2, None)], ",", "f.csv", 9, Tally()))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(alphabet='ab"\t \r가\u2028', max_size=10), max_size=8))
def test_tsv_has_one_row_a_line_whatever_quotes_are_in_it(texts: list[str]) -> None:
    found = list(tsv_rows(enumerate(texts, 1), 99, Tally()))
    assert ["\t".join(cells) for _, cells in found] == texts
    assert all("\t" not in cell for _, cells in found for cell in cells)


def tsv(
    text: str, *, width: int = 2, regular: bool = True, source: int = 0, target: int = 1
) -> tuple[list[Pair], Tally]:
    tally, table = Tally(), Table("tsv", "\t", 0, width, regular, source, target)
    return list(table_pairs(tsv_rows(numbered(text), 99, tally), table, tally)), tally


def test_tsv_rows_are_pairs_or_counted_and_listed() -> None:
    found, tally = tsv('a\tb\n"c\td\nalone\n\ne\t\nf\tg\th\n\ti\n')
    assert found == [Pair("a", "b", 1), Pair('"c', "d", 2), Pair("e", "", 5), Pair("", "i", 7)]
    assert {reason: places.lines for reason, places in tally.skipped.items()} == {
        "1 cell instead of 2": [3],
        "blank line": [4],
        "3 cells instead of 2": [6],
    }


def test_where_widths_differ_by_habit_further_cells_are_ignored_and_remarked() -> None:
    found, tally = tsv("a\tb\nc\td\tremark\n", regular=False)
    assert found == [Pair("a", "b", 1), Pair("c", "d", 2)]
    assert tally.sentences() == ["kept: 3 cells where most rows have 2; the further ones are ignored: 1 (line 2)"]


def test_a_tab_inside_quotes_is_skipped_and_listed_even_there() -> None:
    found, tally = tsv('a\tb\n"c\tc"\td\n', regular=False)
    assert found == [Pair("a", "b", 1)]
    assert tally.skipped["a tab inside quotes, which TSV cannot hold (save as CSV)"].lines == [2]


def test_a_column_that_is_not_needed_may_be_missing() -> None:
    found, tally = tsv("a\tb\tc\nd\te\n", width=3)
    assert found == [Pair("a", "b", 1), Pair("d", "e", 2)]
    assert not tally.skipped


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (['"a', 'b"', "c"], True),
        (["c", '"a', "x", 'b"'], True),
        (['"a"', "b", "c"], False),
        (['5"', 'b"', "c"], False),
        (['"a', "b", "c"], False),
        (['"a ""x""', 'b"', "c"], True),
    ],
)
def test_quoted_tabs_are_recognised(cells: list[str], expected: bool) -> None:
    assert has_quoted_tab(cells) is expected


def test_csv_rows_of_another_width_are_skipped() -> None:
    tally, table = Tally(), Table("csv", ",", 1, 2, True, 1, 0)
    rows = csv_rows(numbered("q,a\n1,2\n3,4,5\n6\n7,8\n"), ",", "f.csv", 99, tally)
    assert list(table_pairs(rows, table, tally)) == [Pair("2", "1", 2), Pair("8", "7", 5)]
    assert {reason: places.lines for reason, places in tally.skipped.items()} == {
        "3 cells instead of 2": [3],
        "1 cell instead of 2": [4],
    }


def test_the_first_five_places_of_a_fault_are_listed_and_all_are_counted() -> None:
    tally = Tally()
    for line in range(1_000, 1_008):
        tally.skip("why", line)
    assert tally.sentences() == ["skipped: why: 8 (lines 1,000, 1,001, 1,002, 1,003, 1,004, …)"]
    assert tally.rows == tally.skipped_rows == 8
