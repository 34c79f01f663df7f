"""A tagger from a file of sentences to answers on the command line: learned, scored, seen, streamed, resumed."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from seq2see.config.toml import nested
from seq2see.errors import InputError, Stopped
from seq2see.storage.manifest import write_manifest
from seq2see.tasks.catalogue import load
from seq2see.tasks.reporting import Reporter, silent
from seq2see.tasks.request import TrainRequest
from seq2see.tasks.tagging import TagRun
from seq2see.tasks.training import train, train_run
from seq2see.training.interrupt import Interrupt
from small_task import Command
from tagged_words import TINY, Rows, sentences, settings, slots, write_columns, write_conllu

TEST = sentences(120, seed=9)
GOOD = "a\tX\nb\tY\n\nc\tX\nd\tY\n"


def text(row: list[tuple[str, str]]) -> str:
    return " ".join(token for token, _ in row)


def labels(row: list[tuple[str, str]]) -> str:
    return " ".join(label for _, label in row)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and a run that reads whole sentences. Do not change it."""
    folder = tmp_path_factory.mktemp("tag")
    data = write_conllu(folder / "train.conllu", sentences(300))
    write_conllu(folder / "dev.conllu", sentences(40, seed=5))
    write_conllu(folder / "test.conllu", TEST)
    made(data, folder / "run", dev=[folder / "dev.conllu"], steps=50)
    return folder


@pytest.fixture(scope="module")
def streaming(place: Path) -> Path:
    """A run of one direction, on slots in BIO."""
    data = write_columns(place / "slots.txt", slots(200))
    made(data, place / "streaming", model="lstm", steps=50)
    return place / "streaming"


def made(data: Path, out: Path, **more: object) -> TagRun:
    run = train(data, task="tag", settings=TINY, out=out, reporter=silent(), **more)  # type: ignore[arg-type]
    assert isinstance(run, TagRun)
    return run


def test_unseen_words_are_labelled_by_their_endings(seq2see: Command, place: Path, tmp_path: Path) -> None:
    answer = seq2see("evaluate", place / "run", place / "test.conllu", "--json", tmp_path / "scores.json")
    assert answer.code == 0, answer.err
    found = json.loads((tmp_path / "scores.json").read_text())
    scores = {score["name"]: score for score in found["scores"]}
    assert set(scores) == {"token_accuracy", "sentence_accuracy", "unseen_accuracy"}
    assert scores["token_accuracy"]["value"] > 97
    assert scores["unseen_accuracy"]["value"] > 95
    assert scores["token_accuracy"]["low"] <= scores["token_accuracy"]["value"] <= scores["token_accuracy"]["high"]
    assert {each["name"] for each in found["details"]["labels"]} == {"DET", "NOUN", "VERB", "ADV", "PUNCT"}
    assert sum(bucket["sentences"] for bucket in found["lengths"]) == len(TEST)
    assert found["signature"] == "argmax"
    assert "F1 of labels" in answer.out and "unit:token" in answer.out
    right = sum(a == b for a, (b,) in zip(found["hypotheses"], found["references"], strict=True))
    assert scores["sentence_accuracy"]["value"] == pytest.approx(100 * right / len(TEST))


def test_predict_keeps_order_and_blank_lines(seq2see: Command, place: Path, tmp_path: Path) -> None:
    lines = ["", *(text(row) for row in TEST[:20]), " \t ", "teling", "👍 \x1b[31m </s>"]
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert seq2see("predict", place / "run", "--input", tmp_path / "in.txt", "--output", tmp_path / "out.txt").code == 0
    found = (tmp_path / "out.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert [len(each.split()) for each in found] == [len(each.split()) for each in lines]
    assert (found[0], found[21]) == ("", " \t ")
    assert sum(a == labels(row) for a, row in zip(found[1:21], TEST, strict=False)) >= 16
    alone = seq2see("predict", place / "run", *lines)
    assert alone.out == "".join(each + "\n" for each in found)


def test_predict_as_json_lines(seq2see: Command, place: Path) -> None:
    answer = seq2see("predict", place / "run", "the bakoon .", "", "--format", "jsonl")
    first, second = (json.loads(line) for line in answer.out.splitlines())
    assert first["tokens"] == ["the", "bakoon", "."]
    assert first["labels"] == ["DET", "NOUN", "PUNCT"]
    assert len(first["probabilities"]) == 3
    assert all(0.2 < chance <= 1 for chance in first["probabilities"])
    assert second["labels"] == []


def test_the_run_in_python(place: Path) -> None:
    run = load(place / "run")
    assert isinstance(run, TagRun)
    sentence = ["the", "bakoon", "."]
    assert run.predict(sentence) == run.predict("the bakoon .") == run.label([["a"], sentence])[1]
    assert str(run.predict(sentence)) == "DET NOUN PUNCT"
    assert run.predict("").labels == ()
    result = run.evaluate(place / "test.conllu", versus=run)
    assert {each.difference for each in result.comparisons} == {0}
    assert result.versus_lengths == result.lengths
    assert result["token_accuracy"] == pytest.approx(
        100 * sum(a == b for a, b in gold_and_found(run, TEST)) / sum(map(len, TEST))
    )


def gold_and_found(run: TagRun, rows: Rows) -> list[tuple[str, str]]:
    found = run.label([[token for token, _ in row] for row in rows])
    return [
        (label, said)
        for row, each in zip(rows, found, strict=True)
        for (_, label), said in zip(row, each.labels, strict=True)
    ]


def test_see(seq2see: Command, place: Path, tmp_path: Path) -> None:
    answer = seq2see(
        "see", place / "run", "the bakoon teling .", "--json", tmp_path / "x.json", "--html", tmp_path / "x"
    )
    assert answer.code == 0, answer.err
    rows = [line.split() for line in answer.out.splitlines()]
    assert ["bakoon", "NOUN"] in [row[:2] for row in rows]
    record = json.loads((tmp_path / "x.json").read_text())
    assert record["source"]["pieces"] == ["the", "bakoon", "teling", "."]
    assert record["target"]["pieces"] == ["DET", "NOUN", "VERB", "PUNCT"]
    for log_prob, runners in zip(record["log_probs"], record["runners_up"], strict=True):
        assert log_prob == runners[0][1] == max(each for _, each in runners)
    gates = record["traces"]["layer 1 forwards forget"]
    assert len(gates) == 4 and len(gates[0]) == 16
    assert all(0 <= gate <= 1 for row in gates for gate in row)
    assert "layer 1 backwards cell" in record["traces"]
    layer = seq2see("see", place / "run", "the bakoon teling .", "--layer", 1).out
    assert "backwards forget, mean" in layer and "bars:" in layer
    assert "fewer" in seq2see("see", place / "run", "the bakoon teling .", "--layer", 2).err
    given = seq2see("see", place / "run", "the bakoon", "--target", "DET VERB", "--json", tmp_path / "given.json")
    assert "VERB" in given.out
    record = json.loads((tmp_path / "given.json").read_text())
    assert record["given"] and record["target"]["pieces"] == ["DET", "VERB"]
    assert record["log_probs"][1] < -1
    assert record["runners_up"][1][0][0] == "NOUN"


def test_see_what_a_transformer_looks_at(seq2see: Command, place: Path, tmp_path: Path) -> None:
    small = {**TINY, "model.encoder.heads": 2, "model.encoder.layers": 2}
    train(
        place / "train.conllu",
        task="tag",
        model="transformer-tiny",
        settings=small,
        steps=2,
        out=tmp_path / "run",
        reporter=silent(),
    )
    answer = seq2see(
        "see", tmp_path / "run", "the bakoon .", "--png", tmp_path / "x.png", "--json", tmp_path / "x.json"
    )
    assert answer.code == 0, answer.err
    assert "source looks at source (encoder), mean of 2 layers" in " ".join(answer.out.split())
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    ((first, _), _) = json.loads((tmp_path / "x.json").read_text())["attention"]["encoder"]
    assert [sum(row) for row in first] == pytest.approx([1, 1, 1], abs=1e-3)
    assert seq2see("predict", tmp_path / "run", "a b c").out.count(" ") == 2


def test_spans_are_scored_and_rules_kept(seq2see: Command, place: Path, streaming: Path, tmp_path: Path) -> None:
    rows = slots(80, seed=3)
    write_columns(tmp_path / "test.txt", rows)
    answer = seq2see("evaluate", streaming, tmp_path / "test.txt", "--json", tmp_path / "scores.json")
    assert answer.code == 0, answer.err
    found = json.loads((tmp_path / "scores.json").read_text())
    scores = {score["name"]: score["value"] for score in found["scores"]}
    assert scores["span_f1"] > 80
    assert found["length_metric"] == "span_f1"
    assert found["signature"] == "greedy|scheme:bio"
    assert {each["name"] for each in found["details"]["spans"]} == {"place", "time"}
    for line in found["hypotheses"]:
        for before, label in zip(["O", *line.split()], line.split(), strict=False):
            assert not label.startswith("I-") or before[2:] == label[2:]


def test_a_stream_gives_the_labels_of_the_whole(seq2see: Command, streaming: Path, tmp_path: Path) -> None:
    rows = slots(30, seed=4)
    tokens = list(chain.from_iterable([*(token for token, _ in row), ""] for row in rows))
    (tmp_path / "in.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    answer = seq2see("predict", streaming, "--stream", "--input", tmp_path / "in.txt")
    assert answer.code == 0, answer.err
    whole = seq2see("predict", streaming, *(text(row) for row in rows)).out.splitlines()
    assert answer.out.split("\n\n") == [*("\n".join(line.split()) for line in whole), ""]
    facts = seq2see("predict", streaming, "--stream", "book", "--format", "jsonl").out
    assert json.loads(facts)["token"] == "book"


def test_a_label_comes_before_the_next_token(streaming: Path) -> None:
    command = [sys.executable, "-m", "seq2see", "predict", str(streaming), "--stream"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin and process.stdout
        for token, label in (("book", "O"), ("it", "O"), ("", ""), ("book", "O")):
            process.stdin.write(token + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == label + "\n"
        process.stdin.close()
        assert process.wait() == 0


def test_only_a_tagger_of_one_direction_streams(seq2see: Command, place: Path, trained: Path) -> None:
    refused = seq2see("predict", place / "run", "--stream", "the")
    assert refused.code == 2
    assert "--model lstm" in refused.err and refused.out == ""
    translator = seq2see("predict", trained, "--stream", "one")
    assert translator.code == 2
    assert "stream" in translator.err and "translate" in translator.err


@pytest.mark.parametrize("model", ["bilstm", "gru"])
def test_a_stopped_run_goes_on_to_the_same_weights(place: Path, tmp_path: Path, model: str) -> None:
    """With dropout of every kind, consistency, and averages; stopped in the middle of an epoch."""
    more = {**TINY, "model.dropout": 0.3, "training.ema": 0.9, "training.consistency": "r-drop"}
    more |= {"training.checkpoint_every": 2, "training.evaluate_every": 4, "training.average": 2}

    def run(out: Path, *, stop: int = 0, resume: bool = False) -> bytes:
        interrupt = Interrupt()

        def progress(event: object) -> None:
            if stop and event.step >= stop:  # type: ignore[attr-defined]
                interrupt.signal_number = 15

        request = TrainRequest(
            data=None if resume else place / "train.conllu",
            task=None if resume else "tag",
            model=None if resume else model,
            settings={} if resume else more,
            steps=None if resume else 9,
            out=out,
            resume=resume,
        )
        train_run(request, reporter=Reporter(lambda text: None, progress), interrupt=interrupt)
        return (out / "weights.safetensors").read_bytes()

    with pytest.raises(Stopped, match="--resume"):
        run(tmp_path / "stopped", stop=5)
    assert run(tmp_path / "stopped", resume=True) == run(tmp_path / "whole")


def test_what_may_not_change_under_a_run(seq2see: Command, place: Path, tmp_path: Path) -> None:
    data = write_conllu(tmp_path / "data.conllu", sentences(60))
    begun = seq2see("train", data, "--task", "tag", "--out", tmp_path / "run", "--steps", 2, *settings())
    assert begun.code == 0, begun.err
    write_conllu(data, sentences(60, seed=77))
    refused = seq2see("train", "--resume", "--out", tmp_path / "run", "--steps", 4)
    assert refused.code == 2
    assert "content of the data: was" in refused.err and "training.steps" in refused.err
    wider = seq2see("train", "--resume", "--out", tmp_path / "run", "--force", "--set", "model.words.word=13")
    assert wider.code == 2
    assert "do not fit" in wider.err
    write_conllu(data, [[("a", "NEW"), ("b", "X")]] * 3 + sentences(60))
    unknown = seq2see("train", "--resume", "--out", tmp_path / "run", "--steps", 4, "--force")
    assert unknown.code == 2
    assert "NEW" in unknown.err


def test_a_share_is_held_out_and_said(seq2see: Command, tmp_path: Path) -> None:
    rows = [*sentences(60), *sentences(20)]
    content = "".join("".join(f"{token} {label}\n" for token, label in row) + "\n" for row in rows)
    (tmp_path / "x.gz").write_bytes(gzip.compress((content + "broken\n\n").encode()))
    answer = seq2see("train", tmp_path / "x.gz", "--task", "tag", "--steps", 2, "--out", tmp_path / "run", *settings())
    assert answer.code == 0, answer.err
    said = " ".join((answer.out + answer.err).split())
    assert "labels: column 2 of 2" in said
    assert "skipped: a sentence with a line that has not 2 columns: 1" in said
    assert "held out:" in said and "model: bilstm" in said and "n-grams:" in said


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("a\tX\nb\tY\n", (), ["1 sentence", "held out"]),
        ("a\tX\nb\tX\n\nc\tX\n", (), ["every token has the label 'X'"]),
        ("hello there\tguten tag\n", (), ["x.txt", "blank inside a label"]),
        ("one\ntwo\n", (), ["x.txt", "one column"]),
        (GOOD, ("--columns", "1,7"), ["'7'"]),
        (GOOD, ("--model", "bilstmm"), ["bilstmm", "bilstm"]),
        (GOOD, ("--set", "model.words.wrd=3"), ["model.words.wrd", "did you mean word"]),
        (GOOD, ("--set", "text.ngrams=[4,2]"), ["text", "shortest first"]),
        (GOOD, ("--set", "evaluation.metric=span_f1"), ["span_f1", "B-"]),
        (GOOD, ("--set", "training.consistency=simcut"), ["simcut"]),
        (GOOD, ("--set", "data.max_tokens=0"), ["data.max_tokens"]),
        (GOOD, ("--set", "data.max_tokens=1"), ["at most 1 tokens"]),
        (GOOD, ("--source", "s.txt"), ["data.source"]),
        (GOOD, ("--dev", "nowhere"), ["nowhere"]),
    ],
)
def test_mistakes_in_training(
    seq2see: Command, tmp_path: Path, content: str, options: tuple[str, ...], words: list[str]
) -> None:
    (tmp_path / "x.txt").write_text(content, encoding="utf-8")
    answer = seq2see("train", tmp_path / "x.txt", "--task", "tag", "--steps", 1, "--out", tmp_path / "run", *options)
    assert answer.code == 2, answer.out
    for word in words:
        assert word in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("predict", "{run}", "a", "--beam", "3"), ["beam", "tag"]),
        (("predict", "{run}", "a", "--prefix", "x"), ["prefix", "tag"]),
        (("see", "{run}", ""), ["0 tokens"]),
        (("see", "{run}", "a b", "--target", "X"), ["1 labels for 2 tokens"]),
        (("see", "{run}", "a", "--target", "NOPE"), ["'NOPE'", "NOUN"]),
        (("see", "{run}", "a " * 401), ["401"]),
        (("see", "{run}", "a", "--png", "x.png"), ["without attention"]),
        (("evaluate", "{run}"), ["one file"]),
        (("evaluate", "{run}", "{data}", "--metrics", "bleu"), ["--metrics"]),
        (("evaluate", "{run}", "{data}", "--versus", "{translator}"), ["translate", "tag"]),
        (("evaluate", "{translator}", "{data}", "--versus", "{run}"), ["tag", "translate"]),
        (("train", "{data}", "--task", "tagg"), ["tagg", "tag"]),
    ],
)
def test_mistakes_with_a_run(
    seq2see: Command,
    place: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: tuple[str, ...],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    named = {"run": place / "run", "data": place / "test.conllu", "translator": trained}
    answer = seq2see(*(part.format(**named) for part in call))
    assert answer.code == 2, answer.out
    for word in words:
        assert word in answer.err


@pytest.mark.parametrize("name", ["tokenizer.json", "labels.json", "weights.safetensors"])
def test_a_damaged_run_is_refused(place: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(place / "run", tmp_path / "run")
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes()[:-9] + b"x")
    with pytest.raises(InputError, match=name):
        load(tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "part", "value"),
    [("labels.json", "labels", ["A", "B"]), ("tokenizer.json", "known", []), ("tokenizer.json", "alphabet", ["a"])],
)
def test_files_that_do_not_fit_each_other_are_refused(
    place: Path, tmp_path: Path, name: str, part: str, value: object
) -> None:
    """Though a manifest vouches for them."""
    shutil.copytree(place / "run", tmp_path / "run")
    path = tmp_path / "run" / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **nested(part, value)}))
    names = ("config.toml", "tokenizer.json", "labels.json", "weights.safetensors")
    write_manifest(tmp_path / "run", kind="run", names=names, extra={})
    with pytest.raises(InputError):
        load(tmp_path / "run")
