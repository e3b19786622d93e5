"""The rules of style that no linter here checks, over all packages."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("restore", "legacy", "harness")
FILES = sorted(path for package in PACKAGES for path in (CHECKOUT / package).rglob("*.py"))
CODE = [path for path in FILES if "tests" not in path.parts]

LONGEST_FUNCTION = 70
LONGEST_FILE = 300
LONGEST_TEST_FILE = 500

# Files that may be longer, each with its reason.
LONGER: dict[str, str] = {}

# A folder of odds and ends hides what it holds.
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}

# What each module of the harness may import of the harness at the most; a name stands for all
# below it. Those that are not named are only held to import no command line.
MAY_IMPORT: dict[str, set[str]] = {
    "record": set(),
    "errors": set(),
    "stats": set(),
    "tables": set(),
    "environment": {"record"},
    "launcher": {"sampling"},
    "sampling": set(),
    "heap_site": set(),
    "heap_read": {"record", "engines", "heap_site", "said"},
    "history": {"record", "record_file", "errors"},
    "figures": {"record", "stats"},
    "verdicts": {"stats"},
    "noise": {"record"},
    "watch": {"record"},
    "durable": {"record"},
    "record_file": {"record", "errors"},
    "compare": {"record", "stats", "figures"},
    "units": {"figures", "stats"},
    "cells": {"figures", "stats", "tables", "units", "verdicts"},
    "report": {"record", "stats", "figures", "units", "tables", "cells", "report_noise"}
    | {"report_chaos", "report_memory", "report_heap"},
    "report_heap": {"record", "units", "tables"},
    "report_memory": {"record", "figures", "stats", "units", "tables"},
    "report_chaos": {"record", "figures", "stats", "units", "tables"},
    "report_noise": {"record", "stats", "figures", "noise", "units", "tables", "verdicts"},
    "report_compare": {"stats", "figures", "compare", "units", "tables", "cells", "report"}
    | {"verdicts"},
    "gate": {"gate", "record", "errors", "stats", "figures", "compare", "verdicts", "history"}
    | {"report", "tables", "units", "bench", "again", "environment", "reading", "index"},
    "benchmarks": {"benchmarks", "gate", "record", "errors", "stats", "figures", "verdicts"}
    | {"tables", "units", "cells", "export"},
    "index": {"record", "record_file", "errors", "figures", "history"},
    "export": {"record", "compare", "verdicts"},
    "report_trend": {"tables", "units"},
    "servers": {"servers", "record", "errors"},
    "generate": {"generate", "errors", "manifest", "record"},
}


def name(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def modules_imported(path: Path) -> set[str]:
    """Return the dotted names that a file imports, ``from a import b`` as both a and a.b."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_there_are_files_to_check() -> None:
    assert len(CODE) > 20


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_file_opens_with_what_it_is_for(path: Path) -> None:
    module = tree(path)
    if module.body:
        assert ast.get_docstring(module), f"{name(path)} has no docstring"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_file_is_too_long(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if name(path) in LONGER:
        assert lines > LONGEST_FILE, f"{name(path)} needs its exemption no more"
        return
    limit = LONGEST_FILE if path in CODE else LONGEST_TEST_FILE
    assert lines <= limit, f"{name(path)} has {lines} lines, {limit} is the limit"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_function_is_too_long(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= LONGEST_FUNCTION, f"{name(path)}: {node.name} has {lines} lines"


def test_no_file_is_a_drawer_of_odds_and_ends() -> None:
    vague = [name(path) for path in FILES if {path.stem, path.parent.name} & VAGUE]
    assert vague == []


def test_every_exemption_names_a_file() -> None:
    missing = [exempt for exempt in LONGER if not (CHECKOUT / exempt).is_file()]
    assert missing == []


@pytest.mark.parametrize("path", CODE, ids=name)
def test_packages_do_not_import_each_other(path: Path) -> None:
    """Tests may: they take their servers and datasets from the harness."""
    own = path.relative_to(CHECKOUT).parts[0]
    others = {imported.partition(".")[0] for imported in modules_imported(path)} & set(PACKAGES)
    assert others <= {own}, f"{name(path)} imports {others - {own}}"


@pytest.mark.parametrize("path", CODE, ids=name)
def test_only_the_command_line_imports_the_command_line(path: Path) -> None:
    if path.name == "starting.py":
        return  # what a script calls, which starts the command line
    ends = [imported for imported in modules_imported(path) if imported.endswith("__main__")]
    assert ends == []


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_imports_in_the_harness_point_down(module: str) -> None:
    own = [
        path for path in CODE if name(path).startswith((f"harness/{module}.", f"harness/{module}/"))
    ]
    assert own, f"harness/{module} is gone; strike it out here"
    for path in own:
        used = {
            imported.split(".")[1]
            for imported in modules_imported(path)
            if imported.startswith("harness.")
        }
        assert used <= MAY_IMPORT[module], f"{name(path)} imports {used - MAY_IMPORT[module]}"
