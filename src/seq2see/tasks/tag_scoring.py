"""A tagger against labelled sentences: scores, intervals, signatures, label by label, and against another tagger."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from seq2see.data.treebank import Sentence
from seq2see.evaluation.counts import Counts
from seq2see.evaluation.metrics import with_intervals
from seq2see.evaluation.result import Evaluation
from seq2see.evaluation.significance import compare_counts
from seq2see.evaluation.tags import Labelled, LabelScore, by_label, by_span_type, by_tokens, confusions, tag_counts
from seq2see.tasks.labelling import Labeller, label

_TOLD = 20  # labels that a person is told of


@dataclass(frozen=True)
class Other:
    """The run to compare with, by its folder."""

    name: str
    labeller: Labeller


def scored(
    labeller: Labeller, sentences: Sequence[Sentence], check: Callable[[], None] = lambda: None
) -> list[Labelled]:
    """Each sentence with what the model says."""
    found = label(labeller, [each.tokens for each in sentences], check)
    return compared(labeller, sentences, [each.labels for each in found])


def compared(labeller: Labeller, sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]]) -> list[Labelled]:
    """Each sentence with the labels that a model gave it."""
    return [
        Labelled(each.labels, labels, [labeller.spelling.has_seen(token) for token in each.tokens])
        for each, labels in zip(sentences, predicted, strict=True)
    ]


def evaluate_sentences(
    labeller: Labeller,
    sentences: Sequence[Sentence],
    *,
    run: str,
    data: str,
    metric: str,
    versus: Other | None = None,
    notes: Sequence[str] = (),
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """All scores; ``metric`` is the one that is given by length of the sentence too."""
    scheme = labeller.labels.scheme
    results = scored(labeller, sentences, check)
    tables = {table.name: table for table in tag_counts(results, scheme)}
    shown = by_span_type(results) if metric == "span_f1" else by_label(results)
    comparisons, others = [], dict[str, Counts]()
    if versus is not None:
        others = {table.name: table for table in tag_counts(scored(versus.labeller, sentences, check), scheme)}
        # The words that one run has not seen need not be those of the other: that score cannot be compared.
        names = [name for name in tables if name != "unseen_accuracy"]
        comparisons = [compare_counts(others[name], tables[name], check=check) for name in names]
    tokens = sum(len(each.tokens) for each in sentences)
    return Evaluation(
        run=run,
        data=data,
        signature=labeller.signature,
        scores=tuple(with_intervals(list(tables.values()), check=check)),
        examples=f"{len(sentences):,} sentences, {tokens:,} tokens",
        lengths=tuple(by_tokens(results, tables[metric], check)),
        length_metric=metric,
        comparisons=tuple(comparisons),
        versus=versus.name if versus else "",
        versus_lengths=tuple(by_tokens(results, others[metric], check)) if versus else (),
        sources=tuple(" ".join(each.tokens) for each in sentences),
        hypotheses=tuple(" ".join(each.predicted) for each in results),
        references=tuple((" ".join(each.labels),) for each in sentences),
        details={
            "labels": [asdict(each) for each in by_label(results)],
            "spans": [asdict(each) for each in by_span_type(results)] if scheme != "none" else [],
            "confusions": [{"label": gold, "predicted": guess, "times": n} for gold, guess, n in confusions(results)],
        },
        notes=(*notes, *_unknown(labeller, sentences), _told(shown, "spans" if metric == "span_f1" else "labels")),
    )


def _told(scores: Sequence[LabelScore], what: str) -> str:
    each = ", ".join(f"{score.name} {score.f1:.1f} ({score.gold:,})" for score in scores[:_TOLD])
    rest = f", and {len(scores) - _TOLD:,} more" if len(scores) > _TOLD else ""
    return f"F1 of {what} (how many there are): {each}{rest}"


def _unknown(labeller: Labeller, sentences: Sequence[Sentence]) -> list[str]:
    """A sentence, if there are labels that the model cannot give."""
    unknown = labeller.labels.unknown(label for each in sentences for label in each.labels)
    if not unknown:
        return []
    more = ", …" if len(unknown) > 5 else ""
    return [f"labels that were not in the training data, and count as wrong: {', '.join(unknown[:5])}{more}"]
