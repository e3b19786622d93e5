"""What each peer does with what a backup may hold: from published runs, and from its own pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.engines.peers import catalog
from harness.report.blocks import escape
from harness.report.units import megabytes, rows_short, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.analysis.figures import RunFigures
    from harness.engines.peers.catalog import Peer
    from harness.model.record import Run

# Before the backup's own folder, which is named by its time.
_FOLDER = re.compile(r"/[^\s\"':]*/(?=\d{8}_\d{6}/)")
_LONGEST = 160
_HEAD = "| topic | behaviour | source |\n|---|---|---|\n"


def peer_facts(runs: Sequence[Run]) -> str:
    """Write for each peer how it is set up, and a table of what it does, as Markdown.

    Args:
        runs: the published runs: bad records and memory are taken from them.
    """
    parts: list[str] = []
    of_runs = [figures(run, reference=None) for run in runs]
    for folder in dict.fromkeys(catalog.folders().values()):
        peer = catalog.read(folder)
        parts += [f"## {peer.title}", f"{peer.about} [Documentation]({peer.homepage})."]
        parts.append("\n".join(f"- `{name}`: {each.about}" for name, each in peer.engines.items()))
        rows = (*_measured(peer, of_runs), *_cited(peer))
        parts += [_HEAD + "\n".join(f"| {' | '.join(row)} |" for row in rows)] if rows else []
    return "\n\n".join(parts) + "\n"


def _measured(peer: Peer, runs: Sequence[RunFigures]) -> Iterator[tuple[str, str, str]]:
    own = [each for each in runs if _has_tried(each, peer)]
    damaged = [each for each in own if each.run.dataset.faults != "none"]
    sound = [each for each in own if each.run.dataset.faults == "none"]
    for run in _smallest(damaged):
        said: Iterable[str] = (_damage(run, name) for name in peer.engines)
        if all(each.prepare for each in peer.engines.values()):
            said = ("none reach it: what it reads was made of the rows that could be restored",)
        yield from _row("bad records", said, run)
    for run in (*_smallest(sound), *_largest(sound)):
        said = (_memory(run, name) for name in peer.engines)
        yield from _row(f"memory at {rows_short(run.run.dataset.rows)} rows", said, run)


def _has_tried(of: RunFigures, peer: Peer) -> bool:
    tried = (of.engine(name) for name in peer.engines)
    return any(each is not None and each.attempted for each in tried)


def _row(what: str, said: Iterable[str], run: RunFigures) -> Iterator[tuple[str, str, str]]:
    if text := "; ".join(filter(None, said)):
        yield what, text, f"run {run.run.id}"


def _damage(run: RunFigures, engine: str) -> str:
    """Say how the engine's first trial of a damaged dataset ended, and what it restored."""
    found = run.engine(engine)
    if found is None or not found.attempted:
        return ""
    first = run.samples(engine).trials[0]
    why = "" if first.detail is None else f" ({escape(_short(first.detail))})"
    return f"`{engine}`: {first.status.value}, {share(found.success)} of the rows right{why}"


def _short(detail: str) -> str:
    """Cut a detail, and leave out the temporary folder of the trial."""
    without = _FOLDER.sub("", detail)
    return without if len(without) <= _LONGEST else f"{without[:_LONGEST]}..."


def _memory(run: RunFigures, engine: str) -> str:
    found = run.engine(engine)
    if found is None:
        return ""
    if found.peak_bytes is not None:
        return f"`{engine}`: {megabytes(found.peak_bytes.median)}"
    failed = run.failed(engine)
    return f"`{engine}`: {failed[0].status.value}" if failed else ""


def _smallest(runs: Sequence[RunFigures]) -> tuple[RunFigures, ...]:
    return (min(runs, key=_rows),) if runs else ()


def _largest(runs: Sequence[RunFigures]) -> tuple[RunFigures, ...]:
    return (max(runs, key=_rows),) if len({_rows(run) for run in runs}) > 1 else ()


def _rows(of: RunFigures) -> int:
    return of.run.dataset.rows


def _cited(peer: Peer) -> Iterator[tuple[str, str, str]]:
    for key in catalog.FACTS:
        if key in peer.facts:
            fact = peer.facts[key]
            yield key, fact.text, f"[{_site(fact.source)}]({fact.source})"


def _site(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].removeprefix("www.")
