"""From a trained writer of captions and a picture to a record of where it looked for each word.

B = 1 picture · L layers · H heads · S places · T target positions · N = T rows · K runners-up
"""

from collections.abc import Sequence
from typing import cast

import torch

from seq2see.config.images import CaptionSettings
from seq2see.config.settings import SearchSettings
from seq2see.data.pictures import Raw, fitted
from seq2see.errors import InputError
from seq2see.tasks.captioning import Describer, described
from seq2see.tasks.picture_views import Lists, picture_record
from seq2see.tasks.prediction import require_text
from seq2see.tasks.scoring import search_signature
from seq2see.text.tokeniser import EOS, SOS, Encoding
from seq2see.text.words import word_spans
from seq2see.training.loss import token_log_probs, top_predictions
from seq2see.viewing.record import Record, Side

_RUNNERS_UP = 5
_MOST_PIECES = 128  # of a caption that is drawn


def see_captioned(
    describer: Describer, raw: Raw, settings: CaptionSettings, search: SearchSettings, *, target: str | None = None
) -> Record:
    """What the model looks at while it writes of a picture: its own caption, or the ``target`` that is given.

    The record's numbers come from one pass over the whole caption (teacher forcing), which is the same as the
    step-by-step search that found it.

    Raises:
        InputError: the picture cannot be used, or the caption has nothing in it or is too long to be drawn.
    """
    most = settings.data.max_picture_pixels
    picture_BCHW = fitted(raw, settings.model.picture, most)[None]
    if target is None:
        best = described(describer, picture_BCHW, search)[0][0]
        ids, score = best.tokens, best.score
    else:
        ids, score = (*describer.tokeniser.encode(require_text(target, "the target")).ids, EOS), None
    if len(ids) > _MOST_PIECES:
        raise InputError(f"the caption has {len(ids):,} pieces; a picture of it holds {_MOST_PIECES}")
    weights, log_probs, runners_up = _forced(describer, picture_BCHW, ids)
    if score is None:
        score = sum(log_probs) / len(log_probs) ** search.length_penalty
    encoder = describer.model.encoder
    return picture_record(
        raw,
        settings.model.picture,
        most,
        grid=(encoder.rows, encoder.columns),
        task="caption",
        model=settings.model.name,
        target=_side(describer.tokeniser.decode_with_spans(ids), ended=ids[-1] == EOS),
        weights=weights,
        log_probs=log_probs,
        runners_up=runners_up,
        signature=search_signature(search),
        score=score,
        given=target is not None,
    )


def _forced(
    describer: Describer, picture_BCHW: torch.Tensor, ids: Sequence[int]
) -> tuple[Lists | None, list[float], list[list[tuple[str, float]]]]:
    """Where each piece looked, its log-probability, and what the model would rather have said there."""
    decoder = describer.model.decoder
    with torch.inference_mode():
        memory = describer.model.encode(picture_BCHW.to(describer.device))
        input_BT = torch.tensor([[SOS, *ids[:-1]]], device=describer.device)
        hidden_BTD, weights = decoder(input_BT, memory, want_weights=True)
        output = decoder.output
        gold_N = torch.tensor(ids, device=describer.device)
        log_probs_N = token_log_probs(hidden_BTD[0], output.weight_VD, output.bias_V, gold_N)
        best_NK, ids_NK = top_predictions(hidden_BTD[0], output.weight_VD, output.bias_V, _RUNNERS_UP)
    cross = weights.get("cross")
    named = [[describer.tokeniser.pieces([one])[0] for one in row] for row in ids_NK.tolist()]
    runners_up = [list(zip(names, values, strict=True)) for names, values in zip(named, best_NK.tolist(), strict=True)]
    found = None if cross is None else cast(Lists, cross[0].float().cpu().tolist())
    return found, log_probs_N.tolist(), runners_up


def _side(encoding: Encoding, *, ended: bool) -> Side:
    last = len(encoding.pieces) - 1
    special = tuple(ended and at == last for at in range(last + 1))
    return Side(encoding.text, encoding.pieces, encoding.spans, word_spans(encoding.text), special)
