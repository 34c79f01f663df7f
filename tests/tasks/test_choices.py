"""What a person sets wins over what is computed, and only what is computed is given a reason."""

from dataclasses import replace
from pathlib import Path

import pytest

from seq2see.config.settings import DataSettings, RecurrentDecoder, TextSettings, TransformerEncoder
from seq2see.data.survey import Survey
from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.tasks.choices import choose
from seq2see.tasks.corpus import open_corpus, surveyed
from seq2see.tasks.request import TrainRequest
from small_task import reversed_pairs, write_pairs

OWN = {"name": "mine", "encoder": {"kind": "transformer"}, "decoder": {"kind": "recurrent", "attention": "additive"}}


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    pairs = [(f"{source} and so on, at some length", target) for source, target in reversed_pairs(50)]
    file = write_pairs(tmp_path / "pairs.tsv", pairs)
    return surveyed(open_corpus(DataSettings(pairs=str(file))), Tally())[1]


def test_a_model_of_ones_own_needs_no_preset(survey: Survey) -> None:
    model = choose(survey, {"model": OWN}, model=None).settings.model
    assert (model.name, model.dropout) == ("mine", 0.1)
    assert model.encoder == TransformerEncoder()
    assert model.decoder == RecurrentDecoder(attention="additive")


def test_half_a_model_needs_a_preset(survey: Survey) -> None:
    with pytest.raises(InputError, match='"mine"'):
        choose(survey, {"model": {**OWN, "decoder": {"width": 64}}}, model=None)


def test_a_model_is_named_once(survey: Survey) -> None:
    """--model beside a configuration that names another: neither may win unsaid."""
    with pytest.raises(InputError, match=r"--model gru.*lstm-attention"):
        choose(survey, {"model": {"name": "lstm-attention"}}, model="gru")
    settings = choose(survey, {"model": {"name": "gru"}}, model="gru").settings
    assert settings.model.name == "gru"
    assert isinstance(settings.model.decoder, RecurrentDecoder)
    assert settings.model.decoder.cell == "gru"


def test_a_transformer_gets_the_rate_of_transformers(survey: Survey) -> None:
    own = {"name": "mine", "encoder": {"kind": "embedding"}, "decoder": {"kind": "transformer"}}
    rates = [
        choose(survey, {"model": model}, model=None).settings.training.learning_rate
        for model in (own, {"name": "transformer-tiny"}, {"name": "lstm"}, OWN)
    ]
    assert rates[0] == rates[1] != rates[2] == rates[3]


def test_reasons_are_given_for_what_was_computed_alone(survey: Survey) -> None:
    computed = choose(survey, {}, model=None).reasons
    assert [reason.partition(":")[0] for reason in computed] == ["pieces", "model", "budget", "score"]
    by_hand = {
        "text": {"kind": "word"},
        "model": {"name": "lstm"},
        "training": {"steps": 3},
        "evaluation": {"metrics": ["wer"]},
    }
    assert choose(survey, by_hand, model=None).reasons == ()


def test_the_reason_for_the_pieces_says_what_is_taken(survey: Survey) -> None:
    pieces = choose(survey, {"text": {"vocabulary": 321, "joint": False}}, model=None).reasons[0]
    assert "321" in pieces
    assert "each side" in pieces


@pytest.mark.parametrize("name", ["[1]", "5", "true"])
def test_a_name_that_is_no_text(survey: Survey, name: str) -> None:
    given = TrainRequest(assignments=(f"model.name={name}",)).given()
    with pytest.raises(InputError, match=r"model\.name"):
        choose(survey, given, model=None)


@pytest.mark.parametrize("section", ["data", "text", "model", "training", "search", "evaluation"])
def test_a_section_is_no_value(section: str) -> None:
    with pytest.raises(InputError, match=f"{section} = 5"):
        TrainRequest(assignments=(f"{section}=5",), steps=1).given()


def of_size(survey: Survey, pairs: int) -> Survey:
    return replace(survey, pairs=pairs)


def test_small_corpora_get_small_batches_and_large_ones_larger_models(survey: Survey) -> None:
    sizes = (100, 3_000, 30_000, 1_000_000)
    chosen = [choose(of_size(survey, pairs), {}, model=None).settings for pairs in sizes]
    tokens = [each.training.batch_tokens for each in chosen]
    assert tokens == sorted(tokens)
    assert (tokens[0], tokens[-1]) == (512, 4_096)
    assert [each.model.name for each in chosen] == [
        "lstm-attention",
        "lstm-attention",
        "transformer-tiny",
        "transformer-small",
    ]
    assert [each.training.minutes for each in chosen] == sorted(each.training.minutes or 0 for each in chosen)
    assert (
        choose(of_size(survey, 100), {"training": {"batch_tokens": 9}}, model=None).settings.training.batch_tokens == 9
    )


def test_the_rate_of_a_transformer_falls_with_its_width(survey: Survey) -> None:
    def rate(name: str, **decoder: int) -> float:
        given = {"model": {"name": name, "decoder": decoder}} if decoder else {"model": {"name": name}}
        return choose(survey, given, model=None).settings.training.learning_rate

    assert rate("transformer-base") == pytest.approx(rate("transformer-tiny") / 4)
    assert rate("transformer-big") == pytest.approx(rate("transformer-base") / 2)
    assert rate("transformer-tiny", width=256, heads=4) == rate("transformer-small")
    assert rate("transformer-tiny", width=64, heads=4) == rate("transformer-tiny")


@pytest.mark.parametrize("kind", ["word", "byte", "char", "unigram"])
def test_a_kind_of_pieces_set_by_hand_is_not_bounded_by_what_bpe_would_get(survey: Survey, kind: str) -> None:
    assert choose(survey, {}, model=None).settings.text.vocabulary == 2_000
    assert choose(survey, {"text": {"kind": kind}}, model=None).settings.text.vocabulary == TextSettings().vocabulary
