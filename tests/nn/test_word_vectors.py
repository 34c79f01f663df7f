"""Word vectors against plain loops, word by word."""

import pytest
import torch

from seq2see.nn.words import KnownWords, LetterReader, NgramVectors, WordVectors


def reader(cell: str = "lstm") -> LetterReader:
    torch.manual_seed(3)
    return LetterReader(19, 5, cell, 14, 0.0).double().eval()


def words(count: int) -> list[list[int]]:
    """Letters of words, the shortest first."""
    generator = torch.Generator().manual_seed(5)
    lengths = torch.randint(2, 13, (count,), generator=generator).sort().values.tolist()
    return [torch.randint(1, 19, (length,), generator=generator).tolist() for length in lengths]


def padded(letters: list[list[int]], width: int) -> tuple[torch.Tensor, torch.Tensor]:
    valid_UT = torch.arange(width) < torch.tensor([len(word) for word in letters]).unsqueeze(1)
    letters_UT = torch.zeros(len(letters), width, dtype=torch.long)
    letters_UT[valid_UT] = torch.tensor([letter for word in letters for letter in word])
    return letters_UT, valid_UT


def test_ngrams_are_averaged() -> None:
    torch.manual_seed(7)
    ngrams = NgramVectors(11, 6)
    found = ngrams(torch.tensor([3, 0, 3, 7]), torch.tensor([0, 3, 3]))
    table = ngrams.table.weight_VD
    expected = torch.stack([(2 * table[3] + table[0]) / 3, torch.zeros(6), table[7]])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("count", [1, 5, 150])
def test_each_word_is_read_as_if_it_were_alone(cell: str, count: int) -> None:
    """In groups or not, whatever the padding; from both ends, so that the first and the last letter count."""
    module, letters = reader(cell), words(count)
    together = module(*padded(letters, 15))
    for place, word in enumerate(letters):
        alone = module(torch.tensor([word]), torch.ones(1, len(word), dtype=torch.bool))
        torch.testing.assert_close(together[place], alone[0])
    (trace_forwards, trace_backwards), *_ = module.stack.trace(module.embedding(torch.tensor([letters[0]])))
    expected = torch.cat((trace_forwards.hidden_NTD[0, -1], trace_backwards.hidden_NTD[0, 0]))
    torch.testing.assert_close(together[0], expected)


def test_known_words_count_as_unknown_now_and_then() -> None:
    torch.manual_seed(9)
    known = KnownWords(50, 3, unknown=1, word_dropout=0.25)
    word_BS = torch.full((100, 100), 7)
    vectors_BSE = known.train()(word_BS)
    unknown_BS = (vectors_BSE == known.embedding.weight_VD[1]).all(-1)
    kept_BS = (vectors_BSE == known.embedding.weight_VD[7]).all(-1)
    assert bool((unknown_BS ^ kept_BS).all())
    assert float(unknown_BS.double().mean()) == pytest.approx(0.25, abs=0.02)  # over four deviations
    assert 0.1 < float(unknown_BS[0].double().mean()) < 0.4  # each token by itself
    assert bool((known.eval()(word_BS) == known.embedding.weight_VD[7]).all())


def test_parts_stand_side_by_side() -> None:
    torch.manual_seed(11)
    parts = (KnownWords(9, 2, 1, 0.0), NgramVectors(11, 3), LetterReader(19, 5, "gru", 4, 0.0))
    letters = words(4)
    letters_UT, valid_UT = padded(letters, max(map(len, letters)))
    word_U, ngrams_I, starts_U = torch.tensor([2, 8, 1, 3]), torch.tensor([1, 2, 3, 4, 5]), torch.tensor([0, 2, 3, 4])
    index_BS = torch.tensor([[3, 0, 0], [1, 2, 3]])
    given = (word_U, letters_UT, valid_UT, ngrams_I, starts_U)
    whole = WordVectors(*parts)(*given, index_BS)
    expected_UE = torch.cat((parts[0](word_U), parts[1](ngrams_I, starts_U), parts[2](letters_UT, valid_UT)), dim=-1)
    torch.testing.assert_close(whole, expected_UE[index_BS])
    for left_out, slice_E in ((0, slice(2, 9)), (2, slice(0, 5))):
        some = WordVectors(*(None if at == left_out else part for at, part in enumerate(parts)))
        torch.testing.assert_close(some(*given, index_BS), expected_UE[index_BS][..., slice_E])
    only_known = WordVectors(parts[0], None, None)
    torch.testing.assert_close(only_known(*given, index_BS), expected_UE[index_BS][..., :2])
