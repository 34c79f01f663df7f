"""What every encoder with every decoder must keep; each new architecture joins by a line in architectures.py."""

import pytest
import torch
from architectures import ALL_PAIRS, DECODERS, ENCODERS, LENGTHS, PAIRS, data, make, steps
from torch import Tensor

from seq2see.models.build import build
from seq2see.models.contracts import Memory
from seq2see.models.seq2seq import Seq2Seq

every_pair = pytest.mark.parametrize(("encoder", "decoder"), PAIRS)


def gradients(model: Seq2Seq, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize(("encoder", "decoder"), ALL_PAIRS)
def test_steps_unrolled_are_the_whole_for_any_encoder_with_any_decoder(encoder: str, decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make(encoder, decoder), data()
    with torch.no_grad():
        memory = model.encode(source_BS, valid_BS)
        hidden_BTD, weights = model.decoder(input_BT, memory, want_weights=True)
        logits_BTV = model.decoder.output(hidden_BTD)
        for t, (logits_BV, weights_BLHS) in enumerate(steps(model, memory, input_BT)):
            torch.testing.assert_close(logits_BV, logits_BTV[:, t])
            assert (weights_BLHS is None) == ("cross" not in weights)
            if weights_BLHS is not None:
                torch.testing.assert_close(weights_BLHS, weights["cross"][:, :, :, t])
        plain, nothing = model.decoder(input_BT, memory)
    torch.testing.assert_close(plain, hidden_BTD)
    torch.testing.assert_close(model(source_BS, valid_BS, input_BT), hidden_BTD)
    assert nothing == {}


@pytest.mark.parametrize("decoder", DECODERS)
def test_no_position_looks_ahead(decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make("bilstm-2", decoder), data()
    hidden_BTD = model(source_BS, valid_BS, input_BT)
    B, T = input_BT.shape
    for b in range(B):
        for t in range(T):
            model.zero_grad()
            hidden_BTD[b, t].square().sum().backward(retain_graph=True)
            reached_V = model.decoder.embedding.weight_VD.grad.abs().sum(1) > 0
            assert reached_V.nonzero().flatten().tolist() == sorted(input_BT[b, : t + 1].tolist())


@every_pair
def test_padding_is_invisible(encoder: str, decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make(encoder, decoder), data()
    B, S = source_BS.shape
    longer_BS = torch.cat((source_BS, torch.zeros(B, 3, dtype=torch.long)), dim=1)
    longer_valid_BS = torch.cat((valid_BS, torch.zeros(B, 3, dtype=torch.bool)), dim=1)
    noise_BS = torch.randint(0, 23, longer_BS.shape, generator=torch.Generator().manual_seed(37))
    garbage_BS = torch.where(longer_valid_BS, longer_BS, noise_BS)
    results = []
    for source, valid in ((source_BS, valid_BS), (longer_BS, longer_valid_BS), (garbage_BS, longer_valid_BS)):
        memory = model.encode(source, valid, want_weights=True)
        assert not memory.states_BSD[~valid].any()
        hidden_BTD, weights = model.decoder(input_BT, memory, want_weights=True)
        loss = hidden_BTD.square().sum() + memory.states_BSD.square().sum()
        seen = [weights[name][..., :S] for name in ("cross",) if name in weights]
        seen += [w[..., :S, :S] * valid_BS.view(B, 1, 1, S, 1) for w in memory.weights.values()]
        results.append([hidden_BTD, memory.states_BSD[:, :S], *seen, gradients(model, loss)])
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[1], rtol=0, atol=0)


@every_pair
def test_other_sentences_are_invisible(encoder: str, decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make(encoder, decoder), data()
    together = model(source_BS, valid_BS, input_BT)
    others = model(source_BS.flip(0), valid_BS.flip(0), input_BT.flip(0)).flip(0)
    torch.testing.assert_close(together, others)
    for b, length in enumerate(LENGTHS):
        alone = model(source_BS[b : b + 1, :length], valid_BS[b : b + 1, :length], input_BT[b : b + 1])
        torch.testing.assert_close(alone, together[b : b + 1])
    sum_b = together[0].square().sum()
    source_gradient = gradients(model, sum_b)["encoder.embedding.weight_VD"].abs().sum(1)
    assert set(source_gradient.nonzero().flatten().tolist()) == set(source_BS[0].tolist())


# Each entry: rows to take, in the numbering of the state before; then one more token for each row follows.
SURVIVORS = [
    [[0, 0], [1, 1], [2, 2]],  # three sentences with two beams each
    [[1, 0], [3, 3], [4, 5]],  # within their sentences
    [[5, 4, 4], [0, 1, 0]],  # the second sentence has left, the others changed places, three beams
    [[3, 5, 4]],  # only the first of the three sentences is left
    [[0, 1, 2]],  # nothing moves
    [[2]],
]


@every_pair
def test_rows_taken_go_on_as_if_they_had_been_alone(encoder: str, decoder: str) -> None:
    model, (source_BS, valid_BS, _) = make(encoder, decoder), data()
    generator = torch.Generator().manual_seed(41)
    with torch.no_grad():
        memory = model.encode(source_BS, valid_BS)
        state = model.decoder.start(memory)
        sentences, histories = [0, 1, 2], [[1], [1], [1]]
        for rows in [None, *SURVIVORS]:
            if rows is not None:
                state = state.take(torch.tensor(rows))
                flat = [row for group in rows for row in group]
                sentences = [sentences[row] for row in flat]
                histories = [[*histories[row], int(torch.randint(4, 29, (), generator=generator))] for row in flat]
            tokens_N = torch.tensor([history[-1] for history in histories])
            logits_NV, state, weights_NLHS = model.decoder.step(tokens_N, state, want_weights=True)
            for n, (sentence, history) in enumerate(zip(sentences, histories, strict=True)):
                alone = Memory(
                    memory.states_BSD[sentence, None],
                    valid_BS[sentence, None],
                    memory.final.take(torch.tensor([sentence])),
                    {},
                )
                hidden, weights = model.decoder(torch.tensor([history]), alone, want_weights=True)
                torch.testing.assert_close(logits_NV[n], model.decoder.output(hidden[0, -1]))
                if weights_NLHS is not None:
                    torch.testing.assert_close(weights_NLHS[n], weights["cross"][0, :, :, -1])


@pytest.mark.parametrize("decoder", DECODERS)
def test_interleaved_decodings_and_branches_do_not_disturb_each_other(decoder: str) -> None:
    model = make("bilstm-2", decoder)
    source_BS, valid_BS, input_BT = data()
    other_source_BS, other_valid_BS, other_input_BT = data((3, 6), seed=43)
    with torch.no_grad():
        memories = [model.encode(source_BS, valid_BS), model.encode(other_source_BS, other_valid_BS)]
        targets = [input_BT, other_input_BT]
        expected = [list(steps(model, m, t)) for m, t in zip(memories, targets, strict=True)]
        mixed = zip(*(steps(model, m, t) for m, t in zip(memories, targets, strict=True)), strict=True)
        for t, pair in enumerate(mixed):
            for which, (logits_NV, _) in enumerate(pair):
                assert torch.equal(logits_NV, expected[which][t][0])
        start = model.decoder.start(memories[0])
        _, trunk, _ = model.decoder.step(input_BT[:, 0], start)
        model.decoder.step(input_BT[:, 3], trunk)
        trunk.take(torch.tensor([[2], [1]]))
        again, _, _ = model.decoder.step(input_BT[:, 1], trunk)
        assert torch.equal(again, expected[0][1][0])


@every_pair
def test_weights_sum_to_one_over_what_may_be_used(encoder: str, decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make(encoder, decoder), data()
    B, S = source_BS.shape
    T = input_BT.shape[1]
    with torch.no_grad():
        memory = model.encode(source_BS, valid_BS, want_weights=True)
        weights = model.decoder(input_BT, memory, want_weights=True)[1]
    kinds = {"cross": valid_BS.view(B, 1, 1, 1, S), "decoder": torch.ones(T, T, dtype=torch.bool).tril()}
    found = {**memory.weights, **weights}
    for name, allowed in {**kinds, "encoder": valid_BS.view(B, 1, 1, 1, S)}.items():
        if name in found:
            assert not (found[name] * ~allowed).any()
            torch.testing.assert_close(found[name].sum(-1), torch.ones_like(found[name][..., 0]))
    attends = DECODERS[decoder].kind == "transformer" or DECODERS[decoder].attention != "none"
    heads, layers = getattr(DECODERS[decoder], "heads", 1), DECODERS[decoder].layers
    if attends:
        layers = layers if DECODERS[decoder].kind == "transformer" else 1
        assert weights["cross"].shape == (B, layers, heads, T, S)
    assert ("cross" in weights) == attends
    assert ("decoder" in weights) == (DECODERS[decoder].kind == "transformer")
    assert ("encoder" in memory.weights) == (ENCODERS[encoder].kind == "transformer")


@every_pair
def test_saved_weights_are_the_whole_model(encoder: str, decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make(encoder, decoder), data()
    torch.manual_seed(47)
    from architectures import SOURCE_VOCABULARY, TARGET_VOCABULARY, settings

    fresh = build(settings(encoder, decoder), SOURCE_VOCABULARY, TARGET_VOCABULARY).double().eval()
    with torch.no_grad():
        expected = model(source_BS, valid_BS, input_BT)
        assert not torch.allclose(fresh(source_BS, valid_BS, input_BT), expected)
        fresh.load_state_dict(model.state_dict())
        assert torch.equal(fresh(source_BS, valid_BS, input_BT), expected)
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}


@every_pair
def test_every_weight_is_used(encoder: str, decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make(encoder, decoder), data()
    logits = model.decoder.output(model(source_BS, valid_BS, input_BT))
    reached = gradients(model, logits.square().sum())
    for name, parameter in model.named_parameters():
        assert name in reached, f"{name} gets no gradient"
        assert reached[name].any() and reached[name].isfinite().all(), name
        assert reached[name].shape == parameter.shape


@every_pair
def test_an_empty_source_harms_nobody(encoder: str, decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make(encoder, decoder), data()
    expected = model(source_BS, valid_BS, input_BT)
    emptied_BS = valid_BS.clone()
    emptied_BS[1] = False
    hidden_BTD = model(source_BS, emptied_BS, input_BT)
    assert all(gradient.isfinite().all() for gradient in gradients(model, hidden_BTD.square().sum()).values())
    torch.testing.assert_close(hidden_BTD[[0, 2]], expected[[0, 2]])
    assert hidden_BTD[1].isfinite().all()


@pytest.mark.parametrize("decoder", DECODERS)
def test_padding_of_the_target_is_zero_and_changes_nothing_else(decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make("bilstm-2", decoder), data()
    input_valid_BT = torch.arange(5) < torch.tensor([[5], [2], [3]])
    with torch.no_grad():
        memory = model.encode(source_BS, valid_BS)
        expected, _ = model.decoder(input_BT, memory)
        garbage_BT = torch.where(input_valid_BT, input_BT, 28)
        hidden_BTD, _ = model.decoder(garbage_BT, memory, input_valid_BT)
    assert not hidden_BTD[~input_valid_BT].any()
    torch.testing.assert_close(hidden_BTD[input_valid_BT], expected[input_valid_BT])


@every_pair
def test_bfloat16_is_near(encoder: str, decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make(encoder, decoder).float(), data()
    expected = model(source_BS, valid_BS, input_BT)
    with torch.autocast("cpu", torch.bfloat16):
        hidden_BTD = model(source_BS, valid_BS, input_BT)
        loss = model.decoder.output(hidden_BTD).float().square().mean()
        memory = model.encode(source_BS, valid_BS)
        stepped = torch.stack([logits for logits, _ in steps(model, memory, input_BT)], dim=1)
    torch.testing.assert_close(hidden_BTD.float(), expected, rtol=0.1, atol=0.1)
    torch.testing.assert_close(stepped.float(), model.decoder.output(expected), rtol=0.2, atol=0.3)
    assert all(gradient.isfinite().all() for gradient in gradients(model, loss).values())
