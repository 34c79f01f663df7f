"""The checker finds lies, and the models tell none."""

import pytest
import torch
from architectures import PAIRS, data, make
from shape_names import NameLies, checked


def wrong_rank() -> None:
    query_BTD = torch.zeros(2, 3)
    del query_BTD


def one_letter_two_sizes(query_BTD: torch.Tensor) -> None:
    key_BSD = torch.zeros(2, 5, 7)
    del key_BSD


def lies_for_a_moment() -> torch.Tensor:
    hidden_ND = torch.zeros(2, 3)
    hidden_ND = hidden_ND.unsqueeze(1)
    hidden_ND = hidden_ND.squeeze(1)
    return hidden_ND  # noqa: RET504


def wrong_digit() -> None:
    row_1D = torch.zeros(2, 3)
    del row_1D


def honest(allowed_BTS: torch.Tensor) -> None:
    query_BTD, key_BSD = torch.zeros(2, 3, 4), torch.zeros(2, 5, 4)
    del query_BTD, key_BSD


@pytest.mark.parametrize(
    "liar",
    [wrong_rank, lambda: one_letter_two_sizes(torch.zeros(2, 3, 4)), lies_for_a_moment, wrong_digit],
)
def test_lies_are_found(liar) -> None:
    with pytest.raises(NameLies), checked(__name__):
        liar()


def test_honest_names_and_broadcast_masks_pass() -> None:
    with checked(__name__) as checker:
        honest(torch.ones(2, 1, 5, dtype=torch.bool))
    assert {name for _, name in checker.seen} == {"allowed_BTS", "query_BTD", "key_BSD"}
    with pytest.raises(NameLies), checked(__name__):
        honest(torch.ones(2, 1, 5))


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_names_in_the_models_do_not_lie(encoder: str, decoder: str) -> None:
    model = make(encoder, decoder)
    source_BS, valid_BS, input_BT = data()
    with torch.no_grad(), checked() as checker:
        memory = model.encode(source_BS, valid_BS, want_weights=True)
        model(source_BS, valid_BS, input_BT)
        model.decoder(input_BT, memory, input_BT > 4, want_weights=True)
        state = model.decoder.start(memory)
        _, state, _ = model.decoder.step(input_BT[:, 0], state, want_weights=True)
        state = state.take(torch.tensor([[2, 2], [0, 0]]))
        model.decoder.step(torch.tensor([5, 6, 7, 8]), state, want_weights=True)
        if encoder in ("bilstm-2", "lstm"):
            model.encoder.trace(source_BS, valid_BS)
    assert len(checker.seen) > 40
