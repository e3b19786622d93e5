"""What a wheel holds: every package of the checkout, and every file that one of them reads."""

from __future__ import annotations

import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
SETUPTOOLS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "setuptools"
]
FOLDERS: dict[str, str] = SETUPTOOLS["package-dir"]
PEERS = CHECKOUT / "harness/engines/peers"  # their folders are files of this one package
SCENARIOS = "harness.generate.scenarios"

# What is made from sources, or is a source of what is made.
NOT_DATA = {".c", ".h", ".py", ".pyc", ".pyd", ".so"}


def packages() -> dict[str, Path]:
    """Return the folder of each package that should be in a wheel: of code, and of scenarios."""
    code = {
        ".".join(path.parent.relative_to(CHECKOUT).parts): path.parent
        for top in ("restore", "legacy", "harness")
        for path in (CHECKOUT / top).rglob("*.py")
        if "tests" not in path.parts and path.parent.parent != PEERS
    }
    scenarios = {
        f"{SCENARIOS}.{path.parent.name}": path.parent
        for path in CHECKOUT.glob("datasets/*/scenario.toml")
    }
    return {**code, **scenarios}


def test_a_wheel_holds_every_package() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages())


def test_a_package_stands_where_its_name_says_or_is_said_to() -> None:
    for name, folder in packages().items():
        assert CHECKOUT / FOLDERS.get(name, name.replace(".", "/")) == folder


def test_a_wheel_holds_every_file_that_a_package_reads() -> None:
    for name, folder in packages().items():
        patterns = SETUPTOOLS["package-data"].get(name, [])
        data = {path for path in folder.iterdir() if path.is_file()}
        data = {path for path in data if path.suffix not in NOT_DATA}
        held = {path for pattern in patterns for path in folder.glob(pattern)}
        assert data <= held, f"{name} leaves out {sorted(path.name for path in data - held)}"
        idle = [pattern for pattern in patterns if not list(folder.glob(pattern))]
        assert idle == [], f"{name}: nothing is called {idle}"
