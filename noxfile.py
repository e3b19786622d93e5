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
from pathlib import Path

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
def peers(session: nox.Session) -> None:
    """Make the environments of the peers, the other ways to restore: [PEER ...]."""
    install(session, extras=("harness",))
    session.run("python", "-m", "harness", "peers", "--install", *session.posargs)


@nox.session(name="bench-full", default=False)
def bench_full(session: nox.Session) -> None:
    """Measure all engines and peers, from 100,000 to 10 million rows, under all conditions."""
    install(session, extras=("legacy", "harness"))
    build(session)
    if "--engine" not in session.posargs:
        session.run("python", "-m", "harness", "peers", "--install")
    session.run("python", "-m", "harness", "bench-full", *session.posargs)


@nox.session(default=False)
def gate(session: nox.Session) -> None:
    """Fail if an engine regressed in time, memory or completeness."""
    install(session, extras=("legacy", "harness"))
    build(session)
    session.run("python", "-m", "harness", "gate", *session.posargs)


@nox.session(name="history-push", default=False)
def history_push(session: nox.Session) -> None:
    """Add recorded runs to the branch benchmarks: --results FOLDER [--remote URL]."""
    install(session)
    session.run("python", "-m", "harness", "history-push", *session.posargs)


@nox.session(name="history-fetch", default=False)
def history_fetch(session: nox.Session) -> None:
    """Copy the runs of the branch benchmarks into a folder: FOLDER [--remote URL]."""
    install(session)
    session.run("python", "-m", "harness", "history-fetch", *session.posargs)


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """Write runs to build/report/index.html, with charts: [RUN ...] [--results FOLDER]."""
    install(session, extras=("legacy", "harness"))
    session.run("python", "-m", "harness", "report", *session.posargs)


@nox.session(default=False)
def trends(session: nox.Session) -> None:
    """Write the trends of the history to build/trends/index.html: [--results FOLDER].

    Beside it, results.html shows the newest published runs.
    """
    install(session, extras=("legacy", "harness"))
    page = ("--out", "build/trends/index.html")
    session.run("python", "-m", "harness", "trends", *page, *session.posargs)
    for folder in sorted(Path("results").glob("????-??-??"))[-1:]:
        page = ("--out", "build/trends/results.html")
        session.run("python", "-m", "harness", "report", "--all", "--results", folder, *page)


@nox.session(name="pr-comment", default=False)
def pr_comment(session: nox.Session) -> None:
    """Compare two commits, and write the comment on it to build/comparison: BASE HEAD [OPTION ...].

    Fails as compare-commits does, once the comment is written.
    """
    install(session, extras=("legacy", "harness"), group="build")
    folder = Path("build/comparison")
    folder.mkdir(parents=True, exist_ok=True)
    data, text = folder / "comparison.json", folder / "comment.md"
    compare = ("compare-commits", *session.posargs, "--format", "json")
    with data.open("w", encoding="utf-8") as file:
        # The verdict is said by the next command's exit code, which is the same.
        codes = [0, 1, 3, 4]
        session.run(
            *("python", "-m", "harness", *compare), stdout=file, stderr=None, success_codes=codes
        )
    session.run("python", "-m", "harness", "pr-comment", data, "--out", text)


@nox.session(name="pr-comment-post", default=False)
def pr_comment_post(session: nox.Session) -> None:
    """Put the comparison of a workflow's run on its pull request: [--event FILE] [--api URL]."""
    install(session)
    session.run("python", "-m", "harness", "pr-comment-post", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the fast tests, or those that the arguments choose, against a real PostgreSQL."""
    install(session, extras=("dask", "legacy", "harness"), group="tests")
    build(session)
    # A process for each processor, each with a server of its own.
    processes = ("-n", "logical", "--maxprocesses", "8", "--dist", "loadgroup")
    durations = ("--durations", "25", "--durations-min", "1")
    session.run(
        *("python", "-m", "pytest", *processes, *durations),
        *(session.posargs or ("-m", "not slow")),
    )


@nox.session(name="tests-full", venv_backend="none", default=False)
def tests_full(session: nox.Session) -> None:
    """Run all tests, the slow ones too, in the environment of ``tests``."""
    session.notify("tests", ["-m", "", *session.posargs])  # of two -m, pytest takes the last


def build_sanitized(session: nox.Session, compiler: str, *flags: str) -> Path:
    """Build what is in C with sanitizers in a copy of the checkout, and return the copy.

    The checkout keeps its own build. A warning is an error, and so is a build that fails.
    """
    install(session, group="build")
    copy = Path(session.create_tmp()) / "checkout"
    shutil.rmtree(copy, ignore_errors=True)
    for name in ("restore", "harness"):
        shutil.copytree(name, copy / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("conftest.py", "pyproject.toml", "setup.py", "README.md"):
        shutil.copy(name, copy)
    warnings = ("-Wall", "-Wextra", "-Werror")
    sanitizers = ("-O1", "-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", *flags)
    env = {
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
        "CFLAGS": " ".join((*warnings, *sanitizers)),
    }
    with session.chdir(copy):
        session.run("python", "setup.py", "--quiet", "build_ext", "--inplace", env=env)
        if not any(path.suffix == ".so" for path in Path("restore/decode").iterdir()):
            session.error("restore.decode._native was not built: see the compiler's messages above")
    return copy


# Python's own allocator would hide what is read behind the end of an object; what the interpreter
# itself never frees is no leak of ours.
SANITIZED = {
    "PYTHONMALLOC": "malloc",
    "ASAN_OPTIONS": "detect_leaks=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


@nox.session(default=False)
def sanitize(session: nox.Session) -> None:
    """Run the tests of what is in C under ASan and UBSan, with gcc; each allocation fails once."""
    install(session, extras=("harness",), group="tests")
    flags = ("-fsanitize=address,undefined", "-include restore/decode/native/fail.h")
    copy = build_sanitized(session, "gcc", *flags)
    libraries = [
        str(session.run("gcc", f"-print-file-name={name}", external=True, silent=True)).strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    env = SANITIZED | {
        "LD_PRELOAD": " ".join(libraries),
        "RESTOREBENCH_REQUIRE_NATIVE": "1",
        "RESTOREBENCH_SANITIZED": "1",
    }
    names = ("decode/test_native", "decode/test_native_memory", "constraints/test_origins")
    tests = [f"restore/tests/{name}.py" for name in names]
    with session.chdir(copy):
        # Output is captured in Python alone: a sanitizer's report goes to where it is seen.
        session.run(
            *("python", "-m", "pytest", "-n", "logical", "--maxprocesses", "8"),
            *("--capture=sys", *(session.posargs or tests)),
            env=env,
        )


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Fuzz the reader, the packer or the finder, guided by coverage: TARGET FOLDER [OPTION ...].

    The options are libFuzzer's. What is in C is built with clang, for its coverage.
    """
    install(session, group="fuzz")
    clang = next(filter(shutil.which, ("clang", *(f"clang-{n}" for n in range(22, 13, -1)))), None)
    if clang is None:
        session.error("fuzzing needs clang: install it (Debian: clang-16 libclang-rt-16-dev)")
    flag = "-fsanitize=address,undefined,fuzzer-no-link"
    copy = build_sanitized(session, clang, flag)
    where = "import atheris; print(atheris.path())"
    runtime = session.run("python", "-c", where, silent=True)
    env = SANITIZED | {
        "LD_PRELOAD": f"{str(runtime).strip()}/asan_with_fuzzer.so",
        "PYTHONPATH": str(copy.absolute()),
    }
    guided = copy / "restore/tests/fuzz/guided.py"
    session.run("python", guided, *session.posargs, env=env)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Write the parts of the documentation that are made from the code."""
    install(session, extras=("dask", "legacy", "harness"), group="tests")
    session.run("python", "-m", "harness.tests.docs.generate")


@nox.session(name="bench-micro", default=False)
def bench_micro(session: nox.Session) -> None:
    """Measure what is done for every record, with pytest-benchmark."""
    install(session, extras=("dask", "legacy", "harness"), group="tests")
    build(session)
    session.run(
        *("python", "-m", "pytest", "-o", "addopts=--import-mode=importlib", "--benchmark-only"),
        *("--benchmark-save-data", "restore/tests/load/test_hot_paths.py", *session.posargs),
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, which package may import which, and what workflows may do."""
    install(session, group="lint")
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)
    session.run("lint-imports")
    session.run("zizmor", "--offline", "--quiet", ".github/workflows")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, strictly."""
    install(session, extras=("dask", "legacy", "harness"), group="tests")
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
        harness = ("db-restore-benchmark",)
        session.run(*harness, "bench", "--rows", "5000", "--rounds", "1")
        for script in ("db-restore", "db-restore-optimized", *harness):
            session.run(script, "--help", silent=True)
        exported = "history latest --format pytest-benchmark"
        for words in ("history latest", exported, "gate", "selftest --help", "chaos --help"):
            session.run(*harness, *words.split())
    session.run("python", "-m", "pip", "uninstall", "--yes", "--quiet", "restorebench")


# What uv compiles: for each platform and Python, with hashes, without the index's address.
COMPILED = (
    *("--universal", "--python-version=3.11", "--generate-hashes", "--upgrade"),
    *("--no-emit-index-url", "--no-annotate", "--no-header", "--strip-extras", "--quiet"),
)


@nox.session(default=False)
def constraints(session: nox.Session) -> None:
    """Write constraints.txt and the peers' requirements.txt anew, with the newest of the ranges."""
    session.install("uv")
    groups = [f"--group={name}" for name in PYPROJECT["dependency-groups"]]
    session.run(
        *("uv", "pip", "compile", "pyproject.toml", "--all-extras", *groups),
        *COMPILED,
        "--output-file=constraints.txt",
    )
    for peer in sorted(Path("harness/engines/peers").glob("*/requirements.in")):
        output = f"--output-file={peer.with_suffix('.txt')}"
        session.run("uv", "pip", "compile", str(peer), *COMPILED, output)


if __name__ == "__main__":
    nox.main()
