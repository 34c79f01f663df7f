"""Pieces of a text as a record holds them: side by side, and the likeliest at each place.

T places · K runners-up · V vocabulary
"""

from torch import Tensor

from seq2see.text.tokeniser import Encoding, Tokeniser
from seq2see.text.words import word_spans
from seq2see.viewing.record import RunnerUp, Side

RUNNERS_UP = 5
MOST_PIECES = 512  # a longer text is no picture any more


def text_side(encoding: Encoding) -> Side:
    """A text to which no piece was added."""
    return Side(
        text=encoding.text,
        pieces=encoding.pieces,
        spans=encoding.spans,
        words=word_spans(encoding.text),
        special=(False,) * len(encoding.pieces),
    )


def runners_up(tokeniser: Tokeniser, log_probs_TV: Tensor) -> tuple[tuple[RunnerUp, ...], ...]:
    """The likeliest pieces at each place, best first, with their log-probabilities."""
    best_TK, ids_TK = log_probs_TV.topk(min(RUNNERS_UP, log_probs_TV.shape[1]), dim=1)
    return tuple(
        tuple((alone(tokeniser, one), log_prob) for one, log_prob in zip(*row, strict=True))
        for row in zip(ids_TK.tolist(), best_TK.tolist(), strict=True)
    )


def alone(tokeniser: Tokeniser, piece: int) -> str:
    """A piece by itself as text."""
    return tokeniser.pieces([piece])[0]
