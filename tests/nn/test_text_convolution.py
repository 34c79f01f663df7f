"""The convolution of a text against its formula in loops."""

import pytest
import torch

from seq2see.nn.text_convolution import TextConvolution


@pytest.mark.parametrize("windows", [(1,), (2,), (3,), (4, 1, 3), (7,)])
def test_every_output_is_the_formula(windows: tuple[int, ...]) -> None:
    torch.manual_seed(7)
    width, filters, S = 3, 2, 5
    layer = TextConvolution(width, filters, windows).double()
    with torch.no_grad():
        layer.bias_C.normal_()
    input_BSD = torch.randn(2, S, width, dtype=torch.float64)
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    output_BSC = layer(input_BSD)
    assert output_BSC.shape == (2, S, filters * len(windows)) == (2, S, layer.width)
    for b in range(2):
        for s in range(S):
            wanted = []
            for place, window in enumerate(windows):
                weight = layer.weights[place]
                for f in range(filters):
                    total = float(layer.bias_C[place * filters + f])
                    for k in range(window):
                        at = s - (window - 1) // 2 + k
                        if 0 <= at < S:
                            total += sum(float(weight[f, d, k] * input_BSD[b, at, d]) for d in range(width))
                    wanted.append(max(0.0, total))
            assert output_BSC[b, s].tolist() == pytest.approx(wanted)
