"""What a translator is trained to do: predict each next piece, and agree with itself.

B sentences · T target positions · N gold positions · D width
"""

from typing import cast

import torch
from torch import Tensor, nn

from seq2see.config.settings import TrainingSettings
from seq2see.data.batch import Batch
from seq2see.models.seq2seq import Seq2Seq
from seq2see.nn.embedding import OutputLayer
from seq2see.training.consistency import CUT_SHARE, cut, r_drop, simcut
from seq2see.training.loop import LossFunction
from seq2see.training.loss import output_cross_entropy


def objective(settings: TrainingSettings) -> LossFunction[Batch]:
    """The sum of the loss over the gold positions of a batch, as the settings choose it."""
    smoothing, weight = settings.label_smoothing, settings.consistency_weight

    def plain(model: nn.Module, batch: Batch) -> Tensor:
        output = _output(model)
        hidden_BTD = model(batch.source_BS, batch.source_valid_BS, batch.input_BT, batch.gold_valid_BT)
        gold_N = batch.gold_BT[batch.gold_valid_BT]
        return output_cross_entropy(output, hidden_BTD[batch.gold_valid_BT], gold_N, smoothing)

    def with_r_drop(model: nn.Module, batch: Batch) -> Tensor:
        output = _output(model)
        first_ND, second_ND = _two_views(model, batch, batch.source_BS, batch.input_BT)
        gold_N = batch.gold_BT[batch.gold_valid_BT]
        return r_drop(first_ND, second_ND, output.weight_VD, output.bias_V, gold_N, smoothing, weight)

    def with_simcut(model: nn.Module, batch: Batch) -> Tensor:
        output = _output(model)
        source_BS = cut(batch.source_BS, batch.source_valid_BS, CUT_SHARE)
        input_BT = cut(batch.input_BT, batch.gold_valid_BT, CUT_SHARE)
        whole_ND, cut_ND = _two_views(model, batch, source_BS, input_BT)
        gold_N = batch.gold_BT[batch.gold_valid_BT]
        return simcut(whole_ND, cut_ND, output.weight_VD, output.bias_V, gold_N, smoothing, weight)

    match settings.consistency:
        case "none":
            return plain
        case "r-drop":
            return with_r_drop
        case "simcut":
            return with_simcut


def _two_views(model: nn.Module, batch: Batch, source_BS: Tensor, input_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Decoder states at the gold positions, of the batch and of another view of it, from one pass over both."""
    sources, inputs = torch.cat([batch.source_BS, source_BS]), torch.cat([batch.input_BT, input_BT])
    hidden_BTD: Tensor = model(sources, batch.source_valid_BS.repeat(2, 1), inputs, batch.gold_valid_BT.repeat(2, 1))
    first_BTD, second_BTD = hidden_BTD.chunk(2)
    return first_BTD[batch.gold_valid_BT], second_BTD[batch.gold_valid_BT]


def _output(model: nn.Module) -> OutputLayer:
    # Through torch.compile the model is wrapped in a module that hands its attributes on.
    return cast(Seq2Seq, model).decoder.output
