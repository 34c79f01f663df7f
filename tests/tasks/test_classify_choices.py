"""What is computed for a classifier follows from the data and is said; what is given by hand wins."""

from collections.abc import Iterator
from typing import Any

import pytest

from seq2see.config.classify import ClassifySettings
from seq2see.config.settings import DataSettings
from seq2see.data.survey import survey
from seq2see.data.tally import Pair
from seq2see.errors import InputError
from seq2see.tasks.choice import Choice
from seq2see.tasks.classify_choices import choose


def chosen(
    text: str, count: int, given: dict[str, Any] | None = None, largest: float = 0.5, **more: Any
) -> Choice[ClassifySettings]:
    def pairs() -> Iterator[Pair]:
        for number in range(count):
            yield Pair(f"{text} {number}", "ab"[number % 2], number + 1)

    return choose(survey(pairs(), DataSettings()), largest, given or {}, model=more.get("model"))


SENTENCE = "a film that nobody should see"


def test_few_examples_long_texts_and_many_examples_get_other_models() -> None:
    few, many, long = chosen(SENTENCE, 200), chosen(SENTENCE, 2_000), chosen(SENTENCE * 40, 2_000)
    assert [each.settings.model.name for each in (few, many, long)] == ["bag", "lstm", "cnn"]
    assert [each.settings.model.pooling for each in (few, many, long)] == ["mean", "attention", "max"]
    assert any("bag" in reason for reason in few.reasons)
    assert few.settings.training.epochs == 40.0
    assert many.settings.training.epochs == 40.0
    assert chosen(SENTENCE, 2_001).settings.training.epochs == 20.0
    assert few.settings.training.batch_tokens < many.settings.training.batch_tokens
    assert few.settings.model.encoder.buckets < 65_536  # as many as there can be different runs


def test_short_texts_are_read_by_characters() -> None:
    choice = chosen("kim", 2_000)
    assert choice.settings.text.kind == "char"
    assert choice.settings.text.dropout == 0.0
    assert any("characters" in reason for reason in choice.reasons)


def test_uneven_classes_are_chosen_by_the_mean_of_their_f1() -> None:
    assert chosen(SENTENCE, 50).settings.evaluation.metrics == ("accuracy", "macro_f1")
    uneven = chosen(SENTENCE, 50, largest=0.9)
    assert uneven.settings.evaluation.metrics == ("macro_f1", "accuracy")
    assert any("90%" in reason for reason in uneven.reasons)


def test_what_is_given_wins_and_is_not_explained() -> None:
    given = {
        "model": {"name": "gru", "encoder": {"width": 32}, "pooling": "max"},
        "training": {"steps": 5, "learning_rate": 0.5},
        "text": {"kind": "unigram", "vocabulary": 300},
        "evaluation": {"metrics": ["macro_f1"]},
    }
    choice = chosen(SENTENCE, 2_000, given)
    settings = choice.settings
    assert choice.reasons == ()
    assert (settings.model.name, settings.model.encoder.cell, settings.model.encoder.width) == ("gru", "gru", 32)
    assert (settings.model.pooling, settings.training.steps, settings.training.epochs) == ("max", 5, None)
    assert (settings.text.kind, settings.text.vocabulary, settings.text.dropout) == ("unigram", 300, 0.0)
    assert settings.training.learning_rate == 0.5
    assert settings.evaluation.metrics == ("macro_f1",)


def test_a_model_of_ones_own_is_laid_over_nothing() -> None:
    own = {"name": "mine", "encoder": {"kind": "convolution", "widths": [2]}, "pooling": "attention"}
    settings = chosen(SENTENCE, 50, {"model": own}).settings
    assert settings.model.encoder.widths == (2,)
    assert settings.training.learning_rate == 0.001
    wide = chosen(SENTENCE, 50, {"model": {"encoder": {"width": 256}}}, model="transformer-tiny").settings
    assert wide.training.learning_rate == pytest.approx(0.0005)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": {"name": "lsmt"}}, 'did you mean "lstm"'),
        ({"model": {"name": 5}}, "no text"),
        ({"model": {"name": "bag", "pooling": "last"}}, 'pooling = "last" needs'),
        ({"model": {"name": "lstm", "encoder": {"width": 33}}}, "cannot be shared by two directions"),
        ({"model": {"name": "lstm", "poling": "max"}}, "did you mean pooling"),
        ({"text": {"kind": "unigram", "dropout": 0.1}}, "BPE-dropout"),
        ({"evaluation": {"metrics": ["bleu"]}}, "evaluation.metrics"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen(SENTENCE, 50, given)
