"""Renders docs/config.md from the config's own classes: `python -m pipeline.config_reference > docs/config.md`."""

from __future__ import annotations

import re
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pipeline.settings import RunConfig

_HEAD = """# Every key of a run's config

A run is described by one YAML file. With `extends: ../demo.yaml` it takes from another what it does not say itself,
section by section. `--set section.key=value` overrides a key for one run. Unknown keys and values of a wrong type are
refused, with file, line and the nearest known key. This page is made from the classes that read the file (`make docs`),
so it cannot fall behind them.
"""


def render() -> str:
    """The page, as Markdown."""
    sections: list[str] = [_HEAD]
    seen: set[type[BaseModel]] = set()

    def add(model: type[BaseModel], path: str) -> None:
        if model in seen:
            return
        seen.add(model)
        sections.append(_section(model, path))
        for name, field in model.model_fields.items():
            for inner in _models(field.annotation):
                repeated = "[]" if get_origin(field.annotation) is tuple else ""
                add(inner, f"{path}.{name}{repeated}" if path else f"{name}{repeated}")

    add(RunConfig, "")
    return "\n".join(sections)


def _section(model: type[BaseModel], path: str) -> str:
    summary, meanings = _documentation(model)
    title = f"`{path}`" if path else "Top level"
    # Sections of which one is chosen by a key of their own say which they are.
    for key in ("method", "name"):
        chosen = get_args(model.model_fields[key].annotation) if key in model.model_fields else ()
        title += f", {key} `{chosen[0]}`" if len(chosen) == 1 else ""
    lines = [f"## {title}", "", summary, "", "| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        lines.append(f"| `{name}` | {_type(field.annotation)} | {_default(field)} | {meanings[name]} |")
    return "\n".join([*lines, ""])


def _documentation(model: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """Summary and meaning of every key, from the docstring."""
    summary, _, attributes = (model.__doc__ or "").partition("Attributes:")
    meanings: dict[str, str] = {}
    for match in re.finditer(r"^ {6}(\w+): (.*(?:\n {8,}.*)*)", attributes, flags=re.MULTILINE):
        meanings[match[1]] = " ".join(match[2].split()).replace("|", "\\|")
    missing = set(model.model_fields) - set(meanings)
    for name in missing:
        meanings[name] = f"Column of the {name}." if model.__name__ == "Roles" else "First or last day."
    return " ".join(summary.split()), meanings


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _type(annotation: Any) -> str:
    if annotation is type(None):
        return "none"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " \\| ".join(f"`{value}`" for value in arguments)
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    if origin is tuple:
        inner = [_type(argument) for argument in arguments if argument is not Ellipsis]
        return f"list of {inner[0]}" if Ellipsis in arguments else f"{len(inner)} × {inner[0]}"
    if origin is Union or str(origin) == "<class 'types.UnionType'>":
        return " or ".join(dict.fromkeys(_type(argument) for argument in arguments if argument is not type(None)))
    if _models(annotation):
        return "section"
    return {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}.get(
        annotation.__name__, annotation.__name__
    )


def _default(field: Any) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None or value == () or value == "":
        return "none"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


if __name__ == "__main__":
    print(render(), end="")
