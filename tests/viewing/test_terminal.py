import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import EOS, peaked, record, reversal, sentence, side
from rich.cells import cell_len

from seq2see.errors import InputError
from seq2see.viewing.grid import CAVEAT, grid
from seq2see.viewing.record import Record
from seq2see.viewing.terminal import heat_map

ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")
CELL = re.compile(r"· |░░|▒▒|▓▓|██")
STAIR = re.compile(r"^ *(?:│ )*┌─ (.*)$")


def drawing(record: Record, **options: object) -> list[str]:
    return heat_map(record, **options).split("\n")  # type: ignore[arg-type]


def read(lines: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Column labels in order, and the cells of each row (labels of rows must differ), over all blocks."""
    columns: list[str] = []
    rows: dict[str, list[str]] = {}
    for line in lines:
        stair = STAIR.match(line)
        if stair:
            columns.append(stair[1].replace("\u200e", ""))
        elif columns and (cells := CELL.findall(line + " ")) and "%" in line and not {",", ";"} & set(line):
            label = re.split(r" (?=· |░░|▒▒|▓▓|██)", line, maxsplit=1)[0].strip()
            rows.setdefault(label, []).extend(cells)
    return columns, rows


def test_the_planted_maximum_is_the_darkest_cell() -> None:
    words = ["alpha", "beta", "gamma", "delta"]
    columns, rows = read(drawing(reversal(*words)))
    assert columns == [*words, EOS]
    assert list(rows) == [*reversed(words), EOS]
    for at, cells in enumerate(rows.values()):
        place = 3 - at if at < 4 else 4
        assert [cell == "██" for cell in cells] == [column == place for column in range(5)]


def test_shades_follow_the_weights() -> None:
    row = (0.015, 0.06, 0.14, 0.26, 0.4)  # of the largest: 0.04, 0.15, 0.35, 0.65, 1
    made = record(side("a", "bb", "ccc", "dddd", "eeeee", end=False), side("x", end=False), row_of(row))
    assert read(drawing(made))[1]["x"] == ["· ", "░░", "▒▒", "▓▓", "██"]
    made = record(side("a", "bb", "ccc", "dddd", "eeeee", end=False), side("x", end=False), row_of(row[::-1]))
    assert read(drawing(made))[1]["x"] == ["██", "▓▓", "▒▒", "░░", "· "]
    assert "░░ 2, ▒▒ 10, ▓▓ 20, ██ 30; the largest is 40%" in heat_map(made)


def row_of(row: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    return (row,)


def test_the_end_does_not_swamp_the_words() -> None:
    row = (0.01, 0.04, 0.02, 0.93)
    made = record(side("north", "wind", "sun"), side("x", end=False), row_of(row))
    assert read(drawing(made))[1]["x"] == ["▒▒", "██", "▓▓", "██"]
    assert "the largest is 4%" in heat_map(made)


def test_heads_and_layers_are_chosen() -> None:
    source, target = side("north", "wind"), side("x", "y")
    first, second = peaked([0, 0, 0], 3), peaked([1, 1, 1], 3)
    made = replace(record(source, target), attention={"cross": ((first, second),)})
    assert read(drawing(made, head=1))[1]["x"][:2] == ["██", "░░"]
    assert read(drawing(made, head=2))[1]["x"][:2] == ["░░", "██"]
    assert read(drawing(made))[1]["x"][:2] == ["██", "██"]
    assert "head 2 of 2" in heat_map(made, head=2)
    with pytest.raises(InputError, match="heads 1 to 2"):
        heat_map(made, head=3)


def test_words_or_pieces() -> None:
    made = reversal("north", "wind", cut=3)
    assert read(drawing(made, words=True))[0] == ["north", "wind", EOS]
    assert read(drawing(made, words=False))[0] == ["nor", "th", "win", "d", EOS]


TEXTS = st.lists(st.text(st.sampled_from("abxyz日本語한국אבجدहि🙂é,"), min_size=1, max_size=9), min_size=1, max_size=25)


@settings(deadline=None, max_examples=40)
@given(TEXTS, TEXTS, st.integers(10, 130), st.booleans(), st.booleans(), st.booleans())
def test_no_line_is_wider_than_asked_and_no_column_is_lost(
    sources: list[str], targets: list[str], width: int, words: bool, colour: bool, unicode: bool
) -> None:
    source, target = side(*sources), side(*targets)
    peaks = [at % len(source.pieces) for at in range(len(target.pieces))]
    made = record(source, target, peaked(peaks, len(source.pieces)), signature="beam:5|length_penalty:1")
    lines = drawing(made, width=width, words=words, colour=colour, unicode=unicode)
    for line in lines:
        assert cell_len(ESCAPE.sub("", line)) <= max(24, width)
    if colour:
        shown = grid(made, words=words)
        cells = sum(len(re.findall(r"\x1b\[48;5;\d+;38;5;\d+m..\x1b\[39;49m", line)) for line in lines)
        assert cells == len(shown.rows) * len(shown.columns)


@pytest.mark.parametrize("width", [24, 40, 80, 200])
def test_folded_blocks_hold_each_column_once(width: int) -> None:
    words = [f"word{at:02}" for at in range(60)]
    columns, rows = read(drawing(reversal(*words), width=width))
    assert [column.rstrip("…") for column in columns] == [
        word[: len(column.rstrip("…"))] for word, column in zip([*words, EOS], columns, strict=True)
    ]
    assert all(len(column.rstrip("…")) >= 3 for column in columns)
    darkest = [cells.index("██") for cells in rows.values()]
    if width >= 40:  # narrower, row labels are cut and become alike
        assert darkest == [*reversed(range(60)), 60]


def test_columns_of_one_character_have_it_above_them() -> None:
    made = reversal("3", "M", "a", "y", "한")
    lines = drawing(made)
    head = next(line for line in lines if "M" in line and "%" not in line)
    assert head.split() == ["3", "M", "a", "y", "한<>"]
    start = head.index("3")
    row = next(line for line in lines if line.strip().startswith("M ") and "%" in line)
    assert row[start + 2 : start + 4] == "██"  # right below M
    assert any(line.startswith("<>: <eos>") for line in lines)


def test_probabilities_stand_beside_their_words() -> None:
    made = replace(reversal("north", "wind"), log_probs=(-0.105, -1.609, -9.0))
    text = heat_map(made)
    assert re.search(r"wind .* 90%$", text, re.M) and re.search(r"north .* 20%$", text, re.M)
    assert re.search(r"<eos> .* <1%$", text, re.M)


def test_without_colour_there_is_no_escape_code() -> None:
    assert "\x1b" not in heat_map(reversal("north", "wind"), colour=False)


@pytest.mark.parametrize("truecolour", [False, True])
def test_with_colour_there_are_only_colours_and_they_all_end(truecolour: bool) -> None:
    text = heat_map(reversal("north", "wind"), colour=True, truecolour=truecolour)
    codes = ESCAPE.findall(text)
    kinds = r"48;2;\d+;\d+;\d+;38;2;\d+;\d+;\d+" if truecolour else r"48;5;\d+;38;5;\d+"
    assert all(re.fullmatch(rf"{kinds}|39;49|[12]|22", code) for code in codes)
    for line in text.split("\n"):
        found = ESCAPE.findall(line)
        assert sum(code.startswith("48") for code in found) == found.count("39;49")
        assert sum(code in "12" for code in found) == found.count("22")
    assert "\x1b" not in ESCAPE.sub("", text)


def test_with_colour_cells_hold_per_cents() -> None:
    source, target = side("north", "wind"), side("x", end=False)
    text = heat_map(record(source, target, row_of((0.25, 0.05, 0.7))), colour=True)
    row = next(line for line in text.split("\n") if "38;5" in line)
    assert re.findall(r"38;5;\d+m(..)", row) == ["25", "  ", "70"]
    assert "\x1b[2m<eos>\x1b[22m" in text  # faint


def test_ascii_only_where_asked() -> None:
    text = heat_map(reversal("north", "wind", "sun"), unicode=False)
    assert text.isascii()
    assert re.search(r"^ +wind   ##      +80%", text, re.M)


HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202eevil\u202c \r\n\x00 </script> \u2028 \x9b31m"


@pytest.mark.parametrize("attention", [True, False])
def test_hostile_text_cannot_steer_a_terminal(attention: bool) -> None:
    source, target = sentence(HOSTILE, cut=1), sentence(HOSTILE)
    heads = [peaked([0] * len(target.pieces), len(source.pieces))] if attention else []
    made = record(
        source,
        target,
        *heads,
        model=HOSTILE,
        signature=HOSTILE,
        notes=(HOSTILE,),
        runners_up=(((HOSTILE, -1.0),),) * len(target.pieces),
    )
    for words in (True, False):
        text = heat_map(made, words=words)
        for character in set(text) - {"\n", "\u200e"}:
            assert unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp"), hex(ord(character))


def test_right_to_left_labels_are_kept_apart() -> None:
    made = reversal("أين", "محطة", "قطار")
    text = heat_map(made)
    assert "┌─ أين\u200e" in text and "the first word stands left" in text
    assert read(text.split("\n"))[0] == ["أين", "محطة", "قطار", EOS]


def test_a_model_without_attention_shows_what_it_has() -> None:
    made = record(side("a"), side("north", "wind"), runners_up=((("nord", -2.3),), (), ()))
    text = heat_map(made, width=60)
    assert "without attention" in text and CAVEAT not in text
    assert re.search(r"north +80% +not nord 10%", text)
    only_encoder = replace(made, attention={"encoder": ((peaked([0, 1], 2),),)})
    assert heat_map(only_encoder, width=60) == text
    assert "source looks at source" in heat_map(only_encoder, kind="encoder")


def test_the_caveat_and_the_search_are_always_there() -> None:
    text = heat_map(replace(reversal("a", "b"), signature="beam:5", score=-0.2231, given=True, notes=("a note",)))
    assert CAVEAT in text and "search: beam:5" in text and "target given and scored" in text and "a note" in text
    assert "score -0.2231" in text


def test_a_record_of_nothing_and_of_one() -> None:
    empty = side(end=False)
    assert "translate" not in heat_map(record(empty, empty, ()))
    assert "ja" in heat_map(record(side("yes"), side("ja"), peaked([0, 1], 2)), width=24)
