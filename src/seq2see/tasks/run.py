"""A trained run in Python, whatever its task: predict, see, evaluate; and how what is asked of it is laid over it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

from torch import nn

from seq2see.config.settings import SearchSettings, Settings
from seq2see.config.toml import Table, merged, parse, parse_assignment
from seq2see.errors import InputError
from seq2see.evaluation.result import Evaluation
from seq2see.storage.atomic import write_atomic
from seq2see.tasks.folder import RunFolder
from seq2see.viewing.page import notebook, write_page
from seq2see.viewing.record import Record
from seq2see.viewing.terminal import heat_map


def search_settings(
    base: SearchSettings,
    *,
    beam: int | None = None,
    nbest: int | None = None,
    sample: bool = False,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    no_repeat_ngram: int | None = None,
    max_length: int | None = None,
    min_length: int | None = None,
    length_penalty: float | None = None,
    coverage_penalty: float | None = None,
) -> SearchSettings:
    """``base`` with what is given laid over it; a beam makes it a beam search, and so does an n-best list of greedy.

    Raises:
        InputError: values out of range, or values that contradict each other.
    """
    if sample and beam is not None:
        raise InputError("a beam and sampling exclude each other; leave one out")
    sample = sample or (base.method == "sample" and beam is None)
    given: dict[str, object] = {
        "beam": max(base.beam, nbest or 1) if beam is None else beam,
        "nbest": nbest,
        "method": "sample" if sample else "beam" if beam or nbest else None,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
        "no_repeat_ngram": no_repeat_ngram,
        "max_length": max_length,
        "min_length": min_length,
        "length_penalty": length_penalty,
        "coverage_penalty": coverage_penalty,
    }
    if not sample:
        extra = [name for name in ("temperature", "top_k", "top_p", "seed") if given[name] is not None]
        if extra:
            raise InputError(f"{', '.join(extra)}: only sampling uses this; add --sample (sample=True)")
    chosen = {name: value for name, value in given.items() if value is not None}
    return parse(SearchSettings, merged(base.model_dump(), chosen))


def with_assignments(base: SearchSettings, assignments: Sequence[str]) -> SearchSettings:
    """``base`` with ``search.KEY=VALUE`` laid over it, one after the other.

    Raises:
        InputError: an assignment of something else than a search setting, or a value it cannot have.
    """
    table: Table = {"search": base.model_dump(mode="json", exclude_none=True)}
    for assignment in assignments:
        given = parse_assignment(assignment)
        if set(given) != {"search"} or not isinstance(given["search"], dict):
            raise InputError(
                f"--set {assignment}: of a trained run only its search can be set, e.g. search.length_penalty=0.6"
            )
        table = merged(table, given)
    return parse(SearchSettings, table["search"], within="search")


class Shown(TypedDict):
    """Which part of a record a drawing shows; see :meth:`View.text`."""

    words: bool
    layer: int | None
    head: int | None


class Look(Shown):
    """The same in a terminal, and what that can show."""

    width: int
    colour: bool
    unicode: bool
    truecolour: bool


@dataclass(frozen=True)
class View:
    """A record that draws itself: in a terminal, in a notebook, to a file.

    Views of other kinds of records have a ``_drawn`` (for the terminal) and a ``_figure`` of their own.
    """

    record: Record

    @property
    def words(self) -> bool:
        """Whether words are the better unit to show; an answer of one word has only its pieces to show."""
        return len(self.record.target.words) > 1

    def text(
        self,
        *,
        words: bool | None = None,
        layer: int | None = None,
        head: int | None = None,
        width: int = 100,
        colour: bool = False,
        unicode: bool = True,
        truecolour: bool = False,
    ) -> str:
        """The heat map for a terminal. ``layer`` and ``head`` count from 1; None is their mean."""
        return self._drawn(
            words=self.words if words is None else words,
            layer=layer,
            head=head,
            width=width,
            colour=colour,
            unicode=unicode,
            truecolour=truecolour,
        )

    def html(self, path: str | Path) -> Path:
        """Write one page that makes no request."""
        write_page(Path(path), [self.record])
        return Path(path)

    def png(
        self, path: str | Path, *, words: bool | None = None, layer: int | None = None, head: int | None = None
    ) -> tuple[str, ...]:
        """Write a picture; the remarks say what could not be drawn, such as letters no font has."""
        return self._figure(Path(path), words=self.words if words is None else words, layer=layer, head=head)

    def svg(
        self, path: str | Path, *, words: bool | None = None, layer: int | None = None, head: int | None = None
    ) -> tuple[str, ...]:
        """Write a drawing; see :meth:`png`."""
        return self.png(path, words=words, layer=layer, head=head)

    def json(self, path: str | Path) -> Path:
        """Write the record, which every view can be drawn from again."""
        write_atomic(Path(path), self.record.to_json() + "\n")
        return Path(path)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return notebook([self.record])

    def _drawn(self, **look: Unpack[Look]) -> str:
        return heat_map(self.record, **look)

    def _figure(self, path: Path, **shown: Unpack[Shown]) -> tuple[str, ...]:
        from seq2see.viewing.figure import draw_heat_map  # brings matplotlib along

        return draw_heat_map(self.record, path, **shown)


@dataclass(frozen=True)
class Asked:
    """What ``seq2see predict`` was asked for, beside the inputs. A task refuses what it has no use for.

    Attributes:
        search: arguments of :func:`search_settings` by name; only those that were given.
        assignments: ``search.KEY=VALUE``.
        prefix, forbid: what an answer has to begin with, and words it may not contain.
        stream: an input is a part of a sentence, to be answered before the next one is there.
        steps: how far ahead a forecast goes.
        first: the number of the first input among all there are: what is drawn for an input depends on its number.
    """

    search: Mapping[str, Any] = field(default_factory=dict)
    assignments: tuple[str, ...] = ()
    prefix: str = ""
    forbid: tuple[str, ...] = ()
    stream: bool = False
    steps: int | None = None
    first: int = 0

    def settings(self, base: SearchSettings) -> SearchSettings:
        """``base`` with what was asked for laid over it."""
        if self.steps is not None:
            raise InputError("steps: only a forecast goes steps ahead; --max-length bounds the length of a text")
        return search_settings(with_assignments(base, self.assignments), **self.search)

    def refuse(self, task: str, *known: str) -> None:
        """Raise InputError for anything that was given and is not among ``known``."""
        given = {name for name, value in self.search.items() if value not in (None, False)}
        given |= {name for name in ("assignments", "prefix", "forbid", "stream", "steps") if getattr(self, name)}
        if extra := sorted(given - set(known)):
            raise InputError(f"{', '.join(extra)}: a run of the task {task} has no use for this; leave it out")


@dataclass(frozen=True)
class Answer:
    """What a run says to one input: lines of text (as many for each input), and all it knows as an object."""

    lines: tuple[str, ...]
    facts: Mapping[str, object]


@dataclass(frozen=True)
class Held:
    """Which data to evaluate on: a file, or a source and a target file; ``columns`` as in training."""

    data: str | Path | None = None
    source: Path | None = None
    target: Path | None = None
    columns: tuple[str, str] | None = None

    def one_text(self, task: str, **others: object) -> str | Path:
        """The one plain text that a run of ``task`` is scored on; InputError for anything else, ``others`` included."""
        given = {"source": self.source, "target": self.target, "columns": self.columns, **others}
        extra = [name for name, value in given.items() if value]
        if extra:
            raise InputError(f"{', '.join(extra)}: a run of the task {task} is scored on one plain text; leave it out")
        if self.data is None:
            raise InputError("no text given: seq2see evaluate RUN TEXT-FILE")
        return self.data


@dataclass(frozen=True)
class Run(ABC):
    """A trained model in its folder. ``note`` is empty for a finished run."""

    opened: RunFolder
    settings: Settings
    model: nn.Module
    note: str

    @property
    def folder(self) -> Path:
        """Where the run lives."""
        return self.opened.path

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the manifest says of it; empty for an unfinished run."""
        return self.opened.facts

    def rival(self, versus: "Run | None") -> Self | None:
        """The run to compare with; InputError for one of another kind."""
        if versus is None or isinstance(versus, type(self)):
            return versus
        same = " too, on inputs of another kind" if versus.settings.task == self.settings.task else ""
        raise InputError(
            f"{versus.folder} is a run of the task {versus.settings.task}{same}, this one of {self.settings.task}"
        )

    def noted(self, result: Evaluation, versus: "Run | None", *said: str) -> Evaluation:
        """``result`` with what is to be known of both runs and of the data."""
        notes = (self.note, versus.note if versus else "", *said, *result.notes)
        return replace(result, notes=tuple(note for note in notes if note))

    @abstractmethod
    def answers(
        self, inputs: Iterable[str], asked: Asked, *, window: int = 1_024, check: Callable[[], None] = lambda: None
    ) -> Iterator[Answer]:
        """An answer to each input, in order, in constant memory; ``window`` inputs are read ahead."""

    @abstractmethod
    def score(
        self,
        held: Held,
        *,
        asked: Asked,
        metrics: Sequence[str] | None = None,
        tokenize: str | None = None,
        versus: "Run | None" = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """Scores with signatures and 95 % intervals on examples the model has not seen.

        Args:
            metrics: instead of those the run was trained with.
            tokenize: BLEU's, instead of the run's own.
            versus: another run; is the difference significant?
        """

    @abstractmethod
    def view(self, text: str, *, target: str | None = None, asked: Asked | None = None) -> View:
        """What the model does with one input; with a ``target``, how it scores that."""
