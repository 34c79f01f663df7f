"""The losses of a translator: they agree with their formulas, and training makes them smaller.

B sentences · T target positions · N gold positions · V vocabulary
"""

import pytest
import torch
from torch.nn import functional

from seq2see.config.settings import TrainingSettings
from seq2see.data.batch import Batch
from seq2see.models.build import build
from seq2see.models.presets import preset
from seq2see.models.seq2seq import Seq2Seq
from seq2see.tasks.objective import objective

V = 13
SOURCES = [[4, 5, 6], [7], [8, 9, 10, 11]]
TARGETS = [[6, 5, 4, 12], [7, 7], [11, 10]]


def model(dropout: float) -> Seq2Seq:
    torch.manual_seed(1)
    settings = preset("gru-attention", dropout=dropout)
    small = {"width": 12}
    return build(
        settings.model_copy(
            update={
                "encoder": settings.encoder.model_copy(update=small),
                "decoder": settings.decoder.model_copy(update=small),
            }
        ),
        V,
        V,
    )


def settings_of(kind: str, weight: float = 1.0, smoothing: float = 0.0) -> TrainingSettings:
    return TrainingSettings(
        steps=1,
        consistency=kind,
        consistency_weight=weight,
        label_smoothing=smoothing,  # type: ignore[arg-type]
    )


def batch() -> Batch:
    return Batch.of(SOURCES, TARGETS)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_plain_loss_is_the_sum_over_gold_pieces(smoothing: float) -> None:
    translator, given = model(0.0), batch()
    hidden_BTD = translator(given.source_BS, given.source_valid_BS, given.input_BT)
    logits_BTV = translator.decoder.output(hidden_BTD)
    wanted = functional.cross_entropy(
        logits_BTV[given.gold_valid_BT], given.gold_BT[given.gold_valid_BT], reduction="sum", label_smoothing=smoothing
    )
    found = objective(settings_of("none", smoothing=smoothing))(translator, given)
    torch.testing.assert_close(found, wanted)


def test_without_dropout_two_passes_agree() -> None:
    """R-Drop of two equal passes is plain cross-entropy, whatever the weight; SimCut still cuts tokens."""
    translator, given = model(0.0), batch()
    plain = objective(settings_of("none"))(translator, given)
    torch.testing.assert_close(objective(settings_of("r-drop", 5.0))(translator, given), plain)
    torch.testing.assert_close(objective(settings_of("simcut", 0.0))(translator, given), plain)
    torch.manual_seed(2)
    cut = [objective(settings_of("simcut", 5.0))(translator, given).item() for _ in range(20)]
    assert min(cut) >= plain.item() - 1e-4
    assert max(cut) > plain.item() + 1e-3


def test_with_dropout_the_two_passes_differ_and_the_weight_counts() -> None:
    translator, given = model(0.5).train(), batch()
    losses = []
    for weight in (0.0, 8.0):
        torch.manual_seed(3)
        losses.append(objective(settings_of("r-drop", weight))(translator, given).item())
    assert losses[1] > losses[0] + 1e-3


@pytest.mark.parametrize("kind", ["none", "r-drop", "simcut"])
def test_training_makes_the_loss_smaller(kind: str) -> None:
    translator, given, loss = model(0.1).train(), batch(), objective(settings_of(kind))
    optimiser = torch.optim.Adam(translator.parameters(), lr=0.02)
    torch.manual_seed(4)
    before = loss(translator, given).item()
    for _ in range(60):
        optimiser.zero_grad()
        loss(translator, given).backward()
        optimiser.step()
    assert all(parameter.grad is not None for parameter in translator.parameters())
    assert loss(translator, given).item() < 0.2 * before
