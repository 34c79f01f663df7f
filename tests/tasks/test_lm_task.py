"""From a plain text to a run and what can be done with it, through the command line."""

import gzip
import io
import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import seq2see as package
from seq2see.errors import InputError, Stopped
from seq2see.tasks.catalogue import load
from seq2see.tasks.lm_run import LmRun
from seq2see.tasks.reporting import Reporter, silent
from seq2see.tasks.request import TrainRequest
from seq2see.tasks.training import train_run
from seq2see.training.interrupt import Interrupt
from seq2see.training.progress import Progress
from small_task import Answer, Command

HELLO = "hello\n" * 300
QUICK = {
    "training.precision": "float32",
    "training.batch_tokens": 256,
    "training.learning_rate": 0.01,
    "training.evaluate_every": 20,
    "model.dropout": 0.0,
    "window.length": 16,
}
MODELS = {
    "lstm": {"model.decoder.width": 24, "window.before": 8},
    "gpt-tiny": {"model.decoder.width": 24, "model.decoder.layers": 2, "evaluation.context": 8},
    "markov": {"model.decoder.order": 4},
}


def options(settings: dict[str, object]) -> list[str]:
    return [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "hello.txt"
    path.write_text(HELLO, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(text: Path) -> dict[str, LmRun]:
    """A trained run of each kind of model. Do not change them."""
    made = {}
    for name, own in MODELS.items():
        run = package.train(
            text,
            task="lm",
            model=name,
            settings={**QUICK, **own},
            steps=80,
            out=text.parent / name,
            reporter=silent(),
        )
        assert isinstance(run, LmRun)
        made[name] = run
    return made


every_model = pytest.mark.parametrize("name", MODELS)


def reached(answer: Answer, words: str) -> str:
    assert answer.code == 0, answer.err
    assert words in answer.out, answer.out
    return answer.out


def test_the_command_trains_and_says_what_it_does(seq2see: Command, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = options({**QUICK, **MODELS["lstm"]})
    said = reached(seq2see("train", "--task", "lm", text, "--steps", 2, "--out", out, *settings), "1,800 characters")
    for sentence in (
        "model: lstm (learns the most from a short text)",
        "pieces: characters",
        "held out: the last 180 characters, 10.0% of the text",
        "training text: 1,620 pieces",
        "nats_per_character",
        "try: seq2see predict",
    ):
        assert sentence in said
    assert {"config.toml", "tokenizer.json", "weights.safetensors", "manifest.json", "report.html"} <= {
        path.name for path in out.iterdir()
    }
    assert json.loads((out / "manifest.json").read_text())["extra"]["task"] == "lm"


def test_a_model_of_counts_says_how_many_it_has(text: Path, tmp_path: Path) -> None:
    said: list[str] = []
    reporter = Reporter(said.append, lambda progress: None)
    run = package.train(text, task="lm", model="markov", out=tmp_path / "run", reporter=reporter)
    counts = sum(parameter.numel() for parameter in run.model.parameters())
    assert counts > 5
    (line,) = (each for each in said if each.startswith("model: markov, "))
    assert f" {counts:,} parameters" in line
    assert run.facts["parameters"] == counts


@every_model
def test_after_h_e_l_l_comes_o(seq2see: Command, runs: dict[str, LmRun], name: str, tmp_path: Path) -> None:
    """The textbook's example: what is likely behind each letter, and what the model carries from one to the next."""
    run, record = runs[name].folder, tmp_path / "record.json"
    drawn = reached(seq2see("see", run, "hell", "--json", record), "the last piece, 'o', is the model's")
    data = json.loads(record.read_text())
    assert data["target"]["pieces"] == list("hello")
    assert data["source"]["text"] == "hell"
    sure = dict(zip("hello", map(math.exp, data["log_probs"]), strict=False))
    assert sure["e"] > 0.8 and sure["o"] > 0.8
    assert data["runners_up"][4][0][0] == "o"
    match name:
        case "lstm":
            assert {"hidden", "cell", "forget gate", "input gate", "output gate", "candidate"} == set(data["traces"])
            assert [len(row) for row in data["traces"]["hidden"]] == [24] * 5
            assert "hidden" in drawn and "forget gate, mean" in drawn and "█" in drawn
        case "gpt-tiny":
            weights = data["attention"]["decoder"]
            assert (len(weights), len(weights[0]), len(weights[0][0])) == (2, 4, 5)
            assert all(sum(row) == pytest.approx(1, abs=1e-3) for layer in weights for head in layer for row in head)
            assert "target looks at target" in drawn
        case "markov":
            shares = [data["traces"][f"after {k}"] for k in range(5)]
            assert [sum(share[place][0] for share in shares) for place in range(5)] == pytest.approx([1] * 5, abs=1e-4)
            assert "decided by this many pieces before" in drawn


def test_a_given_text_is_scored(seq2see: Command, runs: dict[str, LmRun], tmp_path: Path) -> None:
    likely, unlikely = (runs["lstm"].see("hel", target=target).record for target in ("lo\nhello", "ol\noo"))
    assert likely.target.text == "hello\nhello"
    assert min(likely.log_probs[3:]) > math.log(0.5)
    assert min(unlikely.log_probs[3:]) < math.log(0.1)
    page, picture = tmp_path / "a.html", tmp_path / "a.svg"
    reached(seq2see("see", runs["gpt-tiny"].folder, "hello", "--html", page, "--svg", picture), "wrote")
    assert page.stat().st_size > 0 and picture.stat().st_size > 0
    blind = seq2see("see", runs["lstm"].folder, "hello", "--svg", tmp_path / "b.svg")
    assert blind.code == 2
    assert "without attention" in blind.err


def test_a_transformer_shows_what_it_can_see(runs: dict[str, LmRun]) -> None:
    record = runs["gpt-tiny"].see("hello\n" * 9).record
    assert len(record.target.pieces) == 16
    assert "only the last 16 are shown" in record.notes[0]


@every_model
def test_a_prompt_is_continued(seq2see: Command, runs: dict[str, LmRun], name: str) -> None:
    run = runs[name].folder
    assert (
        reached(seq2see("predict", run, "hello\nhe", "--beam", 1, "--max-length", 10), "") == "hello\nhello\nhello\n\n"
    )
    drawn = ("--sample", "--temperature", 0.5, "--top-k", 3, "--top-p", 0.95, "--max-length", 12, "--seed", 1)
    first = reached(seq2see("predict", run, "hel", *drawn), "hello")
    assert first == reached(seq2see("predict", run, "hel", *drawn), "")
    answer = seq2see("predict", run, "", "hell", *drawn, "--nbest", 2, "--format", "jsonl")
    blank, prompted = (json.loads(line) for line in answer.out.splitlines())
    assert blank["source"] == "" and len(blank["pieces"]) == 12
    assert prompted["text"] == "hell" + prompted["written"]
    assert len(prompted["alternatives"]) == 1
    lines = reached(seq2see("predict", run, "h", "hello", *drawn), "").split("\n")
    assert lines.count("---------------") == 1


@every_model
def test_the_dev_score_is_the_score_of_the_held_out_text(
    seq2see: Command, runs: dict[str, LmRun], name: str, tmp_path: Path
) -> None:
    held_out, figures = tmp_path / "held.txt.gz", tmp_path / "figures.json"
    held_out.write_bytes(gzip.compress(HELLO[1_620:].encode()))
    run = runs[name]
    said = reached(seq2see("evaluate", run.folder, held_out, "--json", figures), "180 characters, 180 pieces")
    scores = {score["name"]: score for score in json.loads(figures.read_text())["scores"]}
    dev = {score["name"]: score["value"] for score in run.facts["scores"]}
    assert {name: score["value"] for name, score in scores.items()} == pytest.approx(dev, rel=1e-5)
    nats = scores["nats_per_character"]["value"]
    assert nats < 0.2
    assert scores["bits_per_character"]["value"] == pytest.approx(nats / math.log(2))
    assert scores["perplexity"]["value"] == pytest.approx(math.exp(nats))
    assert scores["nats_per_character"]["signature"].startswith("pieces:char|context:")
    assert f"{nats:.4f}" in said


def test_two_runs_are_compared(seq2see: Command, runs: dict[str, LmRun], trained: Path, text: Path) -> None:
    lstm, markov = runs["lstm"].folder, runs["markov"].folder
    assert "paired bootstrap" in reached(seq2see("evaluate", lstm, text, "--versus", markov), "nats_per_character: ")
    answer = seq2see("evaluate", lstm, text, "--versus", trained)
    assert answer.code == 2
    assert "of the task translate" in answer.err


@pytest.mark.parametrize("model", ["gru", "gpt-tiny"])
def test_stopped_at_any_step_and_resumed_nothing_differs(text: Path, tmp_path: Path, model: str) -> None:
    # Of eleven batches an epoch; dropout draws in the window and before it.
    own: dict[str, object] = {
        "model.decoder.width": 16,
        "model.dropout": 0.2,
        "training.evaluate_every": 4,
        "training.average": 2,
    }
    own |= {"window.before": 5} if model == "gru" else {"model.decoder.layers": 1, "evaluation.context": 4}

    def weights(name: str, *stops: int) -> bytes:
        for resume, stop in enumerate((*stops, 0)):
            interrupt = Interrupt()

            def report(progress: Progress, interrupt: Interrupt = interrupt, stop: int = stop) -> None:
                if progress.step == stop and not progress.events:
                    interrupt.signal_number = 15

            request = TrainRequest(
                task="lm",
                data=text,
                model=model,
                settings={**QUICK, **own, "training.batch_tokens": 160},
                steps=14,
                out=tmp_path / name,
                resume=resume > 0,
            )
            reporter = Reporter(lambda sentence: None, report)
            try:
                train_run(request, reporter=reporter, interrupt=interrupt)
            except Stopped as stopped:
                assert f"after step {stop}" in str(stopped)
        return (tmp_path / name / "weights.safetensors").read_bytes()

    whole = weights("whole")
    assert weights("stopped", 3, 12) == whole
    assert weights("other", 11) == whole


def test_a_run_goes_on_only_with_its_text(seq2see: Command, tmp_path: Path) -> None:
    text, out = tmp_path / "a.txt", tmp_path / "run"
    text.write_text(HELLO)
    settings = options({**QUICK, **MODELS["lstm"]})
    assert seq2see("train", "--task", "lm", text, "--steps", 2, "--out", out, *settings).code == 0
    text.write_text(HELLO + "bye\n")
    answer = seq2see("train", "--resume", "--out", out, "--steps", 4)
    assert answer.code == 2
    assert "content of the text: was " in answer.err


def test_a_text_to_choose_by_and_standard_input(
    seq2see: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = tmp_path / "dev.txt"
    dev.write_text("hello hello\n" * 4)
    settings = options({**QUICK, **MODELS["lstm"]})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(HELLO.encode()))))
    answer = seq2see("train", "--task", "lm", "-", "--dev", dev, "--steps", 2, "--out", tmp_path / "run", *settings)
    said = reached(answer, f"dev: 48 characters of {dev}")
    assert "training text: 1,800 pieces" in said


@pytest.mark.parametrize("kind", ["bpe", "byte", "word"])
def test_other_pieces(seq2see: Command, text: Path, tmp_path: Path, kind: str) -> None:
    settings = options({**QUICK, **MODELS["markov"], "text.kind": kind, "text.vocabulary": 280})
    out = tmp_path / "run"
    said = reached(seq2see("train", "--task", "lm", text, "--model", "markov", "--out", out, *settings), "perplexity")
    assert ("nats_per_character" in said) == (kind != "word")
    assert reached(seq2see("predict", out, "hello", "--beam", 1, "--max-length", 4), "hello")
    assert ("unknown" in seq2see("evaluate", out, text).out) == (kind == "word")


def test_from_python(runs: dict[str, LmRun], text: Path) -> None:
    run = load(runs["gpt-tiny"].folder)
    assert isinstance(run, LmRun)
    assert run.predict("hell").text.startswith("hello")
    assert run.predict().prompt == ""
    assert run.see("hell").record.target.text == "hello"
    assert run.evaluate(text)["bits_per_byte"] < 0.3


def refused(make: Callable[[], Answer], message: str) -> None:
    answer = make()
    assert answer.code == 2, answer.out
    assert message in answer.err, answer.err


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("", (), "blank"),
        (" \n \n", (), "blank"),
        (HELLO, ("--source", "x", "--target", "y"), "source, target: for pairs of text"),
        (HELLO, ("--columns", "a,b"), "columns: for pairs of text"),
        (HELLO, ("--model", "transformer-tiny"), 'did you mean "'),
        (HELLO, ("--dev", "nowhere.txt"), "no file nowhere.txt"),
        (HELLO, ("--set", "data.held_uot=0.2"), "did you mean held_out?"),
        (HELLO, ("--set", "model.encoder.width=3"), "model.encoder: no such setting"),
        ("caf\xe9 ".encode("latin-1") * 9, (), "line 1, byte 4 of the line"),
        (b"\x89PNG\r\n\x1a\n" * 9, (), "PNG"),
    ],
)
def test_what_cannot_be_trained_on(
    seq2see: Command, tmp_path: Path, content: str | bytes, arguments: tuple[str, ...], message: str
) -> None:
    text, out = tmp_path / "a.txt", tmp_path / "run"
    text.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(lambda: seq2see("train", "--task", "lm", text, "--steps", 1, "--out", out, *arguments), message)


def test_there_must_be_a_file(seq2see: Command, tmp_path: Path) -> None:
    refused(lambda: seq2see("train", "--task", "lm", "--out", tmp_path / "run"), "name a file of plain text")


def test_a_single_character_is_counted(seq2see: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    settings = ("--task", "lm", tmp_path / "a.txt", "--model", "markov", "--out", tmp_path / "run")
    assert seq2see("train", *settings).code == 0
    assert reached(seq2see("predict", tmp_path / "run", "x", "--beam", 1, "--max-length", 3), "xxxx")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "RUN", "x", "--prefix", "y"), "prefix: a run of the task lm has no use for this"),
        (("see", "RUN", "x", "--beam", 2), "beam: a run of the task lm has no use for this"),
        (("see", "RUN", "", "--target", ""), "nothing to see"),
        (("see", "RUN", "hello" * 200), "1,001 pieces; a picture holds 512"),
        (("evaluate", "RUN"), "no text given"),
        (("evaluate", "RUN", "TEXT", "--metrics", "bleu"), "metrics: a run of the task lm is scored on one plain text"),
        (("evaluate", "RUN", "--source", "a", "--target", "b"), "source, target: a run of the task lm"),
        (("evaluate", "RUN", "BLANK"), "blank"),
    ],
)
def test_what_cannot_be_asked(
    seq2see: Command, runs: dict[str, LmRun], text: Path, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    (tmp_path / "blank.txt").write_text("")
    places = {"RUN": runs["lstm"].folder, "TEXT": text, "BLANK": tmp_path / "blank.txt"}
    refused(lambda: seq2see(*(places.get(str(each), each) for each in arguments)), message)


def test_damaged_counts_are_refused(runs: dict[str, LmRun], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["markov"].folder, run)
    file = run / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        load(run)
    (run / "manifest.json").unlink()
    with pytest.raises(InputError, match="counting has not finished"):
        load(run)
