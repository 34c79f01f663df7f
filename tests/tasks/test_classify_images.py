"""Pictures to classes, from the command line to the page: learned, resumed bit for bit, explained, refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from seq2see.data.image_batches import ImageBatch
from seq2see.data.pictures import Raw, fitted
from seq2see.models.image_classifier import ImageClassifier
from seq2see.tasks.catalogue import load
from seq2see.tasks.classify_images import objective
from seq2see.tasks.image_classification import ImageClassificationRun
from small_pictures import NETWORK, captioned, png, square, write_folders, write_idx
from small_task import Command


def assigned(settings: dict[str, Any]) -> list[str]:
    """Settings as arguments of a command."""
    return [part for name, value in settings.items() for part in ("--set", f"{name}={json.dumps(value)}")]


SETTINGS = {**NETWORK, "training.batch_tokens": 16, "training.evaluate_every": 10}
ARGUMENTS = assigned(SETTINGS)


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows the colour of a square; beside it its data."""
    from seq2see.tasks.reporting import silent
    from seq2see.tasks.training import train

    folder = tmp_path_factory.mktemp("classified")
    data = write_folders(folder / "squares", captioned(90))
    train(data, task="classify", settings=SETTINGS, steps=60, out=folder / "run", reporter=silent())
    return folder / "run"


def weights(run: Path) -> str:
    return hashlib.sha256((run / "weights.safetensors").read_bytes()).hexdigest()


def journal(run: Path) -> list[dict[str, Any]]:
    """The journal without what depends on the clock."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: row[name] for name in row if "second" not in name and name != "fraction"} for row in rows]


def test_it_has_learned_and_says_how_well(seq2see: Command, classified: Path, tmp_path: Path) -> None:
    test = write_folders(tmp_path / "test", captioned(60, seed=9))
    answer = seq2see("evaluate", classified, test, "--json", tmp_path / "scores.json")
    assert answer.code == 0, answer.err
    found = json.loads((tmp_path / "scores.json").read_text())
    scores = {score["name"]: score for score in found["scores"]}
    assert scores["accuracy"]["value"] > 90
    assert scores["accuracy"]["low"] <= scores["accuracy"]["value"] <= scores["accuracy"]["high"]
    assert scores["accuracy"]["signature"].startswith("unit:example")
    assert {each["label"] for each in found["details"]["classes"]} == {"red", "green", "blue"}
    counts = found["details"]["confusion_matrix"]["counts"]
    assert sum(map(sum, counts)) == 60
    assert sum(counts[at][at] for at in range(3)) / 60 == pytest.approx(scores["accuracy"]["value"] / 100)
    same = seq2see("evaluate", classified, test, "--versus", classified, "--metrics", "accuracy")
    assert "p = 1.0000" in same.out and "macro_f1" not in same.out


def test_it_answers_in_order_and_alone_as_together(seq2see: Command, classified: Path, tmp_path: Path) -> None:
    paths = []
    for number, (name, caption, content) in enumerate(captioned(12, seed=4)):
        paths.append(tmp_path / f"{number}-{caption.split()[0]}-{name}")
        paths[-1].write_bytes(content)
    lines = tmp_path / "paths.txt"
    lines.write_text("\n".join([str(paths[0]), "", *map(str, paths[1:])]) + "\n")
    answers = seq2see("predict", classified, "--input", lines).out.split("\n")[:-1]
    assert answers[1] == "" and len(answers) == 13
    right = sum(
        answer == path.name.split("-")[1] for answer, path in zip([answers[0], *answers[2:]], paths, strict=True)
    )
    assert right >= 10
    for path in paths[:3]:
        assert (
            seq2see("predict", classified, path).out == answers[0 if path == paths[0] else paths.index(path) + 1] + "\n"
        )
    objects = [
        json.loads(line) for line in seq2see("predict", classified, *paths[:2], "--format", "jsonl").out.splitlines()
    ]
    assert [each["source"] for each in objects] == list(map(str, paths[:2]))
    assert sum(objects[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert objects[0]["probability"] == max(objects[0]["probabilities"].values())
    assert seq2see("predict", classified, paths[0], "--nbest", 2).out.count("\n") == 2


def test_the_places_that_speak_for_a_class_are_drawn(seq2see: Command, classified: Path, tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    path.write_bytes(png(square("red", left=False, top=True)))
    files = {kind: tmp_path / f"see.{kind}" for kind in ("html", "png", "svg", "json")}
    options = [part for kind, file in files.items() for part in (f"--{kind}", file)]
    answer = seq2see("see", classified, path, *options)
    assert answer.code == 0, answer.err
    assert "red 9" in answer.out or "red 100%" in answer.out
    record = json.loads(files["json"].read_text())
    assert record["version"] == 2 and record["task"] == "classify"
    assert (record["picture"]["rows"], record["picture"]["columns"]) == (6, 6)
    rows = record["attention"]["cross"][0][0]
    assert len(rows) == 1 and sum(rows[0]) == pytest.approx(1, abs=1e-3)
    run = load(classified)
    assert isinstance(run, ImageClassificationRun)
    picture = fitted(Raw("x", path.read_bytes()), run.settings.model.picture, 10_000)[None]
    shares = run.model.shares(picture)[1][0].detach()
    beyond = (shares[run.labels.names.index("red")] - shares.mean(0)).clamp(min=0)
    assert rows[0] == pytest.approx((beyond / beyond.sum()).tolist(), abs=1e-4)
    assert "What speaks for the class" in files["html"].read_text()
    assert files["png"].read_bytes().startswith(b"\x89PNG") and "<svg" in files["svg"].read_text()
    other = seq2see("see", classified, path, "--target", "blue", "--json", files["json"])
    assert other.code == 0 and json.loads(files["json"].read_text())["given"]
    assert seq2see("see", classified, path, "--target", "pink").err.endswith("there are blue, green, red\n")


def test_a_resumed_run_is_the_same_to_the_bit(seq2see: Command, tmp_path: Path) -> None:
    """Also in the middle of an epoch, with chance in the pictures, dropout, and an average of the weights."""
    data = write_folders(tmp_path / "squares", captioned(40))
    chances = assigned({"data.erase": 0.5, "data.flip": True, "model.dropout": 0.2, "training.ema": 0.9})
    # Nothing depends on how long training will go on, and both are evaluated at every step.
    plain = assigned({"training.schedule": "constant", "training.warmup": 0.0, "training.evaluate_every": 1})
    common = ["train", "--task", "classify", data, *ARGUMENTS, *chances, *plain]
    assert seq2see(*common, "--steps", 8, "--out", tmp_path / "whole").code == 0
    begun = seq2see(*common, "--steps", 5, "--out", tmp_path / "parts")
    assert begun.code == 0, begun.err
    assert weights(tmp_path / "parts") != weights(tmp_path / "whole")
    more = seq2see("train", "--resume", "--force", "--steps", 8, "--out", tmp_path / "parts")
    assert more.code == 0, more.err
    assert "resumed from the checkpoint of step 5" in more.out
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert journal(tmp_path / "parts") == journal(tmp_path / "whole")
    changed = seq2see("train", "--resume", "--out", tmp_path / "parts", "--set", "model.encoder.width=8", "--force")
    assert changed.code == 2 and "model.encoder.width" in changed.err


def test_idx_files_from_training_to_a_number_in_them(seq2see: Command, tmp_path: Path) -> None:
    train, dev = write_idx(tmp_path, "train", captioned(60)), write_idx(tmp_path, "dev", captioned(20, seed=5))
    out = seq2see(
        "train", "--task", "classify", train, "--dev", dev, *ARGUMENTS, "--steps", 4, "--out", tmp_path / "run"
    )
    assert out.code == 0, out.err
    for said in ("60 pictures, 12 × 12 pixels, grey", "2 classes", "dev-images-idx3-ubyte.gz, 20 pictures"):
        assert said in out.out
    assert seq2see("predict", tmp_path / "run", f"{dev}/3").out.strip() in ("0", "1")
    seen = seq2see("see", tmp_path / "run", f"{dev}/3")
    assert "dev-images-idx3-ubyte.gz/3 →" in seen.out
    config = (tmp_path / "run" / "config.toml").read_text()
    assert 'kind = "images"' in config and 'colour = "grey"' in config


def test_classes_that_training_has_not_seen_are_wrong_not_fatal(
    seq2see: Command, classified: Path, tmp_path: Path
) -> None:
    test = write_folders(
        tmp_path / "test", [(name, caption.replace("red", "pink"), png_) for name, caption, png_ in captioned(20)]
    )
    answer = seq2see("evaluate", classified, test)
    assert answer.code == 0 and "never answered: pink" in answer.out


def test_damaged_pictures_are_left_out_by_name(seq2see: Command, tmp_path: Path) -> None:
    data = write_folders(tmp_path / "squares", captioned(30))
    (data / "red" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    out = seq2see("train", "--task", "classify", data, *ARGUMENTS, "--steps", 2, "--out", tmp_path / "run")
    assert out.code == 0 and "red/bad.png cannot be decoded" in out.out
    assert f"try: seq2see predict {tmp_path / 'run'} PICTURE, or: " in out.out.replace("\n", "")
    refused = seq2see("predict", tmp_path / "run", data / "red" / "bad.png")
    assert refused.code == 2 and "bad.png cannot be decoded" in refused.err and refused.err.count("\n") == 1


def test_what_cannot_be_used_is_said(seq2see: Command, classified: Path, tmp_path: Path) -> None:
    data = classified.parent / "squares"
    for arguments, message in (
        (["train", "--task", "classify", "--set", "data.kind=images"], "no pictures given"),
        (["train", "--task", "classify", data, "--model", "cnn-tinny"], 'did you mean "cnn-tiny"'),
        (["train", "--task", "classify", data, "--set", "model.picture.height=2"], "model.picture.height"),
        (["train", "--task", "classify", data, "--set", "model.encoder.strides=[1]"], "need as many strides"),
        (["train", "--task", "classify", data, "--set", "training.consistency=r-drop"], "is for text"),
        (["train", "--task", "classify", data, "--set", "data.shfit=0.1"], "did you mean shift"),
        (["predict", classified, tmp_path / "gone.png"], "There is no file"),
        (["predict", classified, tmp_path], "is a folder; name one picture"),
        (["predict", classified, data, "--beam", "3"], "beam: a run of the task classify has no use"),
        (["evaluate", classified], "give the pictures"),
        (["evaluate", classified, data, "--metrics", "bleu"], "evaluation.metrics"),
        (["evaluate", classified, data, "--tokenize", "char"], "--tokenize is for BLEU"),
    ):
        answer = seq2see(*arguments)
        assert answer.code == 2 and message in answer.err, answer.err
    assert not (tmp_path / "runs").exists()


def test_the_loss_is_the_sum_over_the_pictures(classified: Path) -> None:
    run = load(classified)
    assert isinstance(run, ImageClassificationRun)
    model: ImageClassifier = run.model
    pictures = torch.randint(0, 256, (5, 3, 12, 12), dtype=torch.uint8)
    labels = torch.tensor([0, 1, 2, 1, 0])
    batch = ImageBatch(torch.arange(5), pictures, labels, 5)
    logits = model.output(model(pictures))
    for smoothing in (0.0, 0.1):
        wanted = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum")
        torch.testing.assert_close(objective(smoothing)(model, batch), wanted)


def test_friendly_methods(classified: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (220, 30, 30)).save(tmp_path / "wide.jpg")
    run = load(classified)
    assert isinstance(run, ImageClassificationRun)
    found = run.predict(tmp_path / "wide.jpg")
    assert str(found) == found.label in ("red", "green", "blue")
    assert found.probability == found.probabilities[0][1] <= 1
    assert "→" in str(run.see(tmp_path / "wide.jpg"))
