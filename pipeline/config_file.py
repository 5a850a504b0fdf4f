"""Reads a run's config from YAML and `--set`, and says exactly where it is wrong."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.settings import RunConfig

Key = tuple[str | int, ...]
Config = TypeVar("Config", bound=BaseModel)

EXTENDS = "extends"


class _Loader(yaml.SafeLoader):
    """YAML 1.2's numbers: `1e-3` is one, where PyYAML would read text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


class ConfigError(ValueError):
    """A config that cannot be used; the message names file, line and key."""


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Reads a run's config and applies overrides; see `read_config`."""
    return read_config(path, RunConfig, overrides)


def read_config(path: Path, kind: type[Config], overrides: Sequence[str] = ()) -> Config:
    """Reads a config file and applies overrides.

    Args:
      path: A YAML file. With a key `extends`, the name of another file as seen from this one, it takes from there what
        it does not say itself; sections are merged key by key, lists are replaced.
      kind: What it describes.
      overrides: `key=value` pairs such as `training.epochs=3`; the value is read as YAML.

    Returns:
      The validated config.

    Raises:
      ConfigError: If the file is missing, is not YAML, repeats a key, extends itself, or holds an unknown key or a
        value of the wrong type. All faults are listed, each with its file and line, or with the override it came from.
    """
    values, lines = _read(path)
    sources: dict[Key, str] = {}
    for override in overrides:
        _apply(values, override, sources)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = [_describe(fault, kind, path, lines, sources) for fault in error.errors()]
        raise ConfigError("\n".join(faults)) from error


def _read(path: Path, extended_by: tuple[Path, ...] = ()) -> tuple[dict[str, Any], dict[Key, str]]:
    """What a file and those that it extends say, and where every key stands, as `file:line`."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such config file")
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path}: expected a mapping of sections such as `dataset:`, found {_kind(root)}")
    lines: dict[Key, str] = {}
    _collect_lines(root, (), lines, path)
    values: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    if EXTENDS not in values:
        return values, lines
    where, base = lines.pop((EXTENDS,)), values.pop(EXTENDS)
    if not isinstance(base, str):
        raise ConfigError(f"{where}: `{EXTENDS}`: expected the name of a config file, found {base!r}")
    base_path = Path(os.path.normpath(path.parent / base))
    above = (*extended_by, Path(os.path.normpath(path)))
    if base_path in above:
        raise ConfigError(f"{where}: `{EXTENDS}`: {base} extends this file in turn")
    if not base_path.is_file():
        raise ConfigError(f"{where}: `{EXTENDS}`: {base_path}: no such config file")
    base_values, base_lines = _read(base_path, above)
    replaced = _merge(values, base_values, ())
    kept = {key: line for key, line in base_lines.items() if not any(key[: len(part)] == part for part in replaced)}
    return values, {**kept, **lines}


def _merge(values: dict[str, Any], base: dict[str, Any], prefix: Key) -> list[Key]:
    """Fills `values` with what only `base` says; returns the keys at which it says something else."""
    replaced: list[Key] = []
    for name, of_base in base.items():
        own, key = values.get(name), (*prefix, name)
        if own is None:
            values[name] = of_base
        elif isinstance(own, dict) and isinstance(of_base, dict):
            replaced += _merge(own, of_base, key)
        else:
            replaced.append(key)
    return replaced


def _kind(node: yaml.Node | None) -> str:
    return "nothing" if node is None else "a list" if isinstance(node, yaml.SequenceNode) else "a single value"


def _collect_lines(node: yaml.Node, prefix: Key, lines: dict[Key, str], path: Path) -> None:
    """Fills `lines` with the place of every key, and refuses a key that stands twice."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key: Key = (*prefix, str(key_node.value))
            where = f"{path}:{key_node.start_mark.line + 1}"
            if key in lines:
                first = lines[key].rpartition(":")[2]
                raise ConfigError(f"{where}: key `{_dotted(key)}` stands twice, first on line {first}")
            lines[key] = where
            _collect_lines(value_node, key, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            key = (*prefix, index)
            lines[key] = f"{path}:{child.start_mark.line + 1}"
            _collect_lines(child, key, lines, path)


def _apply(values: dict[str, Any], override: str, sources: dict[Key, str]) -> None:
    name, separator, text = override.partition("=")
    if not separator or not name:
        raise ConfigError(f"--set {override}: expected key=value, such as training.epochs=3")
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not readable as YAML: {error}") from error
    parts: list[str | int] = []
    section: Any = values
    *parents, last = name.split(".")
    for parent in parents:
        step: str | int = int(parent) if isinstance(section, list) and parent.isdigit() else parent
        parts.append(step)
        if isinstance(section, dict):
            # A section that the file leaves out, or leaves empty, starts from its defaults.
            if section.get(step) is None:
                section[step] = {}
            section = section[step]
        elif isinstance(section, list) and isinstance(step, int) and step < len(section):
            section = section[step]
        else:
            raise ConfigError(f"--set {override}: there is no `{_dotted(tuple(parts))}`")
    final: str | int = int(last) if isinstance(section, list) and last.isdigit() else last
    if isinstance(section, list) and not (isinstance(final, int) and final < len(section)):
        raise ConfigError(f"--set {override}: there is no `{name}`")
    if not isinstance(section, dict | list):
        raise ConfigError(f"--set {override}: `{_dotted(tuple(parts))}` is a single value, not a section")
    section[final] = value  # type: ignore[index]
    changed: Key = (*parts, final)
    sources[changed] = override


def _describe(fault: Any, kind: type[BaseModel], path: Path, lines: dict[Key, str], sources: dict[Key, str]) -> str:
    """One fault in words: where, which key, what was found, what was expected."""
    key = _without_tags(fault["loc"], kind, lines, sources)
    if fault["type"] == "union_tag_invalid":
        # Which of several sections this is could not be told.
        key = (*key, str(fault["ctx"]["discriminator"]).strip("'"))
    where = next(
        (f"--set {source}" for changed, source in sources.items() if key[: len(changed)] == changed),
        None,
    )
    if where is None:
        # A missing key has no line of its own: name the nearest enclosing section's.
        where = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), str(path))
    name = _dotted(key)
    if fault["type"] == "extra_forbidden":
        known = _known_keys(kind, key[:-1], chosen=set(fault["loc"]) - set(key))
        near = difflib.get_close_matches(str(key[-1]), known, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else f"; known keys here: {', '.join(known)}"
        return f"{where}: unknown key `{name}`{hint}"
    if fault["type"] == "union_tag_invalid":
        context = fault["ctx"]
        return f"{where}: `{name}`: expected one of {context['expected_tags']}, found {context['tag']!r}"
    if fault["type"] == "missing":
        return f"{where}: key `{name}` is missing"
    message = str(fault["msg"]).removeprefix("Value error, ")
    found = "" if isinstance(fault["input"], dict) else f", found {fault['input']!r}"
    return f"{where}: `{name}`: {message}{found}" if name else f"{where}: {message}"


def _without_tags(
    location: Iterable[str | int], kind: type[BaseModel], lines: dict[Key, str], sources: dict[Key, str]
) -> Key:
    """Drops the tags that pydantic puts into a location for members of a union (`dataset.split.time.train`)."""
    key: Key = ()
    for part in location:
        sections = _sections(kind, key)
        known = {name for section in sections for name in section.model_fields}
        is_said = (*key, part) in lines or (*key, part) in sources
        if len(sections) > 1 and part not in known and not is_said:
            continue
        key = (*key, part)
    return key


def _known_keys(model: type[BaseModel], key: Key, chosen: Set[str | int]) -> list[str]:
    """Names that the section at `key` accepts; of several sections, the one that says it is the chosen one."""
    sections = _sections(model, key)
    named = [section for section in sections if chosen & _tags(section)]
    return sorted({name for section in named or sections for name in section.model_fields})


def _tags(section: type[BaseModel]) -> set[str]:
    return {
        tag for field in section.model_fields.values() for tag in get_args(field.annotation) if isinstance(tag, str)
    }


def _sections(model: type[BaseModel], key: Key) -> list[type[BaseModel]]:
    """What may stand at `key`; several where it says itself which of them it is."""
    sections: list[type[BaseModel]] = [model]
    for part in key:
        if isinstance(part, int) or not any(part in section.model_fields for section in sections):
            # Of a list of sections, or of sections by name.
            continue
        annotations = [s.model_fields[part].annotation for s in sections if part in s.model_fields]
        sections = [section for annotation in annotations for section in _models_in(annotation)]
    return sections


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _dotted(key: Key) -> str:
    return ".".join(str(part) for part in key)
