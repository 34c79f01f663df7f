"""A language model says the same whichever way it is asked, and its weights are those of a decoder."""

import itertools

import pytest
import torch
from architectures import data, make, scrambled, steps
from shape_names import checked
from torch import Tensor

from seq2see.config.lm import LanguageModelSettings, RecurrentModel
from seq2see.config.settings import TransformerDecoder
from seq2see.errors import InputError
from seq2see.models.language_model import NeuralLanguageModel, TransformerLanguageModel
from seq2see.models.language_presets import LANGUAGE_PRESETS, build_language_model, language_preset
from seq2see.text.tokeniser import SOS

V, CONTEXT = 29, 6
DECODERS = {
    "rnn": RecurrentModel(cell="rnn", layers=1, width=11),
    "lstm": RecurrentModel(cell="lstm", layers=1, width=11),
    "lstm-2": RecurrentModel(cell="lstm", layers=2, width=11),
    "gru-2": RecurrentModel(cell="gru", layers=2, width=13),
    "gpt": TransformerDecoder(layers=2, width=18, heads=3, feed_forward=19, position="rotary"),
    "gpt-learned": TransformerDecoder(layers=1, width=15, heads=3, feed_forward=19, position="learned", norm="post"),
}
RECURRENT = [name for name in DECODERS if not name.startswith("gpt")]
GPT = [name for name in DECODERS if name.startswith("gpt")]
every_model = pytest.mark.parametrize("name", DECODERS)


def made(name: str, tie: str = "none", context: int = CONTEXT) -> NeuralLanguageModel:
    torch.manual_seed(5)
    settings = LanguageModelSettings(name="test", decoder=DECODERS[name], tie=tie)
    model = build_language_model(settings, V, context)
    assert isinstance(model, NeuralLanguageModel)
    return scrambled(model.double()).eval()


def text(rows: int, length: int, seed: int = 7) -> Tensor:
    return torch.randint(4, V, (rows, length), generator=torch.Generator().manual_seed(seed))


def logits(model: NeuralLanguageModel, input_BT: Tensor, *before: Tensor) -> Tensor:
    with torch.no_grad():
        return model.decoder.output(model(input_BT, *before))


def stepped(model: NeuralLanguageModel, tokens_NT: Tensor, state: object = None) -> Tensor:
    found, state = [], model.start(len(tokens_NT)) if state is None else state
    with torch.no_grad():
        for tokens_N in tokens_NT.unbind(1):
            logits_NV, state, nothing = model.step(tokens_N, state)
            assert nothing is None
            found.append(logits_NV)
    return torch.stack(found, dim=1)


@every_model
def test_steps_are_the_whole(name: str) -> None:
    model, tokens_NT = made(name), text(3, CONTEXT)
    torch.testing.assert_close(stepped(model, tokens_NT), logits(model, tokens_NT))


@every_model
@pytest.mark.parametrize("length", [0, 1, 5, 6, 7, 8, 9, 13, 25])
def test_what_is_read_at_once_is_what_steps_read(name: str, length: int) -> None:
    model, tokens_NT = made(name), text(2, length + 4)
    wanted = stepped(model, tokens_NT)[:, length:]
    with torch.no_grad():
        state = model.read(tokens_NT[:, :length], model.start(2))
        torch.testing.assert_close(stepped(model, tokens_NT[:, length:], state), wanted)
        state = model.read(tokens_NT[:, length // 2 : length], model.read(tokens_NT[:, : length // 2], model.start(2)))
    torch.testing.assert_close(stepped(model, tokens_NT[:, length:], state), wanted)


@pytest.mark.parametrize("name", GPT)
@pytest.mark.parametrize("context", [2, 5, 6])
def test_a_full_context_forgets_its_older_half(name: str, context: int) -> None:
    """Against a slow twin that follows the rule by hand and reads everything again for each piece."""
    model, tokens_NT = made(name, context=context), text(1, 17)
    wanted, seen = [], []
    for token in tokens_NT[0].tolist():
        if len(seen) == context:
            seen = seen[context - context // 2 :]
        seen.append(token)
        wanted.append(logits(model, torch.tensor([seen]))[0, -1])
    torch.testing.assert_close(stepped(model, tokens_NT)[0], torch.stack(wanted))


@pytest.mark.parametrize("name", RECURRENT)
def test_what_stands_in_front_of_a_window_sets_its_state(name: str) -> None:
    """Rows with all, some and none of the pieces before; each is as if its whole text had been one window."""
    model, tokens_NT = made(name), text(3, 9)
    before_BP, valid_BP = torch.zeros(3, 4, dtype=torch.long), torch.zeros(3, 4, dtype=torch.bool)
    for row, length in enumerate((4, 2, 0)):
        before_BP[row, :length] = tokens_NT[row, 4 - length : 4]
        valid_BP[row, :length] = True
    found = logits(model, tokens_NT[:, 4:], before_BP, valid_BP)
    for row, length in enumerate((4, 2, 0)):
        whole = logits(model, tokens_NT[row : row + 1, 4 - length :])
        torch.testing.assert_close(found[row], whole[0, length:])
    garbage_BP = torch.where(valid_BP, before_BP, 17)
    torch.testing.assert_close(logits(model, tokens_NT[:, 4:], garbage_BP, valid_BP), found, rtol=0, atol=0)


@pytest.mark.parametrize("name", RECURRENT)
def test_no_gradient_goes_into_what_stands_in_front(name: str) -> None:
    model = made(name)
    before_BP, input_BT = torch.tensor([[5, 6, 7]]), torch.tensor([[8, 9]])
    model(input_BT, before_BP, torch.ones(1, 3, dtype=torch.bool)).square().sum().backward()
    gradient_VD = model.decoder.embedding.weight_VD.grad
    assert gradient_VD.abs().sum(1).nonzero().flatten().tolist() == [8, 9]


def test_a_transformer_reads_nothing_before_its_window() -> None:
    with pytest.raises(ValueError, match="inside its window"):
        made("gpt")(text(1, 3), text(1, 2), torch.ones(1, 2, dtype=torch.bool))


@every_model
def test_rows_go_on_as_if_they_had_been_alone(name: str) -> None:
    model, tokens_NT = made(name), text(3, 7)
    with torch.no_grad():
        state = model.read(tokens_NT, model.start(3))
        for rows in ([[2, 2], [0, 1]], [[1, 0, 0]], [[0]]):
            taken = model.step(torch.full((sum(map(len, rows)),), 9), state.take(torch.tensor(rows)))[0]
            for place, row in enumerate(itertools.chain(*rows)):
                alone = model.read(tokens_NT[row : row + 1], model.start(1))
                torch.testing.assert_close(taken[place], model.step(torch.tensor([9]), alone)[0][0])


@every_model
def test_a_decoder_takes_the_weights_by_name(name: str) -> None:
    """What is learnt from plain text can be put into a model for another task that has such a decoder."""
    model, tokens_NT = made(name), text(2, 5)
    state = model.state_dict()
    assert all(key.startswith("decoder.") for key in state)
    other = made(name).decoder
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict({key.removeprefix("decoder."): tensor for key, tensor in state.items()})
    with torch.no_grad():
        torch.testing.assert_close(other(tokens_NT, None)[0], model(tokens_NT), rtol=0, atol=0)


@every_model
def test_tied_weights_are_one(name: str) -> None:
    tied, own = made(name, tie="output"), made(name)
    assert tied.decoder.embedding.weight_VD is tied.decoder.output.weight_VD
    assert own.decoder.embedding.weight_VD is not own.decoder.output.weight_VD


def test_pieces_begin_as_likely_as_they_are() -> None:
    model = made("lstm")
    counts_V = torch.zeros(V, dtype=torch.long)
    counts_V[5], counts_V[9] = 30, 10
    model.expect(counts_V)
    with torch.no_grad():
        p_V = model.decoder.output(torch.zeros(11).double()).softmax(-1)
    assert p_V[5] == pytest.approx(30.1 / (40 + 0.1 * V))
    assert p_V[7] == pytest.approx(0.1 / (40 + 0.1 * V))


@pytest.mark.parametrize("decoder", ["lstm-general", "gru-none", "lstm-2-general-fed", "transformer-rotary"])
def test_decoders_with_a_memory_read_as_they_step(decoder: str) -> None:
    model, (source_BS, valid_BS, input_BT) = make("bilstm-2", decoder), data()
    with torch.no_grad():
        memory = model.encode(source_BS, valid_BS)
        wanted = torch.stack([logits_NV for logits_NV, _ in steps(model, memory, input_BT)], dim=1)
        state = model.decoder.start(memory)
        if decoder.endswith("fed"):
            with pytest.raises(ValueError, match="step by step"):
                model.decoder.read(input_BT, state)
            return
        first_NTD, state = model.decoder.read(input_BT[:, :3], state)
        second_NTD, state = model.decoder.read(input_BT[:, 3:], state)
        found = model.decoder.output(torch.cat((first_NTD, second_NTD), dim=1))
    torch.testing.assert_close(found, wanted)


def test_names_of_tensors_do_not_lie() -> None:
    models, tokens_NT = [made(name) for name in DECODERS], text(2, 8)
    with torch.no_grad(), checked("seq2see.models.language_model") as checker:
        for model in models:
            model(tokens_NT)
            state = model.read(tokens_NT, model.start(2))
            model.step(tokens_NT[:, 0], state.take(torch.tensor([[1, 1], [0, 0]])[:, :1]))
    assert len(checker.seen) > 10


def test_presets_build_and_a_misspelt_one_names_the_nearest() -> None:
    with torch.device("meta"):
        sizes = {
            name: sum(each.numel() for each in build_language_model(settings, 325, 64).parameters())
            for name, settings in LANGUAGE_PRESETS.items()
        }
    assert list(sizes) == ["markov", "rnn", "lstm", "gru", "gpt-tiny", "gpt-small"]
    assert sizes["gpt-tiny"] == 325 * 128 + 325 + 4 * (4 * 128**2 + 2 * 4 * 128**2 + 5 * 128 + 4 * 128) + 2 * 128
    assert isinstance(build_language_model(language_preset("gpt-tiny"), 9, 4), TransformerLanguageModel)
    with pytest.raises(InputError, match='did you mean "gpt-tiny"'):
        language_preset("gpt-tony")


def test_the_beginning_is_a_piece_like_any_other() -> None:
    model = made("gru-2")
    tokens_NT = torch.cat((torch.full((1, 1), SOS), text(1, 3)), dim=1)
    torch.testing.assert_close(stepped(model, tokens_NT), logits(model, tokens_NT))
