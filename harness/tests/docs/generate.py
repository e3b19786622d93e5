"""Makes the parts of the documentation that follow from the code: ``nox -s docs`` writes them.

A part stands between ``<!-- NAME:start -->`` and ``<!-- NAME:end -->`` of its page.
"""

from __future__ import annotations

import argparse
import importlib
import re
import tomllib
from typing import TYPE_CHECKING

from harness.cli.app import COMMANDS
from harness.report.published import with_blocks
from harness.tests.docs.library import reference
from harness.tests.docs.pages import CHECKOUT, DOCS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TABLE_HEAD = "| option | meaning |\n|---|---|\n"


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command of the harness."""
    found = {}
    for name in COMMANDS:
        found[name] = argparse.ArgumentParser(prog="db-restore-benchmark")
        importlib.import_module(f"harness.cli.{name.replace('-', '_')}").add_arguments(found[name])
    return found


def options() -> str:
    """Write a table of the options of the harness for each command; those of several once."""
    rows = {name: _rows(parser) for name, parser in parsers().items()}
    shared = set.intersection(set(rows["bench"]), set(rows["ablate"]), set(rows["compare-commits"]))
    common = [row for row in rows["bench"] if row in shared]
    parts = [
        "Common to `bench`, `ablate`, `compare-commits` and `gate --base`:",
        _TABLE_HEAD + "\n".join(common),
    ]
    for name, own in rows.items():
        more = " and those above" if shared <= set(own) else ""
        rest = [row for row in own if row not in shared]
        parts += [f"`{name}`{more}:", _TABLE_HEAD + "\n".join(rest)] if rest else []
    return "\n\n".join(parts)


def _rows(parser: argparse.ArgumentParser) -> list[str]:
    """Write a row for each argument but ``--help``."""
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        value = _value(action)
        typed = " ".join(filter(None, [*action.option_strings[-1:], value])).replace("|", r"\|")
        meaning = _escaped((action.help or "") % vars(action))
        # The number of cores is one of this machine.
        meaning = re.sub(r", at most 8: \d+\)", ", at most 8)", meaning)
        rows.append(f"| `{typed}` | {meaning} |")
    return rows


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    choices = "|".join(map(str, action.choices)) if action.choices else ""
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    value = metavar or choices or action.dest.upper()
    return f"[{value}]" if action.nargs == "?" else value


def _escaped(text: str) -> str:
    return re.sub(r"--[a-z][a-z-]+", r"`\g<0>`", " ".join(text.split())).replace("|", r"\|")


def diagram() -> str:
    """Draw the layers that import-linter checks; an arrow is an import."""
    lines = ["```mermaid", "flowchart TB"]
    for package in ("harness", "restore"):
        lines += [f"    subgraph {package}", "        direction TB"]
        nodes = [f'{package}{n}["{" · ".join(each)}"]' for n, each in enumerate(layers(package))]
        lines += [f"        {node}" for node in nodes]
        chain = " --> ".join(f"{package}{n}" for n in range(len(nodes)))
        lines += [f"        {chain}", "    end"]
    lines += ["    legacy", "    harness -. command line .-> restore"]
    return "\n".join([*lines, "    harness -. command line .-> legacy", "```"])


def layers(package: str) -> list[list[str]]:
    """Return the rooms of a package by layer, the highest first, as in pyproject.toml."""
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (found,) = [
        contract["layers"]
        for contract in contracts
        if contract["type"] == "layers" and contract["layers"][0].startswith(f"{package}.")
    ]
    return [[room.strip().removeprefix(f"{package}.") for room in one.split("|")] for one in found]


PARTS: dict[tuple[str, str], Callable[[], str]] = {
    ("architecture.md", "diagram"): diagram,
    ("harness.md", "options"): options,
    ("library.md", "reference"): reference,
}


def pages() -> dict[Path, str]:
    """Return each page that has a generated part, as it should be."""
    made: dict[Path, str] = {}
    for (name, part), make in PARTS.items():
        path = DOCS / name
        text = made.get(path) or path.read_text(encoding="utf-8")
        if f"<!-- {part}:start -->" not in text or f"<!-- {part}:end -->" not in text:
            raise ValueError(f"{path} has no part {part}")
        made[path] = with_blocks(text, {part: make()})
    return made


if __name__ == "__main__":
    for page, content in pages().items():
        page.write_text(content, encoding="utf-8")
