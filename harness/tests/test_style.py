"""Rules of style that no linter here checks: how long functions and files may be."""

from __future__ import annotations

import ast
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
FILES = sorted(
    path
    for package in ("restore", "legacy", "harness")
    for path in (CHECKOUT / package).rglob("*.py")
)

MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 400
MAX_TEST_FILE_LINES = 500


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert len(lengths) > 20
    limits = {
        path: MAX_TEST_FILE_LINES if "tests" in path.parts else MAX_FILE_LINES for path in FILES
    }
    assert {str(path): n for path, n in lengths.items() if n > limits[path]} == {}


def test_no_function_is_too_long() -> None:
    too_long = [
        f"{path}: {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert too_long == []
