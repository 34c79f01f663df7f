"""From texts to labels: pieces, batches of like length, and the likeliest classes of each, whatever its neighbours.

B texts · S source positions · D width · K runners-up
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2see.data.labels import Labels
from seq2see.models.classifier import Classifier
from seq2see.tasks.prediction import padded_sources
from seq2see.text.normalise import refuse_surrogates
from seq2see.text.tokeniser import Tokeniser
from seq2see.training.loss import token_log_probs, top_predictions

_MOST_ROWS, _MOST_POSITIONS = 512, 16_384  # of one pass over some texts


@dataclass(frozen=True)
class TextClassifier:
    """A trained model with its tokeniser and its labels: all that prediction needs."""

    model: Classifier
    tokeniser: Tokeniser
    labels: Labels
    max_pieces: int

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """See :func:`beginnings`."""
        return beginnings(self.tokeniser, texts, self.max_pieces)


def beginnings(tokeniser: Tokeniser, texts: Sequence[str], most: int) -> list[list[int]]:
    """The piece numbers of each text, of a long one the first ``most``.

    Raises:
        InputError: half of a surrogate pair in a text.
    """
    for text in texts:
        refuse_surrogates(text)
    return [ids[:most] for ids in tokeniser.encode_ids(texts)]


@dataclass(frozen=True)
class Ranked:
    """The likeliest classes of one text, best first, with natural log-probabilities; and the reference's, if asked."""

    classes: tuple[int, ...]
    log_probs: tuple[float, ...]
    reference: float | None = None


def ranked(
    classifier: TextClassifier,
    ids: Sequence[Sequence[int]],
    best: int,
    references: Sequence[int | None] | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[Ranked]:
    """The ``best`` classes of each text, in the order of ``ids``; what a text gives does not depend on the others.

    ``references`` are the classes whose log-probability is wanted as well; None: there is none.
    """
    found: list[Ranked | None] = [None] * len(ids)
    best = min(best, len(classifier.labels))
    output = classifier.model.output
    for rows in _batches([len(each) for each in ids]):
        check()
        with torch.inference_mode():
            source_BS, valid_BS = padded_sources([ids[row] for row in rows], classifier.device)
            hidden_BD = classifier.model(source_BS, valid_BS)
            top_BK, classes_BK = top_predictions(hidden_BD, output.weight_VD, output.bias_V, best)
            golds = (
                _golds(classifier, hidden_BD, [references[row] for row in rows]) if references else [None] * len(rows)
            )
        for row, classes, log_probs, gold in zip(rows, classes_BK.tolist(), top_BK.tolist(), golds, strict=True):
            found[row] = Ranked(tuple(classes), tuple(log_probs), gold)
    return [each for each in found if each is not None]


def _golds(classifier: TextClassifier, hidden_BD: Tensor, references: Sequence[int | None]) -> list[float | None]:
    output = classifier.model.output
    gold_B = torch.tensor([reference or 0 for reference in references], device=hidden_BD.device)
    log_probs = token_log_probs(hidden_BD, output.weight_VD, output.bias_V, gold_B).tolist()
    return [None if reference is None else one for reference, one in zip(references, log_probs, strict=True)]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of like length, as many as one pass over them can hold."""
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (lengths[row], row)):
        if len(rows) == _MOST_ROWS or (rows and (len(rows) + 1) * (lengths[row] + 1) > _MOST_POSITIONS):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows
