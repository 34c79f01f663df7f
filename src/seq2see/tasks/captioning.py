"""Pictures in, captions out; and how well given captions are foreseen.

B pictures · N gold positions · C colour channels · H height · W width · S places · T target positions
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings
from seq2see.data.batch import Batch
from seq2see.models.captioner import Captioner
from seq2see.models.compiled_decoder import compiled_decoder
from seq2see.search.hypothesis import Hypothesis
from seq2see.search.rules import Rule
from seq2see.search.search import search
from seq2see.tasks.gallery import Gallery
from seq2see.text.tokeniser import Tokeniser
from seq2see.training.loss import token_scores

LONGEST = 100  # pieces of an answer where search.max_length does not say


@dataclass(frozen=True)
class Describer:
    """A trained model with its tokeniser: all that prediction needs."""

    model: Captioner
    tokeniser: Tokeniser

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def rows(self, settings: SearchSettings) -> int:
        """How many pictures are searched for side by side."""
        width = settings.beam if settings.method == "beam" else settings.nbest
        places = self.model.encoder.rows * self.model.encoder.columns
        return max(1, settings.batch_tokens // (places * width))


def described(
    describer: Describer,
    pictures_BCHW: Tensor,
    settings: SearchSettings,
    *,
    rules: Sequence[Rule] = (),
    prefix: Sequence[int] = (),
    first_key: int = 0,
    check: Callable[[], None] = lambda: None,
) -> list[list[Hypothesis]]:
    """The n-best captions of each picture. ``prefix``: the pieces that each begins with.

    ``first_key`` numbers the first picture for sampling: what is drawn for a picture depends on the seed and its
    number alone.
    """
    found: list[list[Hypothesis]] = []
    fast, looks = compiled_decoder(describer.model.decoder, settings.kernel), settings.coverage_penalty > 0
    decoder: Any = fast or describer.model.decoder
    with torch.inference_mode():
        for part_BCHW in torch.split(pictures_BCHW, describer.rows(settings)):
            check()
            memory = describer.model.encode(part_BCHW.to(describer.device))
            found += search(
                lambda tokens_N, state: decoder.step(tokens_N, state, want_weights=looks),
                decoder.start(memory),
                sentences=len(part_BCHW),
                settings=settings,
                max_lengths=[(settings.max_length or LONGEST) + len(prefix)] * len(part_BCHW),
                rules=rules,
                prefixes=[tuple(prefix)] * len(part_BCHW),
                source_valid_BS=memory.valid_BS,
                normalised=fast is not None,
                step_best=decoder.step_best if fast else None,
                write=decoder.write if fast else None,
                write_beams=decoder.write_beams if fast else None,
                sentence_keys=range(first_key + len(found), first_key + len(found) + len(part_BCHW)),
                device=describer.device,
                check=check,
            )
    return found


def captions_of(
    describer: Describer, gallery: Gallery, settings: SearchSettings, check: Callable[[], None] = lambda: None
) -> list[str]:
    """The best caption of each picture."""
    answers: list[str] = []
    for part, pictures_BCHW in gallery.batches(check=check):
        found = described(describer, pictures_BCHW, settings, first_key=part.start, check=check)
        answers += [describer.tokeniser.decode(each[0].tokens) for each in found]
    return answers


@dataclass(frozen=True)
class Foreseen:
    """One caption: its summed log-probability (natural), how many pieces were the likeliest, how many there are."""

    log_prob: float
    right: int
    pieces: int


def foreseen(describer: Describer, gallery: Gallery, check: Callable[[], None] = lambda: None) -> Iterator[Foreseen]:
    """How well the model foresees every caption of every picture, piece by piece, ``<eos>`` counted."""
    output = describer.model.decoder.output
    for part, pictures_BCHW in gallery.batches(64, check):
        several = gallery.texts[part]
        rows_N = torch.tensor([row for row, texts in enumerate(several) for _ in texts])
        ids = describer.tokeniser.encode_ids([text for texts in several for text in texts])
        batch = Batch.of([()] * len(ids), ids).to(describer.device)
        with torch.inference_mode():
            hidden_BTD = describer.model(pictures_BCHW[rows_N].to(describer.device), batch.input_BT)
            valid_BT = batch.gold_valid_BT
            log_probs_N, right_N = token_scores(
                hidden_BTD[valid_BT], output.weight_VD, output.bias_V, batch.gold_BT[valid_BT]
            )
        counts = valid_BT.sum(1).tolist()
        sums = [each.sum().item() for each in torch.split(log_probs_N.double(), counts)]
        right = [int(each.sum()) for each in torch.split(right_N, counts)]
        yield from (Foreseen(*row) for row in zip(sums, right, counts, strict=True))


def loss_of(seen: Sequence[Foreseen]) -> float:
    """Cross-entropy in nats per piece, without label smoothing."""
    return -sum(each.log_prob for each in seen) / sum(each.pieces for each in seen)
