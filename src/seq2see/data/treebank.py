"""Sentences with a label for each token: CoNLL-U, or a token and its label a line.

A blank line ends a sentence. In CoNLL-U (universaldependencies.org/format.html) comments, multiword tokens (``3-4``)
and empty nodes (``3.1``) are no tokens: the words are what is labelled. A sentence with a faulty line is skipped whole,
and counted with the number of that line.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal, NamedTuple

from seq2see.data.lines import MAX_LINE_BYTES, lines
from seq2see.data.streams import InputFile, input_file, nothing
from seq2see.data.tally import Tally
from seq2see.errors import InputError

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
MOST_TOKENS = 10_000  # of one sentence: anything longer lacks blank lines

_LOOKED_AT = 100  # rows by which the form of a file is told
_NUMBER = re.compile(r"\d+")
_NO_TOKEN = re.compile(r"\d+-\d+|\d+\.\d+")
_COMMENT = re.compile(r"# .*=")
_DOCUMENT = "-DOCSTART-"  # a line of CoNLL-2003 between documents
_FORMS = (
    "Give CoNLL-U, or a token and its label a line with a tab or blanks between them; a blank line ends a sentence."
)


class Sentence(NamedTuple):
    """Tokens and their labels; ``line`` is that of the first token, from 1."""

    tokens: tuple[str, ...]
    labels: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Treebank:
    """Where labelled sentences come from. ``token`` and ``label`` are columns from 0, of ``columns`` a row.

    ``separator`` None: white space. ``notes`` are sentences for a person: what was recognised.
    """

    file: InputFile
    kind: Literal["conllu", "columns"]
    separator: str | None
    columns: int
    token: int
    label: int
    max_line_bytes: int
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.file.name


def open_treebank(
    path: str | Path,
    columns: tuple[str, str] | None = None,
    *,
    max_line_bytes: int = MAX_LINE_BYTES,
    check: Callable[[], None] = nothing,
) -> Treebank:
    """Find out how a file (plain, .gz, .zst; ``-``: standard input) is to be read.

    ``columns`` are those of tokens and labels: names of CoNLL-U, or numbers from 1. Without them: form and upos; where
    a row is no CoNLL-U, the first and the last.

    Raises:
        InputError: the file cannot be read, has no row with at least two columns, or no such columns.
    """
    file = input_file(path, check)
    rows = list(islice(_rows(file, max_line_bytes, check), _LOOKED_AT))
    if not rows:
        raise InputError(f"{file.name} is empty. {_FORMS}")
    kind: Literal["conllu", "columns"] = "conllu" if any(_is_conllu(line) for _, line in rows) else "columns"
    separator, count = ("\t", len(CONLLU)) if kind == "conllu" else _separator([line for _, line in rows])
    if count < 2:
        number, line = rows[0]
        raise InputError(f"{file.name}, line {number:,}: {_cut(line)!r} is one column, not two. {_FORMS}")
    token, label = _chosen(columns, kind, count, file.name)
    names = [CONLLU[at] if kind == "conllu" else f"column {at + 1} of {count}" for at in (token, label)]
    form = "CoNLL-U" if kind == "conllu" else "columns with tabs" if separator else "columns with blanks"
    note = f"{file.name}: {form}; tokens: {names[0]}, labels: {names[1]}."
    return Treebank(file, kind, separator, count, token, label, max_line_bytes, (note,))


def _rows(file: InputFile, most: int, check: Callable[[], None]) -> Iterator[tuple[int, str]]:
    """Lines that are neither blank nor comments."""
    for number, line in lines(file, most, check):
        if line is not None and line.strip() and not _COMMENT.match(line) and not line.startswith(_DOCUMENT):
            yield number, line


def _is_conllu(line: str) -> bool:
    cells = line.split("\t")
    return len(cells) == len(CONLLU) and bool(_NUMBER.fullmatch(cells[0]) or _NO_TOKEN.fullmatch(cells[0]))


def _separator(rows: list[str]) -> tuple[str | None, int]:
    """Tabs where the rows have them, else white space; and the usual number of columns."""
    separator = "\t" if sum("\t" in line for line in rows) * 2 > len(rows) else None
    counts = Counter(len(line.split(separator)) for line in rows)
    return separator, counts.most_common(1)[0][0]


def _chosen(columns: tuple[str, str] | None, kind: str, count: int, name: str) -> tuple[int, int]:
    if columns is None:
        return (CONLLU.index("form"), CONLLU.index("upos")) if kind == "conllu" else (0, count - 1)
    token, label = (_place(column, kind, count, name) for column in columns)
    if token == label:
        raise InputError(f"{name}: column {columns[0]} cannot hold both the tokens and their labels")
    return token, label


def _place(column: str, kind: str, count: int, name: str) -> int:
    if column.isascii() and column.isdigit() and 1 <= int(column) <= count:
        return int(column) - 1
    if kind == "conllu" and column.lower() in CONLLU:
        return CONLLU.index(column.lower())
    known = f"{', '.join(CONLLU)}, or 1 to {count}" if kind == "conllu" else f"columns 1 to {count}"
    raise InputError(f"{name} has no column {_cut(column)!r}; it has {known}")


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def read_sentences(treebank: Treebank, tally: Tally, check: Callable[[], None] = nothing) -> Iterator[Sentence]:
    """The sentences in the order of the file; those that are skipped are counted. Memory is one sentence.

    Raises:
        InputError: the content cannot be read (with file, line and byte), or not one sentence can be used.
    """
    found = 0
    for sentence in _sentences(treebank, tally, check):
        found += 1
        tally.pairs += 1
        yield sentence
    if not found:
        told = "; ".join(tally.sentences()) or "no row at all"
        raise InputError(f"{treebank.name} has no sentence that can be used: {told}. {_FORMS}")


def _sentences(treebank: Treebank, tally: Tally, check: Callable[[], None]) -> Iterator[Sentence]:
    tokens, labels, first, fault = list[str](), list[str](), 0, ""
    for number, line in chain(lines(treebank.file, treebank.max_line_bytes, check), [(0, "")]):
        if line is not None and not line.strip():
            if tokens and not fault:
                yield Sentence(tuple(tokens), tuple(labels), first)
            tokens, labels, fault = [], [], ""
            continue
        row = None if fault else _row(treebank, line, len(tokens))
        if isinstance(row, tuple):
            first = first if tokens else number
            tokens.append(row[0])
            labels.append(row[1])
        elif row:
            fault = row
            tally.skip(fault, number)


def _row(treebank: Treebank, line: str | None, before: int) -> tuple[str, str] | str | None:
    """A token and its label; what is wrong with the line; or None where it holds no token."""
    if line is None:
        return f"a sentence with a line of more than {treebank.max_line_bytes:,} bytes"
    conllu = treebank.kind == "conllu"
    if (line.startswith("#") if conllu else _COMMENT.match(line)) and not before:
        return None
    cells = line.split(treebank.separator)
    if not conllu and cells[0] == _DOCUMENT and not before:
        return None
    if len(cells) != treebank.columns:
        return f"a sentence with a line that has not {treebank.columns} columns"
    if conllu and _NO_TOKEN.fullmatch(cells[0]):
        return None
    if conllu and cells[0] != str(before + 1):
        return "a sentence whose tokens are not numbered 1, 2, 3 …"
    if before == MOST_TOKENS:
        return f"a sentence of more than {MOST_TOKENS:,} tokens (a blank line ends one)"
    token, label = cells[treebank.token].strip(), cells[treebank.label].strip()
    if not token or not label:
        return "a sentence with an empty token or label"
    if any(character.isspace() for character in label):
        return "a sentence with a blank inside a label"
    if conllu and label == "_" and CONLLU[treebank.label] != "feats":
        return f"a sentence without labels ({CONLLU[treebank.label]} is _)"
    return token, label
