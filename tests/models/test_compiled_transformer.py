"""The compiled Transformer beside PyTorch's: the same numbers, whatever rows stand together."""

import copy
import itertools
import os
from pathlib import Path

import pytest
import torch
from _pytest.monkeypatch import MonkeyPatch
from architectures import scrambled
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.config.settings import (
    EmbeddingEncoder,
    ModelSettings,
    RecurrentDecoder,
    SearchSettings,
    TransformerDecoder,
    TransformerEncoder,
)
from seq2see.errors import InputError, Seq2seeError
from seq2see.models.build import build
from seq2see.models.compiled_blocks import Kernel, PackedMemory
from seq2see.models.compiled_decoder import CompiledDecoder, compiled_decoder
from seq2see.models.compiled_encoder import compiled_encoder
from seq2see.models.contracts import Memory
from seq2see.models.seq2seq import Seq2Seq
from seq2see.nn.native import library as native
from seq2see.nn.native.products import Kind, Packed, largest, product
from seq2see.search.hypothesis import Hypothesis
from seq2see.search.search import search
from seq2see.text.tokeniser import EOS, SOS

needs_kernels = pytest.mark.skipif(native.library() is None, reason="needs a C compiler")
KINDS = [
    {"norm": norm, "position": position, "layers": layers, "heads": heads, "width": width, "feed_forward": hidden}
    for norm, position, layers, heads, width, hidden in (
        ("pre", "sinusoidal", 2, 2, 32, 44),
        ("post", "sinusoidal", 1, 1, 16, 64),
        ("pre", "learned", 1, 3, 96, 30),
        ("post", "rotary", 3, 2, 64, 128),
        ("pre", "sinusoidal", 2, 6, 96, 64),  # four heads together, and two alone
        ("post", "sinusoidal", 1, 4, 256, 64),
        ("pre", "rotary", 1, 8, 256, 32),
    )
]
VOCABULARY = 101  # no multiple of anything


def model_of(kind: dict[str, object]) -> Seq2Seq:
    torch.manual_seed(3)
    shape = ModelSettings(
        name="test",
        encoder=TransformerEncoder(layers=1, width=32, heads=2),
        decoder=TransformerDecoder(**kind),
        tie="none",
    )
    return scrambled(build(shape, 23, VOCABULARY)).eval()  # type: ignore[return-value]


def memory_of(model: Seq2Seq, lengths: tuple[int, ...] = (7, 1, 20)) -> Memory:
    source_BS = torch.randint(4, 23, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(5))
    valid_BS = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    with torch.no_grad():
        return model.encode(source_BS, valid_BS)


def require(kernel: str) -> None:
    kernels, kind = native.library(), {"bfloat16": Kind.HALF, "int8": Kind.BYTES}.get(kernel, Kind.SINGLE)
    if kernels is None or not kernels.has(kind):
        pytest.skip(f"this processor has no products in {kernel}")


MOVES = [[[0, 0], [1, 1], [2, 2]], [[1, 0], [3, 3], [4, 5]], [[5, 4, 4], [0, 1, 0]], [[3, 5, 4]], [[0, 1, 2]], [[2]]]


@needs_kernels
@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_pytorch(kind: dict[str, object]) -> None:
    model = model_of(kind)
    memory, fast, slow = memory_of(model), compiled_decoder(model.decoder, "auto"), model.decoder
    assert fast is not None
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():
        quick, plain = fast.start(memory), slow.start(memory)
        for rows in (None, *MOVES, *([[0]] for _ in range(40))):
            if rows is not None:
                quick, plain = quick.take(torch.tensor(rows)), plain.take(torch.tensor(rows))
            count = 3 if rows is None else sum(map(len, rows))
            tokens_N = torch.randint(0, VOCABULARY, (count,), generator=draw)
            found_NV, quick, found_NLHS = fast.step(tokens_N, quick, want_weights=True)
            logits_NV, plain, weights_NLHS = slow.step(tokens_N, plain, want_weights=True)
            torch.testing.assert_close(found_NV, logits_NV.log_softmax(-1), atol=3e-5, rtol=1e-5)
            torch.testing.assert_close(found_NLHS, weights_NLHS, atol=1e-5, rtol=1e-4)


@needs_kernels
@pytest.mark.parametrize("kernel", ["auto", "bfloat16", "int8"])
def test_a_row_has_the_same_bits_alone_and_among_others(kernel: str) -> None:
    model = model_of(KINDS[0])
    require(kernel)
    fast = compiled_decoder(model.decoder, kernel)  # type: ignore[arg-type]
    assert fast is not None
    memory = memory_of(model)
    one = Memory(memory.states_BSD[2:], memory.valid_BS[2:], memory.final.take(torch.tensor([2])), {})
    many, alone = fast.start(memory), fast.start(one)
    many = many.take(torch.tensor([[b] * 37 for b in range(3)]))  # more rows than a tile, than a block
    for token in (4, 9, 9, 11):
        together_NV, many, _ = fast.step(torch.full((111,), token), many)
        single_NV, alone, _ = fast.step(torch.tensor([token]), alone)
        assert torch.equal(together_NV[110], single_NV[0]) and torch.equal(together_NV[80], single_NV[0])


@needs_kernels
@pytest.mark.parametrize("kernel", ["bfloat16", "int8"])
def test_fewer_digits_are_near(kernel: Kernel) -> None:
    model = model_of(KINDS[3])
    require(kernel)
    fast, memory = compiled_decoder(model.decoder, kernel), memory_of(model)
    assert fast is not None
    with torch.no_grad():
        tokens_N = torch.tensor([4, 5, 6])
        found_NV, _, _ = fast.step(tokens_N, fast.start(memory))
        logits_NV, _, _ = model.decoder.step(tokens_N, model.decoder.start(memory))
    apart_NV = (found_NV - logits_NV.log_softmax(-1)).abs()
    assert 1e-6 < apart_NV.max() < 0.2


@needs_kernels
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 97])
@pytest.mark.parametrize(("outputs", "inputs"), [(5, 4), (32, 16), (101, 30), (64, 128)])
def test_products_are_those_of_their_rounded_numbers(rows: int, outputs: int, inputs: int) -> None:
    kernels, draw = native.library(), torch.Generator().manual_seed(rows)
    assert kernels is not None
    x_MK = torch.randn(rows, inputs, generator=draw) * 10.0 ** torch.randint(-3, 3, (rows, 1), generator=draw)
    weight_NK = torch.randn(outputs, inputs, generator=draw)
    x_MK[0] = 0.0
    for kind in filter(kernels.has, Kind):
        x, weight = x_MK.double(), weight_NK.double()
        if kind is Kind.HALF:
            x, weight = (each.bfloat16().double() for each in (x_MK, weight_NK))
        if kind is Kind.BYTES:
            x, weight = (
                (each * 127 / most).round() * most / 127
                for each in (x, weight)
                for most in [each.abs().amax(1, keepdim=True).clamp(min=1e-30)]
            )
        found_MN = product(kernels, x_MK, Packed.of(kernels, weight_NK, kind))
        expected_MN = x @ weight.T
        torch.testing.assert_close(found_MN.double(), expected_MN, atol=2e-6 * float(x_MK.abs().max()), rtol=3e-3)


@needs_kernels
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("causal", [False, True])
def test_an_encoder_reads_as_pytorch_does(kind: dict[str, object], causal: bool) -> None:
    torch.manual_seed(3)
    shape = ModelSettings(name="test", encoder=TransformerEncoder(**kind, causal=causal), decoder=RecurrentDecoder())
    encoder = scrambled(build(shape, 23, VOCABULARY)).eval().encoder
    fast = compiled_encoder(encoder, "auto")
    assert fast is not None
    draw, lengths = torch.Generator().manual_seed(5), (7, 1, 20, 64)
    sources = [torch.randint(4, 23, (length,), generator=draw).tolist() for length in lengths]
    source_BS = torch.tensor([[*each, *[0] * (64 - len(each))] for each in sources])
    with torch.no_grad():
        memory = encoder(source_BS, torch.arange(64) < torch.tensor(lengths).unsqueeze(1))
        found, expected = fast.read(sources), PackedMemory.of(memory)
        assert found.longest == 64 and torch.equal(found.first, expected.first)
        # With 256 numbers and such weights PyTorch is itself up to 1e-4 from what float64 gives.
        near = 2e-5 if encoder.shape.width < 256 else 2e-4
        torch.testing.assert_close(found.states_RM, expected.states_RM, atol=near, rtol=1e-5)
        for each, (start, end) in zip(sources, itertools.pairwise(found.first.tolist()), strict=True):
            assert torch.equal(fast.read([each]).states_RM, found.states_RM[start:end])


def greedily(model: Seq2Seq, memory: Memory, limits: list[int], at_once: bool, **settings: int) -> list[Hypothesis]:
    fast = compiled_decoder(model.decoder, "auto")
    assert fast is not None
    with torch.no_grad():
        found = search(
            fast.step,  # type: ignore[arg-type]
            fast.start(memory),
            sentences=len(limits),
            settings=SearchSettings(method="greedy", **settings),
            max_lengths=limits,
            normalised=True,
            write=fast.write if at_once else None,  # type: ignore[arg-type]
        )
    return [each for (each,) in found]


@needs_kernels
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("min_length", [0, 9])
def test_what_is_written_at_once_is_what_the_steps_write(kind: dict[str, object], min_length: int) -> None:
    model = model_of(kind)
    lengths = tuple(1 + place * 7 % 23 for place in range(130))  # more rows than a block
    memory, limits = memory_of(model, lengths), [3 + place * 5 % 17 for place in range(130)]
    with torch.no_grad():  # so that rows end at different times
        logits_NV, _, _ = model.decoder.step(torch.full((130,), SOS), model.decoder.start(memory))
        model.decoder.output.bias_V[EOS] += (logits_NV.amax(1) - logits_NV[:, EOS]).quantile(0.3)
    steps = greedily(model, memory, limits, at_once=False, min_length=min_length)
    whole = greedily(model, memory, limits, at_once=True, min_length=min_length)
    assert {each.finished for each in steps} == {"eos", "length"}
    for each, other in zip(steps, whole, strict=True):
        assert (each.tokens, each.log_probs, each.score, each.finished) == (
            other.tokens,
            other.log_probs,
            other.score,
            other.finished,
        )


def by_steps_and_at_once(
    fast: CompiledDecoder,
    memory: Memory,
    wanted: SearchSettings,
    limits: list[int],
    shortlists: list[list[int]] | None = None,
) -> list[list[list[Hypothesis]]]:
    """What a search finds that asks for one step after the other, and one that leaves all to the kernels."""
    return [
        search(
            fast.step,
            fast.start(memory),
            sentences=len(limits),
            settings=wanted,
            max_lengths=limits,
            shortlists=shortlists,
            normalised=True,
            write=fast.write if at_once else None,
            write_beams=fast.write_beams if at_once else None,
        )
        for at_once in (False, True)
    ]


@needs_kernels
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "wanted",
    [
        SearchSettings(beam=5),
        SearchSettings(beam=4, nbest=4, min_length=6, length_penalty=0.0),
        SearchSettings(beam=3, nbest=2, length_penalty=1.5, patience=1.0),
        SearchSettings(beam=1, patience=1.0),
        SearchSettings(beam=40, nbest=7),
    ],
)
def test_a_beam_at_once_finds_what_the_steps_find(kind: dict[str, object], wanted: SearchSettings) -> None:
    model = model_of(kind)
    count = 60 if wanted.beam < 40 else 5
    memory = memory_of(model, tuple(1 + place * 7 % 23 for place in range(count)))
    limits = [3 + place * 5 % 17 for place in range(count)]
    with torch.no_grad():  # so that rows end at different times
        logits_NV, _, _ = model.decoder.step(torch.full((count,), SOS), model.decoder.start(memory))
        model.decoder.output.bias_V[EOS] += (logits_NV.amax(1) - logits_NV[:, EOS]).quantile(0.3)
    fast = compiled_decoder(model.decoder, "auto")
    assert fast is not None
    with torch.no_grad():
        steps, whole = by_steps_and_at_once(fast, memory, wanted, limits)
    ways = {each.finished for each in itertools.chain(*steps)}
    assert ways >= ({"eos", "length"} if wanted.min_length else {"eos"})
    assert [len(pool) for pool in whole] == [len(pool) for pool in steps]
    for one, other in zip(itertools.chain(*steps), itertools.chain(*whole), strict=True):
        assert (one.tokens, one.log_probs, one.score, one.finished) == (
            other.tokens,
            other.log_probs,
            other.score,
            other.finished,
        )


@needs_kernels
@pytest.mark.parametrize("kernel", ["auto", "bfloat16", "int8"])
@pytest.mark.parametrize("wanted", [SearchSettings(method="greedy", min_length=4), SearchSettings(beam=4, nbest=3)])
def test_short_lists_at_once_are_those_of_the_steps(kernel: Kernel, wanted: SearchSettings) -> None:
    model = model_of(KINDS[0])
    require(kernel)
    count, draw = 40, torch.Generator().manual_seed(6)
    memory = memory_of(model, tuple(1 + place * 7 % 23 for place in range(count)))
    several = [torch.randperm(VOCABULARY - 4, generator=draw)[: 3 + 2 * place] + 4 for place in range(count)]
    lists = [[EOS, *sorted(each.tolist())] for each in several]
    fast = compiled_decoder(model.decoder, kernel)
    assert fast is not None
    with torch.no_grad():
        model.decoder.output.bias_V[EOS] += 3.0
        fast = compiled_decoder(model.decoder, kernel)
        assert fast is not None
        steps, whole = by_steps_and_at_once(fast, memory, wanted, [12] * count, lists)
    assert fast.write(fast.start(memory), [12] * count, shortlists=lists) is not None
    assert fast.write(fast.start(memory), [12] * count, never=[lists[7][-1]], shortlists=lists) is None
    for allowed, one, other in zip(lists, steps, whole, strict=True):
        assert [each.tokens for each in one] == [each.tokens for each in other]
        assert set(itertools.chain(*(each.tokens for each in one))) <= set(allowed)
        for each, found in zip(one, other, strict=True):
            assert found.log_probs == pytest.approx(each.log_probs, abs=2e-5)


@needs_kernels
@pytest.mark.parametrize(
    ("listed", "said"),
    [([5, 6], "without <eos>"), ([EOS, VOCABULARY], "that there are not"), ([-1, EOS], "that there are not")],
)
def test_lists_that_nothing_can_be_written_by(listed: list[int], said: str) -> None:
    """The kernels read weights by their numbers."""
    model = model_of(KINDS[0])
    fast = compiled_decoder(model.decoder, "auto")
    assert fast is not None
    with pytest.raises(InputError, match=said):
        fast.write(fast.start(memory_of(model, (3,))), [12], shortlists=[listed])
    with pytest.raises(InputError, match=said):
        fast.write_beams(fast.start(memory_of(model, (3,))), [12], (), 0, SearchSettings(), [1.0] * 13, [listed])


@needs_kernels
@pytest.mark.parametrize("hopeless", [1, 32, 40, VOCABULARY])
def test_scores_of_minus_infinity(hopeless: int) -> None:
    """Some are a probability of 0, wherever they stand; where all are, there is no distribution."""
    model = model_of(KINDS[0])
    memory = memory_of(model, (3, 5))
    with torch.no_grad():
        model.decoder.output.bias_V.fill_(-200.0)
        model.decoder.output.bias_V[:hopeless] = -torch.inf
    fast = compiled_decoder(model.decoder, "auto")
    assert fast is not None
    tokens_N = torch.tensor([SOS, 7])
    table_NV, _, _ = fast.step(tokens_N, fast.start(memory))
    best_NC, columns_NC, _, _ = fast.step_best(tokens_N, fast.start(memory), 5, ())
    with torch.no_grad():
        logits_NV, _, _ = model.decoder.step(tokens_N, model.decoder.start(memory))
    if hopeless == VOCABULARY:
        assert table_NV[:, 0].isnan().all() and best_NC.isnan().all()
        return
    expected_NV = logits_NV.log_softmax(1)
    torch.testing.assert_close(table_NV, expected_NV, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(best_NC, expected_NV.gather(1, columns_NC), atol=1e-4, rtol=0.0)


@needs_kernels
@pytest.mark.parametrize("kernel", ["auto", "int8"])
def test_the_best_of_a_step_are_those_of_the_whole_table(kernel: Kernel) -> None:
    model = model_of(KINDS[0])
    require(kernel)
    fast, memory = compiled_decoder(model.decoder, kernel), memory_of(model, (3,) * 130)
    assert fast is not None
    tokens_N, never = torch.arange(130) % VOCABULARY, (0, 7, 100, 5_000)
    for count in (1, 10, 64, VOCABULARY + 5):
        table_NV, _, weights_NLHS = fast.step(tokens_N, fast.start(memory), want_weights=True)
        table_NV[:, [0, 7, 100]] = -torch.inf
        values_NC, found_NC, state, found_NLHS = fast.step_best(tokens_N, fast.start(memory), count, never, True)
        expected = table_NV.sort(dim=1, descending=True, stable=True)
        kept = min(count, VOCABULARY)
        assert torch.equal(values_NC, expected.values[:, :kept]) and torch.equal(found_NC, expected.indices[:, :kept])
        assert torch.equal(found_NLHS, weights_NLHS) and len(state.past) == 1


@needs_kernels
@pytest.mark.parametrize("min_length", [0, 6])
@pytest.mark.parametrize("forced", [(), (9, 8)])
def test_a_beam_finds_the_same_with_the_best_alone(min_length: int, forced: tuple[int, ...]) -> None:
    model = model_of(KINDS[3])
    fast, memory = compiled_decoder(model.decoder, "auto"), memory_of(model, (3, 9, 1, 14))
    assert fast is not None
    wanted = SearchSettings(beam=4, nbest=4, min_length=min_length)
    with torch.no_grad():
        first, second = (
            search(
                lambda tokens_N, state: fast.step(tokens_N, state, want_weights=True),  # type: ignore[arg-type]
                fast.start(memory),
                sentences=4,
                settings=wanted,
                max_lengths=[12, 5 + min_length, 9, 16],
                prefixes=[(), forced, (), ()],
                want_weights=True,
                normalised=True,
                step_best=step_best,  # type: ignore[arg-type]
            )
            for step_best in (None, fast.step_best)
        )
    for one, other in zip(itertools.chain(*first), itertools.chain(*second), strict=True):
        assert (one.tokens, one.log_probs, one.score) == (other.tokens, other.log_probs, other.score)
        assert one.weights_TLHS is not None and torch.equal(one.weights_TLHS, other.weights_TLHS)


@needs_kernels
@pytest.mark.parametrize("kernel", ["auto", "bfloat16", "int8"])
def test_a_weight_that_is_no_number_gives_no_answer(kernel: Kernel) -> None:
    model = model_of(KINDS[0])
    require(kernel)
    with torch.no_grad():
        model.decoder.blocks[0].feed_forward.inner.weight[3, 5] = torch.nan
    fast = compiled_decoder(model.decoder, kernel)
    assert fast is not None
    log_probs_NV, _, _ = fast.step(torch.tensor([4, 5, 6]), fast.start(memory_of(model)))
    assert log_probs_NV.isnan().all()


def test_bfloat16_takes_inputs_in_pairs() -> None:
    shape = ModelSettings(
        name="test", encoder=EmbeddingEncoder(width=31), decoder=TransformerDecoder(**KINDS[0]), tie="none"
    )
    assert compiled_decoder(build(shape, 23, VOCABULARY).eval().decoder, "auto") is None


@needs_kernels
def test_what_cannot_be_written_at_once_is_left_to_the_steps() -> None:
    model = model_of(KINDS[2])  # learned positions
    fast, memory = compiled_decoder(model.decoder, "auto"), memory_of(model)
    assert fast is not None
    state = fast.start(memory)
    assert fast.write(state, [5, 5, 5]) is not None
    assert fast.write(state, [5, 5, 2_000]) is None
    assert fast.write(state, [5, 5, 5], never=range(VOCABULARY)) is None
    beams = SearchSettings(beam=2)
    norms = [1.0] * 2_001
    assert fast.write_beams(state, [5, 5, 5], (), 0, beams, norms) is not None
    assert fast.write_beams(state, [5, 5, 2_000], (), 0, beams, norms) is None
    assert fast.write_beams(state, [5, 5, 5], range(VOCABULARY), 0, beams, norms) is None
    with torch.no_grad():
        model.decoder.norm.bias[0] = torch.nan
    with pytest.raises(Seq2seeError, match="gave no distribution"):
        greedily(model, memory, [5, 5, 5], at_once=True)
    changed = compiled_decoder(model.decoder, "auto")
    assert changed is not None
    values_NC, _, _, _ = changed.step_best(torch.tensor([4, 5, 6]), changed.start(memory), 3, (0,))
    assert values_NC.isnan().all()


@needs_kernels
def test_a_state_is_not_changed_by_going_on_from_it() -> None:
    model = model_of(KINDS[0])
    fast = compiled_decoder(model.decoder, "auto")
    assert fast is not None
    _, trunk, _ = fast.step(torch.tensor([4, 5, 6]), fast.start(memory_of(model)))
    first = fast.step(torch.tensor([7, 7, 7]), trunk)[0].clone()
    fast.step(torch.tensor([8, 8]), trunk.take(torch.tensor([[2], [0]])))
    assert torch.equal(fast.step(torch.tensor([7, 7, 7]), trunk)[0], first)


@needs_kernels
def test_weights_that_change_are_laid_out_again() -> None:
    model = model_of(KINDS[0])
    before = compiled_decoder(model.decoder, "auto")
    assert compiled_decoder(model.decoder, "auto") is before
    with torch.no_grad():
        model.decoder.output.bias_V.add_(1.0)
    assert compiled_decoder(model.decoder, "auto") is not before
    assert compiled_decoder(copy.deepcopy(model).decoder, "auto") is not before


def test_what_does_not_fit_is_left_to_pytorch(monkeypatch: MonkeyPatch) -> None:
    model = model_of(KINDS[0])
    assert compiled_decoder(model.decoder, "plain") is None
    assert compiled_decoder(model.encoder, "auto") is None
    with pytest.raises(InputError, match="is for Transformers on a processor"):
        compiled_decoder(model.encoder, "int8")
    assert compiled_decoder(copy.deepcopy(model).double().decoder, "auto") is None
    assert compiled_decoder(copy.deepcopy(model).train().decoder, "auto") is None
    odd = model_of({**KINDS[0], "width": 24})  # a head of 12
    assert compiled_decoder(odd.decoder, "auto") is None
    monkeypatch.setattr("seq2see.models.compiled_blocks.library", lambda: None)
    assert compiled_decoder(model.decoder, "auto") is None
    with pytest.raises(InputError, match="needs a C compiler and a processor"):
        compiled_decoder(model.decoder, "bfloat16")


@needs_kernels
def test_weights_loaded_in_inference_mode() -> None:
    with torch.inference_mode():
        model = model_of(KINDS[0])
        assert compiled_decoder(model.decoder, "auto") is not None


def test_no_compiler_and_a_compiler_that_fails(monkeypatch: MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fails = tmp_path / "cc"
    fails.write_text("#!/bin/sh\nexit 1\n")
    fails.chmod(0o755)
    monkeypatch.setattr(native, "_compilers", lambda: (str(fails),))
    assert native.library.__wrapped__() is None
    monkeypatch.setattr(native, "_compilers", lambda: ())
    assert native.library.__wrapped__() is None
    assert [each.name for each in tmp_path.glob("seq2see/*")] == []


@needs_kernels
@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_a_folder_that_others_may_write_to_is_not_trusted(monkeypatch: MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert native.library.__wrapped__() is not None
    (made,) = (tmp_path / "seq2see").iterdir()
    assert made.name.startswith("kernels-") and made.suffix == ".so"
    (tmp_path / "seq2see").chmod(0o777)
    assert native.library.__wrapped__() is None


@needs_kernels
@settings(deadline=None, max_examples=200)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 300),
    levels=st.sampled_from([1, 2, 3, 6, 10**6]),
    forbidden=st.floats(0, 1),
    most=st.integers(1, 64),
    seed=st.integers(0, 10**6),
)
def test_the_largest_are_those_of_a_stable_sort(rows, columns, levels, forbidden, most, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    values_NV = torch.randint(levels, (rows, columns), generator=generator).float()
    values_NV[torch.rand(rows, columns, generator=generator) < forbidden] = -torch.inf
    count = min(most, columns)
    found = largest(values_NV, count)
    expected, order = values_NV.sort(dim=-1, descending=True, stable=True)
    assert found is not None
    assert torch.equal(found[0], expected[:, :count]) and torch.equal(found[1], order[:, :count])
