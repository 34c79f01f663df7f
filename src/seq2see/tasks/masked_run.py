"""A trained masked language model in Python: predict, see, evaluate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Unpack

from seq2see.config.masked import MaskedSettings
from seq2see.data.plain_text import characters
from seq2see.data.streams import input_file
from seq2see.errors import InputError
from seq2see.evaluation.result import Evaluation
from seq2see.models.masked_language_model import MaskedLanguageModel
from seq2see.tasks.masked_filling import BEST, Filled, filled
from seq2see.tasks.masked_scoring import MaskedReader, evaluate_text
from seq2see.tasks.masked_seeing import see_text
from seq2see.tasks.run import Answer, Asked, Held, Run, Shown, View
from seq2see.text.tokeniser import Tokeniser


@dataclass(frozen=True)
class HiddenView(View):
    """What a masked language model does with a text; pieces are what is hidden, so they are shown."""

    @property
    def words(self) -> bool:
        """Whether words are the better unit to show."""
        return False

    def _figure(self, path: Path, **shown: Unpack[Shown]) -> tuple[str, ...]:
        from seq2see.viewing.figure import draw_heat_map  # brings matplotlib along

        return draw_heat_map(self.record, path, kind="encoder", **shown)


@dataclass(frozen=True)
class MaskedRun(Run):
    """A trained masked language model in its folder."""

    settings: MaskedSettings
    model: MaskedLanguageModel
    tokeniser: Tokeniser

    @property
    def reader(self) -> MaskedReader:
        """The model with its tokeniser and settings."""
        return MaskedReader(self.model, self.tokeniser, self.settings)

    def answers(
        self, inputs: Iterable[str], asked: Asked, *, window: int = 1_024, check: Callable[[], None] = lambda: None
    ) -> Iterator[Answer]:
        """See :meth:`Run.answers`. With an n-best list each input has as many lines as the list is long."""
        asked.refuse("masked", "nbest")
        lines = asked.search.get("nbest") or 1
        for found in self.stream(inputs, best=max(lines, BEST), window=window, check=check):
            ways = (found, *found.alternatives)[:lines]
            texts = [each.text.replace("\n", "␊") for each in ways]
            facts: dict[str, object] = {
                "source": found.source,
                **_facts(found),
                "blanks": [[{"piece": piece, "probability": one} for piece, one in blank] for blank in found.blanks],
            }
            if lines > 1:
                facts["alternatives"] = [_facts(each) for each in ways[1:]]
            yield Answer(tuple(texts + [""] * (lines - len(texts))), facts)

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
        asked.refuse("masked")
        text = held.one_text("masked", metrics=metrics, tokenize=tokenize)
        return self.evaluate(text, versus=self.rival(versus), check=check)

    def view(self, text: str, *, target: str | None = None, asked: Asked | None = None) -> View:
        """See :meth:`Run.view`."""
        (asked or Asked()).refuse("masked")
        if target is not None:
            raise InputError("target: a run of the task masked scores the pieces of the text itself; leave it out")
        return self.see(text)

    def predict(self, text: str, *, best: int = BEST) -> Filled:
        """A text with its blanks filled: three underscores each.

        Args:
            best: how many pieces are told for each blank, and how many ways to fill all of them.

        Raises:
            InputError: there is no blank in the text.
        """
        return next(self.stream([text], best=best))

    def stream(
        self,
        texts: Iterable[str],
        *,
        best: int = BEST,
        window: int = 1_024,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[Filled]:
        """Texts one by one, in order, in constant memory; a blank line stays blank."""
        return filled(self.reader, texts, best=best, window=window, check=check)

    def see(self, text: str) -> HiddenView:
        """What the model would have said of each piece of ``text`` if it were hidden, and what the pieces look at."""
        return HiddenView(see_text(self.reader, text, model_name=self.settings.model.name))

    def evaluate(
        self,
        data: str | Path,
        *,
        versus: "MaskedRun | None" = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """Perplexity and accuracy of hidden pieces of a text, with 95 % intervals; every piece is hidden once.

        Args:
            data: a file of plain text.
            versus: another run with the same pieces; is the difference significant? It is asked as this one is.
        """
        file = input_file(data, check)
        result = evaluate_text(
            self.reader,
            lambda: characters(file, check),
            run=str(self.folder),
            data=file.name,
            versus=(str(versus.folder), versus.reader) if versus else None,
            check=check,
        )
        return self.noted(result, versus)


def _facts(found: Filled) -> dict[str, object]:
    return {"text": found.text, "probability": exp(min(0.0, found.score))}
