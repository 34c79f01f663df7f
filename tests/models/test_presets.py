"""The named models: all there, as described, and a slip of the pen names the nearest."""

import pytest
import torch
from architectures import data

from seq2see.errors import InputError
from seq2see.models.build import build, count_parameters
from seq2see.models.presets import PRESETS, preset

NAMES = [
    *("rnn", "lstm", "gru", "rnn-attention", "lstm-attention", "gru-attention"),
    *("transformer-tiny", "transformer-small", "transformer-base", "transformer-big", "hybrid"),
]


def test_all_names_are_there_in_the_order_of_the_field() -> None:
    assert list(PRESETS) == NAMES


@pytest.mark.parametrize(("wrong", "right"), [("lstm-atention", "lstm-attention"), ("transformer", "transformer-")])
def test_an_unknown_name_hears_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(InputError, match=f'no model "{wrong}"; did you mean "{right}'):
        preset(wrong)


def test_anything_unknown_hears_all_names() -> None:
    with pytest.raises(InputError, match=r"There are: rnn, lstm, gru,.*hybrid"):
        preset("§§§")


def test_settings_carry_name_tie_and_dropout() -> None:
    chosen = preset("gru-attention", tie="all", dropout=0.25)
    assert (chosen.name, chosen.tie, chosen.dropout) == ("gru-attention", "all", 0.25)
    assert preset("gru-attention").dropout == PRESETS["gru-attention"].dropout


def test_sizes_of_the_literature() -> None:
    """Vaswani et al. 2017, table 3: 65 and 213 million, with a joint vocabulary of 37 thousand and one embedding."""
    assert count_parameters(preset("transformer-base", tie="all"), 37_000, 37_000) / 1e6 == pytest.approx(65, abs=3)
    assert count_parameters(preset("transformer-big", tie="all"), 37_000, 37_000) / 1e6 == pytest.approx(213, abs=3)


@pytest.mark.parametrize("name", ["rnn", "gru-attention", "transformer-tiny", "hybrid"])
def test_a_new_model_expects_nothing_in_particular(name: str) -> None:
    """The first loss is near that of guessing: ln V."""
    torch.manual_seed(1)
    model = build(preset(name), 23, 997).eval()
    source_BS, valid_BS, input_BT = data()
    logits_BTV = model.decoder.output(model(source_BS, valid_BS, input_BT))
    entropy = -(logits_BTV.softmax(-1) * logits_BTV.log_softmax(-1)).sum(-1).mean()
    assert entropy.item() == pytest.approx(torch.tensor(997.0).log().item(), rel=0.12)
