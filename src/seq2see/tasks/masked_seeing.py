"""From a masked language model and a text to a record of what it would have said of each piece, if it were hidden.

L layers · H heads · T pieces · D width · V vocabulary
"""

from typing import cast

import torch
from torch import Tensor

from seq2see.data.masking import MASK
from seq2see.errors import InputError
from seq2see.tasks.masked_filling import Filler, has_blank
from seq2see.tasks.masked_scoring import MOST_POSITIONS, MaskedReader, states
from seq2see.tasks.piece_records import MOST_PIECES, runners_up, text_side
from seq2see.text.tokeniser import Encoding
from seq2see.viewing.record import Record, Weights


def see_text(reader: MaskedReader, text: str, *, model_name: str) -> Record:
    """How each piece of ``text`` is foretold when it alone is hidden, and what a Transformer looks at with none hidden.

    Blanks are filled first.

    Raises:
        InputError: the text is blank, or too long to be drawn.
    """
    notes: list[str] = []
    if has_blank(text):
        found = Filler(reader, 1).fill([text])[0]
        text = found.text
        notes.append(f"blanks are filled first: {', '.join(repr(blank[0][0]) for blank in found.blanks)}")
    read = reader.tokeniser.encode(text)
    if not read.ids:
        raise InputError("a blank text: there is nothing to see")
    if len(read.ids) > MOST_PIECES:
        raise InputError(f"the text has {len(read.ids):,} pieces; a picture holds {MOST_PIECES}. Show a part of it.")
    most = reader.cut.length
    if len(read.ids) > most:
        notes.append(f"the model reads {most} pieces at a time: only the first {most} are shown")
        read = reader.tokeniser.decode_with_spans(read.ids[:most])
    log_probs_TV = _when_hidden(reader, read)
    own_T = log_probs_TV[torch.arange(len(read.ids)), torch.tensor(read.ids)]
    return Record(
        task="masked",
        model=model_name,
        source=text_side(read),
        target=text_side(read),
        attention=_attention(reader, read),
        log_probs=tuple(own_T.tolist()),
        runners_up=runners_up(reader.tokeniser, log_probs_TV),
        given=True,
        notes=(*notes, "each piece is foretold from all others while it is hidden; the attention is with none hidden"),
    )


def _when_hidden(reader: MaskedReader, read: Encoding) -> Tensor:
    """log p of every piece at each place, ``[T, V]``, with that place hidden."""
    ids_T = torch.tensor(read.ids)
    T = len(ids_T)
    rows = max(1, MOST_POSITIONS // T)
    found = []
    for place_N in torch.split(torch.arange(T), rows):
        input_NT = torch.where(place_N[:, None] == torch.arange(T), MASK, ids_T)
        states_NTD = states(reader, input_NT, torch.ones_like(input_NT, dtype=torch.bool))
        with torch.inference_mode():
            states_ND = states_NTD[torch.arange(len(place_N)), place_N]
            found.append(reader.model.output(states_ND).float().log_softmax(dim=-1).cpu())
    return torch.cat(found)


def _attention(reader: MaskedReader, read: Encoding) -> dict[str, Weights]:
    input_1T = torch.tensor([read.ids], device=reader.device)
    with torch.inference_mode():
        memory = reader.model.read(input_1T, torch.ones_like(input_1T, dtype=torch.bool), want_weights=True)
    return {kind: cast(Weights, each[0].float().cpu().tolist()) for kind, each in memory.weights.items()}
