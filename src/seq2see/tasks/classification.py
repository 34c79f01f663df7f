"""A trained classifier of texts in Python: predict, see, evaluate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import exp
from pathlib import Path

from seq2see.config.classify import ClassifySettings
from seq2see.data.labelled import LABELLED
from seq2see.data.labels import Labels, plain_label
from seq2see.data.reading import open_pairs, read
from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.evaluation.classes import METRICS
from seq2see.evaluation.result import Evaluation
from seq2see.models.classifier import Classifier
from seq2see.tasks import classify_seeing
from seq2see.tasks.classify_scoring import evaluate_labels
from seq2see.tasks.classifying import TextClassifier, ranked
from seq2see.tasks.label_run import Classification, LabelRun
from seq2see.tasks.labelled_corpus import unknown_labels
from seq2see.tasks.run import Asked, View
from seq2see.text.tokeniser import Tokeniser

_BEST = 5  # labels whose probability is told


@dataclass(frozen=True)
class LabelView(View):
    """A record of a label: words of the text are what it is about."""

    @property
    def words(self) -> bool:
        return True


@dataclass(frozen=True)
class ClassificationRun(LabelRun):
    """A trained classifier of texts in its folder."""

    told = _BEST
    settings: ClassifySettings
    model: Classifier
    tokeniser: Tokeniser
    labels: Labels

    @property
    def classifier(self) -> TextClassifier:
        """The model with its tokeniser and labels."""
        return TextClassifier(self.model, self.tokeniser, self.labels, self.settings.data.max_pieces)

    def view(self, text: str, *, target: str | None = None, asked: Asked | None = None) -> View:
        """See :meth:`Run.view`."""
        (asked or Asked()).refuse("classify")
        return self.see(text, target=target)

    def predict(self, text: str, *, best: int = _BEST) -> Classification:
        """The label of one text, with the probabilities of the ``best`` ones; for many, :meth:`stream` is faster."""
        return next(self.stream([text], best=best))

    def stream(
        self,
        texts: Iterable[str],
        *,
        best: int = _BEST,
        window: int = 1_024,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[Classification]:
        """Labels one by one, in order, in constant memory."""
        classifier, remaining, names = self.classifier, iter(texts), self.labels.names
        while lines := list(islice(remaining, window)):
            filled = [text for text in lines if text.strip()]
            found = iter(ranked(classifier, classifier.pieces(filled), best, check=check))
            for text in lines:
                if not text.strip():
                    yield Classification(text, ())
                    continue
                each = next(found)
                pairs = zip(each.classes, each.log_probs, strict=True)
                # Rounding may not make a probability more than 1.
                yield Classification(text, tuple((names[number], exp(min(0.0, one))) for number, one in pairs))

    def see(self, text: str, *, target: str | None = None) -> LabelView:
        """What the model looks at while it labels ``text``; with ``target``, how likely it finds that label."""
        record = classify_seeing.see(self.classifier, text, target=target, model_name=self.settings.model.name)
        return LabelView(record)

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        source: Path | None = None,
        target: Path | None = None,
        columns: tuple[str, str] | None = None,
        metrics: Sequence[str] | None = None,
        versus: "ClassificationRun | None" = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """Scores with signatures and 95 % intervals on labelled texts the model has not seen.

        Args:
            data: a file with a text and a label column, or ``source`` (texts) and ``target`` (labels), line by line.
            metrics: of accuracy and macro_f1, instead of those the run was trained with.
            versus: another run; is the difference significant?
        """
        tally, asked = Tally(), columns or (None, None)
        opened = open_pairs(
            data, source, target, source_column=asked[0], target_column=asked[1], wanted=LABELLED, check=check
        )
        for name in metrics or ():
            if name not in METRICS:
                raise InputError(f"there is no metric {name!r} for labels; there are {', '.join(METRICS)}")
        examples = []
        for pair in read(opened, tally, check):
            if plain_label(pair.target):
                examples.append((pair.source, pair.target))
            else:
                tally.skip("a blank label", pair.line)
        if not examples:
            raise InputError(f"{opened.name}: every label is blank; there is nothing to score against")
        strange = tuple(unknown_labels(examples, self.labels, opened.name))
        result = evaluate_labels(
            self.classifier,
            examples,
            run=str(self.folder),
            data=opened.name,
            metrics=metrics or self.settings.evaluation.metrics,
            versus=(str(versus.folder), versus.classifier) if versus else None,
            check=check,
        )
        return self.noted(result, versus, *opened.notes, *tally.sentences(), *strange)
