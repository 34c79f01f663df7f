"""Convolutions against loops; a block that adds to what it reads; one picture never changes another."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from seq2see.nn.convolution import Convolution, ResidualBlock, ResidualNetwork, group_norm, places


def pictures(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("side", "stride"), [(1, 1), (3, 1), (3, 2), (1, 2)])
def test_a_convolution_is_its_formula(side: int, stride: int) -> None:
    torch.manual_seed(1)
    layer, x = Convolution(3, 2, side, stride).double(), pictures(2, 3, 5, 7)
    found = layer(x)
    rows, columns = places(5, 7, (stride,))
    assert found.shape == (2, 2, rows, columns)
    for b, o, i, j in itertools.product(range(2), range(2), range(rows), range(columns)):
        total = 0.0
        for c, down, across in itertools.product(range(3), range(side), range(side)):
            row, column = i * stride + down - side // 2, j * stride + across - side // 2
            if 0 <= row < 5 and 0 <= column < 7:
                total += layer.weight[o, c, down, across].item() * x[b, c, row, column].item()
        assert found[b, o, i, j].item() == pytest.approx(total)


def test_channels_last_changes_no_number_and_no_gradient_layout() -> None:
    layer, x = Convolution(4, 6, 3), torch.randn(2, 4, 8, 8)
    plain = nn.functional.conv2d(x, layer.weight, padding=1)
    found = layer(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, plain)
    found.square().sum().backward()
    assert layer.weight.is_contiguous()
    assert layer.weight.grad is not None and layer.weight.grad.is_contiguous()


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (7, 1), (8, 1), (16, 2), (48, 6), (20, 2), (64, 8), (9, 1)])
def test_groups_are_of_one_size_and_of_eight_or_more(channels: int, groups: int) -> None:
    assert group_norm(channels).num_groups == groups


def test_a_block_whose_weights_are_zero_hands_on_what_it_reads() -> None:
    block, x = ResidualBlock(5, 5).double(), pictures(2, 5, 4, 6)
    nn.init.zeros_(block.second.weight)
    torch.testing.assert_close(block(x), x)


def test_a_block_is_its_formula() -> None:
    torch.manual_seed(2)
    block, x = ResidualBlock(4, 6, stride=2).double(), pictures(2, 4, 5, 5)
    for norm in (block.first_norm, block.second_norm):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    active = torch.relu(block.first_norm(x))
    conv = nn.functional.conv2d
    update = conv(active, block.first.weight, stride=2, padding=1)
    update = conv(torch.relu(block.second_norm(update)), block.second.weight, padding=1)
    assert block.shortcut is not None
    torch.testing.assert_close(block(x), conv(active, block.shortcut.weight, stride=2) + update)


@pytest.mark.parametrize("strides", [(1,), (1, 2), (1, 2, 2), (2, 1, 2)])
def test_the_map_has_the_places_that_are_foretold(strides: tuple[int, ...]) -> None:
    for height, width in ((7, 5), (8, 8), (1, 3)):
        network = ResidualNetwork(3, (8, 9, 10)[: len(strides)], strides, 2).double()
        assert tuple(network(pictures(1, 3, height, width)).shape[2:]) == places(height, width, strides)


def test_other_pictures_of_a_batch_are_invisible() -> None:
    """In training as in use: this is why the norm is GroupNorm."""
    network, x = ResidualNetwork(3, (8, 16), (1, 2), 1).double(), pictures(5, 3, 6, 6)
    network.train()
    together = network(x)
    for b in range(5):
        torch.testing.assert_close(network(x[b : b + 1])[0], together[b])
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(network(x)[2].sum(), x)
    assert [bool(row.any()) for row in gradient] == [False, False, True, False, False]
    assert not list(network.buffers())


def test_a_gradient_reaches_every_weight() -> None:
    network = ResidualNetwork(1, (8, 16), (1, 2), 2)
    network(torch.randn(3, 1, 8, 8)).square().sum().backward()
    assert all(each.grad is not None and bool(each.grad.any()) for each in network.parameters())
