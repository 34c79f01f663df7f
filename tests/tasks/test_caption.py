"""Pictures to captions, from the command line to the page: learned, resumed bit for bit, beside two baselines."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from seq2see.config.settings import SearchSettings
from seq2see.data.pictures import Raw, fitted
from seq2see.evaluation.counts import count
from seq2see.tasks.captions import CaptionRun
from seq2see.tasks.catalogue import load
from seq2see.tasks.neighbours import Neighbours, small
from small_pictures import NETWORK, captioned, png, square, write_zip
from small_task import Command

SETTINGS = {
    **NETWORK,
    "model.decoder.width": 16,
    "training.batch_tokens": 64,
    "training.evaluate_every": 20,
    "search.beam": 2,
}


def assigned(settings: dict[str, Any]) -> list[str]:
    """Settings as arguments of a command."""
    return [part for name, value in settings.items() for part in ("--set", f"{name}={json.dumps(value)}")]


ARGUMENTS = assigned(SETTINGS)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that writes the colour and the side of a square."""
    from seq2see.tasks.reporting import silent
    from seq2see.tasks.training import train

    folder = tmp_path_factory.mktemp("written")
    data = write_zip(folder / "icons.zip", captioned(120))
    train(data, task="caption", settings=SETTINGS, steps=100, out=folder / "run", reporter=silent())
    return folder / "run"


def weights(run: Path) -> str:
    return hashlib.sha256((run / "weights.safetensors").read_bytes()).hexdigest()


def test_it_has_learned_and_stands_beside_two_baselines(seq2see: Command, written: Path, tmp_path: Path) -> None:
    test = write_zip(tmp_path / "test.zip", captioned(60, seed=9))
    answer = seq2see("evaluate", written, test, "--json", tmp_path / "scores.json")
    assert answer.code == 0, answer.err
    found = json.loads((tmp_path / "scores.json").read_text())
    scores = {score["name"]: score for score in found["scores"]}
    assert scores["exact_match"]["value"] > 80
    for name in ("bleu1", "bleu2", "bleu3", "bleu", "chrf", "exact_match"):
        own = scores[name]
        assert own["low"] <= own["value"] <= own["high"]
        for baseline in ("untrained", "nearest neighbour"):
            assert scores[f"{name}, {baseline}"]["signature"] == own["signature"]
    assert scores["bleu1, untrained"]["value"] < 40 < scores["bleu1"]["value"]
    assert scores["bleu2"]["signature"].split("|bootstrap")[0].endswith("order:2")
    assert found["versus"] == "nearest neighbour" and found["comparisons"][0]["name"] == "chrf"
    assert "60 of 2 words or more, 60 of 3 words or more, 0 of 4 words or more" in answer.out
    assert found["details"]["captions with at least so many words"] == {"2": 60, "3": 60, "4": 0}
    assert len(found["details"]["baselines"]["nearest neighbour"]) == 60
    again = seq2see("evaluate", written, test, "--versus", written, "--metrics", "bleu1")
    assert "p = 1.0000" in again.out and f"with {written}" in again.out


def test_it_answers_in_order_and_alone_as_together(seq2see: Command, written: Path, tmp_path: Path) -> None:
    pictures = captioned(15, seed=4)
    archive = write_zip(tmp_path / "some.zip", pictures)
    paths = [f"{archive}/{name}" for name, _, _ in pictures]
    lines = tmp_path / "paths.txt"
    lines.write_text("\n".join([*paths[:3], "", *paths[3:]]) + "\n")
    answers = seq2see("predict", written, "--input", lines).out.split("\n")[:-1]
    assert len(answers) == 16 and answers[3] == ""
    found = answers[:3] + answers[4:]
    assert sum(answer == caption for answer, (_, caption, _) in zip(found, pictures, strict=True)) >= 12
    for number in (0, 7):
        assert seq2see("predict", written, paths[number]).out == found[number] + "\n"
    several = seq2see("predict", written, paths[0], "--beam", 4, "--nbest", 3).out.split("\n")[:-1]
    assert len(several) == len(set(several)) == 3
    assert seq2see("predict", written, paths[0], "--prefix", "blue").out.startswith("blue")
    assert "square" not in seq2see("predict", written, paths[0], "--forbid", "square").out
    samples = [
        seq2see("predict", written, paths[0], "--sample", "--temperature", 5, "--seed", s).out for s in (1, 1, 2)
    ]
    assert samples[0] == samples[1] != samples[2]
    facts = json.loads(seq2see("predict", written, paths[0], "--format", "jsonl").out)
    assert len(facts["pieces"]) == len(facts["log_probs"]) and facts["finished"] == "eos"


def test_each_word_is_drawn_with_what_it_looked_at(seq2see: Command, written: Path, tmp_path: Path) -> None:
    path = tmp_path / "blue.png"
    path.write_bytes(png(square("blue", left=True, top=False)))
    files = {kind: tmp_path / f"see.{kind}" for kind in ("html", "png", "svg", "json")}
    options = [part for kind, file in files.items() for part in (f"--{kind}", file)]
    answer = seq2see("see", written, path, *options)
    assert answer.code == 0, answer.err
    record = json.loads(files["json"].read_text())
    rows = record["attention"]["cross"][0][0]
    assert len(rows) == len(record["target"]["pieces"]) == len(record["target"]["text"].split()) + 1
    assert all(sum(row) == pytest.approx(1, abs=1e-3) for row in rows)
    assert len(rows[0]) == record["picture"]["rows"] * record["picture"]["columns"] == 36
    assert "Where the model looked" in files["html"].read_text()
    assert files["png"].read_bytes().startswith(b"\x89PNG") and "<svg" in files["svg"].read_text()
    given = seq2see("see", written, path, "--target", record["target"]["text"], "--json", tmp_path / "given.json")
    assert given.code == 0
    second = json.loads((tmp_path / "given.json").read_text())
    assert second["given"] and second["score"] == pytest.approx(record["score"], rel=1e-3)
    assert second["log_probs"] == pytest.approx(record["log_probs"], rel=1e-3, abs=1e-5)


def test_a_resumed_run_is_the_same_to_the_bit(seq2see: Command, tmp_path: Path) -> None:
    data = write_zip(tmp_path / "icons.zip", captioned(50))
    chances: dict[str, Any] = {
        "data.shift": 0.1,
        "model.dropout": 0.2,
        "training.schedule": "constant",
        "training.warmup": 0.0,
    }
    chances["training.evaluate_every"] = 1
    common = ["train", "--task", "caption", data, *ARGUMENTS, *assigned(chances)]
    assert seq2see(*common, "--steps", 7, "--out", tmp_path / "whole").code == 0
    assert seq2see(*common, "--steps", 4, "--out", tmp_path / "parts").code == 0
    more = seq2see("train", "--resume", "--force", "--steps", 7, "--out", tmp_path / "parts")
    assert more.code == 0, more.err
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    other = write_zip(tmp_path / "icons.zip", captioned(50, seed=8))
    changed = seq2see("train", "--resume", "--out", tmp_path / "parts", "--steps", 9)
    assert changed.code == 2 and "content of the data" in changed.err, other


@pytest.mark.parametrize("model", ["transformer-tiny", "lstm"])
def test_other_decoders(seq2see: Command, tmp_path: Path, model: str) -> None:
    data = write_zip(tmp_path / "icons.zip", captioned(30))
    out = seq2see(
        "train", "--task", "caption", data, "--model", model, *ARGUMENTS, "--steps", 3, "--out", tmp_path / "run"
    )
    assert out.code == 0, out.err
    seen = seq2see(
        "see", tmp_path / "run", f"{data}/3.png", "--target", "red square left", "--html", tmp_path / "p.html"
    )
    assert seen.code == 0, seen.err
    assert ("without attention" in seen.out) == (model == "lstm")
    if model == "transformer-tiny":
        assert seq2see("see", tmp_path / "run", f"{data}/3.png", "--target", "red", "--layer", 2, "--head", 1).code == 0
    assert seq2see("evaluate", tmp_path / "run", data, "--metrics", "chrf").code == 0


def test_several_captions_of_a_picture_are_several_references(seq2see: Command, tmp_path: Path) -> None:
    pictures = captioned(30)
    data = write_zip(tmp_path / "icons.zip", pictures)
    rows = "".join(f"{name}\t{text}\n" for name, caption, _ in pictures for text in (caption, f"a {caption}"))
    (tmp_path / "two.tsv").write_text(rows)
    common = ["--source", data, "--target", tmp_path / "two.tsv"]
    out = seq2see("train", "--task", "caption", *common, *ARGUMENTS, "--steps", 2, "--out", tmp_path / "run")
    assert out.code == 0 and "60 captions, 3.5 words on average" in out.out, out.err
    scored = seq2see("evaluate", tmp_path / "run", *common, "--json", tmp_path / "s.json")
    assert "30 pictures with 60 captions" in scored.out
    assert json.loads((tmp_path / "s.json").read_text())["references"][0] == [pictures[0][1], f"a {pictures[0][1]}"]


def test_what_cannot_be_used_is_said(seq2see: Command, written: Path, tmp_path: Path) -> None:
    data = written.parent / "icons.zip"
    (tmp_path / "other.tsv").write_text("nowhere.png\tx\nelsewhere.png\ty\n")
    for arguments, message in (
        (["train", "--task", "caption"], "no pictures given"),
        (["train", "--task", "caption", data, "--model", "lstm-atention"], "did you mean"),
        (["train", "--task", "caption", "--source", data, "--target", tmp_path / "other.tsv"], "no row of other.tsv"),
        (
            ["train", "--task", "caption", data, "--set", "data.max_unpacked_bytes=1000"],
            "unpacks to more than 1,000 bytes",
        ),
        (["predict", written, f"{data}/nothing.png"], "no such picture in"),
        (["predict", written, f"{data}/0.png", "--prefix", "elephant"], "is no word of this model"),
        (["see", written, f"{data}/0.png", "--target", " "], "holds no letter or digit"),
        (["evaluate", written, tmp_path / "other.tsv"], "no pictures in a way that is read"),
    ):
        answer = seq2see(*arguments)
        assert answer.code == 2 and message in answer.err, answer.err
        assert answer.err.count("\n") == 1


def test_a_damaged_baseline_is_refused(seq2see: Command, tmp_path: Path) -> None:
    data = write_zip(tmp_path / "icons.zip", captioned(20))
    assert seq2see("train", "--task", "caption", data, *ARGUMENTS, "--steps", 1, "--out", tmp_path / "run").code == 0
    path = tmp_path / "run" / "neighbours.json"
    path.write_text(path.read_text().replace("red", "rad", 1))
    answer = seq2see("evaluate", tmp_path / "run", data)
    assert answer.code == 2 and "neighbours.json is damaged" in answer.err


# ── the parts ───────────────────────────────────────────────────────────────────────────────────


def test_the_nearest_neighbour_by_hand() -> None:
    known = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    known[1] += 100
    known[2] += 200
    neighbours = Neighbours(small(known), ("dark", "grey", "light"))
    asked = torch.tensor([20, 140, 160, 255], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    assert neighbours.answers(asked) == ["dark", "grey", "light", "light"]
    assert neighbours.answers(known[:1] + 50) == ["dark"]  # equally near: the first


def test_small_pictures_are_means() -> None:
    pictures = torch.arange(32 * 32, dtype=torch.float).remainder(251).to(torch.uint8).view(1, 1, 32, 32)
    wanted = torch.nn.functional.avg_pool2d(pictures.float(), 2).round().flatten(1)
    assert torch.equal(small(pictures).float(), wanted)
    assert small(pictures[:, :, :5, :7]).shape == (1, 35)


def test_neighbours_are_kept_with_the_run(written: Path) -> None:
    kept = Neighbours.load(written)
    run = load(written)
    assert isinstance(run, CaptionRun)
    training = {caption for _, caption, _ in captioned(120)}
    assert set(kept.captions) <= training and 90 <= len(kept.captions) < 120
    raw = Raw("x.png", captioned(120)[5][2])
    picture = fitted(raw, run.settings.model.picture, 10_000)[None]
    assert kept.answers(picture)[0] in training


def test_friendly_methods(written: Path, tmp_path: Path) -> None:
    run = load(written)
    assert isinstance(run, CaptionRun)
    Image.new("RGB", (40, 20), (220, 30, 30)).save(tmp_path / "wide.jpg")
    greedy = run.predict(tmp_path / "wide.jpg", search=SearchSettings(method="greedy"))
    assert str(greedy) == greedy.text and greedy.finished in ("eos", "length")
    assert "→" in str(run.see(tmp_path / "wide.jpg", beam=2))


def test_bleu_of_an_order_is_sacrebleus() -> None:
    from sacrebleu import BLEU

    hypotheses = ["a red square left", "blue square", "green"]
    references = [["the red square left"], ["blue square right", "a blue square"], ["green square"]]
    for order in (1, 2, 3):
        streams = [[each[0] for each in references], [each[1] if len(each) > 1 else None for each in references]]
        wanted = BLEU(max_ngram_order=order, force=True).corpus_score(hypotheses, streams).score
        found = count(f"bleu{order}", hypotheses, references)
        assert found.value() == pytest.approx(wanted)
        assert found.signature.endswith(f"order:{order}")
