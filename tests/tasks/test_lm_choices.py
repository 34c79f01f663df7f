from typing import Any

import pytest

from seq2see.config.lm import LmSettings
from seq2see.config.toml import merged
from seq2see.data.plain_text import TextSurvey
from seq2see.errors import InputError
from seq2see.tasks.lm_choices import choose_lm


def survey(characters: int) -> TextSurvey:
    return TextSurvey(characters, characters, characters // 30, characters // 5, 70, "0" * 64)


def chosen(characters: int = 1_000_000, model: str | None = None, **given: Any) -> LmSettings:
    return choose_lm(survey(characters), given, model=model).settings


@pytest.mark.parametrize(
    ("characters", "name", "kind", "length", "batch"),
    [
        (200, "lstm", "char", 8, 512),
        (3_000, "lstm", "char", 64, 512),
        (40_000, "lstm", "char", 128, 1_024),
        (1_000_000, "gpt-tiny", "char", 128, 2_048),
        (50_000_000, "gpt-small", "bpe", 256, 2_048),
    ],
)
def test_what_follows_from_the_length(characters: int, name: str, kind: str, length: int, batch: int) -> None:
    found = chosen(characters)
    assert (found.model.name, found.text.kind, found.window.length) == (name, kind, length)
    assert found.training.batch_tokens == batch
    assert found.training.label_smoothing == 0
    assert found.training.minutes is not None


def test_each_choice_has_its_reason_and_what_is_given_has_none() -> None:
    reasons = choose_lm(survey(1_000), {}, model=None).reasons
    assert [reason.split(":")[0] for reason in reasons] == ["model", "pieces", "budget"]
    given = {"text": {"kind": "byte"}, "training": {"steps": 3}}
    assert choose_lm(survey(1_000), given, model="gru").reasons == ()


def test_what_is_given_wins() -> None:
    given = {
        "model": {"decoder": {"width": 77}},
        "window": {"before": 7},
        "search": {"max_length": 9},
        "training": {"epochs": 2.0, "learning_rate": 0.1},
    }
    found = choose_lm(survey(1_000_000), given, model="gru").settings
    assert (found.model.decoder.width, found.window.before, found.window.length) == (77, 7, 128)
    assert (found.search.max_length, found.search.method) == (9, "sample")
    assert (found.training.epochs, found.training.minutes, found.training.learning_rate) == (2.0, None, 0.1)


def test_a_transformer_sees_half_a_window_at_least_and_nothing_before() -> None:
    assert chosen(model="gpt-tiny").evaluation.context == 64
    assert chosen(model="gpt-tiny", window={"length": 40}).evaluation.context == 20
    assert (chosen(model="gpt-tiny").window.before, chosen(model="lstm").window.before) == (0, 64)


def test_a_transformer_gets_muon_and_a_rate_for_its_width() -> None:
    found = [chosen(model=name).training for name in ("gpt-tiny", "gpt-small", "lstm")]
    assert [each.optimiser for each in found] == ["muon", "muon", "adamw"]
    assert [each.learning_rate for each in found] == pytest.approx([0.008, 0.008 / 3, 0.004], abs=1e-6)
    by_hand = chosen(model="gpt-small", training={"optimiser": "adamw"}).training
    assert (by_hand.optimiser, by_hand.learning_rate) == ("adamw", pytest.approx(0.001))


def test_counting_needs_no_budget_but_may_be_given_one() -> None:
    assert chosen(model="markov").training.epochs == 1.0
    assert chosen(model="markov", training={"minutes": 3.0}).training.minutes == 3.0


def test_a_model_of_ones_own() -> None:
    decoder = {"kind": "transformer", "layers": 1, "width": 12, "heads": 2, "feed_forward": 8}
    own = choose_lm(survey(1_000_000), {"model": {"name": "mine", "decoder": decoder}}, model=None).settings
    assert (own.model.name, own.model.decoder.kind, own.window.before) == ("mine", "transformer", 0)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        ("gtp-tiny", {}, 'did you mean "gpt-tiny"'),
        ("lstm", {"model": {"name": "gru"}}, "leave one of the two out"),
        (None, {"model": {"name": 3}}, "model.name: 3 is no text"),
        ("markov", {"model": {"dropout": 0.1}}, "dropout = 0"),
        ("markov", {"model": {"decoder": {"order": 0}}}, "model.decoder.order"),
        ("gpt-tiny", {"window": {"before": 3}}, "window.before is for recurrent models"),
        ("gpt-tiny", {"evaluation": {"context": 128}}, "leaves nothing"),
        ("gpt-tiny", {"window": {"length": 2000}, "model": {"decoder": {"position": "learned"}}}, "1024 learned"),
        ("gpt-tiny", {"model": {"decoder": {"width": 12}}}, "rotary positions turn pairs"),
        ("lstm", {"training": {"consistency": "r-drop"}}, "for pairs of text"),
        ("lstm", {"text": {"dropout": 0.1}}, "a text is cut once"),
        ("lstm", {"data": {"pairs": "x"}}, "data.pairs: no such setting"),
        ("lstm", {"window": {"lenght": 3}}, "did you mean length"),
    ],
)
def test_what_cannot_be(model: str | None, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_lm(survey(1_000_000), merged({}, given), model=model)
