"""Kneser–Ney smoothing against a slow twin in dictionaries, numbers found by hand, and damaged files."""

import math
import random
from collections import Counter
from pathlib import Path

import pytest
import torch
from shape_names import checked

from seq2see.data import stream_cache
from seq2see.data.stream_cache import CachedStream
from seq2see.errors import InputError
from seq2see.models.markov import MarkovChain, discounts
from seq2see.models.ngrams import count_grams
from seq2see.storage.tensors import load_tensors, save_tensors
from seq2see.text.tokeniser import SOS, UNK
from seq2see.training.checkpoint import weights_of

A, B = 4, 5


def chain(ids: list[int], order: int, vocabulary: int) -> MarkovChain:
    stream = CachedStream.from_ids(ids)
    model = MarkovChain(order, vocabulary)
    model.fill(count_grams(lambda: stream.blocks(order), order, vocabulary, lambda: None))
    return model


def slow(ids: list[int], order: int, vocabulary: int, context: tuple[int, ...], piece: int) -> float:
    """The formulas of Chen and Goodman (1999), section 3.6, word for word, for one piece."""
    text = [SOS] * order + ids
    ends = range(order, len(text))
    counts: dict[int, Counter[tuple[int, ...]]] = {}
    counts[order + 1] = Counter(tuple(text[end - order : end + 1]) for end in ends)
    for length in range(1, order + 1):
        longer = {tuple(text[end - length : end + 1]) for end in ends}
        counts[length] = Counter(gram[1:] for gram in longer)
    p = 1 / (vocabulary - UNK) if piece >= UNK else 0.0
    for length in range(1, order + 2):
        history = context[len(context) - length + 1 :] if length > 1 else ()
        followed = {gram[-1]: count for gram, count in counts[length].items() if gram[:-1] == history}
        if not followed:
            break
        n = Counter(counts[length].values())
        D = (0.5, 1.0, 1.5)
        if n[1] and n[2] and n[3]:
            Y = n[1] / (n[1] + 2 * n[2])
            found = (1 - 2 * Y * n[2] / n[1], 2 - 3 * Y * n[3] / n[2], 3 - 4 * Y * n[4] / n[3])
            D = found if all(0 <= each <= r for r, each in enumerate(found, 1)) else D
        total = sum(followed.values())
        lost = sum(D[min(count, 3) - 1] for count in followed.values())
        own = followed.get(piece, 0)
        p = (own - D[min(own, 3) - 1] if own else 0) / total + lost / total * p
    return p


def uneven(length: int, pieces: int, seed: int) -> list[int]:
    chance = random.Random(seed)
    return [UNK + 1 + min(int(chance.expovariate(0.6)), pieces - 1) for _ in range(length)]


@pytest.mark.parametrize(("order", "length", "pieces"), [(1, 60, 4), (2, 200, 5), (3, 150, 6), (5, 90, 3), (4, 6, 3)])
def test_probabilities_are_those_of_the_formulas(order: int, length: int, pieces: int) -> None:
    ids, vocabulary = uneven(length, pieces, seed=order), UNK + pieces + 2
    model = chain(ids, order, vocabulary)
    chance = random.Random(1)
    contexts = [tuple(ids[end - order : end]) for end in range(order, len(ids), 17)]
    contexts += [tuple(chance.randrange(SOS, vocabulary) for _ in range(order)) for _ in range(12)]
    contexts += [(SOS,) * order, (*(SOS,) * (order - 1), ids[0])]
    for context in contexts:
        found = model.distribution(torch.tensor([context]))[0].tolist()
        assert found == pytest.approx([slow(ids, order, vocabulary, context, w) for w in range(vocabulary)], abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_the_probabilities_of_all_pieces_are_one(order: int) -> None:
    vocabulary = 11
    model = chain(uneven(300, 6, seed=3), order, vocabulary)
    every = torch.cartesian_prod(*[torch.arange(SOS, vocabulary)] * min(order, 3)).view(-1, min(order, 3))
    p_NV = model.distribution(every)
    torch.testing.assert_close(p_NV.sum(1), torch.ones(len(every), dtype=torch.float64), rtol=0, atol=1e-12)
    assert (p_NV[:, UNK:] > 0).all()
    assert (p_NV[:, :UNK] == 0).all()  # nothing but text can stand in a text


def test_an_example_by_hand() -> None:
    """The text "aab", order 1, pieces unknown, a and b. Too small for discounts: 0.5, 1 and 1.5.

    a stands behind the beginning and behind a, b behind a: p(a) = (2 − 1) / 3 + (1 + 0.5) / 3 · 1/3 = 1/2,
    p(b) = (1 − 0.5) / 3 + 1/6 = 1/3. Then p(a | a) = (1 − 0.5) / 2 + (0.5 + 0.5) / 2 · 1/2 = 1/2.
    """
    model = chain([A, A, B], 1, 6)
    p_V = model.distribution(torch.tensor([[A]]))[0]
    assert p_V.tolist() == pytest.approx([0, 0, 0, 1 / 2 * 1 / 6, 1 / 2, 1 / 4 + 1 / 2 * 1 / 3])
    p_V = model.distribution(torch.tensor([[B]]))[0]  # nothing ever followed b
    assert p_V.tolist() == pytest.approx([0, 0, 0, 1 / 6, 1 / 2, 1 / 3])


def test_discounts() -> None:
    counts = [1] * 10 + [2] * 4 + [3] * 2 + [4] + [9]
    Y = 10 / 18
    assert discounts(torch.tensor(counts)) == pytest.approx((1 - 2 * Y * 0.4, 2 - 3 * Y * 0.5, 3 - 4 * Y * 0.5))
    assert discounts(torch.tensor([1, 1, 2])) == (0.5, 1.0, 1.5)  # none was counted three times
    assert discounts(torch.tensor([1] * 9 + [2] + [3] * 9)) == (0.5, 1.0, 1.5)  # they would be below zero


def test_what_each_length_adds_is_the_probability() -> None:
    ids, vocabulary = uneven(200, 5, seed=8), 10
    model = chain(ids, 3, vocabulary)
    contexts = torch.tensor([ids[end - 3 : end] for end in range(3, 60)])
    pieces = torch.tensor(ids[3:60])
    terms_NM = model.terms(contexts, pieces)
    assert terms_NM.shape[1] == 5
    assert (terms_NM >= 0).all()
    torch.testing.assert_close(terms_NM.sum(1), model.distribution(contexts).gather(1, pieces[:, None])[:, 0])
    unseen = model.terms(torch.tensor([[9, 9, 9]]), torch.tensor([ids[0]]))[0]
    assert unseen[2:].tolist() == [0, 0, 0]  # only what needs no context


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = uneven(100, 5, seed=2)
    whole = weights_of(chain(ids, 4, 10))
    monkeypatch.setattr(stream_cache, "BLOCK_PIECES", 9)
    cut = weights_of(chain(ids, 4, 10))
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_steps_follow_the_text() -> None:
    ids, vocabulary = uneven(80, 4, seed=4), 9
    model = chain(ids, 3, vocabulary)
    padded = [SOS, SOS, SOS, *ids]
    state = model.start(2)
    for place, piece in enumerate([SOS, *ids[:20]]):
        logits_NV, state, _ = model.step(torch.tensor([piece, piece]), state)
        wanted = model.distribution(torch.tensor([padded[place : place + 3]])).log()[0]
        torch.testing.assert_close(logits_NV[1].double(), wanted, rtol=1e-5, atol=1e-6)
    read = model.read(torch.tensor([[SOS, *ids[:20]]]), model.start(1))
    assert read.tokens_NK.tolist() == [ids[17:20]]
    assert state.take(torch.tensor([[1, 0, 1]])).tokens_NK.shape == (3, 3)


def test_the_chain_learns_hello() -> None:
    letters = {letter: number for number, letter in enumerate("helo\n", UNK + 1)}
    ids = [letters[letter] for letter in "hello\n" * 50]
    for order, sure in ((1, 0.4), (2, 0.9), (4, 0.95)):
        p_V = chain(ids, order, 9).distribution(torch.tensor([[letters[each] for each in "hell"]])[:, -order:])[0]
        assert int(p_V.argmax()) in (letters["o"], letters["l"])  # of one letter alone, l or o may follow
        assert p_V[letters["o"]] > sure
        assert math.isclose(float(p_V.sum()), 1.0, abs_tol=1e-12)


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    model = chain(uneven(150, 5, seed=6), 3, 10)
    save_tensors(tmp_path / "counts.safetensors", weights_of(model), {})
    other = MarkovChain(3, 10)
    other.restore(load_tensors(tmp_path / "counts.safetensors", None))
    contexts = torch.randint(SOS, 10, (40, 3), generator=torch.Generator().manual_seed(1))
    assert torch.equal(other.distribution(contexts), model.distribution(contexts))
    assert sum(each.numel() for each in other.parameters()) == sum(len(each.key_G) for each in model.lengths)


def test_what_cannot_be_counts_is_refused() -> None:
    model = chain(uneven(150, 5, seed=6), 2, 10)
    sound = {name: tensor.clone() for name, tensor in weights_of(model).items()}
    key, count = "grams.1.key_G", "grams.1.count_G"
    shuffled, far, negative = sound[key].flip(0), sound[key].clone(), sound[count].clone()
    far[-1], negative[0] = 1 << 60, -1
    for name, wrong, message in (
        (key, shuffled, "out of order"),
        (key, far, "out of range"),
        (count, negative, "below 0"),
        (count, sound[count][:-1], "of one length"),
        (key, sound[key].double(), "whole numbers"),
        ("grams.3.key_G", sound[key], "unknown: grams.3.key_G"),
    ):
        with pytest.raises(InputError, match=message):
            MarkovChain(2, 10).restore({**sound, name: wrong})
    with pytest.raises(InputError, match=r"grams\.2"):
        MarkovChain(2, 10).restore({name: tensor for name, tensor in sound.items() if ".2." not in name})


def test_names_of_tensors_do_not_lie() -> None:
    ids, model = uneven(60, 4, seed=9), MarkovChain(2, 9)
    stream = CachedStream.from_ids(ids)
    with checked("seq2see.models.markov", "seq2see.models.ngrams") as checker:
        model.fill(count_grams(lambda: stream.blocks(2), 2, 9, lambda: None))
        model.terms(torch.tensor([ids[:2]]), torch.tensor(ids[2:3]))
        model.step(torch.tensor([A]), model.start(1))
    assert len(checker.seen) > 20
