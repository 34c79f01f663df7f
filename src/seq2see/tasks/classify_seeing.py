"""From a classifier and a text to a record of what it did: the input of every view.

B = 1 text · L layers · H heads · S source positions · T = 1 target position, the label · D width · K runners-up
"""

import difflib
from collections.abc import Callable, Sequence
from typing import cast

import torch

from seq2see.data.labels import plain_label
from seq2see.errors import InputError
from seq2see.tasks.classifying import TextClassifier, ranked
from seq2see.tasks.prediction import padded_sources
from seq2see.text.tokeniser import Encoding
from seq2see.text.words import word_spans
from seq2see.viewing.grid import word_groups, word_texts
from seq2see.viewing.record import Record, Rows, Side, Weights

_RUNNERS_UP = 5
_MOST_PIECES = 512  # a text longer than this is no picture any more
_MOST_NAMED = 6  # words of which is said what they change
LEFT_OUT = "left out"  # the trace: how much less likely the label is without a piece's word, in nats


def see(
    classifier: TextClassifier,
    text: str,
    *,
    target: str | None,
    model_name: str,
    check: Callable[[], None] = lambda: None,
) -> Record:
    """What the model does with ``text``: its own label, or how likely it finds the label ``target``.

    Beside the attention there is what leaving out one word at a time does to the label (erasure, Li et al. 2016,
    section 3): the one says where the model looked, the other what it needed.

    Raises:
        InputError: a blank text, an unknown label, or a text that is too long to be drawn.
    """
    if not text.strip():
        raise InputError(f"the text {text!r} is blank: there is nothing to label")
    encoding = classifier.tokeniser.encode(text)
    most = classifier.max_pieces
    notes = [f"of {len(encoding.ids):,} pieces only the first {most:,} are read"] if len(encoding.ids) > most else []
    encoding = Encoding(encoding.text, encoding.ids[:most], encoding.pieces[:most], encoding.spans[:most])
    if len(encoding.ids) > _MOST_PIECES:
        size = f"{len(encoding.ids):,} pieces; a picture holds {_MOST_PIECES}"
        raise InputError(f"the text has {size}. Show a part of it.")
    wanted = None if target is None else _number(classifier, target)
    (found,) = ranked(classifier, [encoding.ids], _RUNNERS_UP, [wanted])
    label = found.classes[0] if wanted is None else wanted
    log_prob = found.log_probs[0] if found.reference is None else found.reference
    source = _source(encoding)
    changes, groups = _changes(classifier, encoding.ids, source, label, log_prob, check)
    names = classifier.labels.names
    return Record(
        task="classify",
        model=model_name,
        source=source,
        target=_label(names[label]),
        attention=_attention(classifier, encoding.ids),
        log_probs=(log_prob,),
        runners_up=(tuple((names[each], one) for each, one in zip(found.classes, found.log_probs, strict=True)),),
        score=log_prob,
        given=target is not None,
        notes=(*notes, _named(names[label], word_texts(source, groups), changes)),
        traces={LEFT_OUT: _by_piece(changes, groups, len(source.pieces))},
    )


def _number(classifier: TextClassifier, label: str) -> int:
    names = classifier.labels.names
    if plain_label(label) not in names:
        nearest = difflib.get_close_matches(plain_label(label), names, n=1, cutoff=0.0)
        raise InputError(
            f"there is no label {label!r}; did you mean {nearest[0]!r}? The model has {len(names):,} labels"
        )
    return names.index(plain_label(label))


def _source(encoding: Encoding) -> Side:
    end = len(encoding.text)
    return Side(
        text=encoding.text,
        pieces=(*encoding.pieces, "<eos>"),
        spans=(*encoding.spans, (end, end)),
        words=word_spans(encoding.text),
        special=(*(False for _ in encoding.pieces), True),
    )


def _label(name: str) -> Side:
    """A label is one piece and one word, whatever it is made of."""
    return Side(text=name, pieces=(name,), spans=((0, len(name)),), words=((0, len(name)),), special=(False,))


def _attention(classifier: TextClassifier, ids: Sequence[int]) -> dict[str, Weights]:
    with torch.inference_mode():
        source_BS, valid_BS = padded_sources([ids], classifier.device)
        _, weights = classifier.model.read(source_BS, valid_BS, want_weights=True)
    return {kind: cast(Weights, weights_BLHTS[0].float().cpu().tolist()) for kind, weights_BLHTS in weights.items()}


def _changes(
    classifier: TextClassifier,
    ids: Sequence[int],
    source: Side,
    label: int,
    log_prob: float,
    check: Callable[[], None],
) -> tuple[list[float], tuple[tuple[int, ...], ...]]:
    """For each word how much log-probability the label loses without it, and the pieces of each word."""
    groups = tuple(group for group in word_groups(source) if not source.special[group[0]])
    shorter = [[one for at, one in enumerate(ids) if at not in group] for group in groups]
    without = ranked(classifier, shorter, 1, [label] * len(shorter), check)
    return [log_prob - (each.reference or 0.0) for each in without], groups


def _by_piece(changes: Sequence[float], groups: Sequence[Sequence[int]], pieces: int) -> Rows:
    values = [0.0] * pieces
    for change, group in zip(changes, groups, strict=True):
        for piece in group:
            values[piece] = change
    return tuple((value,) for value in values)


def _named(label: str, words: Sequence[str], changes: Sequence[float]) -> str:
    """The words that matter most, in a sentence."""
    order = sorted(range(len(words)), key=lambda at: (-abs(changes[at]), at))[:_MOST_NAMED]
    each = ", ".join(f"{words[at].strip()} {changes[at]:+.2f}" for at in order)
    return f"what each word adds to the log-probability of {label} (the text without it, one at a time): {each}"
