"""The task classify on texts, from the file to the picture, through the command line and in Python."""

import gzip
import json
import math
import random
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from labelled_texts import reviews, write_reviews
from seq2see.errors import InputError, Stopped
from seq2see.tasks.catalogue import load
from seq2see.tasks.classification import ClassificationRun
from seq2see.tasks.classify import TASK, are_pictures
from seq2see.tasks.reporting import Reporter, silent
from seq2see.tasks.request import TrainRequest
from seq2see.tasks.training import train, train_run
from seq2see.training.interrupt import Interrupt
from seq2see.training.progress import Progress
from small_task import Command

SMALL: dict[str, object] = {
    "text.kind": "word",
    "model.encoder.width": 24,
    "model.dropout": 0.1,
    "training.batch_tokens": 256,
    "training.learning_rate": 0.01,
    "training.precision": "float32",
    "training.evaluate_every": 25,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("classify")
    write_reviews(made / "reviews.tsv", reviews(400))
    write_reviews(made / "test.tsv", reviews(120, seed=2))
    return made


@pytest.fixture(scope="module")
def made(folder: Path) -> Callable[..., ClassificationRun]:
    def make(model: str, name: str, **settings: object) -> ClassificationRun:
        data, chosen = folder / "reviews.tsv", {**SMALL, **settings}
        train(data, task="classify", model=model, settings=chosen, steps=100, out=folder / name, reporter=silent())
        return load(folder / name)  # type: ignore[return-value]

    return make


@pytest.fixture(scope="module")
def lstm(made: Callable[..., ClassificationRun]) -> ClassificationRun:
    return made("lstm", "lstm")


@pytest.fixture(scope="module")
def cnn(made: Callable[..., ClassificationRun]) -> ClassificationRun:
    return made(
        "cnn", "cnn", **{"model.encoder.filters": 8, "text.kind": "bpe", "text.vocabulary": 300, "text.dropout": 0.1}
    )


def quick(**settings: object) -> list[str]:
    return [part for name, value in {**SMALL, **settings}.items() for part in ("--set", f"{name}={value}")]


# ── training, answering, scoring, seeing ────────────────────────────────────────────────────────


def test_from_the_file_to_the_picture(seq2see: Command, folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--task", "classify", "--model", "gru", "--out", run, "--steps", 80]
    answer = seq2see("train", folder / "reviews.tsv", *options, *quick())
    assert answer.code == 0, answer.err
    for told in ("label: column 2", "2 labels: ", "held out: ", "400 examples", "dev loss"):
        assert told in answer.out
    table = tomllib.loads((run / "config.toml").read_text())
    assert (table["task"], table["data"]["kind"], table["model"]["name"]) == ("classify", "text", "gru")
    manifest = json.loads((run / "manifest.json").read_text())
    assert {"labels.json", "tokenizer.json", "config.toml", "weights.safetensors"} == set(manifest["files"])
    assert [score["name"] for score in manifest["extra"]["scores"]] == ["accuracy", "macro_f1"]
    assert (run / "report.html").stat().st_size > 1_000

    assert seq2see("predict", run, "a superb story").out == "good\n"
    answer = seq2see("evaluate", run, folder / "test.tsv", "--json", tmp_path / "s.json")
    assert answer.code == 0, answer.err
    scores = json.loads((tmp_path / "s.json").read_text())
    values = {score["name"]: score for score in scores["scores"]}
    assert values["accuracy"]["value"] > 95
    assert values["accuracy"]["low"] <= values["accuracy"]["value"] <= values["accuracy"]["high"]
    right = sum(h == r[0] for h, r in zip(scores["hypotheses"], scores["references"], strict=True))
    assert values["accuracy"]["value"] == pytest.approx(100 * right / 120)
    assert [each["label"] for each in scores["details"]["classes"]] == ["bad", "good"]
    assert sum(map(sum, scores["details"]["confusion_matrix"]["counts"])) == 120
    assert sum(bucket["sentences"] for bucket in scores["lengths"]) == 120
    assert "precision" in answer.out

    files = {kind: tmp_path / f"a.{kind}" for kind in ("html", "png", "svg", "json")}
    answer = seq2see("see", run, "the superb film", *(part for kind in files for part in (f"--{kind}", files[kind])))
    assert answer.code == 0, answer.err
    assert "superb" in answer.out and "good" in answer.out
    record = json.loads(files["json"].read_text(encoding="utf-8"))
    assert record["task"] == "classify"
    (row,) = record["attention"]["cross"][0][0]
    assert len(row) == len(record["source"]["pieces"]) == 4
    assert sum(row) == pytest.approx(1, abs=1e-3)
    assert row[3] == 0  # <eos> is not pooled
    assert record["target"]["pieces"] == ["good"]


def test_the_telling_word_is_where_it_looks_and_what_it_needs(
    lstm: ClassificationRun, made: Callable[..., ClassificationRun]
) -> None:
    # States that know one word each: attention to the word is attention to its state.
    bag = made("bag", "looking", **{"model.pooling": "attention", "model.encoder.ngrams": 1})
    for word, label in (("dull", "bad"), ("great", "good")):
        (row,) = bag.see(f"the plot was {word} and so").record.attention["cross"][0][0]
        assert row[3] == max(row) > 0.5
        record = lstm.see(f"the plot was {word} and so").record
        assert record.target.text == label
        left_out = [value for (value,) in record.traces["left out"]]
        assert max(range(len(left_out)), key=left_out.__getitem__) == 3
        assert f"{word} +" in record.notes[-1]


def test_leaving_out_is_the_difference_of_two_predictions(lstm: ClassificationRun) -> None:
    text = "the plot was dull and so"
    record = lstm.see(text).record
    probability = dict(lstm.predict(text).probabilities)["bad"]
    assert record.log_probs[0] == pytest.approx(math.log(probability), abs=1e-4)
    for at, word in enumerate(text.split()):
        shorter = " ".join(other for other in text.split() if other != word)
        without = dict(lstm.predict(shorter).probabilities)["bad"]
        assert record.traces["left out"][at][0] == pytest.approx(math.log(probability / without), abs=1e-3)


def test_a_given_label_is_scored(seq2see: Command, lstm: ClassificationRun) -> None:
    text = "a lovely film"
    own, given = lstm.see(text).record, lstm.see(text, target=" bad ").record
    assert (own.given, given.given) == (False, True)
    chances = dict(lstm.predict(text).probabilities)
    assert math.exp(given.log_probs[0]) == pytest.approx(chances["bad"], abs=1e-5)
    assert own.attention == given.attention
    answer = seq2see("see", lstm.folder, text, "--target", "godo")
    assert answer.code == 2
    assert "did you mean 'good'" in answer.err
    assert seq2see("see", lstm.folder, "  ").code == 2


def test_subwords_are_drawn_as_words_and_a_model_without_attention_says_what_it_needs(
    seq2see: Command, cnn: ClassificationRun
) -> None:
    answer = seq2see("see", cnn.folder, "the lovely lovelylovely film")
    assert answer.code == 0, answer.err
    assert "without attention" in answer.out
    assert "lovelylovely " in answer.out  # one word, however many pieces
    record = cnn.see("the lovely lovelylovely film").record
    assert len(record.source.pieces) > 5
    assert record.attention == {}
    assert len(record.traces["left out"]) == len(record.source.pieces)


# ── predicting ──────────────────────────────────────────────────────────────────────────────────


def test_probabilities_are_those_of_the_model(lstm: ClassificationRun) -> None:
    text = "so awful a story"
    ids = torch.tensor([[*lstm.tokeniser.encode(text).ids, 2]])
    with torch.no_grad():
        hidden_BD = lstm.model(ids, torch.ones_like(ids, dtype=torch.bool))
        wanted = lstm.model.output(hidden_BD)[0].softmax(0).tolist()
    found = lstm.predict(text)
    assert dict(found.probabilities) == pytest.approx(dict(zip(("bad", "good"), wanted, strict=True)), abs=1e-6)
    assert found.label == str(found) == "bad"
    assert found.probability == found.probabilities[0][1] == pytest.approx(max(wanted), abs=1e-6)


@pytest.mark.parametrize("which", ["lstm", "cnn"])
def test_answers_do_not_depend_on_the_batch(which: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(which)
    texts = [text for text, _ in reviews(40, seed=3)] + ["lovely " * 100, "x", "weak"]
    alone = [run.predict(text) for text in texts]
    for window in (5, 1_000):
        together = list(run.stream(texts, window=window))
        for one, other in zip(alone, together, strict=True):
            assert (one.source, one.label) == (other.source, other.label)
            assert dict(one.probabilities) == pytest.approx(dict(other.probabilities), abs=1e-5)


def test_lines_stay_lines(seq2see: Command, lstm: ClassificationRun, tmp_path: Path) -> None:
    texts, answers = tmp_path / "in.txt", tmp_path / "out.txt"
    texts.write_text("a superb film\n\n   \nso dull\n!!!\n", encoding="utf-8")
    assert seq2see("predict", lstm.folder, "--input", texts, "--output", answers).code == 0
    lines = answers.read_text(encoding="utf-8").split("\n")[:-1]
    assert lines[:4] == ["good", "", "", "bad"]
    assert lines[4] in ("good", "bad")  # signs are no blank: they may tell something
    answer = seq2see("predict", lstm.folder, "dull", " ", "--format", "jsonl")
    first, second = map(json.loads, answer.out.splitlines())
    assert first["label"] == "bad"
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert first["probability"] == first["probabilities"]["bad"]
    assert second == {"source": " ", "label": "", "probability": 0.0, "probabilities": {}}
    assert seq2see("predict", lstm.folder, "dull", "", "--nbest", 3).out == "bad\ngood\n\n\n\n\n"


def test_a_long_text_is_read_from_its_beginning(
    lstm: ClassificationRun, made: Callable[..., ClassificationRun]
) -> None:
    run = made("bag", "short", **{"data.max_pieces": 5})
    assert run.predict("the film was so very lovely") == pytest.approx(run.predict("the film was so very lovely"))
    whole, beginning = run.predict("dull the film was so lovely great"), run.predict("dull the film was so")
    assert whole.probabilities == beginning.probabilities
    record = run.see("dull the film was so lovely").record
    assert len(record.source.pieces) == 6
    assert "only the first 5" in record.notes[0]
    report = json.loads((run.folder / "cache" / "manifest.json").read_text())["extra"]["report"]
    assert report["kept"] == report["read"]
    assert report["longest_source"] == 5
    assert "texts to their first 5 pieces" in (run.folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("predict", ["--beam", 3, "x"], "beam: a run of the task classify has no use for this"),
        ("predict", ["--sample", "x"], "sample"),
        ("predict", ["--prefix", "x", "y"], "prefix"),
        ("see", ["--beam", 2, "x"], "beam"),
        ("evaluate", ["test.tsv", "--tokenize", "char"], "tokenize"),
        ("evaluate", ["test.tsv", "--metrics", "bleu"], "no metric 'bleu' for labels; there are accuracy, macro_f1"),
        ("evaluate", ["test.tsv", "--beam", 2], "beam"),
    ],
)
def test_what_has_no_meaning_here_is_refused(
    seq2see: Command,
    lstm: ClassificationRun,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    options: list[object],
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    answer = seq2see(command, lstm.folder, *options)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1


# ── scoring ─────────────────────────────────────────────────────────────────────────────────────


def test_another_run_is_compared(seq2see: Command, lstm: ClassificationRun, trained: Path, folder: Path) -> None:
    blind = folder / "blind"
    if not blind.exists():
        shuffled = [(text, random.Random(text).choice(("good", "bad"))) for text, _ in reviews(80)]
        data = write_reviews(folder / "shuffled.tsv", shuffled)
        train(data, task="classify", model="bag", settings=SMALL, steps=2, out=blind, reporter=silent())
    answer = seq2see("evaluate", lstm.folder, folder / "test.tsv", "--versus", blind)
    assert answer.code == 0, answer.err
    assert "difference +" in answer.out
    assert "macro_f1: " in answer.out
    result = lstm.evaluate(folder / "test.tsv", versus=load(blind))  # type: ignore[arg-type]
    own, other = lstm.evaluate(folder / "test.tsv"), load(blind).evaluate(folder / "test.tsv")  # type: ignore[attr-defined]
    accuracy = result.comparisons[0]
    assert (accuracy.first, accuracy.second) == (other["accuracy"], own["accuracy"])
    assert accuracy.low > 0
    assert result.versus_lengths != result.lengths
    answer = seq2see("evaluate", lstm.folder, folder / "test.tsv", "--versus", trained)
    assert answer.code == 2
    assert "of the task translate, this one of classify" in answer.err


def test_blank_texts_and_unknown_labels_are_wrong_and_said(lstm: ClassificationRun, tmp_path: Path) -> None:
    rows = [("a superb film", "good"), ("  ", "good"), ("so dull", "ugly"), ("weak", " bad  "), ("weak", " ")]
    result = lstm.evaluate(write_reviews(tmp_path / "t.tsv", rows))
    assert result["accuracy"] == 50.0  # of four: the one without a label is no example
    notes = " ".join(result.notes)
    for told in ("1 blank text", "training did not see (ugly)", "a blank label: 1"):
        assert told in notes
    assert result.references[3] == ("bad",)
    with pytest.raises(InputError, match=r"none of its labels \(ugly\)"):
        lstm.evaluate(write_reviews(tmp_path / "u.tsv", [("a", "ugly"), ("b", "ugly")]))
    with pytest.raises(InputError, match="every label is blank"):
        lstm.evaluate(write_reviews(tmp_path / "v.tsv", [("a", " "), ("b", "")]))


def test_two_files_line_by_line(seq2see: Command, lstm: ClassificationRun, tmp_path: Path) -> None:
    rows = reviews(80, seed=4)
    texts, labels = tmp_path / "texts.txt.gz", tmp_path / "labels.txt"
    texts.write_bytes(gzip.compress("".join(f"{text}\n" for text, _ in rows).encode()))
    labels.write_text("".join(f"{label}\n" for _, label in rows))
    answer = seq2see("evaluate", lstm.folder, "--source", texts, "--target", labels)
    assert answer.code == 0, answer.err
    sides = ["--source", texts, "--target", labels]
    answer = seq2see("train", "--task", "classify", *sides, "--out", tmp_path / "run", "--steps", 2, *quick())
    assert answer.code == 0, answer.err
    assert "80 examples" in answer.out


# ── stopping and going on ───────────────────────────────────────────────────────────────────────


def weights(run: Path) -> bytes:
    return (run / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    "more", [{"text.kind": "bpe", "text.vocabulary": 300, "text.dropout": 0.2}, {"training.consistency": "r-drop"}]
)
def test_a_stopped_run_goes_on_bit_for_bit(folder: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    settings = {**SMALL, "model.word_dropout": 0.1, "model.dropout": 0.3, "training.evaluate_every": 4, **more}

    def request(out: str, **asked: Any) -> TrainRequest:
        data = folder / "reviews.tsv"
        return TrainRequest(
            task="classify", data=data, model="lstm", settings=settings, steps=12, out=tmp_path / out, **asked
        )

    train_run(request("whole"), reporter=silent(), interrupt=Interrupt())
    interrupt = Interrupt()

    def stop(progress: Progress) -> None:
        if progress.step == 7:
            interrupt.signal_number = 15

    with pytest.raises(Stopped, match="step 7"):
        train_run(request("stopped"), reporter=Reporter(lambda text: None, stop), interrupt=interrupt)
    labels = (tmp_path / "stopped" / "labels.json").read_bytes()
    train_run(TrainRequest(out=tmp_path / "stopped", resume=True), reporter=silent(), interrupt=Interrupt())
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")
    assert (tmp_path / "stopped" / "labels.json").read_bytes() == labels
    shutil.copytree(tmp_path / "stopped", tmp_path / "changed")
    with pytest.raises(InputError, match=r"model\.encoder\.width"):
        changed = TrainRequest(out=tmp_path / "changed", resume=True, settings={"model.encoder.width": 32})
        train_run(changed, reporter=silent(), interrupt=Interrupt())


def test_changed_labels_are_refused(seq2see: Command, folder: Path, tmp_path: Path) -> None:
    data = write_reviews(tmp_path / "r.tsv", reviews(80))
    run = tmp_path / "run"
    begin = ("train", data, "--task", "classify", "--out", run, "--steps", 3, "--model", "bag", *quick())
    assert seq2see(*begin).code == 0
    write_reviews(data, [*reviews(80), ("new", "ugly"), ("newer", "ugly")])
    answer = seq2see("train", "--resume", "--out", run, "--steps", 6)
    assert answer.code == 2
    assert "content of the data: was " in answer.err
    answer = seq2see("train", "--resume", "--out", run, "--steps", 6, "--force")
    assert answer.code == 2
    assert "the label 'ugly' is none of the 2" in answer.err
    path = run / "labels.json"
    path.write_text(path.read_text().replace('"good"', '"gut"'))
    answer = seq2see("predict", run, "x")
    assert answer.code == 2
    assert "labels.json" in answer.err


# ── bad input ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b\tgood\nc d\tgood\n", "every example to train on (1) has the label 'good'"),
        ("text\tlabel\n" + "".join(f"text {n}\tlabel {n}\n" for n in range(100)), "is that the label column"),
        ("text\tlabel\n", "no pair that can be used"),
        ("text\tlabel\na\t \n \tgood\n", "none of its 2 pairs can be used"),
        ("just some words\nwithout any tab\n", "A pair a line is text, tab, label"),
        ("a\tgood\n", "nothing can be held out"),
    ],
)
def test_data_from_which_nothing_can_be_learned(seq2see: Command, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "r.tsv"
    path.write_text(content)
    answer = seq2see(
        "train", path, "--task", "classify", "--out", tmp_path / "run", "--steps", 1, "--set", "data.held_out=0.2"
    )
    assert answer.code == 2, answer.out
    assert message in answer.err
    assert not (tmp_path / "run").exists()


def test_what_is_dropped_and_what_contradicts_itself_is_said(seq2see: Command, tmp_path: Path) -> None:
    rows = [*reviews(60), ("the film", "good"), ("the film", "bad"), ("", "good"), ("text", ""), ("odd", "single")]
    train_file, dev = (
        write_reviews(tmp_path / "r.tsv", rows),
        write_reviews(tmp_path / "d.tsv", [*reviews(9), ("x", "strange")]),
    )
    answer = seq2see(
        "train", train_file, "--dev", dev, "--task", "classify", "--out", tmp_path / "run", "--steps", 2, *quick()
    )
    assert answer.code == 0, answer.err
    for told in (
        "dropped: 2 with a blank text or a blank label",
        "the same text comes with another label once",
        "1 label has a single example",
        "1 example has a label that training did not see (strange)",
        "the dev score will flatter",
        "3 labels: ",
        "dev: 10 examples of ",
    ):
        assert told in answer.out, told


def test_no_data_and_settings_of_other_tasks(seq2see: Command, tmp_path: Path) -> None:
    answer = seq2see("train", "--task", "classify", "--out", tmp_path / "run")
    assert answer.code == 2
    assert "name a file with a text and a label column" in answer.err
    data = write_reviews(tmp_path / "r.tsv", reviews(40))
    answer = seq2see("train", data, "--task", "classify", "--out", tmp_path / "run", "--set", "search.beam=3")
    assert answer.code == 2
    assert "search" in answer.err
    assert not (tmp_path / "run" / "config.toml").exists()


def test_columns_are_named(seq2see: Command, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("a,b,c\n" + "".join(f"{label},{text},{label}x\n" for text, label in reviews(60)))
    answer = seq2see("train", path, "--task", "classify", "--out", tmp_path / "run", "--steps", 1, *quick())
    assert answer.code == 2
    assert "which are text and label is not clear" in answer.err
    options = ["--columns", "b,c", "--steps", 1, *quick()]
    answer = seq2see("train", path, "--task", "classify", "--out", tmp_path / "run", *options)
    assert answer.code == 0, answer.err
    assert "bad" + "x " in answer.out


def test_pictures_are_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pictures").mkdir()
    text = write_reviews(tmp_path / "r.tsv", reviews(3))
    idx = tmp_path / "train-images-idx3-ubyte.gz"
    idx.write_bytes(gzip.compress(bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4])))
    workbook = tmp_path / "table.xlsx"
    workbook.write_bytes(b"PK\x03\x04" + bytes(60))
    assert are_pictures({"file": str(tmp_path / "pictures")})
    assert are_pictures({"source": str(idx), "target": "x"})
    assert are_pictures({"kind": "images", "file": str(text)})
    assert not are_pictures({"kind": "text", "file": str(tmp_path / "pictures")})
    for each in (text, workbook, tmp_path / "nothing", "-"):
        assert not are_pictures({"file": str(each)})
    assert not are_pictures({})

    class Pictures:
        CLASSIFY_IMAGES = type("Other", (), {"open_data": lambda *a: "data", "open_run": lambda *a: "run"})()

    monkeypatch.setitem(sys.modules, "seq2see.tasks.classify_images", Pictures)  # type: ignore[arg-type]
    assert TASK.open_data({"data": {"file": str(idx)}}, None, Interrupt()) == "data"
    (tmp_path / "config.toml").write_text('[data]\nkind = "images"\n')
    assert TASK.open_run(tmp_path) == "run"
