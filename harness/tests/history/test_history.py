"""The history keeps every run whole, whatever befalls its files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.history.codec import UPGRADES, decode, json_schema
from harness.history.store import MAX_FILE_BYTES, History, file_name, new_id, open_history
from harness.model.errors import HistoryError, InputError
from harness.model.record import NO_REPORT, SCHEMA_VERSION, Curve

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Run, Trial

CHECKOUT = Path(__file__).parents[3]

# Writes one run again and again, each time with one trial more, until it is killed.
WRITER = """
import itertools, msgspec, sys
from pathlib import Path
from harness.history.store import History
from harness.model.record import Run
history = History(Path(sys.argv[1]))
run = msgspec.json.decode(sys.stdin.buffer.read(), type=Run)
for number in itertools.count(500):
    history.write(msgspec.structs.replace(run, trials=run.trials * number))
    print(number, flush=True)
"""


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "results")


def test_a_run_reads_back_as_it_was_written(
    history: History, make_run: Callable[..., Run], make_trial: Callable[..., Trial]
) -> None:
    run = make_run(make_trial("restore", 1.5, report=msgspec.Raw(b'{"schema":1}')))
    path = history.write(run)
    assert path.name == "20240506T070809Z-aaaa0001.json" == file_name(run)
    (read,) = history.runs().runs
    assert json.loads(bytes(read.trials[0].report)) == {"schema": 1}
    bare = [
        msgspec.structs.replace(trial, report=NO_REPORT) for trial in (*run.trials, *read.trials)
    ]
    assert bare[0] == bare[1]
    assert msgspec.structs.replace(read, trials=()) == msgspec.structs.replace(run, trials=())


def test_the_points_of_a_curve_stand_on_one_line(
    history: History, make_run: Callable[..., Run], make_trial: Callable[..., Trial]
) -> None:
    curve = Curve(at_s=(0.01, 1.5e-05, 2.0), bytes=(1, 2, 30))
    said = msgspec.Raw(b'{"text":"[\\n1,\\n2\\n]","none":[],"one":[7],"mixed":[1,"2"]}')
    path = history.write(make_run(make_trial("restore", 1.5, curve=curve, report=said)))
    lines = [line.strip() for line in path.read_text().splitlines()]
    assert '"at_s": [0.01, 0.000015, 2.0],' in lines or '"at_s": [0.01, 1.5e-5, 2.0],' in lines
    assert '"bytes": [1, 2, 30]' in lines
    (read,) = history.runs().runs
    assert read.trials[0].curve == curve
    assert json.loads(bytes(read.trials[0].report)) == json.loads(bytes(said))


def test_the_name_of_a_file_is_in_utc(make_run: Callable[..., Run]) -> None:
    run = make_run(started_at="2024-05-06T01:00:00+02:00")
    assert file_name(run).startswith("20240505T230000Z-")


def test_a_run_is_written_trial_by_trial_into_one_file(
    history: History, make_run: Callable[..., Run], make_trial: Callable[..., Trial]
) -> None:
    first, second = make_trial("legacy", 9.0), make_trial("restore", 1.0)
    history.write(make_run(finished_at=None))
    history.write(make_run(first, finished_at=None))
    history.write(make_run(first, second))
    assert [run.trials for run in history.runs().runs] == [(first, second)]
    assert len(list(history.root.iterdir())) == 1


def test_a_finished_run_never_changes(history: History, make_run: Callable[..., Run]) -> None:
    history.write(make_run())
    with pytest.raises(HistoryError, match="aaaa0001 is finished"):
        history.write(make_run(finished_at=None))


@pytest.mark.slow
def test_no_reader_sees_half_a_run_not_even_after_a_kill(
    history: History, make_run: Callable[..., Run], make_trial: Callable[..., Trial]
) -> None:
    run = make_run(make_trial("restore", 1.0), finished_at=None)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(history.root)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write(msgspec.json.encode(run))
        writer.stdin.close()
        writer.stdout.readline()
        seen = [history.runs() for _ in range(100)]
        writer.send_signal(signal.SIGKILL)
    seen.append(history.runs())
    assert [listing.unreadable for listing in seen if listing.unreadable] == []
    assert all(len(listing.runs[0].trials) >= 500 for listing in seen)


def test_runs_stand_in_the_order_of_their_start(
    history: History, make_run: Callable[..., Run]
) -> None:
    history.write(make_run(id="zzzz", started_at="2024-01-01T10:00:00Z"))
    history.write(make_run(id="mmmm", started_at="2024-01-01T11:00:00+02:00"))
    history.write(make_run(id="aaaa", started_at="2024-01-01T12:00:00.5Z"))
    assert [run.id for run in history.runs().runs] == ["mmmm", "zzzz", "aaaa"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a valid record"),
        (b"\xff\xfe", "not a valid record"),
        (b'{"schema": 1, "id": "half', "not a valid record"),
        (b"[]", "not a valid record"),
        (b'{"schema": 99}', "schema 99 is not one of 1"),
        (b'{"schema": 1, "id": "aaaa"}', "missing required field"),
        (b'{"schema": 2, "trials": %b' % (b"[" * 200_000), "recursion"),
        (b" " * (MAX_FILE_BYTES + 1), "larger than 16,000,000 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_left_out(
    history: History, make_run: Callable[..., Run], content: bytes, reason: str
) -> None:
    history.write(make_run())
    damaged = history.root / "damaged.json"
    damaged.write_bytes(content)
    listing = history.runs()
    assert [run.id for run in listing.runs] == ["aaaa0001"]
    (unreadable,) = listing.unreadable
    assert unreadable.path == damaged
    assert reason in str(unreadable)


def test_a_named_pipe_is_left_out_without_waiting_for_a_writer(
    history: History, make_run: Callable[..., Run]
) -> None:
    history.write(make_run())
    os.mkfifo(history.root / "pipe.json")
    listing = history.runs()
    assert [run.id for run in listing.runs] == ["aaaa0001"]
    assert [unreadable.reason for unreadable in listing.unreadable] == [
        "cannot be read (Is a named pipe)"
    ]


@pytest.mark.parametrize(
    "field",
    [
        '"id": "../../etc"',
        '"started_at": "yesterday"',
        '"started_at": "0001-01-01T00:00:00+14:00"',
        f'"parameters": {{"jobs": {"9" * 400}}}',
        f'"parameters": {{"jobs": -{"9" * 400}}}',
        '"trials": [{"status": "lucky"}]',
    ],
)
def test_a_record_with_a_senseless_value_is_left_out(
    history: History, make_run: Callable[..., Run], field: str
) -> None:
    content = json.loads(history.write(make_run()).read_text())
    content.update(json.loads(f"{{{field}}}"))
    (history.root / "odd.json").write_text(json.dumps(content))
    assert [each.path.name for each in history.runs().unreadable] == ["odd.json"]


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ('"wall_s": -1.0', "wall_s"),
        ('"wall_s": 0', "wall_s"),
        ('"wall_s": NaN', "not a valid record"),
        ('"user_s": -0.5', "user_s"),
        ('"peak_bytes": -5', "peak_bytes"),
        ('"total_peak_bytes": 0', "total_peak_bytes"),
        ('"round": -1', "round"),
        ('"curve": {"at_s": [0, 1], "bytes": [1]}', "2 times and 1 values"),
        ('"cpu_curve": {"at_s": [], "cpu_ms": []}', "0 times and 0 values"),
        ('"curve": {"at_s": [-1], "bytes": [1]}', "at_s"),
        ('"tables": [{"found": 5, "expected": 4, "right": 5}]', "5 rows are right of 4"),
        ('"tables": [{"found": -4, "expected": 5}]', "found"),
    ],
)
def test_a_record_with_an_impossible_figure_is_left_out(
    history: History,
    make_run: Callable[..., Run],
    make_trial: Callable[..., Trial],
    figures: str,
    reason: str,
) -> None:
    path = history.write(make_run(make_trial("restore", 1.0)))
    content = json.loads(path.read_text())
    changed = json.loads(f"{{{figures}}}")
    for table in changed.get("tables", ()):
        table.update(table="users", checksum_match=True)
    content["trials"][0].update(changed)
    path.write_text(json.dumps(content))
    listing = history.runs()
    assert listing.runs == ()
    assert reason in listing.unreadable[0].reason


def test_of_two_files_of_one_run_the_older_is_named_and_left_out(
    history: History, make_run: Callable[..., Run]
) -> None:
    old = history.write(make_run())
    new = history.write(make_run(started_at="2024-06-01T00:00:00Z"))
    listing = history.runs()
    assert [run.started_at for run in listing.runs] == ["2024-06-01T00:00:00Z"]
    assert [each.path for each in listing.unreadable] == [old]
    assert f"{new.name} has the same id" in str(listing.unreadable[0])


def test_an_invalid_run_is_never_written(history: History, make_run: Callable[..., Run]) -> None:
    with pytest.raises(HistoryError, match="cannot be recorded"):
        history.write(make_run(parameters={"rounds": {"not": "flat"}}))
    with pytest.raises(HistoryError, match="letters, digits"):
        history.write(make_run(id="../../outside"))
    assert not history.root.exists()


def test_what_cannot_be_written_is_said_in_a_line(
    tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    (tmp_path / "results").write_text("a file where a folder should be")
    with pytest.raises(HistoryError, match=r"cannot write the run to .*--results"):
        History(tmp_path / "results").write(make_run())


def test_a_history_that_does_not_exist_is_empty(history: History) -> None:
    assert history.runs().runs == ()


def test_local_and_published_runs_stand_in_one_list(
    tmp_path: Path, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    History(Path("results")).write(make_run(id="publ"))
    open_history().write(make_run(id="loca", started_at="2024-06-01T00:00:00Z"))
    assert [run.id for run in open_history().runs().runs] == ["publ", "loca"]
    names = sorted(path.name for path in Path("results").iterdir())
    assert names == ["20240506T070809Z-publ.json", "local"]


@pytest.mark.parametrize("name", ["latest", "bbbb0002", "bbbb", "20240507", "20240507T000000Z-b"])
def test_a_run_is_found_by_what_its_id_or_file_begins_with(
    history: History, make_run: Callable[..., Run], name: str
) -> None:
    history.write(make_run())
    history.write(make_run(id="bbbb0002", started_at="2024-05-07T00:00:00Z"))
    assert history.find(name).id == "bbbb0002"


def test_a_run_that_is_not_there_brings_the_near_ones(
    history: History, make_run: Callable[..., Run]
) -> None:
    with pytest.raises(InputError, match="the history is empty"):
        history.find()
    history.write(make_run())
    history.write(make_run(id="aaaa0002"))
    with pytest.raises(InputError, match=r"did you mean .*aaaa0001"):
        history.find("aaab0001")
    with pytest.raises(InputError, match="the newest are aaaa0002, aaaa0001"):
        history.find("xyz")
    with pytest.raises(InputError, match="several runs: aaaa0001, aaaa0002"):
        history.find("aaaa")
    with pytest.raises(InputError, match="no run ''"):
        history.find("")


def test_a_new_id_is_short_and_valid(history: History, make_run: Callable[..., Run]) -> None:
    assert len({new_id() for _ in range(100)}) == 100
    assert history.write(make_run(id=new_id())).exists()


def test_runs_of_the_first_schema_are_read() -> None:
    """The published run of that time is one; what it lacked is unknown, and its report is whole."""
    path = CHECKOUT / "results" / "20261125T032209Z-064e9b94.json"
    old = msgspec.json.decode(path.read_bytes())
    assert old["schema"] == 1
    run = decode(path.read_bytes())
    assert run.schema == SCHEMA_VERSION
    assert len(run.trials) == len(old["trials"])
    assert all(trial.noise is None and not trial.repeated for trial in run.trials)
    assert msgspec.json.decode(run.trials[0].report) == old["trials"][0]["report"]


def test_every_older_schema_can_be_read() -> None:
    assert list(UPGRADES) == list(range(1, SCHEMA_VERSION))


def test_the_published_schema_is_that_of_the_records() -> None:
    """Write it with ``python -m harness history --schema``."""
    assert (CHECKOUT / "docs" / "run.schema.json").read_bytes() == json_schema()
