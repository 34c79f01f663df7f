"""What was read and what was left out: a pair with its place, and the caller's own count of both."""

from dataclasses import dataclass, field
from typing import NamedTuple

LISTED = 5  # line numbers kept for each reason


class Pair(NamedTuple):
    """A source and a target as the file has them; ``line`` counts from 1 (for Parquet: the row)."""

    source: str
    target: str
    line: int


@dataclass
class Places:
    """How often something was met, and the first few lines where."""

    count: int = 0
    lines: list[int] = field(default_factory=list)

    def add(self, line: int) -> None:
        self.count += 1
        if len(self.lines) < LISTED:
            self.lines.append(line)

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.lines) else ""
        word = "line" if self.count == 1 else "lines"
        return f"{word} {', '.join(f'{line:,}' for line in self.lines)}{more}"


@dataclass
class Tally:
    """A counter that belongs to the caller: hand it to a reader, look at it afterwards.

    Every row is either a pair or skipped: ``rows == pairs + skipped_rows``. ``remarks`` are about kept pairs.
    """

    pairs: int = 0
    skipped: dict[str, Places] = field(default_factory=dict)
    remarks: dict[str, Places] = field(default_factory=dict)

    def skip(self, reason: str, line: int) -> None:
        self.skipped.setdefault(reason, Places()).add(line)

    def remark(self, remark: str, line: int) -> None:
        self.remarks.setdefault(remark, Places()).add(line)

    @property
    def skipped_rows(self) -> int:
        return sum(places.count for places in self.skipped.values())

    @property
    def rows(self) -> int:
        return self.pairs + self.skipped_rows

    def sentences(self) -> list[str]:
        """What a person is told; empty when every row was a pair without a remark."""
        told = [f"skipped: {reason}: {places.count:,} ({places})" for reason, places in self.skipped.items()]
        return told + [f"kept: {remark}: {places.count:,} ({places})" for remark, places in self.remarks.items()]
