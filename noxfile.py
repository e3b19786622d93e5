#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.11"
# dependencies = ["nox>=2025.5.1"]
# ///
"""The project's tasks. ``nox -s bench`` is the main job, ``nox -s tests`` proves that it works.

Every session installs what it needs at the versions of ``constraints.txt``, with their hashes
checked, and runs the code of this checkout.
"""

from __future__ import annotations

import shutil

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "bench"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
CODE = ("restore", "legacy", "harness", "conftest.py", "noxfile.py", "setup.py")


def install(
    session: nox.Session, *, extras: tuple[str, ...] = (), group: str | None = None
) -> None:
    """Install the project's dependencies, its extras' and a group's, by the constraints.

    The project itself is not installed: pip cannot hash a folder, and ``python -m`` in the checkout
    runs the checkout.
    """
    project = PYPROJECT["project"]
    requirements = list(project["dependencies"])
    for extra in extras:
        requirements += project["optional-dependencies"][extra]
    if group is not None:
        requirements += nox.project.dependency_groups(PYPROJECT, group)
    session.install("--constraint", "constraints.txt", *requirements)


def build(session: nox.Session) -> None:
    """Build what is in C, in place; where there is no compiler, it is done in Python.

    The rest is compiled too, as an install does: else every start would do so where Python may not
    write what it compiles.
    """
    install(session, group="build")
    session.run("python", "setup.py", "--quiet", "build_ext", "--inplace")
    session.run("python", "-m", "compileall", "-q", "restore", "legacy", "harness")


@nox.session
def bench(session: nox.Session) -> None:
    """Generate a dataset, restore it with each engine, verify, record, compare."""
    install(session, extras=("legacy", "harness"))
    build(session)
    session.run("python", "-m", "harness", "bench", *session.posargs)


@nox.session(default=False)
def gate(session: nox.Session) -> None:
    """Fail where an engine got slower, fatter or lossier than in earlier runs."""
    install(session, extras=("legacy", "harness"))
    build(session)
    session.run("python", "-m", "harness", "gate", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, against a real PostgreSQL."""
    install(session, extras=("legacy", "harness"), group="tests")
    build(session)
    # A process for each processor, each with a server of its own.
    processes = ("-n", "logical", "--maxprocesses", "8", "--dist", "loadgroup")
    session.run("python", "-m", "pytest", *processes, *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Fuzz the reader, guided by coverage: a folder, and options of libFuzzer."""
    install(session, group="fuzz")
    session.run(
        *("python", "restore/tests/fuzz/guided.py", *session.posargs), env={"PYTHONPATH": "."}
    )


@nox.session(name="bench-micro", default=False)
def bench_micro(session: nox.Session) -> None:
    """Measure what is done for every record, with pytest-benchmark."""
    install(session, extras=("legacy", "harness"), group="tests")
    build(session)
    session.run(
        *("python", "-m", "pytest", "-o", "addopts=--import-mode=importlib", "--benchmark-only"),
        *("--benchmark-save-data", "restore/tests/test_hot_paths.py", *session.posargs),
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and which package may import which."""
    install(session, group="lint")
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, strictly."""
    install(session, extras=("legacy", "harness"), group="tests")
    install(session, group="types")
    session.run("mypy")


@nox.session(default=False)
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it away from the checkout, run the main job there, and read it."""
    install(session, extras=("legacy", "harness"))
    outside = session.create_tmp()
    shutil.rmtree(outside)
    session.run("python", "-m", "pip", "wheel", "--no-deps", "--wheel-dir", outside, ".")
    session.install(
        "--no-deps", "--no-index", "--find-links", outside, "--force-reinstall", "restorebench"
    )
    with session.chdir(outside):
        harness = ("python", "-m", "harness")
        session.run(*harness, "bench", "--rows", "5000", "--rounds", "1")
        exported = "history latest --format pytest-benchmark"
        for words in ("history latest", exported, "gate", "selftest --help", "chaos --help"):
            session.run(*harness, *words.split())
    session.run("python", "-m", "pip", "uninstall", "--yes", "--quiet", "restorebench")


@nox.session(default=False)
def constraints(session: nox.Session) -> None:
    """Write constraints.txt anew: the newest versions that the ranges in pyproject.toml admit."""
    session.install("uv")
    groups = [f"--group={name}" for name in PYPROJECT["dependency-groups"]]
    session.run(
        *("uv", "pip", "compile", "pyproject.toml", "--all-extras", *groups),
        *("--universal", "--python-version=3.11", "--generate-hashes", "--upgrade"),
        *("--no-emit-index-url", "--no-annotate", "--no-header", "--strip-extras"),
        *("--quiet", "--output-file=constraints.txt"),
    )


if __name__ == "__main__":
    nox.main()
