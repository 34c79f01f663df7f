"""What a trained classifier can be asked in Python, whatever it reads: its labels, and how good they are."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from seq2see.errors import InputError
from seq2see.evaluation.result import Evaluation
from seq2see.tasks.run import Answer, Asked, Held, Run


@dataclass(frozen=True)
class Classification:
    """The likeliest labels of a text or a picture, best first, with their probabilities; none for a blank input."""

    source: str
    probabilities: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """The likeliest one; empty for a blank input."""
        return self.probabilities[0][0] if self.probabilities else ""

    @property
    def probability(self) -> float:
        """Of :attr:`label`; 0 for a blank input."""
        return self.probabilities[0][1] if self.probabilities else 0.0

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True)
class LabelRun(Run):
    """A trained classifier in its folder."""

    told: ClassVar[int]  # labels whose probability is told with an answer

    def answers(
        self, inputs: Iterable[str], asked: Asked, *, window: int = 1_024, check: Callable[[], None] = lambda: None
    ) -> Iterator[Answer]:
        """See :meth:`Run.answers`. With an n-best list each input has as many lines as the list is long."""
        asked.refuse("classify", "nbest")
        lines = asked.search.get("nbest") or 1
        for found in self.stream(inputs, best=max(lines, self.told), window=window, check=check):
            labels = [label for label, _ in found.probabilities[:lines]]
            facts = {
                "source": found.source,
                "label": found.label,
                "probability": found.probability,
                "probabilities": dict(found.probabilities),
            }
            yield Answer(tuple(labels + [""] * (lines - len(labels))), facts)

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
        asked.refuse("classify")
        if tokenize is not None:
            raise InputError("--tokenize is for BLEU; a run of the task classify has no use for it: leave it out")
        return self.evaluate(
            held.data,
            source=held.source,
            target=held.target,
            columns=held.columns,
            metrics=metrics,
            versus=self.rival(versus),
            check=check,
        )

    @abstractmethod
    def stream(self, *inputs: Any, **options: Any) -> Iterator[Classification]:
        """The likeliest labels of each input, one by one, in order, in constant memory."""

    @abstractmethod
    def evaluate(self, *data: Any, **options: Any) -> Evaluation:
        """Scores with signatures and 95 % intervals on examples the model has not seen."""
