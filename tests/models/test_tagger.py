"""What every tagger must keep: padding and neighbours invisible, no look-ahead where promised, steps are the whole."""

import pytest
import torch
from shape_names import checked
from torch import Tensor

from seq2see.config.settings import RecurrentEncoder, TransformerEncoder
from seq2see.config.tag import TagModelSettings, WordVectorSettings
from seq2see.data.tagging import Words, WordTable
from seq2see.errors import InputError
from seq2see.models.tag_presets import TAG_PRESETS, tag_preset
from seq2see.models.tagger import Tagger, TaggerSizes, build_tagger, require_buildable
from seq2see.nn.embedding import Embedding
from seq2see.text.spelling import Spelled
from seq2see.training.loss import cross_entropy

SIZES = TaggerSizes(words=13, letters=17, buckets=19, labels=7)
PARTS = WordVectorSettings(word=5, ngram=3, letters=6, letter=5, word_dropout=0.0)
ENCODERS = {
    "rnn": RecurrentEncoder(cell="rnn", layers=1, width=11, bidirectional=False),
    "lstm-2": RecurrentEncoder(cell="lstm", layers=2, width=11, bidirectional=False),
    "gru-2": RecurrentEncoder(cell="gru", layers=2, width=11, bidirectional=False),
    "bilstm-2": RecurrentEncoder(cell="lstm", layers=2, width=14, bidirectional=True),
    "bigru": RecurrentEncoder(cell="gru", layers=1, width=14, bidirectional=True),
    "transformer": TransformerEncoder(layers=2, width=15, heads=3, feed_forward=19),
    "transformer-rotary-post": TransformerEncoder(
        layers=1, width=18, heads=3, feed_forward=19, position="rotary", norm="post"
    ),
}
STREAMING = ("rnn", "lstm-2", "gru-2")
LENGTHS = (7, 4, 5)

every_tagger = pytest.mark.parametrize("name", ENCODERS)
every_streaming = pytest.mark.parametrize("name", STREAMING)


def make(name: str, parts: WordVectorSettings = PARTS) -> Tagger:
    """A model in double precision and eval mode, no bias zero and no norm an identity."""
    torch.manual_seed(29)
    model = build_tagger(TagModelSettings(name="test", words=parts, encoder=ENCODERS[name], dropout=0.0), SIZES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.double().eval()


def table() -> WordTable:
    """Twenty words of their own letters; words 12 to 19 are unknown."""
    generator = torch.Generator().manual_seed(31)
    spelled = []
    for number in range(20):
        letters = torch.randint(1, 17, (3 + number % 5,), generator=generator).tolist()
        ngrams = torch.randint(0, 19, (number % 4,), generator=generator).tolist()
        spelled.append(Spelled(2 + number if number < 11 else 1, tuple(letters), tuple(ngrams)))
    return WordTable(spelled)


Given = tuple[Words, Tensor, Tensor]


def data(lengths: tuple[int, ...] = LENGTHS, seed: int = 37, width: int = 0) -> tuple[Tensor, Tensor]:
    """Numbers of words, and which of them are valid."""
    generator = torch.Generator().manual_seed(seed)
    S = width or max(lengths)
    words_BS = torch.randint(0, 20, (len(lengths), S), generator=generator)
    return words_BS, torch.arange(S) < torch.tensor(lengths).unsqueeze(1)


def given(words_BS: Tensor, valid_BS: Tensor) -> Given:
    words, index_BS = table().side_by_side(words_BS, valid_BS)
    return words, index_BS, valid_BS


def gradients(model: Tagger, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: each.grad for name, each in model.named_parameters() if each.grad is not None}


@every_tagger
def test_padding_is_invisible(name: str) -> None:
    model, (words_BS, valid_BS) = make(name), data()
    results = []
    for extra in (0, 3):
        longer_BS = torch.nn.functional.pad(words_BS, (0, extra), value=5)
        hidden_BSD = model(*given(longer_BS, torch.nn.functional.pad(valid_BS, (0, extra))))
        assert not hidden_BSD[:, 7:].any()
        assert not hidden_BSD[:, :7][~valid_BS].any()
        results.append([hidden_BSD[:, :7], gradients(model, hidden_BSD.square().sum())])
    torch.testing.assert_close(results[1], results[0])


@every_tagger
def test_other_sentences_are_invisible(name: str) -> None:
    model, (words_BS, valid_BS) = make(name), data()
    together = model(*given(words_BS, valid_BS))
    torch.testing.assert_close(model(*given(words_BS.flip(0), valid_BS.flip(0))).flip(0), together)
    for b, length in enumerate(LENGTHS):
        alone = model(*given(words_BS[b : b + 1, :length], valid_BS[b : b + 1, :length]))
        torch.testing.assert_close(alone[0], together[b, :length])


def reached(model: Tagger, place: int) -> list[int]:
    """Which of seven different words a hidden state depends on, by the gradient of their vectors."""
    words, index_BS, valid_BS = given(torch.arange(7).unsqueeze(0), torch.ones(1, 7, dtype=torch.bool))
    model.zero_grad()
    model(words, index_BS, valid_BS)[0, place].square().sum().backward()
    assert model.words.known is not None
    gradient_V = model.words.known.embedding.weight_VD.grad.abs().sum(1)
    return [number - 2 for number in gradient_V.nonzero().flatten().tolist()]


@every_tagger
def test_which_tokens_a_label_depends_on(name: str) -> None:
    model = make(name)
    for place in range(7):
        expected = list(range(place + 1)) if name in STREAMING else list(range(7))
        assert reached(model, place) == expected
    assert model.streams == (name in STREAMING)


@every_streaming
def test_steps_are_the_whole(name: str) -> None:
    model, (words_BS, valid_BS) = make(name), data((7,))
    with torch.no_grad():
        logits_SC = model.output(model(*given(words_BS, valid_BS))[0])
        state = model.start()
        for s in range(7):
            words, _, _ = given(words_BS[:, s : s + 1], valid_BS[:, s : s + 1])
            logits_NC, state = model.step(words, state)
            torch.testing.assert_close(logits_NC[0], logits_SC[s])


@every_streaming
def test_a_sentence_in_parts_is_the_whole(name: str) -> None:
    model, (words_BS, valid_BS) = make(name), data((7,))
    with torch.no_grad():
        whole = model.read(*given(words_BS, valid_BS)).hidden_BSD
        first = model.read(*given(words_BS[:, :3], valid_BS[:, :3]))
        second = model.read(*given(words_BS[:, 3:], valid_BS[:, 3:]), start=first.final)
    torch.testing.assert_close(torch.cat((first.hidden_BSD, second.hidden_BSD), dim=1), whole)


@pytest.mark.parametrize("name", [name for name in ENCODERS if name not in STREAMING])
def test_only_one_direction_goes_step_by_step(name: str) -> None:
    model, (words_BS, valid_BS) = make(name), data()
    assert model.read(*given(words_BS, valid_BS)).final is None
    with pytest.raises(ValueError, match="one direction"):
        model.start()


@every_tagger
def test_saved_weights_are_the_whole_model(name: str) -> None:
    model, (words_BS, valid_BS) = make(name), data()
    torch.manual_seed(47)
    fresh = build_tagger(TagModelSettings(name="test", words=PARTS, encoder=ENCODERS[name]), SIZES).double().eval()
    with torch.no_grad():
        expected = model(*given(words_BS, valid_BS))
        assert not torch.allclose(fresh(*given(words_BS, valid_BS)), expected)
        fresh.load_state_dict(model.state_dict())
        assert torch.equal(fresh(*given(words_BS, valid_BS)), expected)
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}


@every_tagger
def test_every_weight_is_used(name: str) -> None:
    model, (words_BS, valid_BS) = make(name), data()
    found = gradients(model, model.output(model(*given(words_BS, valid_BS))).square().sum())
    for parameter, weight in model.named_parameters():
        assert parameter in found, f"{parameter} gets no gradient"
        assert found[parameter].any() and found[parameter].isfinite().all(), parameter
        assert found[parameter].shape == weight.shape


@every_tagger
def test_an_empty_sentence_harms_nobody(name: str) -> None:
    model, (words_BS, valid_BS) = make(name), data()
    expected = model(*given(words_BS, valid_BS))
    emptied_BS = valid_BS.clone()
    emptied_BS[1] = False
    hidden_BSD = model(*given(words_BS, emptied_BS))
    torch.testing.assert_close(hidden_BSD[[0, 2]], expected[[0, 2]])
    assert not hidden_BSD[1].any()
    assert all(each.isfinite().all() for each in gradients(model, hidden_BSD.square().sum()).values())


@pytest.mark.parametrize("left_out", ["word", "ngram", "letters"])
def test_a_part_of_width_zero_is_not_there(left_out: str) -> None:
    parts = WordVectorSettings(**{**PARTS.model_dump(), left_out: 0})
    model, (words_BS, valid_BS) = make("bigru", parts), data()
    smaller = sum(each.numel() for each in model.parameters())
    assert smaller < sum(each.numel() for each in make("bigru").parameters())
    assert model(*given(words_BS, valid_BS))[valid_BS].any(-1).all()


@every_tagger
def test_looking_does_not_change_what_is_seen(name: str) -> None:
    model, (words_BS, valid_BS) = make(name), data((6,))
    with torch.no_grad():
        plain = model.read(*given(words_BS, valid_BS))
        wanted = model.read(*given(words_BS, valid_BS), want_weights=True)
        traces = model.trace(*given(words_BS, valid_BS))
    torch.testing.assert_close(wanted.hidden_BSD, plain.hidden_BSD)
    assert plain.weights == {}
    encoder = ENCODERS[name]
    if isinstance(encoder, TransformerEncoder):
        assert wanted.weights["encoder"].shape == (1, encoder.layers, encoder.heads, 6, 6)
        torch.testing.assert_close(
            wanted.weights["encoder"].sum(-1), torch.ones(1, encoder.layers, encoder.heads, 6).double()
        )
        assert traces == []
    else:
        tops = [torch.cat([trace.hidden_NTD for trace in layer], dim=-1) for layer in traces]
        torch.testing.assert_close(sum(tops), plain.hidden_BSD)  # each layer adds to the one below


@every_tagger
def test_names_do_not_lie(name: str) -> None:
    model, (words_BS, valid_BS) = make(name), data()
    with torch.no_grad(), checked() as checker:
        model.read(*given(words_BS, valid_BS), want_weights=True)
        model(*given(words_BS, valid_BS))
        if name in STREAMING:
            model.step(given(words_BS[:1, :1], valid_BS[:1, :1])[0], model.start())
    assert len(checker.seen) > 30


@every_tagger
def test_bfloat16_is_near(name: str) -> None:
    model, (words_BS, valid_BS) = make(name).float(), data()
    expected = model(*given(words_BS, valid_BS))
    with torch.autocast("cpu", torch.bfloat16):
        hidden_BSD = model(*given(words_BS, valid_BS))
    torch.testing.assert_close(hidden_BSD.float(), expected, rtol=0.1, atol=0.1)


@every_tagger
def test_a_few_sentences_are_learned(name: str) -> None:
    """Labels that depend on the word and on the one before it, to a loss below 0.01."""
    torch.manual_seed(53)
    parts = WordVectorSettings(word=16, ngram=4, letters=8, letter=8, word_dropout=0.0)
    settings = TagModelSettings(name="test", words=parts, encoder=ENCODERS[name], dropout=0.0)
    model = build_tagger(settings, SIZES)
    words_BS, valid_BS = data((7, 6, 5, 7), seed=59)
    before_BS = torch.nn.functional.pad(words_BS, (1, -1))
    gold_N = ((words_BS + before_BS) % 7)[valid_BS]
    batch = given(words_BS, valid_BS)
    rate = 0.005 if isinstance(ENCODERS[name], TransformerEncoder) else 0.02
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(250):
        optimiser.zero_grad()
        output = model.output
        loss = cross_entropy(model(*batch)[valid_BS], output.weight_VD, output.bias_V, gold_N) / len(gold_N)
        if float(loss.detach()) < 0.01:
            return
        loss.backward()
        optimiser.step()
    pytest.fail(f"loss {float(loss.detach()):.3f}")


def test_presets_are_models_and_say_which_stream() -> None:
    for name in TAG_PRESETS:
        settings = tag_preset(name)
        require_buildable(settings)
        assert settings.streams == (name in ("rnn", "lstm", "gru"))
    with pytest.raises(InputError, match='"bilstn"; did you mean "bilstm"'):
        tag_preset("bilstn")


def test_settings_that_do_not_fit() -> None:
    encoder = RecurrentEncoder(width=13, bidirectional=True)
    with pytest.raises(InputError, match="two directions"):
        require_buildable(TagModelSettings(name="x", encoder=encoder))


def test_tables_are_known_to_the_optimiser_as_such() -> None:
    """What is looked up has no weight decay: the optimiser tells by the kind of module."""
    words = make("bilstm-2").words
    assert words.known is not None and words.ngrams is not None and words.letters is not None
    assert all(
        isinstance(each, Embedding) for each in (words.known.embedding, words.ngrams.table, words.letters.embedding)
    )
