"""What a translator is trained to do: predict each next piece, and agree with itself.

B sentences · T target positions · N gold positions · D width
"""

from typing import cast

from torch import Tensor, nn

from seq2see.config.settings import TrainingSettings
from seq2see.data.batch import Batch
from seq2see.models.seq2seq import Seq2Seq
from seq2see.nn.embedding import OutputLayer
from seq2see.training.consistency import cut, r_drop, simcut
from seq2see.training.loop import LossFunction
from seq2see.training.loss import cross_entropy

_CUT = 0.05  # share of tokens that SimCut cuts (Gao et al. 2022, section 4.1)


def objective(settings: TrainingSettings) -> LossFunction[Batch]:
    """The sum of the loss over the gold positions of a batch, as the settings choose it."""
    smoothing, weight = settings.label_smoothing, settings.consistency_weight

    def plain(model: nn.Module, batch: Batch) -> Tensor:
        hidden_ND, gold_N, output = _hidden(model, batch), batch.gold_BT[batch.gold_valid_BT], _output(model)
        return cross_entropy(hidden_ND, output.weight_VD, output.bias_V, gold_N, smoothing)

    def with_r_drop(model: nn.Module, batch: Batch) -> Tensor:
        first_ND, second_ND = _hidden(model, batch), _hidden(model, batch)
        gold_N, output = batch.gold_BT[batch.gold_valid_BT], _output(model)
        return r_drop(first_ND, second_ND, output.weight_VD, output.bias_V, gold_N, smoothing, weight)

    def with_simcut(model: nn.Module, batch: Batch) -> Tensor:
        whole_ND, cut_ND = _hidden(model, batch), _hidden(model, batch, cut_share=_CUT)
        gold_N, output = batch.gold_BT[batch.gold_valid_BT], _output(model)
        return simcut(whole_ND, cut_ND, output.weight_VD, output.bias_V, gold_N, smoothing, weight)

    match settings.consistency:
        case "none":
            return plain
        case "r-drop":
            return with_r_drop
        case "simcut":
            return with_simcut


def _hidden(model: nn.Module, batch: Batch, cut_share: float = 0.0) -> Tensor:
    """Decoder states at the gold positions, one row each."""
    source_BS, input_BT = batch.source_BS, batch.input_BT
    if cut_share:
        source_BS = cut(source_BS, batch.source_valid_BS, cut_share)
        input_BT = cut(input_BT, batch.gold_valid_BT, cut_share)
    hidden_BTD: Tensor = model(source_BS, batch.source_valid_BS, input_BT)
    return hidden_BTD[batch.gold_valid_BT]


def _output(model: nn.Module) -> OutputLayer:
    # Through torch.compile the model is wrapped in a module that hands its attributes on.
    return cast(Seq2Seq, model).decoder.output
