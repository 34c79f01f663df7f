import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import Corpus, Pairs, developed, digest, lines, run, stop_at, summed_loss, tiny, training
from torch import Tensor, nn

from seq2see.config.settings import TrainingSettings
from seq2see.errors import InputError, Seq2seeError
from seq2see.training import preparation
from seq2see.training.averaging import mean_of
from seq2see.training.batch import groups
from seq2see.training.checkpoint import weights_of
from seq2see.training.gradient import is_out_of_memory
from seq2see.training.loop import Development, Progress
from seq2see.training.progress import Evaluated, Event, Said, Saved, remaining
from seq2see.training.schedule import learning_rate


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in weights_of(model).items()}


def close(left: dict[str, Tensor], right: dict[str, Tensor], tolerance: float = 1e-6) -> bool:
    return all(torch.allclose(left[name], right[name], atol=tolerance, rtol=1e-5) for name in left)


def events_of(seen: list[Progress]) -> list[Event]:
    return [event for progress in seen for event in progress.events]


def planted(keys: list[float]) -> Callable[[nn.Module], Development]:
    """Evaluations whose keys are known beforehand."""
    remaining_keys = list(keys)
    return lambda model: Development(0.0, {}, remaining_keys.pop(0), [])


# ---------------------------------------------------------------- the update


@pytest.mark.parametrize("accumulate", [1, 2])
def test_training_is_the_loop_one_would_write_by_hand(tmp_path: Path, accumulate: int) -> None:
    settings = training(steps=7, accumulate=accumulate, clip=0.5, weight_decay=0.1)
    fitted = run(tmp_path, settings, model=tiny(dropout=0.0), develop=None)

    model, corpus = tiny(dropout=0.0), Corpus()
    matrices, others = [model.output.weight], [model.embedding.weight, model.output.bias]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], betas=settings.betas
    )
    update, losses = 0, []
    for epoch in range(10):
        batches = list(corpus.epoch(epoch))
        for start in range(0, len(batches), accumulate):
            if update == 7:
                break
            group = batches[start : start + accumulate]
            for part in optimiser.param_groups:
                part["lr"] = learning_rate(settings, update=update + 1, fraction=update / 7)
            optimiser.zero_grad()
            loss = sum(summed_loss(model, batch) for batch in group) / sum(batch.tokens for batch in group)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimiser.step()
            losses.append(loss.item())
            update += 1
    assert close(fitted.weights, weights(model))
    assert [line["loss"] for line in lines(tmp_path)] == pytest.approx(losses, rel=1e-5)
    assert fitted.steps == 7
    assert fitted.epochs == pytest.approx(7 / 5 if accumulate == 1 else 2 + 2 / 5)  # 5 batches: 2 + 2 + 1


@pytest.mark.parametrize("made_ahead", [False, True])
def test_the_position_counts_batches_and_an_epoch_ends_a_group(made_ahead: bool) -> None:
    found = []
    for group in groups(Corpus(), Corpus().count, 2, 0, 3, made_ahead=made_ahead):
        found.append((group.epoch, group.first, group.last, group.after))
        if len(found) == 5:
            break
    assert found == [(0, 3, 4, (1, 0)), (1, 0, 1, (1, 2)), (1, 2, 3, (1, 4)), (1, 4, 4, (2, 0)), (2, 0, 1, (2, 2))]


def test_data_without_batches_and_data_that_shrink_are_errors(tmp_path: Path) -> None:
    class Shrinking(Corpus):
        def count(self, epoch: int) -> int:
            return 7

        def epoch(self, epoch: int, start: int = 0) -> Iterator[Pairs]:
            return iter([self.batch([1, 2])])

    with pytest.raises(InputError, match="nothing to train on"):
        run(tmp_path, training(), corpus=Corpus(sentences=0))
    with pytest.raises(Seq2seeError, match="epoch 0 has 7 batches but gave fewer"):
        run(tmp_path / "other", training(), corpus=Shrinking())


@pytest.mark.parametrize(("budget", "steps"), [({"epochs": 2.0}, 10), ({"epochs": 0.5}, 3), ({"steps": 4}, 4)])
def test_the_budget_is_kept_to_the_batch(tmp_path: Path, budget: dict[str, Any], steps: int) -> None:
    assert run(tmp_path, training(**budget)).steps == steps


def test_the_journal_has_a_line_for_each_update_and_evaluation(tmp_path: Path) -> None:
    run(tmp_path, training(steps=6, evaluate_every=3))
    found = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    kinds = ["dev" if "dev_loss" in line else "train" for line in found]
    assert kinds == ["train"] * 3 + ["dev"] + ["train"] * 3 + ["dev"]
    assert [line["step"] for line in found] == [1, 2, 3, 3, 4, 5, 6, 6]
    tokens = [batch.tokens for epoch in range(2) for batch in Corpus().epoch(epoch)][:6]
    trained = [line for line in found if "loss" in line]
    assert [line["target_tokens"] for line in trained] == [sum(tokens[: n + 1]) for n in range(6)]
    assert [line["epoch"] for line in trained] == [0.2, 0.4, 0.6, 0.8, 1.0, 1.2]
    shares = [batch.padding_share for epoch in range(2) for batch in Corpus().epoch(epoch)][:6]
    assert [line["padding_share"] for line in trained] == pytest.approx(shares)
    assert all(line["target_tokens_per_second"] > 0 and line["gradient_norm"] > 0 for line in trained)
    assert found[3]["dev_accuracy"] == -found[3]["dev_loss"]
    assert found[3]["samples"][0]["source"] == "s"
    assert [line["seconds"] for line in found] == sorted(line["seconds"] for line in found)


def test_lines_that_stand_for_several_updates_average_over_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "each", training(steps=6), develop=None)
    monkeypatch.setattr("seq2see.training.loop.interval", lambda step: 3)
    run(tmp_path / "third", training(steps=6), develop=None)
    each, third = lines(tmp_path / "each"), lines(tmp_path / "third")
    assert [line["step"] for line in third] == [3, 6]
    tokens = [batch.tokens for epoch in range(2) for batch in Corpus().epoch(epoch)][:6]
    for line, part in zip(third, (slice(0, 3), slice(3, 6)), strict=True):
        mean = sum(e["loss"] * n for e, n in zip(each[part], tokens[part], strict=True)) / sum(tokens[part])
        assert line["loss"] == pytest.approx(mean)


# ---------------------------------------------------------------- what must not disturb training


def test_two_runs_with_one_seed_are_the_same_and_another_seed_is_not(tmp_path: Path) -> None:
    first = run(tmp_path / "1", training())
    second = run(tmp_path / "2", training())
    other = run(tmp_path / "3", training(seed=2))
    assert digest(first.weights) == digest(second.weights) != digest(other.weights)
    assert lines(tmp_path / "1") == lines(tmp_path / "2")


def test_evaluation_and_trials_leave_no_trace_in_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measuring(setting: str, device: torch.device, measure: Callable[[str], float]) -> tuple[str, str]:
        assert measure("bfloat16") > 0
        assert measure("float32") > 0
        return "float32", "measured"

    def digests(
        folder: Path, settings: TrainingSettings, develop: Callable[[nn.Module], Development] | None
    ) -> list[str]:
        model, found = tiny(), list[str]()

        def report(progress: Progress) -> None:
            said.extend(progress.events)
            if not progress.events:
                found.append(digest(weights(model)))

        run(folder, settings, model=model, develop=develop, report=report)
        return found

    said: list[Event] = []
    plain = digests(tmp_path / "1", training(), None)
    monkeypatch.setattr(preparation, "choose_precision", measuring)
    tried = digests(tmp_path / "2", training(precision="auto", evaluate_every=1), developed)
    assert len(set(plain)) == 12
    assert plain == tried
    assert Said("measured") in said


def test_a_model_is_evaluated_in_evaluation_mode_and_trained_in_training_mode(tmp_path: Path) -> None:
    modes: list[tuple[str, bool, bool]] = []

    def loss(module: nn.Module, batch: Pairs) -> Tensor:
        modes.append(("loss", module.training, torch.is_grad_enabled()))
        return summed_loss(module, batch)

    def develop(model: nn.Module) -> Development:
        modes.append(("develop", model.training, torch.is_grad_enabled()))
        return developed(model)

    run(tmp_path, training(steps=3), model=tiny().eval(), loss=loss, develop=develop)
    assert set(modes) == {("loss", True, True), ("develop", False, False)}


# ---------------------------------------------------------------- NaN


def poisoned(bad_rows: set[int], value: float, *, gradient_only: bool = False) -> Callable[[nn.Module, Pairs], Tensor]:
    def loss(module: nn.Module, batch: Pairs) -> Tensor:
        good = summed_loss(module, batch)
        if not bad_rows & set(batch.rows_B.tolist()):
            return good
        if gradient_only:
            zero = (module.output.bias * 0).sum()
            return good + zero.abs().sqrt() * 0  # 0, with a gradient of 0 · ∞
        return good * value

    return loss


@pytest.mark.parametrize("bad", [math.nan, math.inf, "gradient"])
def test_a_bad_batch_changes_nothing_is_counted_and_named(tmp_path: Path, bad: float | str) -> None:
    batches = list(Corpus().epoch(0))
    third = set(batches[2].rows_B.tolist())
    loss = poisoned(third, 0.0, gradient_only=True) if bad == "gradient" else poisoned(third, float(bad))
    model, found = tiny(), {}
    seen: list[Progress] = []

    def report(progress: Progress) -> None:
        seen.append(progress)
        if not progress.events:
            found[progress.step] = digest(weights(model))

    run(tmp_path, training(steps=5), model=model, loss=loss, report=report, develop=None)
    assert found[2] == found[3] != found[4]
    warnings = [event for event in events_of(seen) if isinstance(event, Said) and event.warning]
    assert len(warnings) == 1
    assert "no update at step 3" in warnings[0].text
    assert "epoch 0, batch 2 (rows " in warnings[0].text
    assert "1 in a row, training stops at 5" in warnings[0].text
    journal = lines(tmp_path)
    assert [line["step"] for line in journal] == [1, 2, 3, 4, 5]
    assert journal[2] == {"step": 3, "epoch": 0.6, "warning": warnings[0].text}


def test_after_some_bad_batches_in_a_row_training_stops_with_advice(tmp_path: Path) -> None:
    model, before = tiny(), []

    def loss(module: nn.Module, batch: Pairs) -> Tensor:
        return summed_loss(module, batch) * (math.nan if len(before) >= 4 else 1.0)

    def report(progress: Progress) -> None:
        if not progress.events:
            before.append(digest(weights(model)))

    settings = training(steps=50, bad_steps=3, checkpoint_every=1)
    with pytest.raises(Seq2seeError, match=r"not finite 3 times in a row.*epoch 1, batch 1 .*training\.learning_rate"):
        run(tmp_path, settings, model=model, loss=loss, report=report, develop=None)
    assert len(set(before[3:])) == 1
    resumed = run(tmp_path, settings, develop=None, resume=True, model=tiny())
    assert all(bool(torch.isfinite(tensor).all()) for tensor in resumed.weights.values())


def test_good_batches_in_between_start_the_count_again(tmp_path: Path) -> None:
    calls = []

    def loss(module: nn.Module, batch: Pairs) -> Tensor:
        calls.append(1)
        return summed_loss(module, batch) * (1.0 if len(calls) % 3 == 0 else math.nan)

    assert run(tmp_path, training(steps=12, bad_steps=3), loss=loss, develop=None).steps == 12


def test_weights_that_are_no_numbers_are_neither_evaluated_nor_saved(tmp_path: Path) -> None:
    model = tiny()

    def report(progress: Progress) -> None:
        if progress.step == 3 and not progress.events:
            with torch.no_grad():
                model.output.bias[1] = math.inf

    settings = training(steps=9, evaluate_every=4, checkpoint_every=1, bad_steps=9)
    with pytest.raises(Seq2seeError, match="weights are no longer finite at step 3"):
        run(tmp_path, settings, model=model, report=report)
    assert (tmp_path / "checkpoints" / "latest").read_text() == "step-000002\n"
    settings = training(steps=9, evaluate_every=4, checkpoint_every=100, bad_steps=9)
    model = tiny()
    with pytest.raises(Seq2seeError, match="weights are no longer finite at step 4"):
        run(tmp_path / "other", settings, model=model, report=report)


# ---------------------------------------------------------------- memory


def greedy_for_memory(most_rows: int, tried: list[int]) -> Callable[[nn.Module, Pairs], Tensor]:
    """A loss that cannot do more than ``most_rows`` rows at once; every second failure comes late."""

    def loss(module: nn.Module, batch: Pairs) -> Tensor:
        tried.append(len(batch.rows_B))
        value = summed_loss(module, batch)
        if len(batch.rows_B) > most_rows:
            if len(tried) % 2:
                value.backward()  # a part of the gradient is there already
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 EB")
        return value

    return loss


@pytest.mark.parametrize(("accumulate", "most_rows"), [(1, 3), (1, 1), (2, 3), (3, 2)])
def test_a_batch_that_does_not_fit_is_split_with_the_same_gradient(
    tmp_path: Path, accumulate: int, most_rows: int
) -> None:
    settings, tried = training(steps=3, accumulate=accumulate), list[int]()
    whole = run(tmp_path / "whole", settings, model=tiny(dropout=0.0), develop=None)
    seen: list[Progress] = []
    loss = greedy_for_memory(most_rows, tried)
    split = run(tmp_path / "split", settings, model=tiny(dropout=0.0), loss=loss, develop=None, report=seen.append)
    assert close(whole.weights, split.weights)
    assert 4 in tried
    assert tried[-1] <= most_rows
    texts = [event.text for event in events_of(seen) if isinstance(event, Said) and event.warning]
    assert "largest batch (4 pairs) does not fit into memory" in texts[0]
    assert "out of memory, computed in halves: epoch 0, batch" in texts[1]


def test_too_many_splits_stop_training_with_advice_and_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Seq2seeError, match=r"10 of 12 batches did not fit.*training\.batch_tokens = 2048"):
        run(tmp_path, training(steps=50), loss=greedy_for_memory(3, []), develop=None)
    assert (tmp_path / "checkpoints" / "latest").read_text() == "step-000012\n"  # each epoch's fifth batch fits


def test_a_single_pair_that_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(Seq2seeError, match=r"out of memory with a single pair \(row \d+\).*data\.max_pieces"):
        run(tmp_path, training(), loss=greedy_for_memory(0, []), develop=None)


def test_what_counts_as_out_of_memory() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("MPS backend out of memory"))
    assert not is_out_of_memory(RuntimeError("size mismatch"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_other_errors_of_the_loss_come_through(tmp_path: Path) -> None:
    def loss(module: nn.Module, batch: Pairs) -> Tensor:
        raise RuntimeError("size mismatch")

    with pytest.raises(RuntimeError, match="size mismatch"):
        run(tmp_path, training(), loss=loss)


def test_the_largest_batch_is_tried_before_the_first_update(tmp_path: Path) -> None:
    sizes: list[int] = []

    def loss(module: nn.Module, batch: Pairs) -> Tensor:
        sizes.append(batch.valid_BT.numel())
        return summed_loss(module, batch)

    run(tmp_path, training(steps=1), loss=loss, develop=None)
    assert sizes[0] == max(batch.valid_BT.numel() for batch in Corpus().epoch(0))
    assert sizes[1] == next(Corpus().epoch(0)).valid_BT.numel()


# ---------------------------------------------------------------- evaluation and the choice of weights


def test_the_weights_of_the_best_evaluation_come_back(tmp_path: Path) -> None:
    model, at_step = tiny(), {}
    seen: list[Progress] = []

    def report(progress: Progress) -> None:
        seen.append(progress)
        if not progress.events:
            at_step[progress.step] = digest(weights(model))

    keys = [1.0, 5.0, math.nan, 5.0, 2.0]
    fitted = run(tmp_path, training(steps=5, evaluate_every=1), model=model, develop=planted(keys), report=report)
    assert digest(fitted.weights) == at_step[2] == digest(weights(model))
    assert fitted.best is not None
    assert fitted.best.key == 5.0
    assert "step 2, the best" in fitted.reason
    evaluated = [event for event in events_of(seen) if isinstance(event, Evaluated)]
    assert [(event.step, event.best) for event in evaluated] == [
        (1, True),
        (2, True),
        (3, False),
        (4, False),
        (5, False),
    ]
    assert [event.step for event in events_of(seen) if isinstance(event, Saved)] == [1, 2, 3, 4, 5]
    assert {path.name for path in (tmp_path / "checkpoints").glob("evaluation-*")} == {"evaluation-000002"}


def test_without_evaluation_the_last_weights_come_back(tmp_path: Path) -> None:
    model = tiny()
    fitted = run(tmp_path, training(steps=5), model=model, develop=None)
    assert fitted.best is None
    assert "the last weights" in fitted.reason
    assert digest(fitted.weights) == digest(weights(model))


@pytest.mark.parametrize(("mean_key", "taken"), [(5.0, True), (4.9, False)])
def test_the_mean_is_taken_if_it_is_at_least_as_good(tmp_path: Path, mean_key: float, taken: bool) -> None:
    model, at_step = tiny(), {}

    def report(progress: Progress) -> None:
        if not progress.events:
            at_step[progress.step] = weights(model)

    keys = [1.0, 5.0, 2.0, 3.0, mean_key]
    settings = training(steps=4, evaluate_every=1, average=3)
    fitted = run(tmp_path, settings, model=model, develop=planted(keys), report=report)
    expected = mean_of([at_step[2], at_step[3], at_step[4]]) if taken else at_step[2]
    assert digest(fitted.weights) == digest(expected) == digest(weights(model))
    assert ("the mean of the weights of the last 3 evaluations" in fitted.reason) == taken
    assert fitted.best is not None
    assert fitted.best.key == 5.0
    assert lines(tmp_path)[-1]["averaged"] == 3


def test_the_mean_needs_no_evaluation(tmp_path: Path) -> None:
    model, at_step = tiny(), {}

    def report(progress: Progress) -> None:
        if not progress.events:
            at_step[progress.step] = weights(model)

    fitted = run(tmp_path, training(steps=8, evaluate_every=2, average=2), model=model, report=report, develop=None)
    assert digest(fitted.weights) == digest(mean_of([at_step[6], at_step[8]]))
    assert fitted.best is None


def test_the_moving_average_is_what_is_evaluated_and_handed_over(tmp_path: Path) -> None:
    evaluated = []

    def develop(model: nn.Module) -> Development:
        evaluated.append(digest(weights(model)))
        return Development(0.0, {}, float(len(evaluated)), [])

    raw = run(tmp_path / "raw", training(steps=6), develop=None)
    averaged = run(tmp_path / "ema", training(steps=6, ema=0.9), develop=develop)
    alone = run(tmp_path / "alone", training(steps=6, ema=0.9), develop=None)
    assert digest(averaged.weights) == evaluated[-1] == digest(alone.weights) != digest(raw.weights)
    assert "moving average" in alone.reason
    losses = [[line["loss"] for line in lines(tmp_path / name) if "loss" in line] for name in ("raw", "ema")]
    assert losses[0] == losses[1]


def test_patience_ends_training(tmp_path: Path) -> None:
    keys = [3.0, 4.0, 4.0, 1.0, 2.0]
    fitted = run(tmp_path, training(steps=50, evaluate_every=2, patience=3), develop=planted(keys))
    assert fitted.steps == 10
    assert "no better score on the held-out data in 3 evaluations" in fitted.reason
    assert "step 4, the best" in fitted.reason


def test_evaluations_are_spread_over_any_budget(tmp_path: Path) -> None:
    run(tmp_path / "steps", training(steps=40))
    run(tmp_path / "epochs", training(epochs=8.0))
    for name in ("steps", "epochs"):
        assert [line["step"] for line in lines(tmp_path / name) if "dev_loss" in line] == list(range(2, 41, 2))


# ---------------------------------------------------------------- the clock


class Clock:
    """A clock that each look moves on."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 1_000.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_a_budget_in_minutes_counts_everything_and_survives_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", Clock(0.5))
    settings = training(minutes=1.0)
    seen: list[Progress] = []
    whole = run(tmp_path / "whole", settings, report=seen.append)
    assert 60 <= whole.seconds < 75
    assert [progress.seconds for progress in seen[1:]] == sorted(progress.seconds for progress in seen[1:])
    interrupt, report = stop_at(3)
    with pytest.raises(Seq2seeError, match="stopped by SIGTERM after step 3"):
        run(tmp_path / "cut", settings, interrupt=interrupt, report=report)
    seen.clear()
    resumed = run(tmp_path / "cut", settings, report=seen.append, resume=True)
    assert 60 <= resumed.seconds < 80
    assert seen[-1].fraction == 1.0


def test_clocks_that_jump_give_no_senseless_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = iter(range(10**9, 0, -86_400))
    monkeypatch.setattr(time, "time", lambda: float(next(wall)))  # a day back at each look
    seen: list[Progress] = []
    run(tmp_path, training(steps=6), report=seen.append)
    updates = [progress for progress in seen if not progress.events]
    assert [progress.step for progress in updates] == [1, 2, 3, 4, 5, 6]
    for progress in updates:
        assert 0 <= progress.seconds < 3_600
        assert progress.eta_seconds is not None
        assert 0 <= progress.eta_seconds < 3_600
    assert updates[-1].eta_seconds == 0


def test_the_time_that_is_left() -> None:
    assert remaining(30.0, 0.25) == 90.0
    assert remaining(30.0, 1.0) == 0.0
    assert remaining(30.0, 1.5) == 0.0
    assert remaining(30.0, 0.0) is None
    assert remaining(0.0, 0.5) is None


# ---------------------------------------------------------------- torch.compile


def test_without_a_working_compiler_training_goes_on_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Uncompilable(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_BT: Tensor) -> Tensor:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nin a long text")

    plain = run(tmp_path / "plain", training(steps=3, compile="off"), develop=None)
    monkeypatch.setattr(torch, "compile", Uncompilable)
    seen: list[Progress] = []
    fitted = run(tmp_path / "on", training(steps=3, compile="on"), develop=None, report=seen.append)
    texts = [event.text for event in events_of(seen) if isinstance(event, Said) and event.warning]
    assert texts == [
        "torch.compile does not work here (InvalidCxxCompiler: No working C++ compiler found): "
        "training goes on without it"
    ]
    assert digest(fitted.weights) == digest(plain.weights)
    seen.clear()
    run(tmp_path / "auto", training(steps=3, compile="auto"), develop=None, report=seen.append)
    assert not [event for event in events_of(seen) if isinstance(event, Said) and event.warning]


def test_the_compiled_module_is_what_computes_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrapper(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_BT: Tensor) -> Tensor:
            return self.inner(input_BT)  # type: ignore[no-any-return]

    used = set()

    def loss(module: nn.Module, batch: Pairs) -> Tensor:
        used.add(type(module))
        return summed_loss(module, batch)

    monkeypatch.setattr(torch, "compile", Wrapper)
    plain = run(tmp_path / "plain", training(steps=3), develop=None)
    fitted = run(tmp_path / "on", training(steps=3, compile="on"), develop=None, loss=loss)
    assert used == {Wrapper}
    assert digest(fitted.weights) == digest(plain.weights)  # and the names are those of the model itself


# ---------------------------------------------------------------- precision


def test_bfloat16_is_used_and_kept_on_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    types = set()

    def loss(module: nn.Module, batch: Pairs) -> Tensor:
        types.add(module(batch.input_BT).dtype)
        return summed_loss(module, batch)

    interrupt, report = stop_at(2)
    settings = training(steps=4, precision="bfloat16")
    with pytest.raises(Seq2seeError, match="stopped"):
        run(tmp_path, settings, loss=loss, interrupt=interrupt, report=report)
    assert types == {torch.bfloat16}

    def asked_again(*arguments: object) -> tuple[str, str]:
        raise AssertionError("the precision was chosen already")

    types.clear()
    monkeypatch.setattr(preparation, "choose_precision", asked_again)
    run(tmp_path, settings, loss=loss, resume=True)
    assert types == {torch.bfloat16}
