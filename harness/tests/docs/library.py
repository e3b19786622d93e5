"""Writes the reference of the library ``restore`` from its docstrings, as Markdown."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import msgspec

import restore
from restore.report.events import ProgressCallback
from restore.report.model import Levels, ReasonCount

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):\n", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w+): ", re.MULTILINE)


def reference() -> str:
    """Write a section for each public name, and what its users receive beside these."""
    errors = sorted(
        (each for each in map(_public, restore.__all__) if _is_error(each)),
        key=lambda each: len(each.__mro__),
    )
    events = [each for each in map(_public, restore.__all__) if _is_event(each)]
    parts = [
        _function(restore.restore),
        "### `ProgressCallback`\n\n" + _prose(ProgressCallback.__doc__),
        "### `Confirm`\n\n`Callable[[dict[str, int]], bool]`: gets tables' names and their rows.",
        _record(restore.Options),
        _record(restore.MaxRejects, methods=[restore.MaxRejects.parse]),
        *map(_record, (restore.Report, restore.TableReport, Levels, ReasonCount)),
        "## Events\n\n`Event` is any of these.",
        *map(_record, events),
        "## Errors",
        *map(_error, errors),
    ]
    return "\n\n".join(parts)


def _public(name: str) -> Any:
    return getattr(restore, name)


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def _is_event(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, restore.Event.__args__)


def _function(function: Any) -> str:
    parts = _sections(function)
    head = f"### `{function.__name__}`\n\n```text\n{function.__name__}{_signature(function)}\n```"
    named = "\n".join(f"- `{name}`: {text}" for name, text in _entries(parts["Args"]).items())
    rest = [f"{title}: {_prose(parts[title])}" for title in ("Returns", "Raises") if title in parts]
    return "\n\n".join([head, _prose(parts[""]), *filter(None, [named]), *rest])


def _signature(function: Any) -> str:
    shown = inspect.signature(function)
    parameters = []
    for each in shown.parameters.values():
        if each.name == "cls":
            continue
        is_given = each.default is not inspect.Parameter.empty
        default = " = ..." if callable(each.default) else f" = {each.default!r}"
        parameters.append(f"{each.name}: {each.annotation}{default if is_given else ''}")
    return f"({', '.join(parameters)}) -> {shown.return_annotation}"


def _record(kind: type, methods: list[Any] | None = None) -> str:
    """Write a class that holds values: a table of them, its properties, and these methods."""
    parts = _sections(kind)
    told = _entries(parts.get("Args") or parts.get("Attributes") or "")
    fields = _fields(kind)
    lines = [f"### `{kind.__name__}`", _prose(parts[""])]
    with_text = bool(told)
    if with_text and set(told) != set(fields):
        raise ValueError(f"{kind.__name__}: {set(told) ^ set(fields)} in docstring or code alone")
    head = "| field | type | default |" + (" meaning |" if with_text else "")
    rows = [
        f"| `{name}` | `{_cell(type_)}` | {default} |" + (f" {told[name]} |" if with_text else "")
        for name, (type_, default) in fields.items()
    ]
    lines.append("\n".join([head, "|---|---|---|" + ("---|" if with_text else ""), *rows]))
    properties = [
        f"- `{name}`: {_prose(value.__doc__)}"
        for name, value in vars(kind).items()
        if isinstance(value, property) and not name.startswith("_")
    ]
    properties += [
        f"- `{each.__name__}{_signature(each.__func__)}`: {_prose(_sections(each)[''])}"
        for each in methods or ()
    ]
    return "\n\n".join([*lines, *filter(None, ["\n".join(properties)])])


def _fields(kind: Any) -> dict[str, tuple[str, str]]:
    """Return types, as they are written, and defaults by the names of the fields."""
    written = inspect.get_annotations(kind)
    if issubclass(kind, msgspec.Struct):
        # ``msgspec.structs.fields`` would evaluate the types, some of which only mypy imports.
        names, defaults = kind.__struct_fields__, kind.__struct_defaults__
        missing = [msgspec.NODEFAULT] * (len(names) - len(defaults))
        given = {
            name: _default(value, getattr(value, "factory", None), msgspec.NODEFAULT)
            for name, value in zip(names, [*missing, *defaults], strict=True)
        }
    else:
        given = {
            one.name: _default(one.default, one.default_factory, dataclasses.MISSING)
            for one in dataclasses.fields(kind)
        }
    return {name: (written[name], default) for name, default in given.items()}


def _default(value: object, factory: Any, missing: object) -> str:
    if value is not missing and not hasattr(value, "factory"):
        return f"`{value!r}`" if value != frozenset() else "`frozenset()`"
    if factory in {missing, None}:
        return ""
    return f"`{factory()!r}`" if factory in {list, dict} else f"`{factory.__name__}()`"


def _error(kind: type[Exception]) -> str:
    parts = _sections(kind)
    told = _entries(parts.get("Attributes", ""))
    code = getattr(kind, "exit_code", None)
    base = kind.__mro__[1].__name__
    lines = [f"### `{kind.__name__}`", f"{_prose(parts[''])} Base: `{base}`; exit code: {code}."]
    lines += ["\n".join(f"- `{name}`: {text}" for name, text in told.items())] if told else []
    return "\n\n".join(lines)


def _sections(documented: object) -> dict[str, str]:
    """Split a docstring into its text, under an empty name, and its sections."""
    first, *rest = _SECTION.split(inspect.getdoc(documented) or "")
    return {"": first, **dict(zip(rest[::2], rest[1::2], strict=True))}


def _entries(section: str) -> dict[str, str]:
    _, *rest = _ENTRY.split(section)
    return {name: _cell(_prose(text)) for name, text in zip(rest[::2], rest[1::2], strict=True)}


def _prose(text: str | None) -> str:
    """Write text of a docstring as Markdown: paragraphs in a line each."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text or ""))
    lines = [" ".join(each.split()).replace("``", "`") for each in paragraphs]
    return "\n\n".join(filter(None, lines))


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
