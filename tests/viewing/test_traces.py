import pytest
from rich.cells import cell_len

from seq2see.viewing.record import Record, Rows, Side
from seq2see.viewing.traces import trace_lines


def side(pieces: str | list[str]) -> Side:
    text = "".join(pieces)
    ends = [sum(map(len, pieces[: at + 1])) for at in range(len(pieces))]
    spans = tuple((end - len(piece), end) for end, piece in zip(ends, pieces, strict=True))
    return Side(text, tuple(pieces), spans, (), (False,) * len(pieces))


def record(pieces: str | list[str], **traces: Rows) -> Record:
    log_probs = (-1.0,) * len(pieces)
    return Record("lm", "lstm", side(""), side(pieces), log_probs=log_probs, traces=dict(traces))


def test_no_trace_no_line() -> None:
    assert trace_lines(record("ab"), width=80) == []


def test_bars_are_the_values() -> None:
    rows = ((-1.0, 0.5), (0.0, 0.5), (1.0, 0.5))
    assert trace_lines(record("abc", hidden=rows), width=80) == [
        "         abc",
        "hidden 1 ▁▅█",  # the middle of eight bars is the fifth: 3.5 is rounded to the even one
        "hidden 2 ▆▆▆",
        "",
        "bars: ▁ lowest, █ highest",
        "hidden: -1 to 1; 2 of 2 units, the liveliest",
    ]
    assert trace_lines(record("abc", hidden=rows), width=80, unicode=False)[1] == "hidden 1 047"


def test_shares_are_drawn_by_their_mean_and_single_rows_as_they_are() -> None:
    lines = trace_lines(record("ab", gate=((0.0, 0.0), (1.0, 1.0)), after=((0.0,), (1.0,))), width=80)
    assert lines[1:3] == ["gate, mean ▁█", "     after ▁█"]


def test_the_liveliest_units_are_drawn_in_their_order() -> None:
    still, lively = [0.1] * 20, [3, 4, 7, 11, 13, 19]
    rows = [tuple(-1.0 if at in lively else value for at, value in enumerate(still)) for _ in range(2)]
    rows.append(tuple(1.0 if at in lively else value for at, value in enumerate(still)))
    lines = trace_lines(record("abc", cell=tuple(rows)), width=80)
    assert [line.split()[1] for line in lines if line.startswith(("   cell", "  cell", " cell", "cell "))] == [
        str(at + 1) for at in lively
    ]
    assert lines[-1] == "cell: -1 to 1; 6 of 20 units, the liveliest"


@pytest.mark.parametrize("width", [10, 24, 30, 80])
@pytest.mark.parametrize("pieces", ["abcdefgh" * 9, ["한", "국"] * 20, ["word", " longer-than-a-column", "\n"] * 12])
def test_every_piece_has_its_column_and_no_line_is_too_wide(pieces: str | list[str], width: int) -> None:
    values = tuple((float(at % 8 - 3),) for at in range(len(pieces)))
    lines = trace_lines(record(pieces, state=values), width=width)
    assert all(cell_len(line) <= max(width, 24) for line in lines if "lowest" not in line and "units" not in line)
    bars = "".join(line.split(" ", 1)[1] for line in lines if line.startswith("state "))
    columns = len(bars.replace(" ", "")) // max(1, min(8, max(cell_len(piece.replace("\n", "␊")) for piece in pieces)))
    assert columns == len(pieces)
