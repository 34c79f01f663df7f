"""The best values of each row: always the same ones, whatever topk does with equals."""

from unittest.mock import patch

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.search import frontier
from seq2see.search.frontier import best


@settings(deadline=None, max_examples=200)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 300) | st.integers(2_000, 3_500),
    levels=st.sampled_from([1, 2, 3, 6, 10**6]),
    forbidden=st.floats(0, 1),
    most=st.integers(1, 12),
    seed=st.integers(0, 10**6),
)
def test_best_is_a_stable_sort(rows, columns, levels, forbidden, most, seed):
    with patch.object(frontier, "largest", lambda values_NV, count: None):  # PyTorch's way, kernels or not
        _is_a_stable_sort(rows, columns, levels, forbidden, most, seed)


def _is_a_stable_sort(rows, columns, levels, forbidden, most, seed):
    generator = torch.Generator().manual_seed(seed)
    values_NV = torch.randint(levels, (rows, columns), generator=generator).float()
    values_NV[torch.rand(rows, columns, generator=generator) < forbidden] = -torch.inf
    values_NC, columns_NC = best(values_NV, most)
    expected, order = values_NV.sort(dim=-1, descending=True, stable=True)
    count = min(most, columns)
    assert torch.equal(values_NC, expected[:, :count])
    assert torch.equal(values_NV.gather(1, columns_NC), values_NC)
    for found, wanted, values in zip(columns_NC.tolist(), order.tolist(), values_NC.tolist(), strict=True):
        usable = [column for column, value in zip(found, values, strict=True) if value > -torch.inf]
        assert usable == wanted[: len(usable)]
