"""What stands in a page of Markdown: commands, blocks of code, links, names in backticks."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))
EXECUTED = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *GUIDE]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"```(\w*)$")
_BUDGET = ("--minutes", "--epochs", "--steps")
# What makes a training of any preset and data a matter of a second, for each task.
_ANY: dict[str, str | int] = {
    "model.encoder.width": 16,
    "training.precision": "float32",
    "training.batch_tokens": 1024,
}
_SMALL: dict[str, dict[str, str | int]] = {
    "translate": {**_ANY, "model.decoder.width": 16},
    "tag": _ANY,
    "classify": _ANY,
    "lm": {"training.precision": "float32", "training.batch_tokens": 256},
    "masked": _ANY,
    "caption": {**_ANY, "model.decoder.width": 16},
    "forecast": {"training.precision": "float32", "sampling.paths": 100},
}


@dataclass(frozen=True)
class Block:
    """A block of code: the language its fence names ("" for an indented block or a bare fence), and its text."""

    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """Fenced and indented blocks in order; a row of indented lines is one block."""
    return blocks_of(page.read_text(encoding="utf-8"))


def blocks_of(text: str) -> Iterator[Block]:
    fence: str | None = None
    held: list[str] = []
    for line in [*text.split("\n"), ""]:
        mark = _FENCE.match(line)
        if fence is not None:
            if line == "```":
                yield Block(fence, "\n".join(held) + "\n")
                fence, held = None, []
            else:
                held.append(line)
        elif line.startswith("    "):
            held.append(line[4:])
        else:
            if held:
                yield Block("", "\n".join(held) + "\n")
                held = []
            if mark:
                fence = mark[1]
    assert fence is None, "a fence that is never closed"


def commands(page: Path) -> list[list[str]]:
    """Every line of a block without a language (or sh), in words; comments are left out."""
    lines = (line for block in blocks(page) if block.language in ("", "sh") for line in block.text.splitlines())
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def code(page: Path, language: str) -> list[str]:
    return [block.text for block in blocks(page) if block.language == language]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def quick(words: list[str]) -> list[str]:
    """A command that trains with two updates for its budget and a small model; any other command as it is.

    One that resumes keeps what its run was begun with, one that begins with another run has that run's sizes.
    """
    trains = {"train", "compare"} & set(words)
    if not trains or "--resume" in words:
        return words
    at = words.index(trains.pop()) + 1
    task = words[words.index("--task") + 1] if "--task" in words else "translate"
    fixed = ("model.", "text.") if "--init-from" in words else ()
    small = {name: value for name, value in _SMALL[task].items() if not name.startswith(fixed)}
    kept = [part for name, value in small.items() for part in ("--set", f"{name}={value}")]
    skip = False
    for word in words[at:]:
        if not skip and word not in _BUDGET:
            kept.append(word)
        skip = word in _BUDGET
    return [*words[:at], *kept, "--steps", "2"]


def quick_python(text: str) -> str:
    """The same for a block of Python."""
    return re.sub(r"\b(?:minutes|epochs|steps)\s*=\s*[\d.]+", f"steps=2, settings={_SMALL['translate']}", text)
