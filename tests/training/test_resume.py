import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from death import killed_at
from forks import Forks
from tiny_training import Corpus, developed, digest, lines, run, stop_at, summed_loss, tiny, training
from torch import Tensor, nn

from seq2see.errors import InputError, Seq2seeError, Stopped
from seq2see.training import checkpoint
from seq2see.training.interrupt import Interrupt
from seq2see.training.progress import Development, Progress, Said, Saved

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"steps": 12, "evaluate_every": 4},
    "accumulated": {"steps": 8, "accumulate": 2, "evaluate_every": 3},
    "averages": {"epochs": 2.0, "ema": 0.9, "average": 2, "evaluate_every": 2, "checkpoint_every": 3},
}


def resumed_until_done(folder: Path, settings: Any, stops: list[int]) -> Any:
    """Run, stopped after each of the steps ``stops``, then to the end."""
    for number, step in enumerate(stops):
        interrupt, report = stop_at(step)
        with pytest.raises(Stopped, match=f"stopped by SIGTERM after step {step}; everything is saved in") as caught:
            run(folder, settings, interrupt=interrupt, report=report, resume=number > 0)
        assert caught.value.exit_code == 143
    return run(folder, settings, resume=bool(stops))


@pytest.mark.parametrize("variant", VARIANTS)
def test_stopped_after_any_step_and_resumed_nothing_differs(tmp_path: Path, variant: str) -> None:
    settings = training(**VARIANTS[variant])
    whole = run(tmp_path / "whole", settings)
    for step in range(1, whole.steps):
        folder = tmp_path / str(step)
        resumed = resumed_until_done(folder, settings, [step])
        assert digest(resumed.weights) == digest(whole.weights)
        assert lines(folder) == lines(tmp_path / "whole")
        assert (resumed.best, resumed.reason, resumed.epochs) == (whole.best, whole.reason, whole.epochs)
        shutil.rmtree(folder)


def test_stopped_again_and_again_nothing_differs(tmp_path: Path) -> None:
    settings = training(steps=12)
    whole = run(tmp_path / "whole", settings)
    resumed = resumed_until_done(tmp_path / "often", settings, [1, 2, 3, 5, 6, 11])
    assert digest(resumed.weights) == digest(whole.weights)
    assert lines(tmp_path / "often") == lines(tmp_path / "whole")


def test_a_finished_run_gives_the_same_again_without_an_update(tmp_path: Path) -> None:
    settings = training(steps=6, average=2)
    whole = run(tmp_path, settings)
    before = lines(tmp_path)
    updates: list[int] = []

    def report(progress: Progress) -> None:
        if not progress.events:
            updates.append(progress.step)

    again = run(tmp_path, settings, resume=True, report=report)
    assert digest(again.weights) == digest(whole.weights)
    assert (again.best, again.reason, updates) == (whole.best, whole.reason, [])
    assert lines(tmp_path) == before


def test_without_a_checkpoint_a_resumed_run_begins_and_says_so(tmp_path: Path) -> None:
    said: list[Said] = []

    def report(progress: Progress) -> None:
        said.extend(event for event in progress.events if isinstance(event, Said) and event.warning)

    fitted = run(tmp_path / "resumed", training(steps=3), resume=True, report=report)
    assert digest(fitted.weights) == digest(run(tmp_path / "plain", training(steps=3)).weights)
    assert [event.text for event in said] == [
        "there is no checkpoint to resume from: training starts from the beginning"
    ]


def test_a_run_is_not_overwritten_unless_that_is_forced(tmp_path: Path) -> None:
    run(tmp_path, training(steps=3))
    before = (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(InputError, match="holds checkpoints already: resume it"):
        run(tmp_path, training(steps=3))
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    fitted = run(tmp_path, training(steps=2), force=True)
    assert fitted.steps == 2
    assert (tmp_path / "checkpoints" / "latest").read_text() == "step-000002\n"


def test_a_changed_fingerprint_is_refused_with_the_differences(tmp_path: Path) -> None:
    interrupt, report = stop_at(2)
    before = {"config": "abc", "vocabulary": "def", "data": "ghi"}
    with pytest.raises(Stopped):
        run(tmp_path, training(), interrupt=interrupt, report=report, fingerprint=before)
    now = {"config": "abc", "vocabulary": "xyz", "data": "123"}
    with pytest.raises(InputError) as caught:
        run(tmp_path, training(), fingerprint=now, resume=True)
    assert 'data: was "ghi", now "123"' in str(caught.value)
    assert 'vocabulary: was "def", now "xyz"' in str(caught.value)
    assert "config" not in str(caught.value)
    assert "--force" in str(caught.value)
    said: list[str] = []

    def listen(progress: Progress) -> None:
        said.extend(event.text for event in progress.events if isinstance(event, Said) and event.warning)

    assert run(tmp_path, training(), fingerprint=now, resume=True, force=True, report=listen).steps == 12
    assert 'resumed although it has changed: data: was "ghi", now "123"' in said


def test_a_damaged_checkpoint_is_said_and_costs_one_interval(tmp_path: Path) -> None:
    settings = training(steps=8, checkpoint_every=2)
    whole = run(tmp_path / "whole", settings, develop=None)
    interrupt, report = stop_at(6)
    with pytest.raises(Stopped):
        run(tmp_path / "cut", settings, interrupt=interrupt, report=report, develop=None)
    path = tmp_path / "cut" / "checkpoints" / "step-000006" / "optimiser.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    steps: list[int] = []
    said: list[str] = []

    def listen(progress: Progress) -> None:
        said.extend(event.text for event in progress.events if isinstance(event, Said) and event.warning)
        if not progress.events:
            steps.append(progress.step)

    resumed = run(tmp_path / "cut", settings, resume=True, report=listen, develop=None)
    assert digest(resumed.weights) == digest(whole.weights)
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
    assert steps == [5, 6, 7, 8]
    assert "step-000006/optimiser.safetensors is damaged: hash mismatch" in said[0]


def test_a_lost_evaluation_is_an_error_that_names_it(tmp_path: Path) -> None:
    run(tmp_path, training(steps=4, evaluate_every=2))
    shutil.rmtree(tmp_path / "checkpoints" / "evaluation-000004")
    with pytest.raises(InputError, match="evaluation-000004"):
        run(tmp_path, training(steps=4, evaluate_every=2), resume=True)


def test_killed_at_any_call_during_training_the_run_goes_on_by_itself(tmp_path: Path) -> None:
    settings = training(steps=4, evaluate_every=2, average=2)
    whole = run(tmp_path / "whole", settings)
    expected = lines(tmp_path / "whole")
    for at in range(1, 2_000, 5):
        folder = tmp_path / str(at)
        calls = killed_at(at, lambda folder=folder: run(folder, settings))
        said: list[str] = []

        def listen(progress: Progress, said: list[str] = said) -> None:
            said.extend(event.text for event in progress.events if isinstance(event, Said) and event.warning)

        resumed = run(folder, settings, resume=True, report=listen)
        assert digest(resumed.weights) == digest(whole.weights)
        assert lines(folder) == expected
        assert not [path for path in folder.rglob("*") if path.name.startswith(".")]
        assert not any("cannot be used" in text for text in said)
        shutil.rmtree(folder)
        if calls[-1] == "lived":
            assert at > 100
            return
    raise AssertionError("the run never came to its end")


# ---------------------------------------------------------------- disk


def test_a_full_disk_stops_training_and_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = training(steps=6, checkpoint_every=2)
    whole = run(tmp_path / "whole", settings, develop=None)
    save = checkpoint.save_tensors

    def full(path: Path, *arguments: Any) -> None:
        if "step-000004" in str(path) and path.name == "optimiser.safetensors":
            path.write_bytes(b"some of it")
            raise Seq2seeError(f"disk full: need 2.0 kB, have 0 bytes at {path}")
        save(path, *arguments)

    monkeypatch.setattr(checkpoint, "save_tensors", full)
    with pytest.raises(Seq2seeError, match=r"disk full: need 2\.0 kB, have 0 bytes") as caught:
        run(tmp_path / "cut", settings, develop=None)
    assert caught.value.exit_code == 1
    names = {path.name for path in (tmp_path / "cut" / "checkpoints").iterdir()}
    assert names == {"step-000002", "latest"}
    monkeypatch.undo()
    resumed = run(tmp_path / "cut", settings, resume=True, develop=None)
    assert digest(resumed.weights) == digest(whole.weights)


def test_a_run_folder_that_vanishes_is_named(tmp_path: Path) -> None:
    def report(progress: Progress) -> None:
        if progress.step == 2 and not progress.events:
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(Seq2seeError, match="run/checkpoints is not there"):
        run(tmp_path / "run", training(steps=4, checkpoint_every=3), report=report, develop=None)


# ---------------------------------------------------------------- signals


def test_a_stop_during_evaluation_saves_and_evaluates_again(tmp_path: Path) -> None:
    settings = training(steps=6, evaluate_every=3)
    whole = run(tmp_path / "whole", settings)
    interrupt = Interrupt()

    def develop(model: nn.Module) -> Development:
        interrupt.signal_number = 2
        interrupt.check()
        raise AssertionError("a signal had come")

    with pytest.raises(Stopped, match="stopped by SIGINT after step 3") as caught:
        run(tmp_path / "cut", settings, develop=develop, interrupt=interrupt)
    assert caught.value.exit_code == 130
    resumed = run(tmp_path / "cut", settings, resume=True)
    assert digest(resumed.weights) == digest(whole.weights)
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")


def test_a_stop_while_the_mean_is_evaluated_loses_nothing(tmp_path: Path) -> None:
    settings = training(steps=4, evaluate_every=2, average=2)
    whole = run(tmp_path / "whole", settings)
    interrupt, evaluations = Interrupt(), []

    def develop(model: nn.Module) -> Development:
        evaluations.append(1)
        if len(evaluations) == 3:
            interrupt.signal_number = 15
        interrupt.check()
        return developed(model)

    with pytest.raises(Stopped, match="training is complete and saved"):
        run(tmp_path / "cut", settings, develop=develop, interrupt=interrupt)
    resumed = run(tmp_path / "cut", settings, resume=True)
    assert digest(resumed.weights) == digest(whole.weights)
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")


def test_a_signal_before_the_first_update_leaves_a_checkpoint_of_step_0(tmp_path: Path) -> None:
    interrupt = Interrupt()
    interrupt.signal_number = 15
    with pytest.raises(Stopped, match="after step 0"):
        run(tmp_path / "cut", training(), interrupt=interrupt)
    resumed = run(tmp_path / "cut", training(), resume=True)
    assert digest(resumed.weights) == digest(run(tmp_path / "whole", training()).weights)


@pytest.fixture(scope="module")
def whole(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a process says whose run was not disturbed, and where it ran."""
    folder = tmp_path_factory.mktemp("whole")
    code, said = forks.run(folder)
    assert code == 0
    return said, folder


@pytest.mark.parametrize(("place", "number"), [("loss", 15), ("develop", 15), ("save", 15), ("loss", 2)])
def test_a_signal_anywhere_saves_and_exits_and_the_next_run_goes_on(
    tmp_path: Path, forks: Forks, whole: tuple[str, Path], place: str, number: int
) -> None:
    child = forks.start(tmp_path / "cut", "--pause", place)
    child.until_it_says(place)
    child.send(number)
    assert forks.wait(child) == 128 + number, child.said()
    assert "stopped by SIG" in child.said()
    assert "Traceback" not in child.said()
    code, resumed = forks.run(tmp_path / "cut", "--resume")
    assert (code, resumed) == (0, whole[0])
    assert lines(tmp_path / "cut") == lines(whole[1])


def test_a_second_signal_ends_at_once_and_the_state_is_valid(
    tmp_path: Path, forks: Forks, whole: tuple[str, Path]
) -> None:
    child = forks.start(tmp_path / "cut", "--pause", "stuck")
    child.until_it_says("stuck")
    child.send(2)
    child.until_it_says("asked")
    child.send(2)
    assert forks.wait(child) == -2
    code, resumed = forks.run(tmp_path / "cut", "--resume")
    assert (code, resumed) == (0, whole[0])


def test_killed_while_it_saves_a_real_process_goes_on(tmp_path: Path, forks: Forks, whole: tuple[str, Path]) -> None:
    child = forks.start(tmp_path / "cut", "--say")
    child.until_it_says("Saved 4")
    child.send(9)
    assert forks.wait(child) == -9
    code, resumed = forks.run(tmp_path / "cut", "--resume")
    assert (code, resumed) == (0, whole[0])
    assert lines(tmp_path / "cut") == lines(whole[1])


def test_other_errors_leave_the_journal_closed_and_the_checkpoint_usable(tmp_path: Path) -> None:
    def loss(module: nn.Module, batch: Any) -> Tensor:
        if module.training and set(batch.rows_B.tolist()) == third:
            raise KeyError("a fault in the loss")
        return summed_loss(module, batch)

    third = set(list(Corpus().epoch(0))[2].rows_B.tolist())
    settings = training(steps=6, checkpoint_every=1)
    with pytest.raises(KeyError):
        run(tmp_path, settings, loss=loss, develop=None)
    fitted = run(tmp_path, settings, resume=True, develop=None)
    assert fitted.steps == 6
    assert math.isfinite(lines(tmp_path)[-1]["loss"])


def test_reports_of_checkpoints_come_when_they_are_on_the_disk(tmp_path: Path) -> None:
    seen: list[tuple[int, bool]] = []

    def report(progress: Progress) -> None:
        saved = [event for event in progress.events if isinstance(event, Saved)]
        seen.extend((event.step, (event.path / "manifest.json").is_file()) for event in saved)

    run(tmp_path, training(steps=4, evaluate_every=2), report=report, model=tiny())
    assert seen == [(2, True), (4, True)]
