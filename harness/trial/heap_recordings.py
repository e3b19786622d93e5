"""Reads memray's recordings of an engine's processes, and draws a flame graph."""

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
from harness.trial import output
from harness.trial.heap_site import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

# So many functions are recorded of each engine: those that held most.
MAX_FUNCTIONS = 10

# Drawing takes seconds; longer means that it hangs.
_DRAW_TIMEOUT_S = 600

# Characters kept of its error message, from the end.
_LAST = 200

_LIBRARY = re.compile(r"[^\s\"'<>]*/lib(?:64)?/python3\.\d+/(?:(?:site|dist)-packages/)?")

_FOLDERS = re.compile(r"(?<=[\s\"'=>])/(?:[^\s/\"'<>]+/)+")
_FROZEN = re.compile(r"<frozen (.+)>")

Location = tuple[str, str, int]  # function, file, line
_NO_FRAME: Location = ("(outside of Python)", "", 0)


@dataclass(frozen=True, slots=True)
class Recording:
    """The heap of one process at its peak, by the line that allocated it."""

    path: Path
    peak_bytes: int
    allocations: int
    locations: Counter[Location]


def recordings(folder: Path) -> tuple[tuple[Recording, ...], int]:
    """Read a folder of recordings; return them, and the number that cannot be read."""
    read, unreadable = [], 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        found = _read(path)
        if found is None:
            unreadable += 1
        else:
            read.append(found)
    return tuple(read), unreadable


def functions(of: Sequence[Recording]) -> tuple[HeapFunction, ...]:
    """Return the functions that held most over all processes, each with its largest line."""
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
    """Draw a flame graph as a self-contained page; return the error, if any.

    Args:
        of: the recording.
        flame_graph: the page to write.
        secrets: texts to remove from the page, as this machine's folders are.
    """
    try:
        _draw(of, flame_graph)
        page = flame_graph.read_text(encoding="utf-8")
        lines = (_redacted(line, of, secrets) for line in page.splitlines(keepends=True))
        flame_graph.write_text("".join(lines), encoding="utf-8")
    except (OSError, subprocess.SubprocessError) as error:
        flame_graph.unlink(missing_ok=True)  # it may hold secrets
        words = getattr(error, "stderr", None) or str(error).encode()
        return output.redact(" ".join(words.decode(errors="replace").split()), secrets)[-_LAST:]
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
    """Return a source file's path relative to the library or project, or else its name."""
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
    import memray  # noqa: PLC0415 - optional

    locations: Counter[Location] = Counter()
    try:
        with memray.FileReader(path) as reader:
            metadata = reader.metadata
            for record in reader.get_high_watermark_allocation_records(merge_threads=True):
                frames = record.stack_trace(max_stacks=1)
                locations[frames[0] if frames else _NO_FRAME] += record.size
    except (OSError, RuntimeError):  # no recording, or truncated
        return None
    return Recording(path, metadata.peak_memory, metadata.total_allocations, locations)


def _redacted(line: str, of: Recording, secrets: Sequence[str]) -> str:
    """Remove folders and passwords from the lines that hold recorded data."""
    if "Command line:" in line:
        # The engine's command follows memray's own.
        _, _, command = line.partition(f"{of.path} ")
        line = f"          Command line: <code>{output.redact(command or '</code><br>', secrets)}"
    elif "const packed_data" not in line:
        return line
    for secret in secrets:
        line = line.replace(secret, output.HIDDEN)
    line = output.without_folders(line, ROOT, Path.cwd())
    return _FOLDERS.sub("", _LIBRARY.sub("", line))
