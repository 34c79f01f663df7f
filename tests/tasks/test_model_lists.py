"""What ``--model`` may name."""

from pathlib import Path

import pytest

from seq2see.errors import InputError
from seq2see.models.build import build
from seq2see.models.presets import PRESETS, preset
from seq2see.tasks.catalogue import NAMES
from seq2see.tasks.model_lists import model_lists, require_known
from small_task import Command


@pytest.mark.parametrize("task", NAMES)
def test_every_model_of_every_task_is_known(task: str) -> None:
    for each in model_lists(task, 100):
        for name in each.summaries:
            require_known(task, name, {})
            require_known(task, None, {"name": name})
    require_known(task, None, {})
    with pytest.raises(InputError, match='there is no model "lstn"'):
        require_known(task, "lstn", {})


def test_the_table_counts_what_would_be_built() -> None:
    (found,) = model_lists("translate", 997)
    rows = {row.name: row for row in found.models}
    built = build(preset("lstm-attention"), 997, 997)
    assert list(rows) == list(PRESETS)
    assert rows["lstm-attention"].parameters == sum(each.numel() for each in built.parameters())
    assert all(row.summary == PRESETS[name].summary for name, row in rows.items())


def test_who_sets_a_part_names_the_whole() -> None:
    require_known("translate", None, {"name": "mine", "encoder": {"kind": "recurrent"}})
    with pytest.raises(InputError, match='did you mean "lstm"'):
        require_known("translate", None, {"name": "lstn", "encoder": {"width": 32}})


def test_a_misspelt_model_is_said_before_anything_is_read(seq2see: Command, tmp_path: Path) -> None:
    answer = seq2see("train", tmp_path / "nowhere.tsv", "--model", "lstn", "--out", tmp_path / "run")
    assert answer.code == 2 and 'there is no model "lstn"; did you mean "lstm"?' in answer.err
    assert not (tmp_path / "run").exists()
