"""The table of docs/reliability.md names tests that exist, and has a row with a test for every fault."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAULTS = [*range(1, 16), *range(21, 25)]
INPUTS = [1, 2, 3, 6, *range(8, 17), 23, 24, 25]


def test_every_row_has_tests_and_every_test_is_there() -> None:
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([FB]\d+) \|(.*)$", page, re.MULTILINE))
    assert list(rows) == [f"F{number}" for number in FAULTS] + [f"B{number}" for number in INPUTS]
    named: set[str] = set()
    for row, text in rows.items():
        tests = set(re.findall(r"`(test_\w+)`", text))
        assert any(f"_{row.lower()}_" in name for name in tests), row
        named |= tests
    assert not named - there
