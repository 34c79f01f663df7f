"""Every command does what its help says, and every mistake gets one clear message and the right exit code."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seq2see.viewing.grid import CAVEAT
from small_task import SMALL, Command, reversed_pairs, write_pairs


def arguments(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def test_import_and_help_are_quick() -> None:
    """Heavy imports are made when needed: neither may load torch."""
    for code in ("import seq2see", "from seq2see.cli.app import app"):
        program = f"import sys; {code}; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "seq2see", "--help"], capture_output=True, check=True, text=True)
    assert time.monotonic() - start < 5  # under a second on a quiet machine; the tests may share theirs
    for command in ("demo", "train", "predict", "evaluate", "see", "models"):
        assert f" {command} " in done.stdout


def test_predict_keeps_order_and_blank_lines(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    sources = [source for source, _ in reversed_pairs(40, seed=7)]
    lines = ["", *sources[:20], "   ", *sources[20:], "-", "👍"]
    texts, answers = tmp_path / "in.txt", tmp_path / "out.txt"
    texts.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert seq2see("predict", trained, "--input", texts, "--output", answers).code == 0
    found = answers.read_text(encoding="utf-8").split("\n")[:-1]
    assert len(found) == len(lines)
    for line, answer in zip(lines, found, strict=True):
        if line in ("", "   ", "-", "👍"):
            assert answer == line
        else:
            assert answer == seq2see("predict", trained, line).out.rstrip("\n")


def test_predict_reads_standard_input(trained: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "seq2see", "predict", str(trained)],
        input="one two\n\nthree four\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("\n") == 3
    assert done.stdout.split("\n")[1] == ""


def test_the_model_has_learned(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    test = write_pairs(tmp_path / "test.tsv", reversed_pairs(100, seed=5))
    answer = seq2see("evaluate", trained, test, "--json", tmp_path / "scores.json", "--metrics", "exact_match,bleu,cer")
    assert answer.code == 0, answer.err
    scores = {score["name"]: score for score in json.loads((tmp_path / "scores.json").read_text())["scores"]}
    assert scores["exact_match"]["value"] > 60
    assert scores["exact_match"]["low"] <= scores["exact_match"]["value"] <= scores["exact_match"]["high"]
    assert "exact_match" in answer.out
    assert scores["bleu"]["signature"].startswith("nrefs:")
    assert "nrefs:" in answer.out


def test_predict_options(seq2see: Command, trained: Path) -> None:
    text = "one two three"
    best = seq2see("predict", trained, text, "--beam", 4).out
    several = seq2see("predict", trained, text, "--beam", 4, "--nbest", 3).out.split("\n")[:-1]
    assert len(several) == 3
    assert len(set(several)) == 3
    assert several[0] == best.rstrip("\n")
    assert seq2see("predict", trained, text, "--prefix", "two").out.startswith("two")
    assert "three" not in seq2see("predict", trained, text, "--forbid", "three").out
    samples = [
        seq2see("predict", trained, text, "--sample", "--seed", seed, "--temperature", 3.0).out for seed in (1, 1, 2)
    ]
    assert samples[0] == samples[1] != samples[2]


def test_predict_as_json_lines(seq2see: Command, trained: Path) -> None:
    answer = seq2see("predict", trained, "one two", "", "--format", "jsonl", "--beam", 3, "--nbest", 2)
    first, second = (json.loads(line) for line in answer.out.splitlines())
    assert first["source"] == "one two"
    assert len(first["pieces"]) == len(first["log_probs"])
    assert first["score"] >= first["alternatives"][0]["score"]
    assert (second["text"], second["finished"]) == ("", "copied")


def test_answers_do_not_depend_on_the_batch(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    sources = [source for source, _ in reversed_pairs(30, seed=3)] + ["one " * 60]
    alone = [seq2see("predict", trained, source, "--beam", 3).out for source in sources]
    together = seq2see("predict", trained, *sources, "--beam", 3).out
    assert together == "".join(alone)
    assert seq2see("predict", trained, *reversed(sources), "--beam", 3).out == "".join(reversed(alone))


def test_a_very_long_sentence(seq2see: Command, trained: Path) -> None:
    answer = seq2see("predict", trained, "one two three four " * 2_500)
    assert answer.code == 0, answer.err
    assert len(answer.out.split()) > 100
    shown = seq2see("see", trained, "one two three four " * 2_500)
    assert shown.code == 2
    assert "pieces" in shown.err
    assert shown.err.count("\n") == 1


def test_see_draws_everywhere(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"attention.{kind}" for kind in ("html", "png", "svg", "json")}
    options = [part for kind, path in files.items() for part in (f"--{kind}", path)]
    answer = seq2see("see", trained, "one two three", *options)
    assert answer.code == 0, answer.err
    assert "one" in answer.out
    assert "three" in answer.out
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in files["svg"].read_text(encoding="utf-8")
    record = json.loads(files["json"].read_text(encoding="utf-8"))
    rows = record["attention"]["cross"][0][0]
    assert len(rows) == len(record["target"]["pieces"])
    assert all(abs(sum(row) - 1) < 1e-3 for row in rows)
    page = files["html"].read_text(encoding="utf-8")
    assert CAVEAT in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_see_scores_a_given_target(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    found, given = tmp_path / "found.json", tmp_path / "given.json"
    best = seq2see("predict", trained, "one two three", "--beam", 5).out.rstrip("\n")
    assert seq2see("see", trained, "one two three", "--json", found).code == 0
    assert seq2see("see", trained, "one two three", "--target", best, "--json", given).code == 0
    first, second = (json.loads(path.read_text(encoding="utf-8")) for path in (found, given))
    assert not first["given"]
    assert second["given"]
    assert second["score"] == pytest.approx(first["score"], rel=1e-3)
    assert second["log_probs"] == pytest.approx(first["log_probs"], rel=1e-3, abs=1e-5)


def listed(out: str) -> dict[str, dict[str, str]]:
    """The sizes that `models` printed, by task and name."""
    found: dict[str, dict[str, str]] = {}
    for line in out.splitlines():
        if line.startswith("--task "):
            rows = found.setdefault(line.removeprefix("--task ").split(":")[0], {})
        elif line.strip() and not line.startswith((" ", "model ")):
            name, size = line.split()[:2]
            rows[name] = size
    return found


def test_models_lists_the_presets_of_every_task(seq2see: Command) -> None:
    from seq2see.config.forecast import ForecastSettings
    from seq2see.models.build import count_parameters as translator_parameters
    from seq2see.models.classifier import count_parameters
    from seq2see.models.classifier_presets import CLASSIFIERS, classifier_preset
    from seq2see.models.image_presets import IMAGE_PRESETS
    from seq2see.models.language_presets import LANGUAGE_PRESETS
    from seq2see.models.presets import PRESETS, preset
    from seq2see.models.tag_presets import TAG_PRESETS
    from seq2see.tasks.catalogue import NAMES

    answer = seq2see("models", "--vocabulary", 100)
    assert answer.code == 0, answer.err
    found = listed(answer.out)
    assert tuple(found) == NAMES  # a new task is missed here
    assert all(found.values())
    assert found["translate"] == {name: f"{translator_parameters(preset(name), 100, 100):,}" for name in PRESETS}
    assert set(found["caption"]) == set(PRESETS)
    assert set(found["tag"]) == set(TAG_PRESETS)
    assert set(found["lm"]) == set(LANGUAGE_PRESETS)
    assert found["lm"]["markov"] == "counted"
    assert set(found["classify"]) == {*CLASSIFIERS, *IMAGE_PRESETS}
    assert found["classify"]["cnn"] == f"{count_parameters(classifier_preset('cnn'), 100, 10):,}"
    kinds = ForecastSettings.model_json_schema()["$defs"].values()
    names = [kind["properties"]["name"] for kind in kinds if "name" in kind.get("properties", {})]
    assert set(found["forecast"]) == {name for each in names for name in each.get("enum", [each.get("const")])}


def test_models_lists_one_task(seq2see: Command) -> None:
    assert list(listed(seq2see("models", "--task", "lm").out)) == ["lm"]
    wrong = seq2see("models", "--task", "tags")
    assert wrong.code == 2
    assert 'did you mean "tag"' in wrong.err


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["train"], ["no data", "--source"]),
        (["train", "missing.tsv"], ["missing.tsv"]),
        (["train", "empty.tsv"], ["empty.tsv", "empty"]),
        (["train", "one.tsv", "--steps", "2"], ["one.tsv", "1 pair", "dev"]),
        (["train", "latin1.tsv", "--steps", "2"], ["latin1.tsv", "UTF-8", "2"]),
        (["train", "--source", "long.txt", "--target", "short.txt"], ["3", "2", "long.txt", "short.txt"]),
        (["train", "good.tsv", "--model", "lstm-atention"], ["lstm-atention", "lstm-attention"]),
        (["train", "good.tsv", "--set", "training.learning_rat=1"], ["learning_rat", "did you mean learning_rate"]),
        (["train", "good.tsv", "--set", "training.learning_rate=fast"], ["training.learning_rate", "fast"]),
        (["train", "good.tsv", "--minutes", "1", "--steps", "3"], ["--minutes", "--steps"]),
        (["train", "good.tsv", "--minutes", "-1"], ["minutes", "-1"]),
        (["train", "good.tsv", "--config", "no.toml"], ["no.toml"]),
        (["train", "good.tsv", "--resume", "--out", "nowhere"], ["nowhere", "--resume"]),
        (["train", "good.tsv", "--columns", "a"], ["--columns", "SOURCE,TARGET"]),
        (["predict", "nowhere", "text"], ["nowhere", "no such run"]),
        (["predict", ".", "text"], ["not a run folder", "config.toml"]),
        (["see", "nowhere", "text"], ["nowhere"]),
        (["evaluate", "nowhere", "good.tsv"], ["nowhere"]),
    ],
)
def test_mistakes(
    seq2see: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "good.tsv", reversed_pairs(20))
    write_pairs(tmp_path / "one.tsv", [("a", "b")])
    (tmp_path / "empty.tsv").touch()
    (tmp_path / "latin1.tsv").write_bytes("gut\tgood\nschön\tnice\n".encode("latin-1"))
    (tmp_path / "long.txt").write_text("a\nb\nc\n")
    (tmp_path / "short.txt").write_text("a\nb\n")
    answer = seq2see(*call)
    assert answer.code == 2, answer.err
    for word in words:
        assert word in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--nbest", "9", "--beam", "2"], ["nbest", "beam"]),
        (["--temperature", "2"], ["temperature", "--sample"]),
        (["--sample", "--beam", "3"], ["beam", "sampl"]),
        (["--format", "xml"], ["xml", "jsonl"]),
        (["--top-p", "7", "--sample"], ["top_p", "7"]),
    ],
)
def test_mistakes_in_prediction(seq2see: Command, trained: Path, options: list[str], words: list[str]) -> None:
    answer = seq2see("predict", trained, "one two", *options)
    assert answer.code == 2, answer.err
    for word in words:
        assert word in answer.err


def test_a_finished_run_is_not_written_over(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(20))
    answer = seq2see("train", data, "--out", trained, "--steps", 1)
    assert answer.code == 2
    assert "--resume" in answer.err


@pytest.mark.parametrize("name", ["weights.safetensors", "tokenizer.json", "config.toml"])
@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "remove"])
def test_a_damaged_run_is_refused(seq2see: Command, trained: Path, tmp_path: Path, name: str, harm: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    path = folder / name
    content = path.read_bytes()
    if harm == "flip":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif harm == "cut":
        path.write_bytes(content[: len(content) * 9 // 10])
    elif harm == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    answer = seq2see("predict", folder, "one two")
    assert answer.code == 2
    assert name in answer.err
    assert answer.out == ""


def test_a_run_of_a_newer_version_is_refused(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["format"] = 99
    (folder / "manifest.json").write_text(json.dumps(manifest))
    answer = seq2see("predict", folder, "one two")
    assert answer.code == 2
    assert "99" in answer.err


def test_output_into_a_closed_pipe(trained: Path) -> None:
    command = f"yes 'one two' | head -3000 | {sys.executable} -m seq2see predict {trained} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_hostile_text_cannot_act(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    hostile = "one \x1b[31mtwo\x1b[0m </script><img src=x onerror=alert(1)> \u202ethree"
    answer = seq2see("see", trained, hostile, "--html", tmp_path / "page.html")
    assert answer.code == 0, answer.err
    assert "\x1b[31m" not in answer.out
    assert "\u202e" not in answer.out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page


def test_training_with_options(seq2see: Command, tmp_path: Path) -> None:
    """Two line-parallel files, a dev set, a configuration and settings on top."""
    pairs = reversed_pairs(80)
    for name, side in (("train.a", 0), ("train.b", 1), ("dev.a", 0), ("dev.b", 1)):
        rows = pairs[:60] if name.startswith("train") else pairs[60:]
        (tmp_path / name).write_text("".join(pair[side] + "\n" for pair in rows), encoding="utf-8")
    config = tmp_path / "my.toml"
    config.write_text('[text]\nkind = "word"\n[model]\ndropout = 0.0\n[training]\nminutes = 60.0\n')
    files = ["--source", tmp_path / "train.a", "--target", tmp_path / "train.b"]
    devs = ["--dev", tmp_path / "dev.a", "--dev", tmp_path / "dev.b"]
    answer = seq2see(
        "train",
        *files,
        *devs,
        "--config",
        config,
        "--model",
        "gru",
        "--steps",
        3,
        "--out",
        tmp_path / "run",
        *arguments(*SMALL),
    )
    assert answer.code == 0, answer.err
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    training = [row for row in rows if "loss" in row]
    assert [row["step"] for row in training] == [1, 2, 3]
    wanted = {
        "step",
        "epoch",
        "seconds",
        "loss",
        "learning_rate",
        "target_tokens",
        "target_tokens_per_second",
        "padding_share",
    }
    assert all(wanted <= set(row) for row in training)
    assert any("dev_loss" in row and "dev_exact_match" in row for row in rows)
    assert (tmp_path / "run" / "report.html").is_file()
    text = (tmp_path / "run" / "config.toml").read_text()
    assert 'kind = "word"' in text
    assert "dropout = 0.0" in text
    assert "minutes" not in text
