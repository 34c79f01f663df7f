"""Sentences with a label for each token, side by side as a tagger takes them; each different word stands there once.

Shapes: B sentences · S tokens · U different words · T letters of a word · I n-grams of all words end to end ·
R words of a table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from seq2see.data.batch import Batch
from seq2see.data.batching import Batches
from seq2see.text.spelling import Spelled


@dataclass(frozen=True, eq=False)
class Words:
    """Different words, those with few letters first.

    word_U: the number of each (int64).
    letters_UT: its letters, filled up with 0; letter_valid_UT is True where there is one.
    ngrams_I: the n-grams of all words; those of a word begin at starts_U.
    """

    word_U: Tensor
    letters_UT: Tensor
    letter_valid_UT: Tensor
    ngrams_I: Tensor
    starts_U: Tensor

    def to(self, device: torch.device) -> "Words":
        parts = (self.word_U, self.letters_UT, self.letter_valid_UT, self.ngrams_I, self.starts_U)
        return Words(*(part.to(device) for part in parts))


class WordTable:
    """What a model sees of many words, to take some of them from."""

    def __init__(self, spelled: Sequence[Spelled]) -> None:
        self._word_R = torch.tensor([each.word for each in spelled], dtype=torch.long)
        self._letters = _Ragged.of([each.letters for each in spelled])
        self._ngrams = _Ragged.of([each.ngrams for each in spelled])

    def __len__(self) -> int:
        return len(self._word_R)

    def side_by_side(self, words_BS: Tensor, valid_BS: Tensor) -> tuple[Words, Tensor]:
        """The different words of some sentences, and for each token the place of its word there (0 at padding)."""
        chosen_U, place_N = torch.unique(words_BS[valid_BS], return_inverse=True)
        order_U = self._letters.lengths_R[chosen_U].argsort(stable=True)
        index_BS = torch.zeros_like(words_BS)
        index_BS[valid_BS] = order_U.argsort()[place_N]
        return self._taken(chosen_U[order_U]), index_BS

    def _taken(self, chosen_U: Tensor) -> Words:
        lengths_U = self._letters.lengths_R[chosen_U]
        width = int(lengths_U.max()) if len(chosen_U) else 0
        letter_valid_UT = torch.arange(width) < lengths_U[:, None]
        letters_UT = torch.zeros(len(chosen_U), width, dtype=torch.long)
        letters_UT[letter_valid_UT] = self._letters.take(chosen_U)
        counts_U = self._ngrams.lengths_R[chosen_U]
        return Words(
            word_U=self._word_R[chosen_U],
            letters_UT=letters_UT,
            letter_valid_UT=letter_valid_UT,
            ngrams_I=self._ngrams.take(chosen_U),
            starts_U=counts_U.cumsum(0) - counts_U,
        )


@dataclass(frozen=True, eq=False)
class _Ragged:
    """Sequences end to end."""

    ids_I: Tensor
    starts_R: Tensor
    lengths_R: Tensor

    @staticmethod
    def of(sequences: Sequence[Sequence[int]]) -> "_Ragged":
        lengths_R = torch.tensor([len(each) for each in sequences], dtype=torch.long)
        ids_I = torch.tensor(list(chain.from_iterable(sequences)), dtype=torch.int32)
        return _Ragged(ids_I, lengths_R.cumsum(0) - lengths_R, lengths_R)

    def take(self, chosen_U: Tensor) -> Tensor:
        """The ids of the chosen sequences, end to end (int64)."""
        lengths_U = self.lengths_R[chosen_U]
        shift_U = self.starts_R[chosen_U] - (lengths_U.cumsum(0) - lengths_U)
        places_N = torch.arange(int(lengths_U.sum())) + shift_U.repeat_interleave(lengths_U)
        return self.ids_I[places_N].long()


@dataclass(frozen=True, eq=False)
class TagBatch:
    """Some sentences of a corpus.

    rows_B: their numbers in the corpus.
    index_BS: which of ``words`` each token is; valid_BS is True where there is a token.
    gold_BS: the number of its label.
    tokens: how many positions of ``valid_BS`` are True.
    """

    rows_B: Tensor
    words: Words
    index_BS: Tensor
    valid_BS: Tensor
    gold_BS: Tensor
    tokens: int

    @staticmethod
    def of(batch: Batch, table: WordTable) -> "TagBatch":
        """From pairs of word numbers and label numbers: without the <eos> that a pair has on either side."""
        valid_BS = batch.source_valid_BS[:, 1:]
        words, index_BS = table.side_by_side(batch.source_BS[:, :-1], valid_BS)
        gold_BS = torch.where(valid_BS, batch.gold_BT[:, :-1], 0)
        return TagBatch(batch.rows_B, words, index_BS, valid_BS, gold_BS, int(valid_BS.sum()))

    def __len__(self) -> int:
        return len(self.rows_B)

    @property
    def padding_share(self) -> float:
        """The part of the positions that is padding, 0 to 1."""
        return 1.0 - self.tokens / self.valid_BS.numel()

    def to(self, device: torch.device) -> "TagBatch":
        return TagBatch(
            rows_B=self.rows_B.to(device),
            words=self.words.to(device),
            index_BS=self.index_BS.to(device),
            valid_BS=self.valid_BS.to(device),
            gold_BS=self.gold_BS.to(device),
            tokens=self.tokens,
        )

    def shard(self, rank: int, world: int) -> "TagBatch":
        """Every ``world``-th row from row ``rank`` on; without one, the first row with nothing to say."""
        if rank < len(self):
            return self._part(slice(rank, None, world))
        row = self._part(slice(0, 1))
        return replace(row, valid_BS=torch.zeros_like(row.valid_BS), tokens=0)

    def _part(self, rows: slice) -> "TagBatch":
        valid_BS = self.valid_BS[rows]
        return TagBatch(
            self.rows_B[rows], self.words, self.index_BS[rows], valid_BS, self.gold_BS[rows], int(valid_BS.sum())
        )


@dataclass(frozen=True)
class TagBatches:
    """The batches of pairs of word numbers and label numbers, as a tagger takes them."""

    batches: Batches
    table: WordTable

    def epoch(self, epoch: int, start: int = 0) -> Iterator[TagBatch]:
        """The batches of an epoch from number ``start`` on."""
        return (TagBatch.of(batch, self.table) for batch in self.batches.epoch(epoch, start))

    def count(self, epoch: int) -> int:
        """How many batches the epoch has."""
        return self.batches.count(epoch)
