"""Every piece of a text counts once, given what the settings promise, however many are scored together."""

import pytest
import torch
from lm_readers import DECODERS, TEXT, reader

from seq2see.models.language_model import NeuralLanguageModel
from seq2see.models.markov import MarkovChain
from seq2see.tasks import lm_scoring
from seq2see.tasks.lm_scoring import Reader, log_probs, sampled_loss, score_text
from seq2see.text.tokeniser import SOS, UNK

every_model = pytest.mark.parametrize("name", DECODERS)


def nothing() -> None:
    pass


def foreseen(made: Reader, seen: list[int], piece: int) -> float:
    """log p of one piece behind all of ``seen``, from nothing."""
    with torch.no_grad():
        state = made.model.read(torch.tensor([seen[:-1]], dtype=torch.long), made.model.start(1))
        logits_NV, _, _ = made.model.step(torch.tensor(seen[-1:]), state)
    return float(logits_NV.log_softmax(-1)[0, piece])


@every_model
def test_each_piece_is_given_what_is_promised(name: str) -> None:
    """Against a slow twin that cuts the windows by hand: 5 pieces are read, then 3 (recurrent: 5) count."""
    made = reader(name)
    ids = list(made.tokeniser.encode(TEXT).ids)[:22]
    found = log_probs(made, torch.tensor(ids), 0, begins=True, check=nothing)
    counted = {"gpt": 3, "markov": 1}.get(name, 5)
    text = [SOS, *ids]
    for place, piece in enumerate(ids):
        start = place - place % counted
        first = max(0, start - (40 if name == "markov" else 5))
        assert float(found[place]) == pytest.approx(foreseen(made, text[first : place + 1], piece), abs=1e-5)


@every_model
def test_a_text_that_does_not_begin_here(name: str) -> None:
    made = reader(name)
    ids = list(made.tokeniser.encode(TEXT).ids)[:60]
    whole = log_probs(made, torch.tensor(ids), 0, begins=True, check=nothing)
    later = log_probs(made, torch.tensor(ids[20:]), 10, begins=False, check=nothing)
    assert later.tolist() == pytest.approx(whole[30:].tolist(), abs=1e-5)  # 30 is a multiple of 3 and 5


@every_model
@pytest.mark.parametrize("most", [1, 40, 100])
def test_figures_do_not_depend_on_how_many_are_scored_together(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = reader(name)
    wanted, _ = score_text(made, [TEXT], nothing)
    monkeypatch.setattr(lm_scoring, "_MOST_POSITIONS", most)
    found, _ = score_text(made, iter([TEXT[:7], TEXT[7:100], TEXT[100:]]), nothing)
    assert [one.nats for one in found] == pytest.approx([one.nats for one in wanted], abs=1e-5)


@every_model
@pytest.mark.parametrize("kind", ["char", "bpe", "byte"])
def test_every_character_counts_once_in_stretches_of_any_length(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = reader(name, kind=kind, context=500, length=1_000)  # all that stands before is seen
    text = TEXT + "e\u0301té 한\n"
    whole, _ = score_text(made, [text], nothing)
    monkeypatch.setattr(lm_scoring, "STRETCH", 30)
    monkeypatch.setattr(lm_scoring, "_AT_ONCE", 2)
    found, unknown = score_text(made, [text], nothing)
    assert len(found) > 5
    assert unknown == 0
    for each in ("characters", "bytes", "pieces"):
        assert sum(getattr(one, each) for one in found) == sum(getattr(one, each) for one in whole)
    assert sum(one.characters for one in found) == len(text) - 1  # in the composed form
    assert sum(one.nats for one in found) == pytest.approx(sum(one.nats for one in whole), rel=1e-5)


def test_the_sum_is_the_likelihood_of_the_text() -> None:
    made = reader("lstm", context=500)
    found, _ = score_text(made, [TEXT[:60]], nothing)
    ids = made.tokeniser.encode(TEXT[:60]).ids
    assert isinstance(made.model, NeuralLanguageModel)
    with torch.no_grad():
        log_probs_TV = made.model.decoder.output(made.model(torch.tensor([[SOS, *ids[:-1]]]))[0]).log_softmax(-1)
    own = log_probs_TV.gather(1, torch.tensor(ids)[:, None]).double().sum()
    assert sum(one.nats for one in found) == pytest.approx(-float(own), rel=1e-6)


def test_a_sample_is_evenly_spread() -> None:
    made = reader("gru")
    ids_I = torch.tensor(made.tokeniser.encode(TEXT).ids)
    whole = log_probs(made, ids_I, 0, begins=True, check=nothing)
    assert sampled_loss(made, ids_I, 10**6, nothing) == pytest.approx(-float(whole.mean()))
    some = [float(whole[start : start + 5].sum()) for start in range(0, len(whole), 5)][::4]
    counted = len(some) * 5 - (0 if len(whole) % 20 == 0 or len(whole) % 20 >= 5 else 5 - len(whole) % 5)
    assert sampled_loss(made, ids_I, len(ids_I) // 4, nothing) == pytest.approx(-sum(some) / counted, rel=1e-5)


def test_signatures_say_how_a_text_is_read() -> None:
    assert reader("gpt").signature.startswith("pieces:char|context:5 to 7|norm:NFC|case:mixed|stretch:1000|version:")
    assert reader("lstm").signature.startswith("pieces:char|context:5 to 9|")
    assert reader("markov", kind="bpe").signature.startswith("pieces:bpe|context:3|")


def test_unknown_words_are_counted() -> None:
    made = reader("gru", kind="word")
    assert not made.reversible
    _, unknown = score_text(made, ["the cat met a dog\n"], nothing)
    assert unknown == 3
    assert made.tokeniser.encode("dog").ids == (UNK,)


def test_a_chain_of_any_order_sees_its_order() -> None:
    made = reader("markov")
    assert isinstance(made.model, MarkovChain)
    assert made.context == 3
