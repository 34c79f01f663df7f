"""From a plain text to a run that fills blanks, through the command line and in Python."""

import json
import math
from itertools import product
from pathlib import Path

import pytest
import torch

import seq2see as package
from seq2see.config.masked import MaskedModelSettings, MaskedSettings, MaskedWindowSettings, MaskingSettings
from seq2see.config.settings import RecurrentEncoder, TextSettings, TokeniserKind, TrainingSettings, TransformerEncoder
from seq2see.data.masking import MASK, MaskedBatch
from seq2see.errors import InputError, Stopped
from seq2see.models.masked_language_model import build_masked_model
from seq2see.tasks import masked_filling, masked_scoring, masked_seeing
from seq2see.tasks.catalogue import load
from seq2see.tasks.masked import objective
from seq2see.tasks.masked_filling import Filler, gapped
from seq2see.tasks.masked_run import MaskedRun
from seq2see.tasks.masked_scoring import Cut, MaskedReader, hidden_scores, sampled_loss, score_text
from seq2see.tasks.reporting import Reporter, silent
from seq2see.tasks.request import TrainRequest
from seq2see.tasks.training import train_run
from seq2see.text.tokeniser import Tokeniser
from seq2see.training.interrupt import Interrupt
from seq2see.training.progress import Progress
from small_task import Answer, Command

PETS = "a cat meows; a dog barks; a bird sings.\n" * 60
QUICK: dict[str, object] = {
    "training.precision": "float32",
    "training.batch_tokens": 256,
    "training.learning_rate": 0.01,
    "training.evaluate_every": 1_000,
    "model.encoder.width": 24,
    "model.encoder.layers": 2,
    "model.encoder.feed_forward": 24,
    "model.dropout": 0.0,
    "text.vocabulary": 300,
    "window.length": 12,
}
TEXT = "the cat sat on the mat,\nand the mat lay under the cat;\n\nno hat was there.\n" * 3
ENCODERS = {
    "bert": TransformerEncoder(layers=2, width=12, heads=3, feed_forward=16, position="rotary"),
    "bigru": RecurrentEncoder(cell="gru", width=12),
}
every_encoder = pytest.mark.parametrize("name", ENCODERS)


def nothing() -> None:
    pass


def reader(name: str = "bert", *, kind: TokeniserKind = "char", length: int = 8, passes: int = 7) -> MaskedReader:
    """A model with weights drawn at random: what it says is not sensible, but certain."""
    settings = MaskedSettings(
        text=TextSettings(kind=kind, vocabulary=300),
        model=MaskedModelSettings(name=name, encoder=ENCODERS[name], tie="none", dropout=0.0),
        window=MaskedWindowSettings(length=length),
        masking=MaskingSettings(share=1 / passes),
        training=TrainingSettings(steps=1),
    )
    tokeniser = Tokeniser.train([TEXT], settings.text)
    torch.manual_seed(3)
    model = build_masked_model(settings.model, tokeniser.size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return MaskedReader(model.eval(), tokeniser, settings)


# ── scores ──────────────────────────────────────────────────────────────────────────────────────


@every_encoder
@pytest.mark.parametrize(("length", "passes"), [(8, 7), (8, 3), (5, 9)])
def test_each_piece_is_hidden_once_with_every_so_many_th(name: str, length: int, passes: int) -> None:
    """Against a slow twin that hides and reads row by row; 22 pieces leave a last window that is shorter."""
    made = reader(name, length=length, passes=passes)
    ids = list(made.tokeniser.encode(TEXT).ids)[:22]
    log_probs_N, right_N = hidden_scores(made, torch.tensor(ids), made.cut, nothing)
    assert len(log_probs_N) == 22
    for place, piece in enumerate(ids):
        start = place - place % length
        window = ids[start : start + length]
        read = [MASK if (at - place + start) % passes == 0 else one for at, one in enumerate(window)]
        with torch.no_grad():
            states = made.model(torch.tensor([read]), torch.ones(1, len(read), dtype=torch.bool))
            logits = made.model.output(states)[0, place - start]
        assert float(log_probs_N[place]) == pytest.approx(float(logits.log_softmax(0)[piece]), abs=1e-5)
        assert bool(right_N[place]) == (int(logits.argmax()) == piece)


@every_encoder
@pytest.mark.parametrize("kind", ["char", "bpe", "byte"])
def test_every_piece_counts_once_however_many_are_read_together(
    name: str, kind: TokeniserKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = reader(name, kind=kind)
    text = TEXT + "e\u0301té 한\n"
    monkeypatch.setattr(masked_scoring, "STRETCH", 30)
    wanted = score_text(made, [text], made.cut, nothing)
    monkeypatch.setattr(masked_scoring, "MOST_POSITIONS", 60)
    monkeypatch.setattr(masked_scoring, "_AT_ONCE", 2)
    found = score_text(made, iter([text[:7], text[7:100], text[100:]]), made.cut, nothing)
    assert len(found) > 5
    assert [one.log_prob for one in found] == pytest.approx([one.log_prob for one in wanted], abs=1e-4)
    assert [(one.right, one.pieces) for one in found] == [(one.right, one.pieces) for one in wanted]
    assert sum(one.pieces for one in found) == len(made.tokeniser.encode(text).ids)


def test_a_spread_subset_of_all_windows_is_all() -> None:
    made = reader()
    ids_I = torch.tensor(made.tokeniser.encode(TEXT).ids)
    log_probs_N, _ = hidden_scores(made, ids_I, made.cut, nothing)
    assert sampled_loss(made, ids_I, len(ids_I), nothing) == pytest.approx(-float(log_probs_N.mean()), rel=1e-6)
    some_N, _ = hidden_scores(made, ids_I, made.cut, nothing, every=3)
    first_N = log_probs_N[: len(ids_I) - len(ids_I) % 8].view(-1, 8)[::3].flatten()
    torch.testing.assert_close(some_N[: len(first_N)], first_N, atol=1e-5, rtol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_of_hidden_pieces_and_summed_over_them(smoothing: float) -> None:
    made = reader()
    settings = made.settings.model_copy(update={"training": TrainingSettings(steps=1, label_smoothing=smoothing)})
    gold_BT = torch.randint(4, made.tokeniser.size, (3, 8))
    loss = objective(settings, made.tokeniser.size)

    def drawn(batch: MaskedBatch) -> float:
        torch.manual_seed(4)
        return float(loss(made.model, batch).detach())

    one, two = (drawn(MaskedBatch(torch.arange(3), gold_BT, hidden, 3 * hidden)) for hidden in (1, 8))
    assert 0 < one < two
    assert one == drawn(MaskedBatch(torch.arange(3), gold_BT, 1, 3))
    # With all hidden and masked nothing is left to chance.
    masking = settings.masking.model_copy(update={"masked": 1.0, "replaced": 0.0})
    blind = objective(settings.model_copy(update={"masking": masking}), made.tokeniser.size)
    found = blind(made.model, MaskedBatch(torch.arange(3), gold_BT, 8, 24))
    with torch.no_grad():
        states = made.model(torch.full((3, 8), MASK), torch.ones(3, 8, dtype=torch.bool))
        logits = made.model.output(states).flatten(0, 1)
    wanted = torch.nn.functional.cross_entropy(logits, gold_BT.flatten(), label_smoothing=smoothing, reduction="sum")
    assert float(found.detach()) == pytest.approx(float(wanted), rel=1e-5)


# ── blanks ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("the cat ___ the mat", (True,)),
        ("___ cat sat", (True,)),
        ("the ca___ sat", (False,)),
        ("the ___ ______ the___", (True, True, False)),
        ("on the mat,\n___ the", (False,)),
    ],
)
@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_what_stands_around_a_blank_is_cut_as_in_a_whole_text(
    text: str, apart: tuple[bool, ...], kind: TokeniserKind
) -> None:
    """With sub-words that have been there before in the place of each blank, decoding gives the text they make."""
    tokeniser = reader(kind=kind).tokeniser
    read = gapped(tokeniser, text)
    assert read.apart == apart
    assert [read.ids[place] for place in read.places] == [MASK] * len(apart)
    assert read.ids.count(MASK) == len(apart)
    around = tokeniser.decode(read.ids)
    filled = text.replace("______", "___")
    for gap in apart:
        filled = filled.replace(" ___" if gap and " ___" in filled else "___", "", 1)
    assert around.strip() == filled.strip()


def test_a_piece_that_is_hidden_is_the_piece_of_the_text() -> None:
    tokeniser = reader(kind="bpe").tokeniser
    whole = tokeniser.encode("the cat sat on the mat").ids
    read = gapped(tokeniser, "the cat sat on ___ mat")
    assert len(read.ids) == len(whole)
    assert read.ids[: read.places[0]] == whole[: read.places[0]]
    assert read.ids[read.places[0] + 1 :] == whole[read.places[0] + 1 :]


@every_encoder
@pytest.mark.parametrize("kind", ["char", "bpe", "byte"])
def test_what_fills_a_blank_does_not_depend_on_the_texts_beside_it(
    name: str, kind: TokeniserKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = reader(name, kind=kind)
    texts = ["the ___ sat", "___ mat", "on the ___ under the cat; no ___ was there, and the cat lay ___", "a___"]
    alone = [Filler(made, 3).fill([text])[0] for text in texts]
    together = Filler(made, 3).fill(texts)
    monkeypatch.setattr(masked_filling, "_AT_ONCE", 2)
    monkeypatch.setattr(masked_filling, "MOST_POSITIONS", 20)
    for found in (together, Filler(made, 3).fill(texts)):
        assert [each.text for each in found] == [each.text for each in alone]
        assert [each.score for each in found] == pytest.approx([each.score for each in alone], abs=1e-4)
    assert [len(each.blanks) for each in alone] == [1, 1, 3, 1]


def test_several_blanks_are_filled_in_the_order_of_their_product() -> None:
    found = Filler(reader(), 4).fill(["th___ c___t"])[0]
    every = sorted((math.log(one[1] * other[1]) for one, other in product(*found.blanks)), reverse=True)
    ways = [found, *found.alternatives]
    assert [each.score for each in ways] == pytest.approx(every[:4], abs=1e-5)
    assert len({each.text for each in ways}) == 4


@every_encoder
def test_a_piece_is_seen_by_itself_hidden(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a slow twin that hides and reads one piece after the other."""
    made = reader(name, length=50)
    monkeypatch.setattr(masked_seeing, "MOST_POSITIONS", 40)
    record = masked_seeing.see_text(made, "the cat lay there", model_name=name)
    ids = made.tokeniser.encode("the cat lay there").ids
    for place, piece in enumerate(ids):
        read = torch.tensor([[*ids[:place], MASK, *ids[place + 1 :]]])
        with torch.no_grad():
            logits = made.model.output(made.model(read, torch.ones_like(read, dtype=torch.bool)))[0, place]
        wanted = logits.log_softmax(0)
        assert record.log_probs[place] == pytest.approx(float(wanted[piece]), abs=1e-4)
        assert [one for _, one in record.runners_up[place]] == pytest.approx(wanted.topk(5).values.tolist(), abs=1e-4)
    assert ("encoder" in record.attention) == (name == "bert")


# ── runs ────────────────────────────────────────────────────────────────────────────────────────


def options(settings: dict[str, object]) -> list[str]:
    return [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "pets.txt"
    path.write_text(PETS, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained_run(text: Path) -> MaskedRun:
    """A run that has learnt its text. Do not change it."""
    run = package.train(text, task="masked", settings=QUICK, steps=250, out=text.parent / "run", reporter=silent())
    assert isinstance(run, MaskedRun)
    return run


def reached(answer: Answer, words: str) -> str:
    assert answer.code == 0, answer.err
    assert words in answer.out, answer.out
    return answer.out


def test_the_command_trains_and_says_what_it_does(seq2see: Command, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    said = reached(
        seq2see("train", "--task", "masked", text, "--steps", 2, "--out", out, *options(QUICK)), "2,400 characters"
    )
    for sentence in (
        "model: bert-tiny",
        "pieces: sub-words (BPE), at most 300",
        "held out: the last 240 characters, 10.0% of the text",
        "perplexity",
        "try: seq2see predict",
    ):
        assert sentence in said
    assert json.loads((out / "manifest.json").read_text())["extra"]["task"] == "masked"


def test_a_blank_is_filled_from_both_sides(seq2see: Command, trained_run: MaskedRun) -> None:
    run = trained_run.folder
    wanted = "a cat meows; a dog barks; a bird sings."
    for text in ("a ___ meows; a dog barks; a bird sings.", "a cat ___; a dog barks; a ___ sings."):
        assert reached(seq2see("predict", run, text), wanted) == wanted + "\n"
    answer = seq2see("predict", run, "a cat meows; a ___ barks;", "", "--nbest", 2, "--format", "jsonl")
    first, blank = (json.loads(line) for line in answer.out.splitlines())
    assert first["text"] == "a cat meows; a dog barks;"
    (told,) = first["blanks"]
    assert told[0]["piece"] == "dog" and told[0]["probability"] > 0.6
    assert len(told) == 5
    assert first["probability"] == pytest.approx(told[0]["probability"])
    assert [each["text"] for each in first["alternatives"]] == [f"a cat meows; a {told[1]['piece']} barks;"]
    assert (blank["text"], blank["blanks"]) == ("", [])
    assert len(reached(seq2see("predict", run, "a ___ meows;", "", "--nbest", 3), "").splitlines()) == 6


def test_what_would_have_been_said_of_each_piece(seq2see: Command, trained_run: MaskedRun, tmp_path: Path) -> None:
    record, page, picture = tmp_path / "a.json", tmp_path / "a.html", tmp_path / "a.svg"
    files = ("--json", record, "--html", page, "--svg", picture)
    drawn = reached(
        seq2see("see", trained_run.folder, "a cat meows; a dog barks;", *files), "looks at source (encoder)"
    )
    assert "how likely it was" in drawn
    assert page.stat().st_size > 0 and picture.stat().st_size > 0
    data = json.loads(record.read_text())
    places = {piece: place for place, piece in enumerate(data["target"]["pieces"])}
    assert math.exp(data["log_probs"][places[" dog"]]) > 0.6
    assert data["runners_up"][places[" dog"]][0][0] == "dog"
    weights = data["attention"]["encoder"]
    assert (len(weights), len(weights[0]), len(weights[0][0])) == (2, 4, len(data["target"]["pieces"]))
    wrong = trained_run.see("a cat meows; a dog sings;").record
    assert math.exp(wrong.log_probs[places[" barks"]]) < 0.2
    gap = trained_run.see("a cat meows; a ___ barks;").record
    assert gap.target.text == "a cat meows; a dog barks;"
    assert "blanks are filled first: 'dog'" in gap.notes[0]
    assert "only the first 12 are shown" in trained_run.see(PETS[:100]).record.notes[0]


def test_the_dev_score_is_the_score_of_the_held_out_text(
    seq2see: Command, trained_run: MaskedRun, tmp_path: Path
) -> None:
    held_out, figures = tmp_path / "held.txt", tmp_path / "figures.json"
    held_out.write_text(PETS[2_160:])
    said = reached(seq2see("evaluate", trained_run.folder, held_out, "--json", figures), "each hidden once")
    scores = {score["name"]: score for score in json.loads(figures.read_text())["scores"]}
    dev = {score["name"]: score["value"] for score in trained_run.facts["scores"]}
    assert {name: score["value"] for name, score in scores.items()} == pytest.approx(dev, rel=1e-5)
    assert set(scores) == {"perplexity", "token_accuracy"}
    assert scores["token_accuracy"]["value"] > 80
    assert scores["perplexity"]["value"] < 2
    assert scores["perplexity"]["signature"].startswith("pieces:bpe|hidden:1/7|window:12|")
    assert f"{scores['perplexity']['value']:.2f}" in said


def test_two_runs_are_compared(seq2see: Command, trained_run: MaskedRun, trained: Path, text: Path) -> None:
    run = trained_run.folder
    assert "paired bootstrap" in reached(seq2see("evaluate", run, text, "--versus", run), "token_accuracy: ")
    other = seq2see("evaluate", run, text, "--versus", trained)
    assert other.code == 2 and "of the task translate" in other.err
    pieces = text.parent / "pieces"
    package.train(text, task="masked", settings={**QUICK, "text.kind": "char"}, steps=1, out=pieces, reporter=silent())
    strange = seq2see("evaluate", run, text, "--versus", pieces)
    assert strange.code == 2 and "has other pieces" in strange.err


@pytest.mark.parametrize("kind", ["transformer", "recurrent"])
def test_stopped_at_any_step_and_resumed_nothing_differs(text: Path, tmp_path: Path, kind: str) -> None:
    # Dropout and the hidden pieces are drawn from the same generator.
    own: dict[str, object] = {"model.dropout": 0.2, "training.evaluate_every": 3, "training.average": 2}
    if kind == "recurrent":
        own |= {"model.name": "mine", "model.encoder": {"kind": "recurrent", "cell": "gru", "width": 16}}
    kept = {name: each for name, each in QUICK.items() if kind == "transformer" or "encoder" not in name}

    def weights(name: str, *stops: int) -> bytes:
        for resume, stop in enumerate((*stops, 0)):
            interrupt = Interrupt()

            def report(progress: Progress, interrupt: Interrupt = interrupt, stop: int = stop) -> None:
                if progress.step == stop and not progress.events:
                    interrupt.signal_number = 15

            request = TrainRequest(
                task="masked", data=text, settings={**kept, **own}, steps=7, out=tmp_path / name, resume=resume > 0
            )
            try:
                train_run(request, reporter=Reporter(lambda sentence: None, report), interrupt=interrupt)
            except Stopped as stopped:
                assert f"after step {stop}" in str(stopped)
        return (tmp_path / name / "weights.safetensors").read_bytes()

    whole = weights("whole")
    assert weights("stopped", 2, 5) == whole


def test_from_python(trained_run: MaskedRun, text: Path) -> None:
    run = load(trained_run.folder)
    assert isinstance(run, MaskedRun)
    found = run.predict("a cat meows; a ___ barks;", best=2)
    assert str(found) == "a cat meows; a dog barks;"
    assert len(found.blanks[0]) == 2 and len(found.alternatives) == 1
    assert run.evaluate(text)["token_accuracy"] > 80
    with pytest.raises(InputError, match="three underscores"):
        run.predict("nothing is hidden __ here")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "TEXT", "--task", "masked", "--model", "gpt-tiny"), 'did you mean "bert-tiny"'),
        (("train", "TEXT", "--task", "masked", "--set", "text.kind=word"), "unknown words as <unk>"),
        (("train", "BLANK", "--task", "masked"), "blank"),
        (("train", "--task", "masked"), "name a file of plain text"),
        (("train", "--task", "masked", "--source", "x", "--target", "y"), "the task masked reads one file"),
        (("predict", "RUN", "a cat meows"), "three underscores"),
        (("predict", "RUN", "a ___", "--beam", 2), "beam: a run of the task masked has no use for this"),
        (("predict", "RUN", "a ___", "--prefix", "y"), "prefix: a run of the task masked"),
        (("see", "RUN", ""), "nothing to see"),
        (("see", "RUN", "a", "--target", "b"), "target: a run of the task masked"),
        (("see", "RUN", "zq" * 300), "a picture holds 512"),
        (("evaluate", "RUN"), "no text given"),
        (("evaluate", "RUN", "TEXT", "--metrics", "bleu"), "metrics: a run of the task masked"),
        (("evaluate", "RUN", "BLANK"), "blank"),
    ],
)
def test_what_cannot_be_asked(
    seq2see: Command, trained_run: MaskedRun, text: Path, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    (tmp_path / "blank.txt").write_text("")
    places = {"RUN": trained_run.folder, "TEXT": text, "BLANK": tmp_path / "blank.txt"}
    more = ("--steps", 1, "--out", tmp_path / "made") if arguments[0] == "train" else ()
    answer = seq2see(*(places.get(str(each), each) for each in arguments), *more)
    assert answer.code == 2, answer.out
    assert message in answer.err, answer.err


def test_the_other_run_is_asked_as_this_one(trained_run: MaskedRun) -> None:
    made = trained_run.reader
    cut = Cut(5, 2)
    assert "hidden:1/2|window:5" in made.signature(cut)
    found = score_text(made, [PETS[:200]], cut, nothing)
    assert sum(each.pieces for each in found) == len(made.tokeniser.encode(PETS[:200]).ids)
