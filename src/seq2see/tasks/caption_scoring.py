"""Captions against those of people: scores with intervals, baselines beside them, and what the n-gram orders are of."""

from collections.abc import Callable, Mapping, Sequence
from unicodedata import normalize

import torch

from seq2see.config.images import CaptionSettings
from seq2see.config.settings import EvaluationSettings, SearchSettings
from seq2see.evaluation.metrics import Score, perplexity, score, token_accuracy
from seq2see.evaluation.result import Evaluation
from seq2see.evaluation.significance import compare
from seq2see.models.captioner import build_captioner
from seq2see.tasks.captioning import Describer, captions_of, foreseen
from seq2see.tasks.gallery import Gallery
from seq2see.tasks.scoring import search_signature

NEIGHBOUR = "nearest neighbour"
_ORDERS = (2, 3, 4)


def untrained(settings: CaptionSettings, describer: Describer) -> Describer:
    """The model as it was before its training: what chance and the search alone can do."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.training.seed)
        model = build_captioner(settings.model, describer.tokeniser.size)
    # How bright pictures are is no knowledge of captions.
    model.encoder.scale.load_state_dict(describer.model.encoder.scale.state_dict())
    return Describer(model.to(describer.device).eval(), describer.tokeniser)


def references_of(gallery: Gallery) -> list[list[str]]:
    """Every picture's captions, with composed letters, as models write them."""
    return [[normalize("NFC", text) for text in texts] for texts in gallery.texts]


def evaluate_captions(
    describer: Describer,
    gallery: Gallery,
    *,
    run: str,
    data: str,
    evaluation: EvaluationSettings,
    search: SearchSettings,
    baselines: Mapping[str, Sequence[str]] | None = None,
    versus: tuple[str, Sequence[str]] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Write a caption for every picture and score it.

    ``baselines``: captions of others for the same pictures, by name; their scores stand behind the model's own.
    ``versus``: another run and its captions; without one the comparison is with the nearest neighbour, if it is there.
    """
    metrics, tokenize = evaluation.metrics, evaluation.tokenize
    references = references_of(gallery)
    answers = captions_of(describer, gallery, search, check)
    seen = list(foreseen(describer, gallery, check))
    pieces = [each.pieces for each in seen]
    baselines = baselines or {}
    other = versus or ((NEIGHBOUR, baselines[NEIGHBOUR]) if NEIGHBOUR in baselines else None)
    scores = [
        *score(metrics, answers, references, tokenize=tokenize, check=check),
        perplexity([each.log_prob for each in seen], pieces),
        token_accuracy([each.right for each in seen], pieces),
    ]
    for name, captions in baselines.items():
        found = score(metrics, captions, references, tokenize=tokenize, check=check)
        scores += [Score(f"{each.name}, {name}", each.value, each.low, each.high, each.signature) for each in found]
    orders = _long_enough(references)
    return Evaluation(
        run=run,
        data=data,
        signature=search_signature(search),
        scores=tuple(scores),
        examples=f"{len(gallery):,} pictures with {sum(map(len, references)):,} captions",
        comparisons=tuple(compare(metrics, other[1], answers, references, tokenize=tokenize, check=check))
        if other
        else (),
        versus=other[0] if other else "",
        sources=gallery.names,
        hypotheses=tuple(answers),
        references=tuple(map(tuple, references)),
        details={
            "captions with at least so many words": orders,
            "baselines": {name: list(captions) for name, captions in baselines.items()},
        },
        notes=(_order_note(orders, len(gallery)),) if any(name.startswith("bleu") for name in metrics) else (),
    )


def _long_enough(references: Sequence[Sequence[str]]) -> dict[str, int]:
    """How many pictures have a caption of at least so many words: n-grams of that order are of them alone."""
    longest = [max(len(text.split()) for text in several) for several in references]
    return {str(order): sum(words >= order for words in longest) for order in _ORDERS}


def _order_note(orders: Mapping[str, int], pictures: int) -> str:
    parts = ", ".join(f"{count:,} of {order} words or more" for order, count in orders.items())
    return f"BLEU: of {pictures:,} pictures these many have captions long enough for its n-grams: {parts}"
