"""ARCHITECTURE.md's tree is the tree on the disk, and the house keeps its own rules."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "seq2see"
LEFTOVERS = {"utils", "util", "helpers", "helper", "common", "misc"}
MOST_LINES = 400


def blocks(page: Path) -> list[list[str]]:
    """The fenced ``text`` blocks of a page, in lines."""
    found = re.findall(r"^```text\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in found]


def drawn(lines: list[str]) -> dict[str, str]:
    """Path (a folder's ends in a slash) → what the tree says of it. Two blanks of indentation are one folder deeper."""
    above: list[str] = []
    tree: dict[str, str] = {}
    for line in lines:
        name, _, about = line.strip().partition("  ")
        depth = (len(line) - len(line.lstrip())) // 2
        above = above[:depth]
        path = "".join(above) + name
        assert path not in tree, f"{path} stands twice in the tree"
        tree[path] = about.strip()
        if name.endswith("/"):
            above.append(name)
    return tree


def folders_on_disk() -> set[str]:
    """The folders of the checkout that hold a part of the project; what somebody keeps beside it is not looked at."""
    hidden = {".ci"}
    parts = (".py", ".toml", ".md")
    return {
        f"{path.name}/"
        for path in ROOT.iterdir()
        if path.is_dir() and (path.name in hidden or not path.name.startswith("."))
        if path.name in hidden or (path.name not in ignored() and any(each.suffix in parts for each in path.rglob("*")))
    }


def ignored() -> set[str]:
    return {line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()}


def files_on_disk() -> Iterator[str]:
    """Everything in the package but compiled modules and empty files that only mark a folder as a package."""
    for path in PACKAGE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            if path.name == "__init__.py" and not path.stat().st_size:
                continue
            yield path.relative_to(ROOT).as_posix()


def told_apart(drawn: set[str], found: set[str], where: str) -> str:
    gone, new = sorted(drawn - found), sorted(found - drawn)
    return f"{where} has, and the disk has not: {gone}; the disk has, and {where} has not: {new}"


def test_every_file_stands_in_the_tree() -> None:
    tree = drawn(blocks(ROOT / "ARCHITECTURE.md")[1])
    stated = {path for path in tree if path.startswith("src/seq2see/") and not path.endswith("/")}
    found = set(files_on_disk())
    assert stated == found, told_apart(stated, found, "ARCHITECTURE.md")
    silent = [path for path, about in tree.items() if path in found and not about]
    assert not silent, f"without a word on what they are for: {silent}"


def test_every_folder_stands_in_the_trees() -> None:
    found = folders_on_disk()
    for page, number in (("ARCHITECTURE.md", 1), ("README.md", -1)):
        stated = {path for path in drawn(blocks(ROOT / page)[number]) if path.count("/") == 1 and path.endswith("/")}
        assert stated == found, told_apart(stated, found, page)


def test_the_order_of_the_imports_is_the_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [layer.replace("seq2see.", "") for layer in contract["contracts"][0]["layers"]]
    lines = blocks(ROOT / "ARCHITECTURE.md")[0]
    assert [line.partition("  ")[0] for line in lines] == layers
    named = {name for layer in layers for name in layer.split(" | ")}
    packages = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert named == packages | {"errors"}, told_apart(named, packages, "the contract")


def test_no_module_is_for_leftovers() -> None:
    for path in (ROOT / each for each in files_on_disk()):
        names = {part.lower() for part in path.relative_to(ROOT).with_suffix("").parts}
        assert not names & LEFTOVERS, f"{path}: a function lives with the thing of the field it is about"


def test_no_file_is_long() -> None:
    for path in (ROOT / each for each in files_on_disk()):
        count = len(path.read_text(encoding="utf-8").splitlines())
        assert count <= MOST_LINES, f"{path} has {count} lines; {MOST_LINES} are the most"


def test_only_package_marks_are_left_out_of_the_tree() -> None:
    for folder in (path for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"):
        assert (folder / "__init__.py").read_bytes() == b"", f"{folder}: a package's __init__.py stays empty"
