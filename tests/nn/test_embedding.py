"""PAD is nothing, whatever its weights say; an output layer may share them."""

import torch

from seq2see.nn.embedding import PAD, Embedding, OutputLayer, token_weights
from seq2see.text import tokeniser


def test_padding_is_what_the_tokeniser_calls_so() -> None:
    assert PAD == tokeniser.PAD


def test_padding_is_exactly_zero_though_its_row_is_not() -> None:
    weight_VD = token_weights(5, 3)
    assert weight_VD[PAD].any()
    embedded_BTD = Embedding(weight_VD, scaled=True)(torch.tensor([[4, PAD], [PAD, 2]]))
    assert not embedded_BTD[0, 1].any() and not embedded_BTD[1, 0].any()
    torch.testing.assert_close(embedded_BTD[0, 0], weight_VD[4] * 3**0.5)
    torch.testing.assert_close(embedded_BTD[1, 1], weight_VD[2] * 3**0.5)


def test_unscaled_is_the_row_itself() -> None:
    weight_VD = token_weights(5, 3)
    assert torch.equal(Embedding(weight_VD, scaled=False)(torch.tensor([3, 1])), weight_VD[[3, 1]])


def test_shared_weights_get_both_gradients_and_padding_only_the_outputs() -> None:
    weight_VD = token_weights(4, 2)
    embedding, output = Embedding(weight_VD, scaled=False), OutputLayer(weight_VD)
    assert embedding.weight_VD is output.weight_VD
    embedding(torch.tensor([PAD, 2, 2])).sum().backward()
    assert weight_VD.grad.tolist() == [[0, 0], [0, 0], [2, 2], [0, 0]]
    output(torch.tensor([3.0, 5.0])).sum().backward()
    assert weight_VD.grad.tolist() == [[3, 5], [3, 5], [5, 7], [3, 5]]
    assert output.bias_V.grad.tolist() == [1, 1, 1, 1]


def test_logits_are_products_with_the_rows_plus_bias() -> None:
    output = OutputLayer(torch.nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])))
    with torch.no_grad():
        output.bias_V.copy_(torch.tensor([0.5, 0.0, -0.5]))
    assert output(torch.tensor([[10.0, 1.0]])).tolist() == [[12.5, 34.0, 55.5]]


def test_rows_start_with_unit_length_on_average() -> None:
    torch.manual_seed(17)
    squared_lengths = token_weights(997, 64).detach().square().sum(1)
    assert 0.97 < squared_lengths.mean() < 1.03
