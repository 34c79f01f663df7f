"""A record says of an answer what the model itself says: step by step, over the whole, and by plain arithmetic."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from seq2see.config.settings import SearchSettings
from seq2see.errors import InputError
from seq2see.tasks.catalogue import load
from seq2see.tasks.prediction import decode
from seq2see.tasks.reporting import silent
from seq2see.tasks.training import train
from seq2see.tasks.translation import TranslationRun as Run
from seq2see.text.tokeniser import EOS
from small_task import Command, reversed_pairs, write_pairs

TINY = {"model.encoder.width": 16, "model.decoder.width": 16, "training.precision": "float32"}
LAYERED = {
    **TINY,
    **{f"model.{side}.{name}": 2 for side in ("encoder", "decoder") for name in ("layers", "heads")},
    "model.encoder.feed_forward": 16,
    "model.decoder.feed_forward": 16,
    "text.kind": "word",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    folder = tmp_path_factory.mktemp("seeing")
    data = write_pairs(folder / "p.tsv", reversed_pairs(60))

    def make(model: str, **settings: object) -> Run:
        return train(data, model=model, settings=settings, steps=2, out=folder / model, reporter=silent())

    return make


@pytest.fixture(scope="module")
def layered(made: Callable[..., Run]) -> Run:
    return made("transformer-tiny", **LAYERED)


@pytest.fixture(scope="module")
def blind(made: Callable[..., Run]) -> Run:
    return made("lstm", **TINY)


def test_the_record_is_what_the_search_saw(trained: Path) -> None:
    run = load(trained)
    search = SearchSettings(beam=3)
    record = run.see("one two three", search=search).record
    source = run.tokenisers.source.encode("one two three").ids
    best = decode(run.translator(), [source], search, want_weights=True)[0][0]
    assert record.score == pytest.approx(best.score, abs=1e-5)
    assert record.log_probs == pytest.approx(best.log_probs, abs=1e-4)
    assert best.weights_TLHS is not None
    found_LHTS = torch.tensor(record.attention["cross"])
    torch.testing.assert_close(found_LHTS, best.weights_TLHS.permute(1, 2, 0, 3).float(), atol=1e-4, rtol=1e-3)


def test_a_given_target_is_scored_as_the_search_would(trained: Path) -> None:
    run = load(trained)
    search = SearchSettings(beam=3, length_penalty=0.3)
    record = run.see("one two three", target="eight one", search=search).record
    assert record.given
    assert record.target.pieces[-1] == "<eos>"
    total = math.fsum(record.log_probs)
    assert record.score == pytest.approx(total / 3**0.3, abs=1e-6)  # two words and the end
    # The chain rule by hand: each piece, given the ones before, from a step of the decoder.
    translator, wanted = run.translator(), []
    ids = (*run.tokenisers.target.encode("eight one").ids, EOS)
    for length, piece in enumerate(ids):
        longer = SearchSettings(method="greedy", max_length=length + 1)
        source = run.tokenisers.source.encode("one two three").ids
        forced = decode(translator, [source], longer, prefixes=[ids[:length]])[0][0]
        likeliest = dict(record.runners_up[length])
        if forced.tokens[length] == piece:
            wanted.append(forced.log_probs[length])
        else:
            wanted.append(record.log_probs[length])
            assert max(likeliest.values()) == pytest.approx(forced.log_probs[length], abs=1e-4)
    assert record.log_probs == pytest.approx(wanted, abs=1e-4)


def test_runners_up_are_the_likeliest_pieces_and_probabilities(layered: Run) -> None:
    record = layered.see("one two").record
    for log_prob, several in zip(record.log_probs, record.runners_up, strict=True):
        values = [value for _, value in several]
        assert values == sorted(values, reverse=True)
        assert len({piece for piece, _ in several}) == len(several)
        assert sum(map(math.exp, values)) <= 1 + 1e-5
        assert log_prob <= values[0] + 1e-5


def test_every_layer_and_head_of_a_transformer(layered: Run, seq2see: Command, tmp_path: Path) -> None:
    view = layered.see("one two three", target="two one")
    attention = view.record.attention
    assert {kind: (len(maps), len(maps[0])) for kind, maps in attention.items()} == dict.fromkeys(
        ("encoder", "decoder", "cross"), (2, 2)
    )
    drawings = {(layer, head): view.text(layer=layer, head=head) for layer in (1, 2) for head in (1, 2)}
    assert len(set(drawings.values())) == 4
    with pytest.raises(InputError, match="layers 1 to 2"):
        view.text(layer=3)
    for name, options in (("mean", []), ("one", ["--layer", 2, "--head", 1])):
        path = tmp_path / f"{name}.svg"
        assert seq2see("see", layered.folder, "one two three", "--target", "two one", *options, "--svg", path).code == 0
    assert (tmp_path / "mean.svg").read_bytes() != (tmp_path / "one.svg").read_bytes()


def test_a_model_without_attention_shows_what_it_has(blind: Run, seq2see: Command, tmp_path: Path) -> None:
    page, record, picture = (tmp_path / f"a.{kind}" for kind in ("html", "json", "png"))
    answer = seq2see("see", blind.folder, "one two", "--html", page, "--json", record)
    assert answer.code == 0, answer.err
    assert "without attention" in answer.out
    assert json.loads(record.read_text(encoding="utf-8"))["attention"] == {}
    record.unlink()
    answer = seq2see("see", blind.folder, "one two", "--json", record, "--png", picture)
    assert answer.code == 2
    assert "without attention" in answer.err
    assert record.is_file()  # what there is to write has been written
    assert not picture.exists()


@pytest.mark.parametrize(("text", "target"), [("  ", None), ("...", None), ("one", "?!"), ("one", "")])
def test_there_must_be_something_to_see(blind: Run, text: str, target: str | None) -> None:
    with pytest.raises(InputError, match="no letter or digit"):
        blind.see(text, target=target)


def test_a_coverage_penalty_and_attention_of_none(blind: Run, layered: Run) -> None:
    search = SearchSettings(coverage_penalty=0.2)
    assert layered.see("one two", search=search).record.attention
    with pytest.raises(InputError, match="coverage_penalty"):
        blind.see("one two", search=search)
