"""The guide explains each message of the restorer, and none that the restorer does not say."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

from harness.tests.docs.pages import CHECKOUT, DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
ANY = "…"

# What is raised to stop a restore, and what is said of an export after its name.
ERRORS = {"BackupError", "ConnectionLostError", "DamagedError", "FormatError", "LoadError"} | {
    *("SchemaError", "UsageError", "WarningEvent")
}
# Fewer: the message is made elsewhere and only raised here, or holds nothing but another one.
LEAST_LETTERS = 7


def text(node: ast.AST) -> str:
    """Write a message as the guide does: what is put in is an ellipsis."""
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            return "".join(map(text, values))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text(left) + text(right)
        case _:
            return ANY


@cache
def nodes() -> list[ast.AST]:
    """Return what may hold a message, of all files of the restorer."""
    kinds = ast.Call, ast.AugAssign, ast.Constant, ast.JoinedStr, ast.BinOp
    files = [path for path in (CHECKOUT / "restore").rglob("*.py") if "tests" not in path.parts]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, kinds)]


def raised() -> Iterator[str]:
    """Yield the messages of errors, and the warnings that are added to a report."""
    for node in nodes():
        match node:
            case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in ERRORS:
                yield text(first)
            case ast.Call(
                func=ast.Attribute(attr="append", value=ast.Attribute(attr="warnings" | "notes")),
                args=[first],
            ):
                yield text(first)
            case ast.AugAssign(
                target=ast.Attribute(attr="warnings"), value=ast.List(elts=[first, *_])
            ):
                yield text(first)


def is_own(message: str) -> bool:
    return sum(map(str.isalpha, message)) >= LEAST_LETTERS


def rows() -> list[str]:
    messages = (DOCS / "guide.md").read_text(encoding="utf-8").partition("\n## Messages\n")[2]
    return ROW.findall(messages)


def explains(row: str, message: str) -> bool:
    """Tell if a row has the start of a message; an ellipsis stands for any text."""
    parts = row.removesuffix(ANY).rstrip().split(ANY)
    if not all(part in message for part in parts):
        return False  # nearly always, and soon told
    return re.match(".*".join(map(re.escape, parts)), message) is not None


def test_each_message_is_explained() -> None:
    known = rows()
    messages = {" ".join(each.split()) for each in raised() if is_own(each)}
    assert len(messages) > 100
    missing = sorted(m for m in messages if not any(explains(row, m) for row in known))
    assert missing == []


def test_each_explanation_is_of_a_message() -> None:
    said = {
        " ".join(text(node).split())
        for node in nodes()
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp)
    }
    said = {message for message in said if " " in message and is_own(message)}
    stale = [row for row in rows() if not any(explains(row, m) for m in said)]
    assert stale == []


def test_a_message_is_explained_once() -> None:
    assert len(rows()) == len(set(rows()))
