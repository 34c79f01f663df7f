"""Texts that go on from prompts: the search sees what the model says behind the prompt, and nothing else."""

import pytest
import torch
from lm_readers import DECODERS, TEXT, reader

from seq2see.config.settings import SearchSettings
from seq2see.tasks.continuation import Continuation, continuations, go_on
from seq2see.tasks.lm_scoring import Reader
from seq2see.text.tokeniser import EOS, SOS, UNK

every_model = pytest.mark.parametrize("name", DECODERS)
PROMPTS = ["the cat", "", "no", "the mat", "\n", "the cat sat on the mat, and"]
GREEDY = SearchSettings(method="greedy", max_length=5)
SAMPLE = SearchSettings(method="sample", max_length=5, temperature=0.7, seed=4)


def written(made: Reader, prompts: list[str], search: SearchSettings, window: int = 100) -> list[Continuation]:
    return list(continuations(made, iter(prompts), search, window=window))


@every_model
def test_greedy_writes_the_likeliest_piece_again_and_again(name: str) -> None:
    made = reader(name)
    for prompt in PROMPTS[:3]:
        seen, wanted = [SOS, *made.tokeniser.encode(prompt).ids], []
        for _ in range(4):
            state = made.model.start(1)
            with torch.no_grad():
                state = made.model.read(torch.tensor([seen[:-1]]), state)
                logits_NV, _, _ = made.model.step(torch.tensor(seen[-1:]), state)
            log_probs_V = logits_NV[0].log_softmax(-1)
            log_probs_V[: UNK + 1] = -torch.inf  # no special piece stands in a text
            wanted.append((int(log_probs_V.argmax()), float(log_probs_V.max())))
            seen.append(wanted[-1][0])
        (found,) = written(made, [prompt], GREEDY.model_copy(update={"max_length": 4}))
        assert found.ids == tuple(piece for piece, _ in wanted)
        assert found.log_probs == pytest.approx([log_prob for _, log_prob in wanted], abs=1e-4)
        assert found.text == prompt + found.written == made.tokeniser.decode(seen[1:])
        assert found.finished == "length"


@every_model
@pytest.mark.parametrize("search", [GREEDY, SAMPLE, SearchSettings(beam=3, max_length=4)], ids=lambda s: s.method)
def test_a_text_depends_on_its_prompt_and_place_alone(name: str, search: SearchSettings) -> None:
    made = reader(name)
    together = written(made, PROMPTS, search)
    assert [one.prompt for one in together] == PROMPTS
    assert [one.text for one in written(made, PROMPTS, search, window=1)] == [one.text for one in together]
    alone = go_on(made, [made.tokeniser.encode(PROMPTS[3]).ids], search, keys=[3])[0][0]
    assert alone.tokens == together[3].ids
    assert alone.log_probs == pytest.approx(together[3].log_probs, abs=1e-4)


def test_samples_differ_between_places_and_seeds_and_repeat() -> None:
    made = reader("gpt")
    texts = [one.text for one in written(made, ["the"] * 6, SAMPLE)]
    assert len(set(texts)) > 1
    assert texts == [one.text for one in written(made, ["the"] * 6, SAMPLE)]
    assert texts != [one.text for one in written(made, ["the"] * 6, SAMPLE.model_copy(update={"seed": 5}))]


def test_several_of_one_prompt() -> None:
    made = reader("lstm")
    (found,) = written(made, ["the cat"], SearchSettings(beam=4, nbest=3, max_length=5))
    scores = [found.score, *(one.score for one in found.alternatives)]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert len({one.ids for one in (found, *found.alternatives)}) == 3


def test_the_end_and_forbidden_words_are_never_written() -> None:
    made = reader("markov")
    search = SearchSettings(method="sample", max_length=60, seed=2)
    (free,) = written(made, ["the "], search)
    assert EOS not in free.ids
    assert "cat" in free.text
    (found,) = continuations(made, ["the "], search, forbid=["cat", "  "], window=1)
    assert "cat" not in found.text
    assert len(found.ids) == 60


@pytest.mark.parametrize("kind", ["bpe", "byte", "word", "unigram"])
def test_other_pieces(kind: str) -> None:
    made = reader("gru", kind=kind)
    for prompt in ("the cat", "", "e\u0301t"):
        (found,) = written(made, [prompt], GREEDY)
        assert found.text.startswith(made.tokeniser.encode(prompt).text)
        assert len(found.pieces) == len(found.ids) == len(found.log_probs) == 5


def test_a_prompt_may_be_longer_than_the_context() -> None:
    made = reader("gpt", length=8)
    (found,) = written(made, [TEXT], GREEDY)
    assert len(found.ids) == 5
    assert found.text.startswith(TEXT)
