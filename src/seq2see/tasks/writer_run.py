"""What a trained writer of texts can be asked in Python, whatever it reads: its answers, and how good they are."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from seq2see.config.images import CaptionSettings
from seq2see.config.settings import EvaluationSettings, TranslateSettings
from seq2see.config.toml import merged, parse
from seq2see.evaluation.result import Evaluation
from seq2see.tasks.prediction import Prediction, single_line
from seq2see.tasks.run import Answer, Asked, Held, Run, View


@dataclass(frozen=True)
class WriterRun(Run):
    """A trained writer in its folder: a translator, or one that writes captions."""

    settings: TranslateSettings | CaptionSettings

    def answers(
        self, inputs: Iterable[str], asked: Asked, *, window: int = 1_024, check: Callable[[], None] = lambda: None
    ) -> Iterator[Answer]:
        """See :meth:`Run.answers`. Each input has as many lines as the n-best list is long."""
        asked.refuse(self.settings.task, *asked.search, "assignments", "prefix", "forbid")
        search = asked.settings(self.settings.search)
        for each in self.stream(
            inputs,
            prefix=asked.prefix,
            forbid=asked.forbid,
            search=search,
            first=asked.first,
            window=window,
            check=check,
        ):
            texts = [single_line(one.text) for one in (each, *each.alternatives)]
            # A blank input has one answer only; nobody could tell whose the lines are if there were fewer.
            lines = texts + [""] * (search.nbest - len(texts))
            yield Answer(tuple(lines), {"source": each.source, **each.facts})

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
        return self.evaluate(
            held.data,
            source=held.source,
            target=held.target,
            columns=held.columns,
            search=asked.settings(self.settings.search) if asked.search or asked.assignments else None,
            metrics=metrics,
            tokenize=tokenize,
            versus=self.rival(versus),
            check=check,
        )

    def view(self, text: str, *, target: str | None = None, asked: Asked | None = None) -> View:
        """See :meth:`Run.view`."""
        return self.see(text, target=target, search=(asked or Asked()).settings(self.settings.search))

    @abstractmethod
    def stream(self, *inputs: Any, **options: Any) -> Iterator[Prediction]:
        """Answers one by one, in order, in constant memory."""

    @abstractmethod
    def see(self, *inputs: Any, **options: Any) -> View:
        """What the model looks at while it answers, or while it is given a target to score."""

    @abstractmethod
    def evaluate(self, *data: Any, **options: Any) -> Evaluation:
        """Scores with signatures and 95 % intervals on examples the model has not seen."""


def evaluation_settings(
    own: EvaluationSettings, metrics: Sequence[str] | None, tokenize: str | None
) -> EvaluationSettings:
    """A run's own metrics and BLEU tokeniser, with those that are asked for in their place."""
    asked = {"metrics": list(metrics) if metrics else None, "tokenize": tokenize}
    given = {name: value for name, value in asked.items() if value is not None}
    return parse(EvaluationSettings, merged(own.model_dump(mode="json"), given), within="evaluation")
