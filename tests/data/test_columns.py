import pytest

from seq2see.data.columns import find_column, guess_columns, has_header
from seq2see.errors import InputError

TEXTS = [["one", "two", "three", "four"]] * 5


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Q", "A", "label"], (0, 1)),
        (["id", "target", "source"], (2, 1)),
        (["tgt", "src"], (1, 0)),
        (["Source Text", "Target Text"], (0, 1)),
        (["question_id", "Question", "Answer"], (1, 2)),
        (["en", "de"], (0, 1)),
        (["x1", "ko", "x2", "en_US"], (1, 3)),
        (["text_ko", "text_en"], (0, 1)),
        (["Korean", "English"], (0, 1)),
        (["translation.de", "translation.en"], (0, 1)),
        (["something", "else"], (0, 1)),
        (["is_valid", "id_of", "foo", "bar"], (0, 1)),
    ],
)
def test_columns_are_guessed_from_names(names: list[str], expected: tuple[int, int]) -> None:
    assert guess_columns(names, [row[: len(names)] for row in TEXTS]) == expected


def test_numbers_are_no_sentences() -> None:
    rows = [["17", "hello", "0.5", "world"], ["18", "bye", "1", "moon"]]
    assert guess_columns(["id", "en", "no", "ko"], rows) == (1, 3)
    assert guess_columns(["", "", "", ""], rows) == (1, 3)
    assert guess_columns(["a1", "b1", "c1"], [["1", "text", "2"]]) is None


def test_two_columns_are_the_pair_even_if_one_is_numbers() -> None:
    assert guess_columns(["sum", "value"], [["one and two", "3"]]) == (0, 1)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["source", "target"], ["a", "b"]], True),
        ([["Q", "A", "label"], ["a", "b", "0"]], True),
        ([["en", "ko"], ["Go.", "가."]], True),
        ([["Go.", "가."], ["Hi.", "안녕."]], False),
        ([["apple", "사과"], ["pear", "배"]], False),
        ([["Go.", "가.", "CC-BY"], ["Hi.", "안녕.", "CC-BY"]], False),
        ([["yennaris", "예 나 리 스", "1"], ["sidwell", "시 드 웰", "1"], ["a", "b", "2"], ["c", "d", "3"]], False),
        ([["phrase", "count"], ["a", "1"], ["b", "2"], ["c", "3"]], True),
        ([["source", "source"], ["a", "b"]], False),
        ([["source 1", "target 1"], ["source 2", "target 2"]], False),
        ([["source", ""], ["a", "b"]], False),
        ([["Where is the source of the river Nile, and why?", "target"], ["a", "b"]], False),
    ],
)
def test_a_header_is_recognised_by_known_names_or_numbers_under_words(rows: list[list[str]], expected: bool) -> None:
    assert has_header(rows) is expected


def test_columns_are_found_by_name_number_and_in_other_case() -> None:
    names = ["path", "en", "2"]
    assert find_column("en", names, 3, "f") == 1
    assert find_column("EN", names, 3, "f") == 1
    assert find_column("1", names, 3, "f") == 0
    assert find_column("2", names, 3, "f") == 2  # a name goes before a number
    assert find_column("3", None, 3, "f") == 2


@pytest.mark.parametrize("asked", ["de", "0", "4", "-1", "", "²"])
def test_an_unknown_column_names_those_there_are(asked: str) -> None:
    with pytest.raises(InputError, match=r'f has no column .*; its columns are "path", "en", "ko"\. .* 1 to 3'):
        find_column(asked, ["path", "en", "ko"], 3, "f")
    with pytest.raises(InputError, match="it has 3 columns and no header"):
        find_column(asked, None, 3, "f")


def test_names_that_would_take_over_a_terminal_are_escaped() -> None:
    with pytest.raises(InputError) as error:
        find_column("x", ["\x1b[2J", "\u202eb"], 2, "f")
    assert str(error.value).isprintable()
