"""The blocks against torch's own layers; step by step against at once."""

import pytest
import torch
from torch import nn

from seq2see.nn.attention import MultiHeadAttention, lower_triangle
from seq2see.nn.position import RotaryPosition
from seq2see.nn.transformer import AddNorm, DecoderBlock, EncoderBlock, FeedForward

B, S, T, D, H, F = 2, 5, 3, 6, 3, 7
VALID_BS = torch.arange(S) < torch.tensor([[5], [3]])


def scramble(module: nn.Module) -> None:
    """No norm is an identity and no bias is zero, so that nothing can be left out unseen."""
    torch.manual_seed(19)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)


def copy_attention(own: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    theirs.in_proj_weight.copy_(torch.cat((own.query.weight, own.key.weight, own.value.weight)))
    theirs.in_proj_bias.zero_()
    theirs.out_proj.weight.copy_(own.output.weight)
    theirs.out_proj.bias.zero_()


def copy_rest(feed_forward: FeedForward, norms: list[AddNorm], theirs: nn.Module) -> None:
    theirs.linear1.load_state_dict(feed_forward.inner.state_dict())
    theirs.linear2.load_state_dict(feed_forward.outer.state_dict())
    for index, around in enumerate(norms, start=1):
        getattr(theirs, f"norm{index}").load_state_dict(around.norm.state_dict())


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_encoder_block_is_torchs_layer(norm: str) -> None:
    own = EncoderBlock(D, H, F, norm, 0.0).double()
    scramble(own)
    theirs = nn.TransformerEncoderLayer(D, H, F, 0.0, batch_first=True, norm_first=norm == "pre").double()
    with torch.no_grad():
        copy_attention(own.attention.multihead, theirs.self_attn)
        copy_rest(own.feed_forward, [own.around_attention, own.around_feed_forward], theirs)
    x_BSD = torch.randn(B, S, D, dtype=torch.float64)
    y_BSD, weights_BHSS = own(x_BSD, VALID_BS.unsqueeze(1), want_weights=True)
    expected = theirs(x_BSD, src_key_padding_mask=~VALID_BS)
    torch.testing.assert_close(y_BSD[VALID_BS], expected[VALID_BS])
    assert weights_BHSS.shape == (B, H, S, S)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_decoder_block_is_torchs_layer(norm: str) -> None:
    own = DecoderBlock(D, D, H, F, norm, 0.0).double()
    scramble(own)
    theirs = nn.TransformerDecoderLayer(D, H, F, 0.0, batch_first=True, norm_first=norm == "pre").double()
    with torch.no_grad():
        copy_attention(own.attention.multihead, theirs.self_attn)
        copy_attention(own.cross, theirs.multihead_attn)
        copy_rest(own.feed_forward, [own.around_attention, own.around_cross, own.around_feed_forward], theirs)
    x_BTD = torch.randn(B, T, D, dtype=torch.float64)
    memory_BSD = torch.randn(B, S, D, dtype=torch.float64)
    y_BTD, _, own_weights, cross_weights = own(
        x_BTD, own.cross.project(memory_BSD), VALID_BS.unsqueeze(1), want_weights=True
    )
    future = ~lower_triangle(T, torch.device("cpu"))[0]
    expected = theirs(x_BTD, memory_BSD, tgt_mask=future, memory_key_padding_mask=~VALID_BS)
    torch.testing.assert_close(y_BTD, expected)
    assert own_weights.shape == (B, H, T, T) and cross_weights.shape == (B, H, T, S)


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("memory_width", [None, D])
def test_decoder_block_step_by_step(memory_width: int | None, rotary: bool) -> None:
    block = DecoderBlock(D, memory_width, H, F, "pre", 0.0).double()
    scramble(block)
    x_BTD = torch.randn(B, T, D, dtype=torch.float64)
    memory, allowed = None, None
    if memory_width:
        memory = block.cross.project(torch.randn(B, S, D, dtype=torch.float64))
        allowed = VALID_BS.unsqueeze(1)
    rotate = RotaryPosition(D // H)
    whole, _, own, cross = block(
        x_BTD, memory, allowed, rotation=rotate(x_BTD)[1] if rotary else None, want_weights=True
    )
    past = block(x_BTD[:, :0], memory, allowed)[1]
    for t in range(T):
        now = x_BTD[:, t : t + 1]
        rotation = rotate(now, t)[1] if rotary else None
        y, past, own_now, cross_now = block(now, memory, allowed, rotation=rotation, past=past, want_weights=True)
        torch.testing.assert_close(y, whole[:, t : t + 1])
        torch.testing.assert_close(own_now, own[:, :, t : t + 1, : t + 1])
        assert (cross_now is None) == (cross is None)
        if cross is not None:
            torch.testing.assert_close(cross_now, cross[:, :, t : t + 1])


def test_feed_forward_by_hand() -> None:
    network = FeedForward(1, 2)
    with torch.no_grad():
        network.inner.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        network.inner.bias.copy_(torch.tensor([0.0, 1.0]))
        network.outer.weight.copy_(torch.tensor([[10.0, 100.0]]))
        network.outer.bias.copy_(torch.tensor([5.0]))
    assert network(torch.tensor([[2.0], [-2.0]])).tolist() == [[25.0], [305.0]]


def test_dropout_falls_on_the_update_not_on_the_stream() -> None:
    x = torch.randn(100, 4)
    around = AddNorm(4, "pre", 0.5)
    sums = around.after(x, torch.ones(100, 4)) - x
    assert set(sums.round().flatten().tolist()) == {0.0, 2.0}
