"""What a run leaves behind: scores of the right pairs, a report, figures, and what is said at the end."""

import json
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from seq2see.config.settings import EvaluationSettings, SearchSettings
from seq2see.errors import InputError
from seq2see.tasks.catalogue import NAMES, load, task_named
from seq2see.tasks.outcome import metrics_rows
from seq2see.tasks.reporting import Reporter, clock, silent
from seq2see.tasks.scoring import questions
from seq2see.tasks.training import train
from seq2see.training.progress import Progress
from small_task import Command, reversed_pairs, write_pairs

TINY = {
    "model.encoder.width": 16,
    "model.decoder.width": 16,
    "training.precision": "float32",
    "text.kind": "word",
    "evaluation.metrics": ["cer", "exact_match"],
}


def test_the_scores_of_a_run_are_those_of_its_dev_pairs(tmp_path: Path) -> None:
    """With the weights and the search that are kept, found again by evaluating the folder."""
    data = write_pairs(tmp_path / "train.tsv", reversed_pairs(60))
    dev = write_pairs(tmp_path / "dev.tsv", reversed_pairs(12, seed=2))
    said: list[str] = []
    reporter = Reporter(said.append, lambda progress: None)
    settings = {**TINY, "training.evaluate_every": 2, "search.beam": 2}
    run = train(data, dev=[dev], model="gru", settings=settings, steps=5, out=tmp_path / "run", reporter=reporter)
    facts, again = run.facts, load(run.folder).evaluate(dev)
    assert facts["scored_on"] == f"dev: {dev}, 12 pairs"
    assert facts["search"] == again.signature == "beam:2|length_penalty:1"
    kept = {score["name"]: score["value"] for score in facts["scores"]}
    assert kept == pytest.approx({score.name: score.value for score in again.scores}, rel=1e-4)
    assert f"cer {again['cer']:.2f}" in said[-2]
    assert str(run.folder) in said[-1]
    rows = metrics_rows(run.folder / "metrics.jsonl")
    scored = [row for row in rows if "dev_cer" in row]
    assert [row["step"] for row in scored] == [2, 4, 5]
    best = min(scored, key=lambda row: (row["dev_cer"], row["dev_loss"]))
    assert f"step {best['step']}," in facts["weights"]  # of an error rate the lowest is the best
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert facts["search"] in report
    assert "exact_match" in report


def test_a_torn_line_of_the_journal_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n[2]\nnot json\n\xff\n{"step": 3}\n{"step": ')
    assert metrics_rows(path) == [{"step": 1}, {"step": 3}]


def test_equal_sources_are_one_question_where_answers_are_right_or_wrong() -> None:
    pairs = [("a", "1"), ("b", "2"), ("a", "3")]
    assert questions(pairs, ["exact_match", "bleu"]) == (["a", "b"], [["1", "3"], ["2"]])
    assert questions(pairs, ["bleu", "exact_match"]) == (["a", "b", "a"], [["1"], ["2"], ["3"]])


def test_references_in_decomposed_letters_are_right_too(trained: Path, tmp_path: Path) -> None:
    """A file from a computer that writes Hangul in single letters must not make every answer wrong."""
    composed, decomposed = "\ud55c\uae00", "\u1112\u1161\u11ab\u1100\u1173\u11af"
    assert questions([("a", decomposed)], ["cer"]) == (["a"], [[composed]])
    copied = [
        ("\N{SLIGHTLY SMILING FACE}", "\N{SLIGHTLY SMILING FACE}")
    ]  # has no letter: the answer is the text itself
    run = load(trained)
    assert run.evaluate(write_pairs(tmp_path / "t.tsv", copied), metrics=["exact_match"])["exact_match"] == 100


def test_evaluate_says_what_was_guessed_and_skipped(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.tsv"
    file.write_text("one two\ttwo one\nno tab here\nthree\tthree\n")
    answer = seq2see("evaluate", trained, file, "--metrics", "wer, cer", "--set", "search.beam=2")
    assert answer.code == 0, answer.err
    assert "column 1, target: column 2" in answer.out
    assert "skipped" in answer.out
    assert "2 sources" in answer.out
    assert "beam:2" in answer.out


def test_versus_itself_and_the_sign_of_a_difference(trained: Path, tmp_path: Path) -> None:
    run = load(trained)
    data = write_pairs(tmp_path / "train.tsv", reversed_pairs(60))
    worse = train(data, model="lstm", settings=TINY, steps=1, out=tmp_path / "worse", reporter=silent())
    test = write_pairs(tmp_path / "test.tsv", reversed_pairs(60, seed=4))
    (better,) = run.evaluate(test, metrics=["exact_match"], versus=worse).comparisons
    assert better.difference > 0
    assert better.second == run.evaluate(test, metrics=["exact_match"])["exact_match"]
    (same,) = run.evaluate(test, metrics=["exact_match"], versus=run).comparisons
    assert (same.difference, same.bootstrap_p) == (0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_to_be_tried_is_what_one_types(name: str) -> None:
    """One input after the run, whatever blanks are in it."""
    predict, see = (shlex.split(each) for each in task_named(name).try_it.format(run="'a run'").split(", or: "))
    assert predict[:3] == ["seq2see", "predict", "a run"]
    assert see[:3] == ["seq2see", "see", "a run"]
    assert len(predict) == 4
    assert len(see) == 4 or see[4:] == ["--html", "page.html"]


def test_short_lists_are_filled_up_so_that_lines_stay_together(seq2see: Command, trained: Path) -> None:
    lines = seq2see("predict", trained, "one two", "", "three", "--nbest", 3, "--beam", 3).out.split("\n")
    assert len(lines) == 10  # three a text, and the end
    assert lines[3:6] == ["", "", ""]
    assert all(lines[:3])
    assert all(lines[6:9])


def test_figures_for_tensorboard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[tuple[str, str, int]] = []

    class SummaryWriter:
        """Stands in for TensorBoard's own, which need not be installed."""

        def __init__(self, folder: str) -> None:
            self.folder = folder

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((self.folder, name, step))

        def close(self) -> None:
            written.append((self.folder, "closed", -1))

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    data = write_pairs(tmp_path / "p.tsv", reversed_pairs(40))
    folder, told = tmp_path / "run", list[Progress]()
    train(
        data,
        model="rnn",
        settings=TINY,
        steps=2,
        out=folder,
        tensorboard=True,
        reporter=Reporter(lambda text: None, told.append),
    )
    assert {place for place, _, _ in written} == {str(folder / "tensorboard")}
    names = {name for _, name, _ in written}
    assert {"train/loss", "train/learning_rate", "dev/loss", "dev/cer"} <= names
    assert [step for _, name, step in written if name == "train/loss"] == [1, 2]
    assert written[-1][1] == "closed"
    assert told


def test_tensorboard_is_missed_before_any_work(
    monkeypatch: pytest.MonkeyPatch, seq2see: Command, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    data = write_pairs(tmp_path / "p.tsv", reversed_pairs(40))
    answer = seq2see("train", data, "--steps", 1, "--out", tmp_path / "run", "--tensorboard")
    assert answer.code == 2
    assert "pip install" in answer.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model.encoder.width": 8, "model.tie": "all"}, "one width"),
        ({"text.joint": False, "model.tie": "all"}, "text.joint"),
        ({"search.nbest": 9}, "nbest"),
    ],
)
def test_what_does_not_fit_together_is_said_before_any_work(
    tmp_path: Path, settings: dict[str, object], words: str
) -> None:
    data = write_pairs(tmp_path / "p.tsv", reversed_pairs(40))
    with pytest.raises(InputError, match=words):
        train(data, model="gru", settings=settings, steps=1, out=tmp_path / "run", reporter=silent())
    assert not (tmp_path / "run" / "config.toml").exists()


def test_dev_answers_obey_the_limits_of_the_search(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "p.tsv", reversed_pairs(40))
    settings = {**TINY, "search.min_length": 6, "search.max_length": 6, "search.coverage_penalty": 0.1}
    run = train(data, model="gru-attention", settings=settings, steps=1, out=tmp_path / "run", reporter=silent())
    samples = [row["samples"] for row in metrics_rows(run.folder / "metrics.jsonl") if "samples" in row]
    assert samples
    assert all(len(sample["prediction"].split()) == 6 for sample in samples[0])


def test_the_default_metrics_and_search_are_complete() -> None:
    json.dumps(EvaluationSettings().model_dump(mode="json"))
    assert SearchSettings().nbest == 1
    assert [clock(seconds) for seconds in (0.2, 59.6, 65, 7_200)] == ["0 s", "1:00", "1:05", "2:00:00"]
