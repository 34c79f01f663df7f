"""A trained language model in Python: predict, see, evaluate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from seq2see.config.lm import LmSettings
from seq2see.config.settings import SearchSettings
from seq2see.data.plain_text import characters
from seq2see.data.streams import input_file
from seq2see.errors import InputError
from seq2see.evaluation.likelihood import compare_likelihoods, likelihood_scores
from seq2see.evaluation.result import Evaluation
from seq2see.models.language_model import LanguageModel
from seq2see.tasks.continuation import Continuation, continuations
from seq2see.tasks.lm_scoring import Reader, score_text
from seq2see.tasks.lm_seeing import see_text
from seq2see.tasks.run import Answer, Asked, Held, Look, Run, Shown, View
from seq2see.text.tokeniser import Tokeniser
from seq2see.viewing.terminal import heat_map
from seq2see.viewing.traces import trace_lines

BETWEEN = "---------------"  # the texts of one prompt, and of several
_SEARCH = ("beam", "nbest", "sample", "temperature", "top_k", "top_p", "seed", "no_repeat_ngram", "max_length")


@dataclass(frozen=True)
class TextView(View):
    """What a language model does with a text; pieces are what it foresees, so they are shown."""

    @property
    def words(self) -> bool:
        """Whether words are the better unit to show."""
        return False

    def _drawn(self, **look: Unpack[Look]) -> str:
        """Where the model looked back, or else how likely each piece was, and states and gates over time."""
        drawn = heat_map(self.record, kind=self._kind, **look)
        traces = trace_lines(self.record, width=look["width"], unicode=look["unicode"])
        return "\n".join([drawn, "", *traces] if traces else [drawn])

    def _figure(self, path: Path, **shown: Unpack[Shown]) -> tuple[str, ...]:
        from seq2see.viewing.figure import draw_heat_map  # brings matplotlib along

        return draw_heat_map(self.record, path, kind=self._kind, **shown)

    @property
    def _kind(self) -> str:
        """The attention that is drawn: back to what was read, where the model has it."""
        return "decoder" if "decoder" in self.record.attention else "cross"


@dataclass(frozen=True)
class LmRun(Run):
    """A trained language model in its folder."""

    settings: LmSettings
    model: LanguageModel[Any]
    tokeniser: Tokeniser

    @property
    def reader(self) -> Reader:
        """The model with its tokeniser and settings."""
        return Reader(self.model, self.tokeniser, self.settings)

    def answers(
        self, inputs: Iterable[str], asked: Asked, *, window: int = 1_024, check: Callable[[], None] = lambda: None
    ) -> Iterator[Answer]:
        """See :meth:`Run.answers`. A text has as many lines as it has; from the second text on a rule stands before."""
        asked.refuse("lm", *_SEARCH, "assignments", "forbid")
        search = asked.settings(self.settings.search)
        written = self.stream(inputs, forbid=asked.forbid, search=search, first=asked.first, window=window, check=check)
        for number, each in enumerate(written, asked.first):
            lines = [BETWEEN] if number else []
            for place, one in enumerate((each, *each.alternatives)):
                lines += [*([BETWEEN] if place else []), *one.text.split("\n")]
            yield Answer(tuple(lines), {"source": each.prompt, **_facts(each)})

    def score(
        self,
        held: Held,
        *,
        asked: Asked,
        metrics: Sequence[str] | None = None,
        tokenize: str | None = None,
        versus: Run | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """See :meth:`Run.score`."""
        asked.refuse("lm")
        text = held.one_text("lm", metrics=metrics, tokenize=tokenize)
        return self.evaluate(text, versus=self.rival(versus), check=check)

    def view(self, text: str, *, target: str | None = None, asked: Asked | None = None) -> View:
        """See :meth:`Run.view`."""
        (asked or Asked()).refuse("lm")
        return self.see(text, target=target)

    def predict(
        self, prompt: str = "", *, forbid: Sequence[str] = (), search: SearchSettings | None = None
    ) -> Continuation:
        """A text that begins with the prompt; a blank prompt is the beginning of a text.

        Args:
            forbid: words that may not be written.
            search: how to write; ``search_settings`` lays choices over the run's own.
        """
        return next(self.stream([prompt], forbid=forbid, search=search))

    def stream(
        self,
        prompts: Iterable[str],
        *,
        forbid: Sequence[str] = (),
        search: SearchSettings | None = None,
        first: int = 0,
        window: int = 1_024,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[Continuation]:
        """Texts one by one, in order, in constant memory; ``first`` is the number of the first prompt."""
        settings = search or self.settings.search
        return continuations(self.reader, prompts, settings, forbid=forbid, first=first, window=window, check=check)

    def see(self, text: str, *, target: str | None = None) -> TextView:
        """How the model foresees each piece of ``text``, and what it would write behind it; or a given ``target``."""
        return TextView(see_text(self.reader, text, target=target, model_name=self.settings.model.name))

    def evaluate(
        self,
        data: str | Path,
        *,
        versus: "LmRun | None" = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """Nats and bits of each character of a text, with 95 % intervals; every character counts once.

        Args:
            data: a file of plain text.
            versus: another run; is the difference significant?
        """
        file = input_file(data, check)
        note = (self.note, versus.note if versus else "")
        return evaluate_text(
            self.reader,
            lambda: characters(file, check),
            run=str(self.folder),
            data=file.name,
            versus=(str(versus.folder), versus.reader) if versus else None,
            notes=[each for each in note if each],
            check=check,
        )


def evaluate_text(
    reader: Reader,
    text: Callable[[], Iterable[str]],
    *,
    run: str,
    data: str,
    versus: tuple[str, Reader] | None = None,
    notes: Sequence[str] = (),
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """How well a model foresees a text, which is read anew each time it is asked for.

    Raises:
        InputError: the text is blank, or two runs that cannot be compared are to be.
    """
    found, unknown = score_text(reader, text(), check)
    if not sum(each.pieces for each in found):
        raise InputError(f"{data} is blank: there is nothing to score")
    comparisons = []
    if versus is not None:
        if not (reader.reversible and versus[1].reversible):
            raise InputError("runs whose pieces are words cannot be compared: an unknown word costs them little")
        others, _ = score_text(versus[1], text(), check)
        comparisons = compare_likelihoods(others, found, check=check)
    pieces, count = sum(each.pieces for each in found), sum(each.characters for each in found)
    said = (
        []
        if reader.reversible
        else [f"{unknown / pieces:.1%} of the words are unknown; the perplexity has them as one"]
    )
    return Evaluation(
        run=run,
        data=data,
        signature="",
        scores=tuple(likelihood_scores(found, reader.signature, reversible=reader.reversible)),
        examples=f"{count:,} characters, {pieces:,} pieces",
        comparisons=tuple(comparisons),
        versus=versus[0] if versus else "",
        notes=(*notes, *said),
    )


def _facts(found: Continuation) -> dict[str, object]:
    facts: dict[str, object] = {
        "text": found.text,
        "written": found.written,
        "score": found.score,
        "finished": found.finished,
        "pieces": found.pieces,
        "log_probs": found.log_probs,
    }
    if found.alternatives:
        facts["alternatives"] = [_facts(each) for each in found.alternatives]
    return facts
