"""Tables of series: which columns, what is filled, what is refused, and with which line."""

import gzip
import math
from pathlib import Path

import pyarrow as pa
import pytest

from seq2see.config.forecast import ReadingSettings
from seq2see.data import series as module
from seq2see.data.series import Series, read_series
from seq2see.errors import InputError


def read(tmp_path: Path, text: str, name: str = "data.csv", **rules: object) -> Series:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_series(tmp_path / name, ReadingSettings.model_validate(rules))


def months(values: list[object], start: int = 1) -> str:
    return "month,sales\n" + "".join(f"2020-{start + at:02d},{value}\n" for at, value in enumerate(values))


def test_columns_are_guessed_and_said(tmp_path: Path) -> None:
    series = read(tmp_path, '"rownames","time","a","b"\n1,1949,1,5\n2,1950,2,6\n3,1951,3,7\n')
    assert series.names == ("a", "b") and series.columns == ("time", "a", "b")
    assert series.values_CT.tolist() == [[1, 2, 3], [5, 6, 7]]
    assert 'time: column 2 ("time"), values: column 3 ("a"), column 4 ("b"), a guess' in series.notes[0]
    assert "Not read: column 1" in series.notes[0]
    assert "3 steps, yearly, 1949 to 1951" in series.notes[-1]


@pytest.mark.parametrize(
    ("text", "names", "values"),
    [
        ("t;x\n1;1,5\n2;2,5\n3;-0,5\n", ("x",), [[1.5, 2.5, -0.5]]),  # decimal commas
        ("2020-01-01\t3\n2020-01-02\t4\n", ("column 2",), [[3, 4]]),  # tabs, no header
        ("\ufeffdate,x\r\n2020-01-01,1e2\r\n2020-01-02,.5\r\n", ("x",), [[100, 0.5]]),
        (",x\n0,7\n1,8\n2,9\n", ("x",), [[7, 8, 9]]),  # an index without a name
        ("x\n7\n8\n9\n", ("x",), [[7, 8, 9]]),  # no times at all
        ("4\n5\n", ("column 1",), [[4, 5]]),
        ('time,"my, value"\n1,"2"\n2,"3"\n', ("my, value",), [[2, 3]]),
        ("place,day,x\nA,2020-01-01,1\nA,2020-01-02,2\n", ("x",), [[1, 2]]),  # a column of text is left out
    ],
)
def test_tables_in_all_their_forms(
    tmp_path: Path, text: str, names: tuple[str, ...], values: list[list[float]]
) -> None:
    series = read(tmp_path, text)
    assert series.names == names and series.values_CT.tolist() == values
    if series.columns:  # what was guessed can be asked for, and gives the same
        again = read(tmp_path, text, columns=series.columns)
        assert again.values_CT.tolist() == values and "as asked" in again.notes[0]


def test_compressed_files_are_read_alike(tmp_path: Path) -> None:
    text = months([1, 2, 3]).encode()
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text))
    with pa.CompressedOutputStream(str(tmp_path / "a.csv.zst"), "zstd") as stream:
        stream.write(text)
    for name in ("a.csv.gz", "a.csv.zst"):
        assert read_series(tmp_path / name, ReadingSettings()).values_CT.tolist() == [[1, 2, 3]]


def test_gaps_are_filled_on_a_straight_line_and_said(tmp_path: Path) -> None:
    # April is missing as a value, June and July as rows.
    text = months([1, 2, 4, "NA", 8]) + "2020-08,2\n2020-09,2\n2020-10,2\n2020-11,2\n2020-12,2\n"
    series = read(tmp_path, text)
    assert series.values_CT.tolist() == [[1, 2, 4, 6, 8, 6, 4, 2, 2, 2, 2, 2]]
    assert series.filled_CT.nonzero()[:, 1].tolist() == [3, 5, 6]
    assert any("3 missing values filled in" in note and "2020-04, 2020-06 to 2020-07" in note for note in series.notes)
    last = read(tmp_path, text, missing="last")
    assert last.values_CT[0, :8].tolist() == [1, 2, 4, 4, 8, 8, 8, 2]
    with pytest.raises(InputError, match="lacks 2 steps in a row, 2020-06 to 2020-07; nothing is filled"):
        read(tmp_path, text, missing="refuse")
    with pytest.raises(InputError, match=r"at most 1 are filled in.*data.most_missing=2"):
        read(tmp_path, text, most_missing=1)


def test_a_shorter_series_keeps_its_ends_empty(tmp_path: Path) -> None:
    series = read(tmp_path, "t,a,b\n1,1,\n2,2,5\n3,3,6\n4,4,\n")
    assert series.values_CT[0].tolist() == [1, 2, 3, 4] and series.values_CT[1, 1:3].tolist() == [5, 6]
    assert math.isnan(series.values_CT[1, 0]) and math.isnan(series.values_CT[1, 3])
    assert not series.filled_CT.any()
    assert any("b: It is shorter than the file: 2 to 3" in note for note in series.notes)


def test_infinite_values_count_as_missing_with_their_line(tmp_path: Path) -> None:
    series = read(tmp_path, months([1, "inf", 3, 4, 5, 6]))
    assert series.values_CT[0, 1] == 2 and any("infinite values" in n and "line 3" in n for n in series.notes)


def test_rows_in_any_order_give_the_same_series(tmp_path: Path) -> None:
    rows = months([1, 2, 3, 4]).splitlines()
    series = read(tmp_path, "\n".join([rows[0], rows[3], rows[1], rows[2], rows[4]]) + "\n")
    assert series.values_CT.tolist() == [[1, 2, 3, 4]]
    assert any("sorted by time" in note and "line 3" in note for note in series.notes)


def test_repeated_times(tmp_path: Path) -> None:
    text = "t,x\n1,1\n2,2\n2,6\n3,3\n"
    with pytest.raises(InputError, match="first 2 in the lines 3 and 4"):
        read(tmp_path, text)
    assert read(tmp_path, text, repeated="mean").values_CT.tolist() == [[1, 4, 3]]
    assert read(tmp_path, text, repeated="last").values_CT.tolist() == [[1, 6, 3]]
    same = read(tmp_path, "t,x\n1,1\n2,2\n2,2\n3,3\n")  # the same row twice harms nobody
    assert same.values_CT.tolist() == [[1, 2, 3]] and any("more than once" in note for note in same.notes)


def test_irregular_steps_are_refused_or_taken_in_order(tmp_path: Path) -> None:
    text = "t,x\n1,1\n2,2\n3,3\n3.4,9\n4,4\n"
    with pytest.raises(InputError, match=r"line 5 \(3\.4\) lie between them.*data\.irregular=order"):
        read(tmp_path, text)
    series = read(tmp_path, text, irregular="order")
    assert series.values_CT.tolist() == [[1, 2, 3, 9, 4]] and series.axis.text(5) == "+1"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("t,x\n", "nothing below it"),
        ("t,x\n1,2\n", "1 rows of values; a series needs at least two"),
        ("t,x\n1,1\n2,abc\n3,3\n4,4\n5,5\n6,1\n7,1\n8,1\n9,1\n10,1\n11,1\n", 'line 3: "abc" in x is no number'),
        ("t,x\n1,1\n2\n3,3\n", "line 3: 1 columns where 2 are expected"),
        ("t,x\n1,1\n,2\n3,3\n", "line 3: the time is blank"),
        ("t,x\n5,1\n5,2\n", "all times are the same, 5"),
        ("a,b\nx,1\ny,2\n", "no column of times can be made out.*--columns"),
        ("t,name\n1,a\n2,b\n", "no column of numbers"),
        ("t,x\n1,\n2,\n3,1\n", "has 1 values; a series needs at least two"),
        ("t,x\n1,1\n2,2\n1000000000000,3\n", "too many are missing"),
        ("t,x\n1,1\n3,\n5,1\n7,\n9,1\n11,\n13,1\n15,\n17,1\n19,\n21,1\n", "lacks 5 of 11 values: too many"),
        ('t,x\n1,"2\n2,3\n', "the quote that opens a cell there is not closed"),
        ('t,x\n1,"2"3\n2,3\n3,4\n', "rows that cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read(tmp_path, text)


def test_columns_that_are_asked_for_have_to_be_there(tmp_path: Path) -> None:
    text = "t,x,y\n1,1,2\n2,3,4\n"
    assert read(tmp_path, text, columns=("t", "y")).values_CT.tolist() == [[2, 4]]
    assert read(tmp_path, text, columns=("1", "3", "2")).names == ("y", "x")
    with pytest.raises(InputError, match='no column "z"'):
        read(tmp_path, text, columns=("t", "z"))
    with pytest.raises(InputError, match="named once"):
        read(tmp_path, text, columns=("t", "t"))
    with pytest.raises(InputError, match="at least one column of values"):
        read(tmp_path, text, columns=("t",))


def test_foreign_files_and_too_many_values_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv").write_bytes(b"\x89PNG\r\n\x1a\n0000")
    with pytest.raises(InputError, match="a PNG picture"):
        read_series(tmp_path / "x.csv", ReadingSettings())
    (tmp_path / "x.csv").write_bytes("t,x\n1,1\n2,\xe9\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"line 3.*not UTF-8"):
        read_series(tmp_path / "x.csv", ReadingSettings())
    with pytest.raises(InputError, match="There is no file"):
        read_series(tmp_path / "none.csv", ReadingSettings())
    monkeypatch.setattr(module, "MOST_VALUES", 5)
    with pytest.raises(InputError, match="more than 5 values"):
        read(tmp_path, months([1, 2, 3, 4, 5, 6]))
