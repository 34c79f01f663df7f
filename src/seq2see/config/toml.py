"""Settings from and to TOML: a misspelt key names the nearest, an error names the file and the line."""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from seq2see.config.settings import Settings
from seq2see.errors import InputError

Table: TypeAlias = dict[str, Any]
AnySection = TypeVar("AnySection", bound=BaseModel)

_SLIPS = frozenset(
    (
        *("extra_forbidden", "literal_error", "string_type", "bool_type", "bool_parsing", "finite_number"),
        *("int_type", "int_parsing", "int_from_float", "float_type", "float_parsing"),
        *("greater_than", "greater_than_equal", "less_than", "less_than_equal"),
    )
)
_MOST_BYTES = 1_000_000  # a configuration is a page of text; anything larger is not one


def read_toml(path: Path) -> Table:
    """The tables of a TOML file.

    Raises:
        InputError: the file cannot be read, is too large, or is not TOML (with the line).
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read as a configuration: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise InputError(f"{path}: larger than {_MOST_BYTES:,} bytes; that is not a configuration")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start + 1} is not UTF-8; save the file as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None


def parse_assignment(text: str) -> Table:
    """``section.key=value`` as a nested table; the value is TOML, or a string where it is not.

    Raises:
        InputError: there is no ``=`` or no key.
    """
    name, equals, value = text.partition("=")
    if not equals or not all(part.strip() for part in name.split(".")):
        raise InputError(f"--set {text}: write it as section.key=value, e.g. --set training.learning_rate=0.002")
    return nested(name, _value(value.strip()))


def nested(name: str, value: Any) -> Table:
    """A value under a dotted name, ``section.key``, as a nested table."""
    *outer, last = (part.strip() for part in name.split("."))
    table: Table = {last: value}
    for key in reversed(outer):
        table = {key: table}
    return table


def _value(text: str) -> Any:
    if "\n" in text:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Table:
    """``above`` laid over ``below``. A table of another ``kind`` replaces the whole table instead of mixing with it."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if (
            isinstance(old, Mapping)
            and isinstance(value, Mapping)
            and value.get("kind", old.get("kind")) == old.get("kind")
        ):
            result[key] = merged(old, value)
        else:
            result[key] = dict(value) if isinstance(value, Mapping) else value
    return result


def parse(
    section: type[AnySection], table: Mapping[str, Any], origin: Path | None = None, within: str = ""
) -> AnySection:
    """Checked, frozen settings.

    Args:
        section: what the table must be.
        table: nested tables, as ``tomllib`` gives them.
        origin: the file they came from, to name its line in an error.
        within: the name of the table in a configuration, such as ``"search"``; none for the whole.

    Raises:
        InputError: one line for each problem, with the nearest valid key for an unknown one.
    """
    try:
        # JSON mode: in TOML a tuple is an array, which strict Python mode would refuse.
        return section.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        problems = [_explained(problem, section, origin, within) for problem in error.errors()]
        raise InputError("\n".join(problems)) from None


def refuse_slips(section: type[BaseModel], table: Mapping[str, Any], origin: Path | None = None) -> None:
    """Refuse what no data can mend, before they are read: keys that do not exist, values that are none.

    What is missing, or depends on other settings, is left to :func:`parse`.

    Raises:
        InputError: one line for each problem.
    """
    try:
        section.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        slips = [problem for problem in error.errors() if problem["type"] in _SLIPS]
        if slips:
            raise InputError("\n".join(_explained(slip, section, origin, "") for slip in slips)) from None


def _explained(problem: Any, section: type[BaseModel], origin: Path | None, within: str) -> str:
    path = [str(part) for part in problem["loc"]]
    named = _without_tags(section, path, unknown=problem["type"] == "extra_forbidden")
    keys = [within, *named] if within else named
    name = ".".join(keys) or "settings"
    where = _place(origin, keys)
    if problem["type"] == "extra_forbidden":
        known = sorted(set(_fields_at(section, path[:-1])))
        near = difflib.get_close_matches(keys[-1], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        return f"{where}{name}: no such setting; {hint}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    given = problem.get("input")
    shown = "" if isinstance(given, Mapping) else f" (given: {json.dumps(given, default=str, ensure_ascii=False)})"
    return f"{where}{name}: {message}{shown}"


def _without_tags(section: type[BaseModel], path: list[str], *, unknown: bool) -> list[str]:
    """The keys of a location; ``unknown``: the last one is none that there is."""
    # A discriminated union puts its tag ("recurrent") into the location; it is no key of the file.
    models, keys = [section], list[str]()
    for at, part in enumerate(path):
        is_key = part.isdecimal() or any(part in model.model_fields for model in models)
        if is_key or (unknown and at == len(path) - 1):
            keys.append(part)
        models = [inner for model in models for inner in _models_of(model, part)] or models
    return keys


def _fields_at(section: type[BaseModel], path: list[str]) -> Iterator[str]:
    """The keys that the table at ``path`` may have."""
    models: list[type[BaseModel]] = [section]
    for part in path:
        inner = [annotation for model in models for annotation in _models_of(model, part)]
        models = inner or models  # a union's tag leads nowhere deeper
    for model in models:
        yield from model.model_fields


def _models_of(model: type[BaseModel], field: str) -> Iterator[type[BaseModel]]:
    info = model.model_fields.get(field)
    pending: list[Any] = [info.annotation] if info else []
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        else:
            pending.extend(getattr(annotation, "__args__", ()))


def _place(origin: Path | None, keys: list[str]) -> str:
    """``file:line: `` of a key, found by its name below the header of its table; ``file: `` where it is not found."""
    if origin is None:
        return ""
    section, table = ".".join(keys[:-1]), ""
    try:
        lines = origin.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return f"{origin}: "
    for number, line in enumerate(lines, start=1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            table = header[1].replace(" ", "")
        elif keys and table == section and re.match(rf"""\s*["']?{re.escape(keys[-1])}["']?\s*=""", line):
            return f"{origin}:{number}: "
    return f"{origin}: "


def to_toml(settings: Settings) -> str:
    """The settings as TOML text; parsing it gives equal settings back."""
    lines: list[str] = []
    _write_table(settings.model_dump(mode="json", exclude_none=True), (), lines)
    return "\n".join(lines) + "\n"


def _write_table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if path and plain:
        lines.extend(["", f"[{'.'.join(path)}]"])
    lines.extend(f"{key} = {_toml_value(value)}" for key, value in plain.items())
    for key, value in table.items():
        if isinstance(value, Mapping):
            _write_table(value, (*path, key), lines)


def _toml_value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    # A JSON number, Boolean or string (ASCII, \uXXXX) is TOML as well, but for surrogate pairs and DEL.
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
