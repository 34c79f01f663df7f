"""Small tokenisers of each kind."""

import pytest
from text_samples import SENTENCES

from seq2see.config.settings import TextSettings
from seq2see.text.tokeniser import Tokeniser


@pytest.fixture(scope="session", params=["char", "byte", "bpe", "unigram"])
def reversible(request: pytest.FixtureRequest) -> Tokeniser:
    return Tokeniser.train(SENTENCES, TextSettings(kind=request.param, vocabulary=420))


@pytest.fixture(scope="session")
def bpe() -> Tokeniser:
    return Tokeniser.train(SENTENCES, TextSettings(kind="bpe", vocabulary=420, dropout=0.1))


@pytest.fixture(scope="session")
def word() -> Tokeniser:
    return Tokeniser.train(SENTENCES, TextSettings(kind="word", vocabulary=40))
