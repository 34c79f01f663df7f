"""What a classifier is trained to do: say the label, and agree with itself where that is asked.

B texts · S source positions · D width
"""

from typing import cast

import torch
from torch import Tensor, nn

from seq2see.config.classify import ClassifySettings
from seq2see.data.batch import Batch
from seq2see.data.labelled_batches import label_numbers
from seq2see.models.classifier import Classifier
from seq2see.nn.embedding import OutputLayer
from seq2see.training.batch import LossFunction
from seq2see.training.consistency import CUT_SHARE, cut, r_drop, simcut
from seq2see.training.loss import cross_entropy


def classification(settings: ClassifySettings) -> LossFunction[Batch]:
    """The sum of the loss over the texts of a batch, as the settings choose it.

    ``model.word_dropout`` wipes pieces out of what the model reads: their embedding is zero, their place stays (Iyyer
    et al. 2015, section 3.1, drop them; here the others keep their distances).
    """
    smoothing, weight = settings.training.label_smoothing, settings.training.consistency_weight
    dropped = settings.model.word_dropout

    def read(batch: Batch) -> Tensor:
        return cut(batch.source_BS, batch.source_valid_BS, dropped) if dropped else batch.source_BS

    def plain(model: nn.Module, batch: Batch) -> Tensor:
        output = _output(model)
        hidden_BD = model(read(batch), batch.source_valid_BS)
        return cross_entropy(hidden_BD, output.weight_VD, output.bias_V, label_numbers(batch), smoothing)

    def with_r_drop(model: nn.Module, batch: Batch) -> Tensor:
        output = _output(model)
        first_BD, second_BD = _two_views(model, batch, read(batch), read(batch))
        gold_B = label_numbers(batch)
        return r_drop(first_BD, second_BD, output.weight_VD, output.bias_V, gold_B, smoothing, weight)

    def with_simcut(model: nn.Module, batch: Batch) -> Tensor:
        output = _output(model)
        cut_BS = cut(batch.source_BS, batch.source_valid_BS, max(dropped, CUT_SHARE))
        whole_BD, cut_BD = _two_views(model, batch, batch.source_BS, cut_BS)
        gold_B = label_numbers(batch)
        return simcut(whole_BD, cut_BD, output.weight_VD, output.bias_V, gold_B, smoothing, weight)

    match settings.training.consistency:
        case "none":
            return plain
        case "r-drop":
            return with_r_drop
        case "simcut":
            return with_simcut


def _two_views(model: nn.Module, batch: Batch, first_BS: Tensor, second_BS: Tensor) -> tuple[Tensor, Tensor]:
    """The vectors of two views of a batch, from one pass over both."""
    hidden_BD: Tensor = model(torch.cat([first_BS, second_BS]), batch.source_valid_BS.repeat(2, 1))
    first_BD, second_BD = hidden_BD.chunk(2)
    return first_BD, second_BD


def _output(model: nn.Module) -> OutputLayer:
    # Through torch.compile the model is wrapped in a module that hands its attributes on.
    return cast(Classifier, model).output
