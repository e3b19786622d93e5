"""Options in the documentation exist, and each option is in its reference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

import pytest

from harness.tests.docs.generate import parsers
from harness.tests.docs.pages import DOCS, PAGES, blocks, inline_code, name
from restore.cli.arguments import _parser
from restore.cli.option_table import Command

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

OPTION = re.compile(r"(?<![\w/-])--[a-z][a-z-]+")
# A command line of another program, whose options are its own.
OTHERS = re.compile(
    r"\b(?:nox|pip|psql|pg_dump|git|docker|jq|npm|tar --|python setup\.py"
    r"|python -m (?:dask|legacy|pytest))\b"
)
# Of other programs, where a sentence names the option alone.
FOREIGN = {
    *("--benchmark-json", "--benchmark-save-data", "--schema-only"),
    *("--natural-foreign", "--natural-primary"),
}


def flags(*all_parsers: argparse.ArgumentParser) -> set[str]:
    return {
        flag
        for parser in all_parsers
        for action in parser._actions
        for flag in action.option_strings
        if flag.startswith("--")
    }


def restorer() -> set[str]:
    return flags(*map(_parser, get_args(Command)))


def harness() -> set[str]:
    return flags(*parsers().values())


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_options_that_are_named_exist(path: Path) -> None:
    lines = [line for block in blocks(path) for line in block.text.splitlines()]
    own = [text for text in [*lines, *inline_code(path)] if not OTHERS.search(text)]
    named = {flag for text in own for flag in OPTION.findall(text)}
    assert named - restorer() - harness() - FOREIGN == set()


@pytest.mark.parametrize(
    ("page", "known"), [("restore.md", restorer()), ("harness.md", harness())], ids=["r", "h"]
)
def test_each_option_is_in_its_reference(page: str, known: set[str]) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    opposites = {flag for flag in known if flag.replace("--no-", "--", 1) in known - {flag}}
    assert known - opposites - set(OPTION.findall(text)) <= {"--help"}
