from typing import Any

import pytest

from seq2see.config.masked import MaskedSettings
from seq2see.config.toml import merged
from seq2see.data.plain_text import TextSurvey
from seq2see.errors import InputError
from seq2see.tasks.masked_choices import choose_masked


def survey(characters: int) -> TextSurvey:
    return TextSurvey(characters, characters, characters // 30, characters // 5, 70, "0" * 64)


def chosen(characters: int = 1_000_000, model: str | None = None, **given: Any) -> MaskedSettings:
    return choose_masked(survey(characters), given, model=model).settings


@pytest.mark.parametrize(
    ("characters", "name", "vocabulary", "length", "batch"),
    [
        (200, "bert-tiny", 2_000, 8, 512),
        (20_000, "bert-tiny", 2_000, 128, 512),
        (500_000, "bert-tiny", 4_000, 128, 2_048),
        (5_000_000, "bert-tiny", 8_000, 128, 2_048),
        (50_000_000, "bert-small", 16_000, 128, 2_048),
    ],
)
def test_what_follows_from_the_length(characters: int, name: str, vocabulary: int, length: int, batch: int) -> None:
    found = chosen(characters)
    assert (found.model.name, found.text.kind, found.text.vocabulary) == (name, "bpe", vocabulary)
    assert (found.window.length, found.training.batch_tokens) == (length, batch)
    assert found.masking.passes == 7
    assert found.training.minutes is not None


def test_each_choice_has_its_reason_and_what_is_given_has_none() -> None:
    reasons = choose_masked(survey(1_000), {}, model=None).reasons
    assert [reason.split(":")[0] for reason in reasons] == ["model", "pieces", "budget"]
    given = {"text": {"kind": "byte"}, "training": {"steps": 3}}
    assert choose_masked(survey(1_000), given, model="bert-small").reasons == ()


def test_what_is_given_wins() -> None:
    given = {"model": {"encoder": {"width": 256}}, "window": {"length": 7}, "masking": {"share": 0.3}}
    found = choose_masked(survey(1_000_000), given, model="bert-tiny").settings
    assert (found.model.encoder.width, found.window.length, found.masking.passes) == (256, 7, 3)
    assert found.training.learning_rate == pytest.approx(0.004)


def test_a_model_of_ones_own() -> None:
    given = {"model": {"name": "mine", "encoder": {"kind": "recurrent", "cell": "gru", "width": 12}}}
    found = choose_masked(survey(1_000_000), given, model=None).settings
    assert (found.model.name, found.model.encoder.kind, found.training.learning_rate) == ("mine", "recurrent", 0.004)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        ("bert-tny", {}, 'did you mean "bert-tiny"'),
        ("bert-tiny", {"model": {"name": "bert-small"}}, "leave one of the two out"),
        (None, {"model": {"name": 3}}, "model.name: 3 is no text"),
        (None, {"text": {"kind": "word"}}, 'choose "bpe"'),
        (None, {"text": {"dropout": 0.1}}, "a text is cut once"),
        (None, {"training": {"consistency": "r-drop"}}, "for pairs of text, not for masked"),
        (None, {"masking": {"masked": 0.8, "replaced": 0.3}}, "more than all of them"),
        (None, {"masking": {"share": 0.6}}, "masking.share"),
        (None, {"masking": {"share": 0.0}}, "masking.share"),
        (None, {"model": {"encoder": {"causal": True}}}, "reads one side alone"),
        (
            None,
            {"model": {"name": "mine", "encoder": {"kind": "recurrent", "bidirectional": False}}},
            "bidirectional = false reads one side alone",
        ),
        (None, {"window": {"length": 2000}, "model": {"encoder": {"position": "learned"}}}, "1024 learned"),
        (None, {"model": {"encoder": {"width": 12}}}, "rotary positions turn pairs"),
        (None, {"window": {"lenght": 3}}, "did you mean length"),
        (None, {"search": {"beam": 3}}, "search: no such setting"),
    ],
)
def test_what_cannot_be(model: str | None, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_masked(survey(1_000_000), merged({}, given), model=model)
