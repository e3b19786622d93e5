"""``scale`` as it is typed: what it prints, and what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli.app import main
from harness.cli.values import speed_bytes_s
from harness.model.errors import InputError
from harness.scale.costs import load, save
from harness.tests.docs.pages import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def predicted(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["scale", "--format", "json", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_prediction_says_the_time_the_bound_and_the_next_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--rows", "1B", "--server-cores", "2", "--client-cores", "2", "--disk", "9GB/s")
    found = predicted(capsys, *words)
    assert (found["rows"], found["jobs"], found["bound"]) == (1_000_000_000, 2, "server")
    assert found["wall_s"] > found["loaded_s"] > 0
    assert sum(found["bound_s"].values()) == pytest.approx(found["wall_s"])
    assert 0.9 < found["used"]["server"] <= 1
    assert found["step"]["name"] == "4 server cores and --jobs 4"
    assert main(["scale", *words]) == 0
    table = capsys.readouterr().out
    assert "1B records, a server of 2 cores" in " ".join(table.split())
    assert "Bound by server CPU. The longest build is index" in " ".join(table.split())
    assert "Next step: 4 server cores and --jobs 4" in " ".join(table.split())


def test_what_is_narrow_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    many = ("--server-cores", "64", "--memory", "4096GiB")
    assert predicted(capsys, *many, "--network", "100Mbit")["bound"] == "network"
    assert predicted(capsys, *many, "--disk", "100MB/s")["bound"] == "disk"
    slow = predicted(capsys, *many, "--client-cores", "1", "--compress", "gz")
    assert slow["bound"] in {"client", "decompression"}
    alone = predicted(capsys, "--machines", "0", "--server-cores", "2", "--disk", "9GB/s")
    assert alone["used"]["client"] is None
    assert alone["step"]["name"] == "4 server cores and --jobs 4"


def test_log_costs_time(capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--rows", "10M", "--server-cores", "2")
    replica, minimal = (
        predicted(capsys, *few, "--wal-level", level)["wall_s"] for level in ("replica", "minimal")
    )
    assert replica > minimal


def test_other_costs_make_other_predictions(
    capsys: pytest.CaptureFixture[str], make_costs: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "costs.json"
    save(make_costs(), path)
    own = predicted(capsys, "--rows", "1M", "--jobs", "1", "--costs", str(path))
    # 2.5 us of the server for a record, with WAL.
    assert own["wall_s"] == pytest.approx(2.5)
    assert load(path) == make_costs()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--server-cores", "0"), "--server-cores is out of range; write 1 or more"),
        (("--machines", "-1"), "--machines is out of range; write 0 or more"),
        (("--jobs", "0"), "--jobs is out of range; write 1 to 1000"),
        (("--jobs", "100000"), "--jobs is out of range; write 1 to 1000"),
        (("--calibrate", "results"), "--calibrate needs --measure"),
        (("--rows", "-5"), "--rows is out of range; write 0 or more"),
        (("--network", "fast"), "'fast' is not a speed; write a number and its unit"),
        (("--disk", "0MB/s"), "'0MB/s' is not a speed"),
        (("--memory", "much"), "'much' is not a size"),
        (("--costs", "none.json"), "cannot read the costs none.json"),
        (("--measure",), "--measure needs a file for the costs; name it by --costs FILE"),
        (("--measure", "--costs", "x", "--rows", "5"), "--rows 5 is too few"),
        (
            (
                "--measure",
                "--costs",
                "x",
                "--rows",
                "20k",
                "--calibrate",
                str(CHECKOUT / "results"),
            ),
            "--calibrate has no restores of 2,000 and 20,000 records",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(
    words: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["scale", *words]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("text", "speed"),
    [("10Gbit", 1.25e9), ("100 Mbit/s", 12.5e6), ("500MB/s", 5e8), ("1GiB", 1 << 30)],
)
def test_speeds_are_bits_or_bytes_a_second(text: str, speed: float) -> None:
    assert speed_bytes_s(text) == speed


def test_what_is_no_speed() -> None:
    with pytest.raises(InputError, match="'10' is not a speed"):
        speed_bytes_s("10")
