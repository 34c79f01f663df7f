"""The labelled texts of a run: which are trained on, which are held out, and what is said of their labels."""

from collections.abc import Callable, Iterator

from seq2see.config.classify import LabelledDataSettings
from seq2see.config.settings import DataSettings
from seq2see.data.labelled import LABELLED
from seq2see.data.labels import LabelCount, Labels, plain_label
from seq2see.data.survey import Survey
from seq2see.errors import InputError
from seq2see.tasks.corpus import Corpus, open_corpus

_LISTED = 8  # labels that are named
_MANY = 50  # labels; fewer are no reason to doubt the column


def rules_of(data: LabelledDataSettings) -> DataSettings:
    """The same rules for the readers of pairs; a label is the target. Blank texts and blank labels are dropped."""
    return DataSettings(
        pairs=data.file,
        source=data.source,
        target=data.target,
        columns=data.columns,
        dev=data.dev,
        held_out=data.held_out,
        held_out_most=data.held_out_most,
        drop_duplicates=data.drop_duplicates,
        max_pieces=data.max_pieces,
        max_line_bytes=data.max_line_bytes,
    )


def open_examples(data: LabelledDataSettings, check: Callable[[], None]) -> Corpus:
    """Find the files that ``data`` names.

    Raises:
        InputError: nothing or too much is named, or a file cannot be used.
    """
    if data.file is None and data.source is None and data.target is None:
        raise InputError(
            "no data given: name a file with a text and a label column, or --source (texts) and --target (labels) files"
        )
    return open_corpus(rules_of(data), check, LABELLED)


def survey_sentences(found: Survey) -> Iterator[str]:
    """What is in the texts; what is zero is not mentioned."""
    about = "" if found.exact else "about "
    yield f"{found.pairs:,} examples, {about}{found.distinct_sources:,} different texts"
    if found.blank:
        yield f"dropped: {found.blank:,} with a blank text or a blank label"
    if found.repeated:
        fate = "dropped" if found.rules.drop_duplicates else "kept"
        yield f"{fate}: {about}{found.repeated:,} exact repetitions (data.drop_duplicates)"
    if found.in_dev:
        yield f"the text of {found.in_dev:,} examples is in the dev file too: the dev score will flatter"
    yield found.source.sentence("text")


def require_labels(count: LabelCount, where: str) -> Labels:
    """The labels that are learnt.

    Raises:
        InputError: there are not two, or nearly every example has its own.
    """
    examples, labels = count.examples, len(count.counts)
    if labels < 2:
        what = f"every example to train on ({examples:,}) has the label {next(iter(count.counts), '')!r}"
        raise InputError(f"{where}: {what}: there is nothing to tell apart. Give examples of two labels at least.")
    if labels > _MANY and labels * 2 > examples:
        raise InputError(
            f"{where}: {labels:,} different labels in {examples:,} examples: is that the label column? Name the two: "
            "--columns TEXT,LABEL"
        )
    return Labels.of(count.counts)


def require_known(labels: Labels, count: LabelCount, where: str) -> None:
    """Raise InputError if an example has a label that the run it goes on with has not."""
    known = set(labels.names)
    if strange := [label for label in count.counts if label not in known]:
        raise InputError(
            f"{where}: the label {strange[0][:80]!r} is none of the {len(labels):,} that this run was begun with; "
            "start another run (another --out)"
        )


def balance(count: LabelCount) -> Iterator[str]:
    """How the examples are shared among the labels."""
    ordered = list(count.counts)
    named = ", ".join(f"{label} {count.share(label):.1%}" for label in ordered[:_LISTED])
    more = ""
    if len(ordered) > _LISTED:
        rarest = ordered[-1]
        examples = "1 example" if count.counts[rarest] == 1 else f"{count.counts[rarest]:,} examples"
        more = f" and {len(ordered) - _LISTED:,} more, the rarest {rarest} with {examples}"
    yield f"{len(ordered):,} labels: {named}{more}"
    single = sum(number == 1 for number in count.counts.values())
    if single:
        what = "1 label has a single example" if single == 1 else f"{single:,} labels have a single example each"
        yield f"{what}: too little to learn from"
    if count.contradictions:
        times = "once" if count.contradictions == 1 else f"{count.contradictions:,} times"
        yield f"the same text comes with another label {times}: no model can get those right"


def unknown_labels(examples: list[tuple[str, str]], labels: Labels, where: str) -> Iterator[str]:
    """A sentence where references have labels that no model of these labels can give.

    Raises:
        InputError: all of them are such.
    """
    known = set(labels.names)
    strange = [label for _, label in examples if plain_label(label) not in known]
    if not strange:
        return
    names = ", ".join(sorted({plain_label(label)[:40] for label in strange})[:_LISTED])
    if len(strange) == len(examples):
        has = ", ".join(labels.names[:_LISTED])
        raise InputError(f"{where}: none of its labels ({names}) is one that the model has learnt ({has})")
    count = "1 example has a label" if len(strange) == 1 else f"{len(strange):,} examples have labels"
    yield f"{where}: {count} that training did not see ({names}): no answer to those is right"
