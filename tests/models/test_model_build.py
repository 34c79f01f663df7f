"""Settings to models: sizes counted by hand, weights shared or not, and what cannot be built."""

import pytest
import torch
from architectures import DECODERS, data, make, scrambled, settings, steps

from seq2see.config.settings import (
    ModelSettings,
    RecurrentDecoder,
    RecurrentEncoder,
    TransformerDecoder,
    TransformerEncoder,
)
from seq2see.errors import InputError
from seq2see.models.build import build, count_parameters
from seq2see.models.contracts import Decoder, FinalShape
from seq2see.models.recurrent_decoder import RecurrentDecoder as RecurrentDecoderModel
from seq2see.models.transformer_decoder import TransformerDecoder as TransformerDecoderModel
from seq2see.nn.embedding import OutputLayer, token_weights

V_S, V_T = 23, 29


def test_parameters_of_an_lstm_with_attention_by_hand() -> None:
    D, K = 14, 7
    model = ModelSettings(
        name="by hand",
        encoder=RecurrentEncoder(cell="lstm", layers=1, width=D, bidirectional=True),
        decoder=RecurrentDecoder(cell="lstm", layers=1, width=D, attention="general"),
        tie="none",
    )
    encoder = V_S * D + 2 * 4 * (K * D + K * K + 2 * K)  # embedding; two directions of four gates
    decoder = V_T * D + 4 * (D * D + D * D + 2 * D)  # embedding; four gates; the final state fits: no bridge
    attention = D * D + 2 * D * D  # W_a; W_c
    output = V_T * D + V_T
    assert count_parameters(model, V_S, V_T) == encoder + decoder + attention + output


def test_parameters_of_a_transformer_by_hand() -> None:
    D, F = 15, 19
    model = ModelSettings(
        name="by hand",
        encoder=TransformerEncoder(layers=2, width=D, heads=3, feed_forward=F),
        decoder=TransformerDecoder(layers=3, width=D, heads=3, feed_forward=F, norm="post"),
        tie="output",
    )
    attention, feed_forward, norm = 4 * D * D, D * F + F + F * D + D, 2 * D
    encoder = V_S * D + 2 * (attention + feed_forward + 2 * norm) + norm  # pre-norm ends with a norm
    decoder = 3 * (2 * attention + feed_forward + 3 * norm)
    output = V_T * D + V_T  # the decoder's embedding is the output's
    assert count_parameters(model, V_S, V_T) == encoder + decoder + output


def storages(tie: str) -> list[int]:
    model = build(settings("transformer-pre", "lstm-general", tie=tie), V_T, V_T)
    weights = (model.decoder.output, model.decoder.embedding, model.encoder.embedding)
    return [module.weight_VD.data_ptr() for module in weights]


def test_tied_weights_are_one_and_the_same() -> None:
    output, target, source = storages("none")
    assert len({output, target, source}) == 3
    output, target, source = storages("output")
    assert output == target != source
    output, target, source = storages("all")
    assert output == target == source


def test_tied_weights_learn_together_and_count_once() -> None:
    model = build(settings("transformer-pre", "lstm-general", tie="all"), V_T, V_T)
    separate = count_parameters(settings("transformer-pre", "lstm-general"), V_T, V_T)
    assert sum(p.numel() for p in model.parameters()) == separate - 2 * V_T * 15
    with torch.no_grad():
        model.decoder.output.weight_VD.fill_(0.5)
    assert (model.encoder.embedding.weight_VD == 0.5).all()
    assert (model.decoder.embedding.weight_VD == 0.5).all()


@pytest.mark.parametrize("tie", ["output", "all"])
def test_tied_models_keep_the_step_contract(tie: str) -> None:
    torch.manual_seed(3)
    model = scrambled(build(settings("transformer-pre", "lstm-general", tie=tie), V_T, V_T).double()).eval()
    source_BS, valid_BS, input_BT = data()
    memory = model.encode(source_BS, valid_BS)
    logits_BTV = model.decoder.output(model(source_BS, valid_BS, input_BT))
    for t, (logits_BV, _) in enumerate(steps(model, memory, input_BT)):
        torch.testing.assert_close(logits_BV, logits_BTV[:, t])


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(InputError, match=r"one width, but encoder\.width = 15 and decoder\.width = 17"):
        build(settings("transformer-pre", "lstm-2-general-fed", tie="all"), V_T, V_T)
    with pytest.raises(InputError, match="source has 23 pieces and the target 29"):
        build(settings("transformer-pre", "lstm-general", tie="all"), V_S, V_T)
    odd = settings("bigru", "lstm-general").model_copy(update={"encoder": RecurrentEncoder(width=13)})
    with pytest.raises(InputError, match=r"encoder\.width = 13 cannot be shared by two directions"):
        build(odd, V_S, V_T)
    rotary = TransformerEncoder(layers=1, width=15, heads=3, feed_forward=7, position="rotary")
    odd = settings("bigru", "lstm-general").model_copy(update={"encoder": rotary})
    with pytest.raises(InputError, match="odd one left"):
        build(odd, V_S, V_T)


def test_too_long_for_learned_positions_is_said_while_reading_and_writing() -> None:
    model = make("transformer-post-learned", "transformer-post-learned").float()
    long_BS = torch.full((1, 1025), 5)
    with pytest.raises(InputError, match="needs 1025 positions"):
        model.encode(long_BS, long_BS > 0)
    short_BS = long_BS[:, :3]
    with pytest.raises(InputError, match="needs 1025 positions"):
        model(short_BS, short_BS > 0, long_BS)


def test_the_seed_decides_the_weights() -> None:
    models = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        models.append(build(settings("bilstm-2", "transformer-pre"), V_S, V_T).state_dict())
    first, same, other = models
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["decoder.output.weight_VD"], other["decoder.output.weight_VD"])


@pytest.mark.parametrize(
    ("encoder", "decoder", "fits"),
    [
        ("lstm", "lstm-none-fits", True),
        ("rnn", "lstm-none-fits", False),
        ("bilstm-2", "lstm-none-fits", False),
        ("embedding", "gru-none", False),
    ],
)
def test_the_final_state_starts_the_decoder(encoder: str, decoder: str, fits: bool) -> None:
    model, (source_BS, valid_BS, _) = make(encoder, decoder), data()
    memory = model.encode(source_BS, valid_BS)
    start = model.decoder.start(memory).recurrent
    assert model.decoder.bridge.fits == fits
    assert (start.cell_LND is None) == (model.decoder.bridge.target.cell != "lstm")
    if fits:
        assert torch.equal(start.hidden_LND, memory.final.hidden_LND)
        assert torch.equal(start.cell_LND, memory.final.cell_LND)
    else:
        bridge = model.decoder.bridge
        top = [part[-1] for part in memory.final if part is not None]
        expected = torch.tanh(torch.cat(top, dim=-1) @ bridge.linear.weight.T + bridge.bias)
        states = [part[0] for part in start if part is not None]
        torch.testing.assert_close(torch.cat(states, dim=-1), expected)


@pytest.mark.parametrize("encoder", ["transformer-pre", "embedding"])
def test_without_a_recurrent_encoder_the_final_state_is_the_mean(encoder: str) -> None:
    model, (source_BS, valid_BS, _) = make(encoder, "gru-none"), data()
    memory = model.encode(source_BS, valid_BS)
    for b in range(len(source_BS)):
        torch.testing.assert_close(memory.final.hidden_LND[0, b], memory.states_BSD[b, valid_BS[b]].mean(0))
    assert memory.final.cell_LND is None and model.encoder.shape.final == FinalShape(None, 1, model.encoder.shape.width)


def language_model(decoder: str) -> Decoder:
    chosen = DECODERS[decoder]
    output = OutputLayer(token_weights(V_T, chosen.width))
    kind = RecurrentDecoderModel if chosen.kind == "recurrent" else TransformerDecoderModel
    return scrambled(kind(chosen, output.weight_VD, output, None, 0.0).double()).eval()


@pytest.mark.parametrize("decoder", ["lstm-general", "gru-none", "lstm-2-general-fed", "transformer-rotary"])
def test_without_a_memory_a_decoder_is_a_language_model(decoder: str) -> None:
    model = language_model(decoder)
    _, _, input_BT = data()
    hidden_BTD, weights = model(input_BT, None, want_weights=True)
    state = model.start(None, rows=3)
    for t in range(input_BT.shape[1]):
        logits_BV, state, nothing = model.step(input_BT[:, t], state, want_weights=True)
        torch.testing.assert_close(logits_BV, model.output(hidden_BTD[:, t]))
        assert nothing is None
    beams = state.take(torch.tensor([[2, 2], [0, 0]]))
    logits_NV, _, _ = model.step(torch.tensor([5, 6, 5, 6]), beams)
    longer_BT = torch.cat((input_BT[[2, 2, 0, 0]], torch.tensor([[5], [6], [5], [6]])), dim=1)
    torch.testing.assert_close(logits_NV, model.output(model(longer_BT, None)[0][:, -1]))
    assert "cross" not in weights
    model.output(hidden_BTD).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("decoder", ["lstm-general", "transformer-pre"])
def test_a_memory_that_does_not_belong_is_refused(decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make("bilstm-2", decoder), data()
    with pytest.raises(ValueError, match="made for a memory, but was given none"):
        model.decoder(input_BT, None)
    with pytest.raises(ValueError, match="made without a memory, but was given one"):
        language_model(decoder)(input_BT, model.encode(source_BS, valid_BS))


@pytest.mark.parametrize("decoder", ["lstm-2-general-fed", "gru-general", "rnn-none"])
def test_traces_of_a_model_tell_the_states_it_really_had(decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make("bilstm-2", decoder), data()
    memory = model.encode(source_BS, valid_BS)
    layers = model.decoder.trace(input_BT, memory)
    state = model.decoder.start(memory)
    for t in range(input_BT.shape[1]):
        _, state, _ = model.decoder.step(input_BT[:, t], state)
        for layer, (trace,) in enumerate(layers):
            torch.testing.assert_close(trace.hidden_NTD[:, t], state.recurrent.hidden_LND[layer])
    traces = model.encoder.trace(source_BS, valid_BS)
    final = [torch.cat((ahead.cell_NTD[:, -1], back.cell_NTD[:, 0]), dim=-1) for ahead, back in traces]
    torch.testing.assert_close(torch.stack(final), memory.final.cell_LND)
