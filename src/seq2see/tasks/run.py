"""A trained run in Python: predict, see, evaluate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seq2see.config.settings import EvaluationSettings, SearchSettings, Settings
from seq2see.config.toml import Table, merged, parse, parse_assignment
from seq2see.data.reading import open_pairs, read
from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.search.rules import ForbidWords, Rule
from seq2see.storage.atomic import write_atomic
from seq2see.tasks import seeing
from seq2see.tasks.folder import LoadedRun, load_run
from seq2see.tasks.prediction import Prediction, Translator
from seq2see.tasks.prediction import predict as predict_texts
from seq2see.tasks.scoring import Evaluation, evaluate_pairs, search_signature
from seq2see.text.tokeniser import UNK
from seq2see.viewing.figure import draw_heat_map
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


def load(folder: str | Path) -> "Run":
    """Open a run folder.

    Raises:
        InputError: it is not one, or a file of it is missing, truncated, altered or from a newer version.
    """
    return Run(load_run(Path(folder)))


@dataclass(frozen=True)
class View:
    """A record that draws itself: in a terminal, in a notebook, to a file."""

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
    ) -> str:
        """The heat map for a terminal. ``layer`` and ``head`` count from 1; None is their mean."""
        words = self.words if words is None else words
        return heat_map(self.record, words=words, layer=layer, head=head, width=width, colour=colour, unicode=True)

    def html(self, path: str | Path) -> Path:
        """Write one page that makes no request."""
        write_page(Path(path), [self.record])
        return Path(path)

    def png(
        self, path: str | Path, *, words: bool | None = None, layer: int | None = None, head: int | None = None
    ) -> tuple[str, ...]:
        """Write a picture; the remarks say what could not be drawn, such as letters no font has."""
        words = self.words if words is None else words
        return draw_heat_map(self.record, Path(path), words=words, layer=layer, head=head)

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


@dataclass(frozen=True)
class Run:
    """A trained model in its folder."""

    loaded: LoadedRun

    @property
    def folder(self) -> Path:
        """Where the run lives."""
        return self.loaded.folder

    @property
    def settings(self) -> Settings:
        """Every setting it was trained with."""
        return self.loaded.settings

    @property
    def translator(self) -> Translator:
        """The model and its tokenisers."""
        parts = self.loaded
        return Translator(parts.model, parts.tokenisers, parts.settings.data.max_pieces)

    def predict(
        self,
        text: str,
        *,
        prefix: str = "",
        forbid: Sequence[str] = (),
        search: SearchSettings | None = None,
    ) -> Prediction:
        """The model's answer to one text; for many, :meth:`stream` is faster.

        Args:
            text: what to answer; a blank one comes back unchanged.
            prefix: what every answer has to begin with.
            forbid: words no answer may contain.
            search: how to search; :func:`search_settings` lays choices over the run's own.
        """
        return next(self.stream([text], prefix=prefix, forbid=forbid, search=search))

    def stream(
        self,
        texts: Iterable[str],
        *,
        prefix: str = "",
        forbid: Sequence[str] = (),
        search: SearchSettings | None = None,
        window: int = 1_024,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[Prediction]:
        """Answers one by one, in order, in constant memory."""
        return predict_texts(
            self.translator,
            texts,
            search or self.settings.search,
            rules=self._rules(forbid),
            prefix=prefix,
            window=window,
            check=check,
        )

    def _rules(self, forbid: Sequence[str]) -> list[Rule]:
        target = self.loaded.tokenisers.target
        # A word is another piece at the start of a sentence than after a blank.
        spellings = {target.encode(form).ids for word in forbid if word.strip() for form in (word, " " + word)}
        # What the model has no piece for, it cannot write.
        known = sorted(ids for ids in spellings if UNK not in ids)
        return [ForbidWords(tuple(known))] if known else []

    def see(
        self, text: str, *, target: str | None = None, beam: int | None = None, search: SearchSettings | None = None
    ) -> View:
        """What the model looks at while it answers ``text``, or while it is given ``target`` to score."""
        search = search_settings(search or self.settings.search, beam=beam)
        record = seeing.see(
            self.translator,
            text,
            target=target,
            settings=search,
            model_name=self.settings.model.name,
            signature=search_signature(search),
        )
        return View(record)

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        source: Path | None = None,
        target: Path | None = None,
        columns: tuple[str, str] | None = None,
        beam: int | None = None,
        search: SearchSettings | None = None,
        metrics: Sequence[str] | None = None,
        tokenize: str | None = None,
        versus: "Run | None" = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """Scores with signatures and 95 % intervals on pairs the model has not seen.

        Args:
            data: a file of pairs, or ``source`` and ``target``, two line-parallel files.
            search: how to search, instead of each run's own way.
            metrics: instead of those the run was trained with.
            tokenize: BLEU's, instead of the run's own.
            versus: another run; is the difference significant?
        """
        settings, tally = self.settings, Tally()
        asked = columns or (None, None)
        pair_source = open_pairs(data, source, target, source_column=asked[0], target_column=asked[1], check=check)
        chosen = parse(
            EvaluationSettings,
            merged(settings.evaluation.model_dump(mode="json"), _evaluation(metrics, tokenize)),
        )
        result = evaluate_pairs(
            self.translator,
            [(pair.source, pair.target) for pair in read(pair_source, tally, check)],
            run=str(self.folder),
            data=pair_source.name,
            metrics=chosen.metrics,
            tokenize=chosen.tokenize,
            search=search_settings(search or settings.search, beam=beam),
            versus=(
                str(versus.folder),
                versus.translator,
                search_settings(search or versus.settings.search, beam=beam),
            )
            if versus
            else None,
            check=check,
        )
        said = (self.loaded.note, versus.loaded.note if versus else "", *pair_source.notes, *tally.sentences())
        return replace(result, notes=tuple(note for note in said if note))


def _evaluation(metrics: Sequence[str] | None, tokenize: str | None) -> dict[str, object]:
    given = {"metrics": list(metrics) if metrics else None, "tokenize": tokenize}
    return {name: value for name, value in given.items() if value is not None}
