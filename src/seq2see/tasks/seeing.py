"""From a trained model and a text to a record of what it did: the input of every view.

B = 1 sentence · L layers · H heads · S source positions · T target positions · N = T rows · K runners-up
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings
from seq2see.errors import InputError
from seq2see.tasks.prediction import Translator, decode, padded_sources, require_text
from seq2see.text.tokeniser import EOS, SOS, Encoding, Tokeniser
from seq2see.text.words import word_spans
from seq2see.training.loss import token_log_probs, top_predictions
from seq2see.viewing.record import Record, Side, Weights

_RUNNERS_UP = 5
_MOST_PIECES = 512  # a side longer than this is no picture any more


def see(
    translator: Translator,
    text: str,
    *,
    target: str | None,
    settings: SearchSettings,
    model_name: str,
    signature: str,
) -> Record:
    """What the model does with ``text``: its own answer, or how it scores the ``target`` that is given.

    The record's numbers come from one pass over the whole target (teacher forcing), which is the same as the
    step-by-step search that found it. With a short-list they are, as there, of the pieces on it.

    Raises:
        InputError: nothing to work on, or a side is too long to be drawn.
    """
    source = translator.tokenisers.source.encode(require_text(text, "the text"))
    _bounded(source, "source")
    if target is None:
        best = decode(translator, [source.ids], settings)[0][0]
        ids, score = best.tokens, best.score
    else:
        given = translator.tokenisers.target.encode(require_text(target, "the target"))
        _bounded(given, "target")
        ids, score = (*given.ids, EOS), None
    listed = translator.shortlist(source.ids, (), settings.shortlist) if settings.shortlist else None
    attention, log_probs, runners_up = _forced(translator, source.ids, ids, listed)
    if score is None:
        score = sum(log_probs) / len(log_probs) ** settings.length_penalty
    return Record(
        task="translate",
        model=model_name,
        source=_side(source, ended=True),
        target=_side(translator.tokenisers.target.decode_with_spans(ids), ended=ids[-1] == EOS),
        attention=attention,
        log_probs=tuple(log_probs),
        runners_up=runners_up,
        score=score,
        signature=signature,
        given=target is not None,
    )


def _bounded(encoding: Encoding, side: str) -> None:
    if len(encoding.ids) > _MOST_PIECES:
        raise InputError(
            f"the {side} has {len(encoding.ids):,} pieces; a picture holds {_MOST_PIECES}. Show a part of it."
        )


def _forced(
    translator: Translator, source: Sequence[int], ids: Sequence[int], listed: Sequence[int] | None
) -> tuple[dict[str, Weights], list[float], tuple[tuple[tuple[str, float], ...], ...]]:
    """Attention by kind, the log-probability of each piece, and what the model would rather have said there."""
    model = translator.model
    with torch.inference_mode():
        source_BS, valid_BS = padded_sources([source], translator.device)
        memory = model.encode(source_BS, valid_BS, want_weights=True)
        input_BT = torch.tensor([[SOS, *ids[:-1]]], device=translator.device)
        hidden_BTD, weights = model.decoder(input_BT, memory, want_weights=True)
        output = model.decoder.output
        # C pieces that there are: those on the list, or all.
        pieces_C = torch.tensor(listed or range(len(output.weight_VD)), device=translator.device)
        layer = output.weight_VD[pieces_C], None if output.bias_V is None else output.bias_V[pieces_C]
        gold_N = torch.searchsorted(pieces_C, torch.tensor(ids, device=translator.device))
        log_probs_N = token_log_probs(hidden_BTD[0], *layer, gold_N)
        best_NK, places_NK = top_predictions(hidden_BTD[0], *layer, min(_RUNNERS_UP, len(pieces_C)))
        best_ids_NK = pieces_C[places_NK]
    attention = {kind: _lists(weights_BLHTS[0]) for kind, weights_BLHTS in {**memory.weights, **weights}.items()}
    runners_up = tuple(
        tuple(zip(_alone(translator.tokenisers.target, ids_K), log_probs_K, strict=True))
        for ids_K, log_probs_K in zip(best_ids_NK.tolist(), best_NK.tolist(), strict=True)
    )
    return attention, log_probs_N.tolist(), runners_up


def _lists(weights_LHTS: Tensor) -> Weights:
    return cast(Weights, weights_LHTS.float().cpu().tolist())


def _alone(tokeniser: Tokeniser, ids: Sequence[int]) -> list[str]:
    """Each piece by itself as text."""
    return [tokeniser.pieces([one])[0] for one in ids]


def _side(encoding: Encoding, *, ended: bool) -> Side:
    """One side of the record; the source's ``<eos>`` is added, a target that ended by itself has it already."""
    pieces, spans = encoding.pieces, encoding.spans
    if ended and (not encoding.ids or encoding.ids[-1] != EOS):
        pieces, spans = (*pieces, "<eos>"), (*spans, (len(encoding.text), len(encoding.text)))
    return Side(
        text=encoding.text,
        pieces=pieces,
        spans=spans,
        words=word_spans(encoding.text),
        special=tuple(ended and at == len(pieces) - 1 for at in range(len(pieces))),
    )
