"""Vectors of words that know their letters: a learned vector, n-grams, and what is read letter by letter, side by side.

B sentences · S tokens · U different words · T letters of a word · I n-grams end to end · E width of a part or of the
whole · V rows of a table · L layers · D width.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2see.config.settings import Cell
from seq2see.nn.dropout import Dropout
from seq2see.nn.embedding import Embedding, token_weights
from seq2see.nn.recurrent import RecurrentStack, padded

_PARTS = 4  # groups of words that are padded by themselves
_LEAST = 32  # words worth a group


class NgramVectors(nn.Module):
    """The mean of the vectors of a word's n-grams (Bojanowski et al. 2017, section 3.2); zero for a word without."""

    def __init__(self, buckets: int, width: int) -> None:
        super().__init__()
        self.table = Embedding(token_weights(buckets, width), scaled=False)

    def forward(self, ngrams_I: Tensor, starts_U: Tensor) -> Tensor:
        """``[U, E]``; the n-grams of word u begin at ``starts_U[u]``."""
        vectors_UE: Tensor = F.embedding_bag(ngrams_I, self.table.weight_VD, starts_U, mode="mean")
        return vectors_UE


class LetterReader(nn.Module):
    """The final states of a network that reads a word from both ends (Ling et al. 2015, section 3)."""

    def __init__(self, letters: int, letter_width: int, cell: Cell, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = Embedding(token_weights(letters, letter_width), scaled=False)
        self.dropout = Dropout(dropout)
        self.stack = RecurrentStack(cell, letter_width, width, 1, 0.0, bidirectional=True)

    def forward(self, letters_UT: Tensor, valid_UT: Tensor) -> Tensor:
        """``[U, E]``. Words stand in the order of their lengths, so that some neighbours need little padding."""
        if letters_UT.device.type != "cpu" or len(letters_UT) < 2 * _LEAST:
            return self._read(letters_UT, valid_UT)
        size = max(_LEAST, -(-len(letters_UT) // _PARTS))
        parts = []
        for letters, valid in zip(torch.split(letters_UT, size), torch.split(valid_UT, size), strict=True):
            longest = int(valid.sum(1).max())
            parts.append(self._read(letters[:, :longest], valid[:, :longest]))
        return torch.cat(parts)

    def _read(self, letters_UT: Tensor, valid_UT: Tensor) -> Tensor:
        _, final = self.stack(self.dropout(self.embedding(letters_UT)), None, padded(valid_UT))
        return cast(Tensor, final.hidden_LND[-1])


class KnownWords(nn.Module):
    """A vector for each known word; ``unknown`` is the number of all others.

    While training a known word counts as unknown with probability ``word_dropout``, so that the vector of unknown
    words is trained, and the other parts learn to do without the word (Iyyer et al. 2015, section 2.3).
    """

    def __init__(self, words: int, width: int, unknown: int, word_dropout: float) -> None:
        super().__init__()
        self.embedding = Embedding(token_weights(words, width), scaled=False)
        self.unknown = unknown
        self.word_dropout = word_dropout

    def forward(self, word_BS: Tensor) -> Tensor:
        """``[B, S, E]``."""
        if self.training and self.word_dropout:
            dropped_BS = torch.rand(word_BS.shape, device=word_BS.device) < self.word_dropout
            word_BS = word_BS.masked_fill(dropped_BS, self.unknown)
        vectors_BSE: Tensor = self.embedding(word_BS)
        return vectors_BSE


class WordVectors(nn.Module):
    """The parts side by side; a part that is None is left out."""

    def __init__(self, known: KnownWords | None, ngrams: NgramVectors | None, letters: LetterReader | None) -> None:
        super().__init__()
        self.known = known
        self.ngrams = ngrams
        self.letters = letters

    def forward(
        self,
        word_U: Tensor,
        letters_UT: Tensor,
        letter_valid_UT: Tensor,
        ngrams_I: Tensor,
        starts_U: Tensor,
        index_BS: Tensor,
    ) -> Tensor:
        """``[B, S, E]``: the vector of the word that ``index_BS`` names at each token.

        What depends on the letters alone is computed once for each different word.
        """
        parts = [self.known(word_U[index_BS])] if self.known is not None else []
        spelled = [self.ngrams(ngrams_I, starts_U)] if self.ngrams is not None else []
        if self.letters is not None:
            spelled.append(self.letters(letters_UT, letter_valid_UT))
        if spelled:
            spelled_UE = torch.cat(spelled, dim=-1)
            parts.append(F.embedding(index_BS, spelled_UE))
        return torch.cat(parts, dim=-1)
