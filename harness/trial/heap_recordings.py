"""Reads what memray recorded of an engine's processes, and draws its flame graph."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.engines.registry import ROOT
from harness.model.record import HeapFunction
from harness.trial import output as said
from harness.trial.heap_site import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

# How many functions are kept of each engine, those that held the most.
MAX_FUNCTIONS = 10

# Drawing takes seconds; only what hangs takes so long.
_DRAW_TIMEOUT_S = 600

# Of what it says when it fails, so much is kept: the end.
_LAST = 200

_LIBRARY = re.compile(r"[^\s\"'<>]*/lib(?:64)?/python3\.\d+/(?:(?:site|dist)-packages/)?")

_FOLDERS = re.compile(r"(?<=[\s\"'=>])/(?:[^\s/\"'<>]+/)+")
_FROZEN = re.compile(r"<frozen (.+)>")

Location = tuple[str, str, int]  # function, file, line
_NO_FRAME: Location = ("(outside of Python)", "", 0)


@dataclass(frozen=True, slots=True)
class Recording:
    """What one process held on its heap when that was largest, by the line that asked for it."""

    path: Path
    peak_bytes: int
    allocations: int
    locations: Counter[Location]


def recordings(folder: Path) -> tuple[tuple[Recording, ...], int]:
    """Read a folder of recordings; return them, and how many there are that cannot be read."""
    read, unreadable = [], 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        found = _read(path)
        if found is None:
            unreadable += 1
        else:
            read.append(found)
    return tuple(read), unreadable


def functions(of: Sequence[Recording]) -> tuple[HeapFunction, ...]:
    """Return the functions that held the most, over all processes, each with its worst line."""
    locations: Counter[Location] = Counter()
    for recording in of:
        locations.update(recording.locations)
    held: Counter[tuple[str, str]] = Counter()
    lines: dict[tuple[str, str], int] = {}
    for (function, file, line), size_bytes in locations.most_common():
        held[function, file] += size_bytes
        lines.setdefault((function, file), line)
    return tuple(
        HeapFunction(
            function=function,
            file=without_folder(file) or None,
            line=lines[function, file] or None,
            bytes=size_bytes,
        )
        for (function, file), size_bytes in held.most_common(MAX_FUNCTIONS)
    )


def draw(of: Recording, flame_graph: Path, secrets: Sequence[str]) -> str | None:
    """Draw a flame graph, a page that needs no network; return what went wrong, if something did.

    Args:
        of: the recording.
        flame_graph: the page to write.
        secrets: what must not stand in it; nor do this machine's folders.
    """
    try:
        _draw(of, flame_graph)
        page = flame_graph.read_text(encoding="utf-8")
        lines = (_redacted(line, of, secrets) for line in page.splitlines(keepends=True))
        flame_graph.write_text("".join(lines), encoding="utf-8")
    except (OSError, subprocess.SubprocessError) as error:
        flame_graph.unlink(missing_ok=True)  # it may hold what must not be kept
        words = getattr(error, "stderr", None) or str(error).encode()
        return said.redact(" ".join(words.decode(errors="replace").split()), secrets)[-_LAST:]
    return None


def _draw(of: Recording, flame_graph: Path) -> None:
    options = ("--no-web", "--force", "--output", str(flame_graph), str(of.path))
    subprocess.run(  # noqa: S603 - our interpreter, with memray
        [sys.executable, "-P", "-m", "memray", "flamegraph", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,  # a Ctrl-C at the terminal is the harness's to handle
        timeout=_DRAW_TIMEOUT_S,
        check=True,
    )


def without_folder(file: str) -> str:
    """Name a file of code as it is anywhere: from the library or the project on, or by its name."""
    library = _LIBRARY.match(file)
    if library:
        return file[library.end() :]
    for folder in (ROOT, Path.cwd()):
        if file.startswith(f"{folder}/"):
            return file[len(str(folder)) + 1 :]
    frozen = _FROZEN.fullmatch(file)
    if frozen:
        return frozen[1]
    return file if file.startswith("<") else Path(file).name


def _read(path: Path) -> Recording | None:
    import memray  # noqa: PLC0415 - need not be there, where it is not asked for

    locations: Counter[Location] = Counter()
    try:
        with memray.FileReader(path) as reader:
            metadata = reader.metadata
            for record in reader.get_high_watermark_allocation_records(merge_threads=True):
                frames = record.stack_trace(max_stacks=1)
                locations[frames[0] if frames else _NO_FRAME] += record.size
    except (OSError, RuntimeError):  # it is none, or is torn
        return None
    return Recording(path, metadata.peak_memory, metadata.total_allocations, locations)


def _redacted(line: str, of: Recording, secrets: Sequence[str]) -> str:
    """Take folders and passwords out of a line that has what was seen; the others are memray's."""
    if "Command line:" in line:
        # What was run stands behind what has it traced.
        _, _, command = line.partition(f"{of.path} ")
        line = f"          Command line: <code>{said.redact(command or '</code><br>', secrets)}"
    elif "const packed_data" not in line:
        return line
    for secret in secrets:
        line = line.replace(secret, said.HIDDEN)
    line = said.without_folders(line, ROOT, Path.cwd())
    return _FOLDERS.sub("", _LIBRARY.sub("", line))
