"""The command in a process of its own, without the half second in which Python imports it.

The process is a copy of one that has imported everything, and has its own streams, signals, memory
and exit code. How ``python -m restore`` starts is for ``test_command.py`` to test.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from restore.cli.main import main
from restore.decode import packer

TIMEOUT_S = 120

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


class Done(NamedTuple):
    """How the command ended, and what it said."""

    exit_code: int
    output: str
    errors: str


def run(*words: str) -> Done:
    """Run the command, in this environment and folder.

    Raises:
        TimeoutError: it did not end in two minutes.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        place = (Path.cwd(), dict(os.environ), output, errors)
        process = _context.Process(target=_main, args=(words, *place, packer.IS_BUILT))
        process.start()
        process.join(TIMEOUT_S)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(errors.read_text(encoding="utf-8"))
        code = process.exitcode
        process.close()
        return Done(code, output.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8"))


def _main(  # noqa: PLR0917 - all that the copy of a process lacks
    words: tuple[str, ...],
    folder: Path,
    environment: dict[str, str],
    output: Path,
    errors: Path,
    is_built: bool,  # noqa: FBT001
) -> None:
    packer.IS_BUILT = is_built
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, stream in ((output, sys.stdout), (errors, sys.stderr)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    sys.exit(main(words))
