"""What the pages tell people to type is typed; every option, setting, file and link they name is there."""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from written_pages import EXECUTED, GUIDE, PAGES, ROOT, blocks_of, code, commands, prose, quick, quick_python

import seq2see
from labelled_texts import reviews, write_reviews
from planted_series import seasonal, write_series
from seq2see.cli.app import app
from seq2see.cli.outcome import run
from seq2see.config.settings import MetricName, Settings, TokeniserKind, TranslateSettings
from seq2see.config.toml import merged, parse, read_toml
from seq2see.models.classifier_presets import CLASSIFIERS
from seq2see.models.language_presets import LANGUAGE_PRESETS
from seq2see.models.masked_presets import MASKED_PRESETS
from seq2see.models.presets import PRESETS, preset
from seq2see.models.tag_presets import TAG_PRESETS
from small_pictures import write_pictures
from small_task import reversed_pairs, write_pairs
from tagged_words import sentences, slots, write_columns, write_conllu

SET_UP = (["python", "-m", "venv"], [".", ".venv/bin/activate"])
WRITTEN = ("--html", "--png", "--svg", "--json", "--output", ">")
SECTIONS = "data|text|model|training|search|evaluation"


@pytest.fixture
def place(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the pages speak of, and the working directory of the test."""
    shutil.copy(trained.parent / "pairs.tsv", tmp_path)
    for name in ("pairs", "other"):
        shutil.copytree(trained, tmp_path / "runs" / name)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    pairs = reversed_pairs(60, seed=2)
    for name in ("train", "dev", "test"):
        write_pairs(tmp_path / f"{name}.tsv", pairs)
        for language, side in (("en", 0), ("de", 1)):
            (tmp_path / f"{name}.{language}").write_text("".join(pair[side] + "\n" for pair in pairs), encoding="utf-8")
    for name in ("train", "dev", "test"):
        write_conllu(tmp_path / f"{name}.conllu", sentences(60))
    write_columns(tmp_path / "slots.txt", slots(60))
    (tmp_path / "tokens.txt").write_text("The\nstation\n\n", encoding="utf-8")
    for name in ("reviews", "test-reviews"):
        write_reviews(tmp_path / f"{name}.tsv", reviews(60))
    columns = "".join(f"{number},{text},{label}\n" for number, (text, label) in enumerate(reviews(60)))
    (tmp_path / "reviews.csv").write_text("id,review,stars\n" + columns, encoding="utf-8")
    for name, side in (("texts", 0), ("labels", 1)):
        lines = "".join(row[side] + "\n" for row in reviews(60))
        (tmp_path / f"{name}.txt").write_text(lines, encoding="utf-8")
    write_pictures(tmp_path)
    write_series(tmp_path / "passengers.csv", seasonal(120, noise=1.0), names=("passengers",))
    write_series(tmp_path / "two.csv", seasonal(120, noise=1.0), seasonal(120, noise=2.0, seed=2))
    for name in ("book", "test-book"):
        (tmp_path / f"{name}.txt").write_text("".join(f"{words}\n" for words, _ in pairs), encoding="utf-8")
    (tmp_path / "questions.txt").write_text("Where is the station?\n\none two three\n", encoding="utf-8")
    (tmp_path / "faq.csv").write_text("id,Q,A\n" + "".join(f"x,{q},{a}\n" for q, a in pairs), encoding="utf-8")
    (tmp_path / "table.tsv").write_text("".join(f"x\t{q}\t{a}\n" for q, a in pairs), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def execute(words: list[str]) -> int:
    """The exit code of a command: in this process where that is possible."""
    words = quick(words)
    if words[0] == "seq2see" and not {"<", ">", "|"} & set(words):
        return run(app, words[1:])
    program = {"seq2see": ["-m", "seq2see"], "torchrun": ["-m", "torch.distributed.run"], "python": []}[words[0]]
    line = [word if word in ("<", ">", "|") else shlex.quote(word) for word in [sys.executable, *program, *words[1:]]]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(" ".join(line), shell=True, env=environment, check=False, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    return done.returncode


def outputs(words: Sequence[str]) -> Iterator[Path]:
    """The files that a command says it will write."""
    for option, value in pairwise(words):
        if option in WRITTEN:
            yield Path(value)


def check_set_up(words: list[str]) -> bool:
    """Whether this is a line that sets up; if so, what it names is there. It is not run: tests install nothing."""
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        missing = [target for target in words[1:] if not re.search(rf"^{target}:", makefile, re.MULTILINE)]
        assert not missing, f"the Makefile has no target {missing}"
        return True
    if words[:2] == ["pip", "install"]:
        named = [value for option, value in pairwise(words) if option in ("-c", "-e", "-r")]
        assert named
        assert all((ROOT / name.partition("[")[0]).exists() for name in named), named
        return True
    return any(words[: len(known)] == known for known in SET_UP)


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_commands_and_programs_run(page: Path, place: Path) -> None:
    for words in commands(page):
        if check_set_up(words):
            continue
        assert execute(words) == 0, shlex.join(words)
        for path in outputs(words):
            assert path.stat().st_size > 0, f"{path}, of {shlex.join(words)}"
    names: dict[str, Any] = {}
    for text in code(page, "python"):
        (place / "block.py").write_text(quick_python(text), encoding="utf-8")
        names = {name: value for name, value in runpy.run_path("block.py", names).items() if not name.startswith("__")}
    for text in code(page, "toml"):
        (place / "block.toml").write_text(text, encoding="utf-8")
        task = tomllib.loads(text).get("task", "translate")
        texts = dict.fromkeys(("lm", "masked"), "book.txt")
        data = {"translate": "pairs.tsv", "tag": "train.conllu", "classify": "reviews.tsv", **texts}[task]
        assert execute(["seq2see", "train", data, "--task", task, "--config", "block.toml"]) == 0, text


def test_every_page_of_the_guide_shows_something() -> None:
    assert len(GUIDE) >= 6
    for page in (ROOT / "README.md", *GUIDE):
        assert any(words[0] == "seq2see" for words in commands(page)), f"{page} has no command"


def test_the_example_of_the_package_runs(place: Path) -> None:
    assert seq2see.__doc__
    (block,) = blocks_of(seq2see.__doc__)
    assert "import seq2see" in block.text
    (place / "block.py").write_text(quick_python(block.text), encoding="utf-8")
    found = runpy.run_path("block.py")
    assert found["run"].settings.training.steps == 2


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_are_settings(recipe: Path) -> None:
    table = read_toml(recipe)
    if "task" in table:
        kinds = [each for each in all_settings() if each.model_fields["task"].default == table["task"]]
        if len(kinds) > 1:  # of one task for texts and for pictures
            wanted = table.get("data", {}).get("kind", "text")
            kinds = [each for each in kinds if each.model_fields["data"].default.kind == wanted]
        (kind,) = kinds
        lent = {"model": {"name": "lent", "encoder": {"kind": "transformer"}}}  # by --init-from
        parse(kind, table if "name" in table["model"] else merged(lent, table), recipe)
        return
    base = {"model": preset(table["model"]["name"]).model_dump(mode="json"), "training": {}}
    parse(TranslateSettings, merged(base, table), recipe)


def all_settings(*modules: str) -> list[type[Settings]]:
    """The settings of each task; of some modules of ``config`` only, where they are named."""
    found = sorted(path.stem for path in (ROOT / "src" / "seq2see" / "config").glob("[a-z]*.py"))
    kinds = (vars(import_module(f"seq2see.config.{name}")) for name in modules or found)
    each = (kind for names in kinds for kind in names.values() if isinstance(kind, type))
    return list(dict.fromkeys(kind for kind in each if issubclass(kind, Settings) and kind is not Settings))


def settings_of(page: Path) -> list[type[Settings]]:
    """What a page speaks of: the settings of the task that it is named after, or those of pairs of text; or any."""
    if page.parent.name == "decisions":
        return all_settings()
    name = {"language-models": "lm"}.get(page.stem, page.stem)
    own = ROOT / "src" / "seq2see" / "config" / f"{name}.py"
    return all_settings(name) if page in GUIDE and own.exists() else [TranslateSettings]


# ── what the pages name ─────────────────────────────────────────────────────────────────────────


def options_of(command: Any) -> set[str]:
    """The options of a command, or of all commands of a group."""
    own = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return own.union(*(options_of(each) for each in getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_every_option_named_is_there(page: Path) -> None:
    known = options_of(typer.main.get_command(app)) | {"--help"}
    quoted = re.findall(r"`([^`\n]+)`", prose(page))
    named = {option for text in quoted for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)}
    assert named <= known, f"{page}: no such options: {sorted(named - known)}"


def fields(path: str, page: Path) -> list[FieldInfo]:
    """The settings a dotted name can mean: more than one where a part of a model has several kinds."""
    models: list[Any] = list(settings_of(page))
    found: list[FieldInfo] = []
    for key in path.split("."):
        found = [model.model_fields[key] for model in models if key in model.model_fields]
        models = [each for field in found for each in (field.annotation, *get_args(field.annotation)) if is_model(each)]
    return found


def is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_setting_named_is_there(page: Path) -> None:
    for text in re.findall(r"`([^`\n]+)`", prose(page)) + [word for words in commands_in(page) for word in words]:
        for name in re.findall(rf"(?<![\w./])(?:{SECTIONS})\.[a-z_]+(?:\.[a-z_]+)*(?![\w(])", text):
            if not name.endswith((".md", ".toml", ".py", ".tsv")):
                assert fields(name, page), f"{page}: there is no setting {name}"


def commands_in(page: Path) -> list[list[str]]:
    return commands(page) if page in EXECUTED else []


def test_defaults_in_tables_are_the_defaults() -> None:
    rows = [
        (page, *row)
        for page in GUIDE
        for row in re.findall(rf"^\| `((?:{SECTIONS})\.\w+)` \| ([^|]+) \|", prose(page), re.M)
    ]
    assert rows
    for page, name, stated in rows:
        (field,) = fields(name, page)
        value = re.sub(r" \(.*\)|,", "", stated.strip())
        assert value == str(field.default).lower().removesuffix(".0"), f"{name}: {stated}, but it is {field.default}"


def test_choices_beside_settings_are_the_choices() -> None:
    """``kind = "gru"  # rnn | lstm | gru`` in a block of settings lists what there is, in any order."""
    seen = 0
    for page, text in ((each, text) for each in GUIDE for text in code(each, "toml")):
        section = ""
        for line in text.splitlines():
            if header := re.match(r"\[([\w.]+)\]", line):
                section = header[1] + "."
            elif choices := re.match(r"(\w+) = .*# ([\w-]+(?: \| [\w-]+)+)", line):
                allowed = {each for field in fields(section + choices[1], page) for each in get_args(field.annotation)}
                assert set(choices[2].split(" | ")) == allowed, line
                seen += 1
    assert seen >= 4


def first_cells(page: Path, heading: str) -> set[str]:
    """What stands in backticks in the first column of the table with this first heading."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", prose(page), re.MULTILINE)
    assert table, f"{page} has no table of each {heading}"
    return {name for row in table[1].splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def test_tables_list_all_there_is(trained: Path) -> None:
    guide = ROOT / "docs" / "guide"
    named = {name if name[0] != "-" else f"transformer{name}" for name in first_cells(guide / "models.md", "preset")}
    assert named == set(PRESETS)
    assert first_cells(guide / "data.md", "kind") == set(get_args(TokeniserKind))
    assert first_cells(guide / "classify.md", "`--model`") == set(CLASSIFIERS)
    assert first_cells(guide / "tag.md", "`--model`") == set(TAG_PRESETS)
    assert first_cells(guide / "language-models.md", "`--model`") == set(LANGUAGE_PRESETS)
    assert first_cells(guide / "masked.md", "`--model`") == set(MASKED_PRESETS)
    kinds = first_cells(guide / "evaluation.md", "metric")
    assert kinds == {*get_args(MetricName), "perplexity", "token_accuracy"}
    kept = {path.name + "/" * path.is_dir() for path in trained.iterdir()}
    assert first_cells(guide / "training.md", "file") == kept


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_files_named_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\[[^\]]*\]\(([^)\s#]+)[^)]*\)", prose(page))
    broken = [link for link in links if ":" not in link and not (page.parent / link).exists()]
    assert not broken, f"{page}: links to nothing: {broken}"
    paths = re.findall(r"(?<![\w./-])(?:benchmarks|recipes|docs|tests)/[\w./-]*[\w/]", text)
    missing = [path for path in paths if not (ROOT / path).exists() and not (page.parent / path).exists()]
    assert not missing, f"{page}: no such files: {missing}"
