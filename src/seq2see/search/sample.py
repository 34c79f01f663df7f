"""Sampling: tokens drawn from the model's distribution, sharpened or cut off as the settings say.

B sentences · W samples of a sentence · N rows · P positions · V vocabulary · C candidates
"""

import random

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings
from seq2see.search.frontier import best
from seq2see.search.hypothesis import Hypothesis
from seq2see.search.request import Request
from seq2see.search.walk import walk


def sample(request: Request) -> list[list[Hypothesis]]:
    """``nbest`` independent samples of each sentence, best score first; the same target may come twice.

    What is drawn for a sentence depends on the seed, its key and its own distributions, not its neighbours.
    """
    settings = request.settings
    chance_NP = _chances(request)

    def choose(log_probs_NV: Tensor, slot_N: Tensor, position: int) -> Tensor:
        return draw(log_probs_NV, chance_NP[slot_N, position], settings)

    samples = walk(request, settings.nbest, choose)
    return [sorted(of_sentence, key=lambda hypothesis: -hypothesis.score) for of_sentence in samples]


def _chances(request: Request) -> Tensor:
    """Numbers in [0, 1), one for each row and position; each row has a generator of its own."""
    longest = max(request.max_lengths)
    chances: list[list[float]] = []
    for key, most in zip(request.keys, request.max_lengths, strict=True):
        for row in range(request.settings.nbest):
            generator = random.Random(f"{request.settings.seed} {key} {row}")
            chances.append([generator.random() for _ in range(most)] + [0.0] * (longest - most))
    return torch.tensor(chances, dtype=torch.float64)


def draw(log_probs_NV: Tensor, chance_N: Tensor, settings: SearchSettings) -> Tensor:
    """A token for each row: the first at which the cumulative probability exceeds the row's chance.

    Order of the cuts: temperature, the ``top_k`` likeliest tokens (Fan et al. 2018), of these the smallest
    set with a probability of at least ``top_p`` (the nucleus of Holtzman et al. 2020, section 3.1).
    """
    if settings.top_k:
        log_probs_NC, tokens_NC = best(log_probs_NV, settings.top_k)
    elif settings.top_p < 1.0:
        log_probs_NC, tokens_NC = log_probs_NV.sort(dim=-1, descending=True, stable=True)
    else:
        log_probs_NC, tokens_NC = log_probs_NV, None
    # The largest is taken off before the division: a tiny temperature must not make infinities.
    scaled_NC = (log_probs_NC - log_probs_NC.amax(dim=-1, keepdim=True)) / settings.temperature
    probs_NC = _nucleus(scaled_NC.softmax(dim=-1), settings.top_p)
    place_N1 = _place(probs_NC, chance_N.to(probs_NC.dtype).to(probs_NC.device).unsqueeze(1))
    chosen_N1 = place_N1 if tokens_NC is None else tokens_NC.gather(1, place_N1)
    return chosen_N1.squeeze(1).to(log_probs_NV.device)


def _nucleus(probs_NC: Tensor, top_p: float) -> Tensor:
    """Probabilities, likeliest first, with 0 after the smallest set that holds ``top_p``."""
    if top_p >= 1.0:
        return probs_NC
    before_NC = probs_NC.cumsum(dim=-1) - probs_NC
    return probs_NC.masked_fill(before_NC >= top_p, 0.0)


def _place(probs_NC: Tensor, chance_N1: Tensor) -> Tensor:
    """Where the cumulative probability first exceeds chance × total; never a column of probability 0."""
    cumulative_NC = probs_NC.cumsum(dim=-1)
    exceeded_NC = (cumulative_NC > chance_N1 * cumulative_NC[:, -1:]) & (probs_NC > 0)
    first_N1 = exceeded_NC.to(torch.uint8).argmax(dim=-1, keepdim=True)
    # Rounding can leave no column: a chance of 1 − 2⁻³⁰ is 1 in float32.
    likeliest_N1 = probs_NC.argmax(dim=-1, keepdim=True)
    return torch.where(exceeded_NC.any(dim=-1, keepdim=True), first_N1, likeliest_N1)
