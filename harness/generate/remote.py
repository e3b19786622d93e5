"""Datasets in object stores: generated locally, and uploaded through fsspec."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.generate.dataset import generate
from harness.generate.scenario import load_scenario
from harness.model.errors import HarnessError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.generate.spec import DatasetSpec
    from harness.generate.writer import Progress

# By itself sshfs trusts every host; these are those of the user.
_OPTIONS: dict[str, dict[str, Any]] = {scheme: {"known_hosts": ()} for scheme in ("sftp", "ssh")}


def generate_remote(
    spec: DatasetSpec,
    url: str,
    *,
    progress: Progress | None = None,
    processes: int | None = None,
    executor: str | None = None,
) -> str:
    """Generate a dataset in a store; its bytes are those of a local one.

    Args:
        spec: Its arguments.
        url: The parent of its folder: ``s3://bucket/datasets``.
        progress: Called with the number of records written since the last call.
        processes: Number of worker processes; None for one per processor.
        executor: The Dask cluster that makes the records instead.

    Returns:
        The URL of the dataset.

    Raises:
        InputError: fsspec or the store's package is not installed, or the dataset exists already.
        HarnessError: It could not be written.
    """
    _check_url(url)
    shown = f"{url.rstrip('/')}/{load_scenario(spec.scenario).stamp}"
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra

        with _store_errors(shown):
            filesystem, folder = url_to_fs(shown, **_OPTIONS.get(url.partition(":")[0], {}))
            exists = filesystem.exists(f"{folder}/manifest.json")
    except (ImportError, ValueError) as error:
        raise InputError(
            f"cannot write {url}: {error}; install the store's package, as docs/remote.md says"
        ) from error
    if exists:
        raise InputError(f"{shown} exists already; give another folder")
    with tempfile.TemporaryDirectory(prefix="dataset-") as local:
        made = generate(
            spec, Path(local), progress=progress, processes=processes, executor=executor
        )
        with _store_errors(shown):
            # The manifest comes last: a dataset that has one is whole.
            for file in sorted(made.iterdir(), key=lambda file: file.name == "manifest.json"):
                filesystem.put_file(str(file), f"{folder}/{file.name}")
    return shown


def _check_url(url: str) -> None:
    """Raise if nothing can be written to a URL, or if it holds a secret, which would be shown.

    Raises:
        InputError: it is so.
    """
    kind, _, place = url.partition("://")
    if kind in {"http", "https"}:
        raise InputError("nothing can be written to a web server; give the URL of a store")
    if set("?#") & set(place) or ":" in place.partition("/")[0].rpartition("@")[0]:
        raise InputError(
            "a URL for --out may hold no query and no password; set the credentials as the store's"
            " own tools take them"
        )


@contextlib.contextmanager
def _store_errors(shown: str) -> Iterator[None]:
    """Raise HarnessError for what a store's package raises, whichever class that is of."""
    try:
        yield
    except (ImportError, ValueError):
        raise
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise HarnessError(
            f"cannot write {shown}: {said}; check the URL and the credentials"
        ) from error
