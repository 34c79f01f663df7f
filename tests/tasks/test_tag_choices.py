"""What follows from the data, what is said of it, and that whatever a person sets wins."""

import pytest

from seq2see.errors import InputError
from seq2see.tasks.tag_choices import Found, choose

WORDS = ["cat", "hat"]


def found(tokens: int = 100_000, labels: tuple[str, ...] = ("NOUN", "VERB")) -> Found:
    return Found(tokens, WORDS, labels)


def test_defaults() -> None:
    choice = choose(found(), {}, model=None)
    settings = choice.settings
    assert settings.model.name == "bilstm" and not settings.model.streams
    assert settings.training.minutes == 7
    assert settings.training.batch_tokens == 512
    assert settings.evaluation.metric == "token_accuracy"
    # <ca cat at> ha hat, with 2 to 5 characters: <c ca at t> <h ha, <ca cat at> <ha hat, <cat cat> <hat hat>, whole
    assert settings.text.buckets == 32
    assert any(reason.startswith("n-grams: 17 of 2 to 5") for reason in choice.reasons)
    assert any("--model lstm" in reason for reason in choice.reasons)
    assert any("7 minutes" in reason for reason in choice.reasons)


@pytest.mark.parametrize(("tokens", "minutes", "batch"), [(10, 2, 256), (300_000, 22, 2_048), (10**8, 60, 2_048)])
def test_size_decides(tokens: int, minutes: float, batch: int) -> None:
    training = choose(found(tokens), {}, model=None).settings.training
    assert (training.minutes, training.batch_tokens) == (minutes, batch)


def test_spans_are_scored_as_spans() -> None:
    choice = choose(found(labels=("O", "B-x", "I-x")), {}, model=None)
    assert choice.settings.evaluation.metric == "span_f1"
    assert any("spans" in reason for reason in choice.reasons)
    tokens = choose(found(labels=("O", "B-x")), {"evaluation": {"metric": "token_accuracy"}}, model=None)
    assert tokens.settings.evaluation.metric == "token_accuracy"


def test_what_is_given_wins() -> None:
    given = {
        "text": {"buckets": 77},
        "model": {"encoder": {"width": 20}, "words": {"word": 9}},
        "training": {"steps": 3, "batch_tokens": 11, "ema": 0.0},
    }
    choice = choose(found(), given, model="lstm")
    settings = choice.settings
    assert settings.model.streams
    assert (settings.text.buckets, settings.model.encoder.width, settings.model.words.word) == (77, 20, 9)
    assert (settings.training.steps, settings.training.minutes) == (3, None)
    assert (settings.training.batch_tokens, settings.training.ema) == (11, 0.0)
    assert choice.reasons == ()


def test_transformers_have_their_own_recipe() -> None:
    rates = {
        name: choose(found(), {}, model=name).settings.training.learning_rate for name in ("bigru", "transformer-tiny")
    }
    assert rates["transformer-tiny"] < rates["bigru"]
    own = {"model": {"name": "mine", "encoder": {"kind": "transformer", "layers": 1}}}
    settings = choose(found(), own, model=None).settings
    assert settings.training.learning_rate == rates["transformer-tiny"]
    assert settings.model.encoder.layers == 1


@pytest.mark.parametrize(
    ("given", "model", "said"),
    [
        ({}, "bilst", 'did you mean "bilstm"'),
        ({"model": {"name": "lstm"}}, "gru", "--model gru"),
        ({"model": {"name": 3}}, None, "no text"),
        ({"model": {"encoder": {"width": 13}}}, None, "two directions"),
        ({"model": {"words": {"word": 0, "ngram": 0, "letters": 0}}}, None, "nothing of a word"),
        ({"model": {"words": {"letters": 7}}}, None, "even width"),
        ({"model": {"encoder": {"kind": "embedding"}}}, None, "model.encoder"),
        ({"text": {"ngrams": [0, 3]}}, None, "text.ngrams"),
    ],
)
def test_settings_that_do_not_fit(given: dict[str, object], model: str | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        choose(found(), given, model=model)
