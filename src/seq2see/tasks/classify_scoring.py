"""A classifier against references: scores, intervals, each class, confusions, and the difference to another one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from seq2see.data.labels import plain_label
from seq2see.evaluation.classes import NOTHING, class_scores, compare_classes, confusions, score_classes
from seq2see.evaluation.lengths import Bucket, by_length
from seq2see.evaluation.result import Evaluation
from seq2see.tasks.classifying import TextClassifier, ranked


def evaluate_labels(
    classifier: TextClassifier,
    examples: Sequence[tuple[str, str]],
    *,
    run: str,
    data: str,
    metrics: Sequence[str],
    versus: tuple[str, TextClassifier] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Label the texts and compare with their references. A blank text gets no label, which is never right."""
    texts, gold = [text for text, _ in examples], [plain_label(label) for _, label in examples]
    answers = answers_to(classifier, texts, check)
    others = answers_to(versus[1], texts, check) if versus else []
    # The classes: those of the model in their order, then whatever else references or the other model say.
    names = list(dict.fromkeys((*classifier.labels.names, *sorted({*gold, *others} - {""}))))
    number = {"": NOTHING} | {name: at for at, name in enumerate(names)}
    golds, said = [number[label] for label in gold], [number[label] for label in answers]
    compared = compare_classes(metrics, [number[label] for label in others], said, golds, check=check) if versus else []
    lengths = [len(ids) for ids in classifier.tokeniser.encode_ids(texts)]
    references = tuple((label,) for label in gold)

    def of_lengths(given: Sequence[str]) -> tuple[Bucket, ...]:
        # Of one label against one, exact match is accuracy.
        return tuple(by_length(lengths, given, references, "exact_match", check=check))

    return Evaluation(
        run=run,
        data=data,
        signature="",
        scores=tuple(score_classes(metrics, said, golds, check=check)),
        examples=f"{len(texts):,} texts",
        lengths=of_lengths(answers),
        length_metric="accuracy",
        comparisons=tuple(compared),
        versus=versus[0] if versus else "",
        versus_lengths=of_lengths(others) if versus else (),
        sources=tuple(texts),
        hypotheses=tuple(answers),
        references=references,
        details={
            "classes": [asdict(each) for each in class_scores(said, golds, names)],
            **confusions(said, golds, names),
        },
        notes=tuple(_blank(answers)),
    )


def answers_to(classifier: TextClassifier, texts: Sequence[str], check: Callable[[], None] = lambda: None) -> list[str]:
    """The likeliest label of each text; of a blank one, none."""
    filled = [text for text in texts if text.strip()]
    found = iter(ranked(classifier, classifier.pieces(filled), 1, check=check))
    names = classifier.labels.names
    return [names[next(found).classes[0]] if text.strip() else "" for text in texts]


def _blank(answers: Sequence[str]) -> Iterator[str]:
    count = sum(not answer for answer in answers)
    if count:
        yield f"{count:,} blank {'text' if count == 1 else 'texts'}: without a label, and so never right"
