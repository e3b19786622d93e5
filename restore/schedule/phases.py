"""Phases of one table's load: what comes next, and whether the table may be emptied.

The journal keeps the phase; everything else follows from what this process has loaded.

- ``loading``: indexes may be dropped, and shards of the file are loaded in any order;
- ``ordered``: indexes are in place, and the file is loaded from its start to its end;
- ``loaded``: all records are decided, except by indexes that are not built yet;
- ``reloaded``: the same, after ``ordered``: the indexes were in place;
- ``taken``: rows with duplicate keys were taken out, and not all of them are decided again;
- ``finished``: all indexes are in place;
- ``retried``: rejects that only the order of the load kept out are loaded, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

if TYPE_CHECKING:
    from restore.journal.store import Phase

Event = Literal["loaded", "taken", "finished", "interrupted", "misread", "refused", "retried"]
Step = Literal["load", "reload", "finish", "nothing"]

# What happened to a table in a phase, and the phase that it is in then. ``interrupted``: the
# restore ended while duplicates were decided; ``misread``: a shard did not end where the next one
# began; ``refused``: a row does not fit an index that was built after the load.
_NEXT: dict[tuple[Phase, Event], Phase] = {
    ("loading", "loaded"): "loaded",
    ("loading", "misread"): "loading",
    ("ordered", "loaded"): "reloaded",
    ("loaded", "taken"): "taken",
    ("loaded", "refused"): "ordered",
    ("loaded", "finished"): "finished",
    ("reloaded", "finished"): "finished",
    ("taken", "interrupted"): "ordered",
    ("taken", "refused"): "ordered",
    ("taken", "finished"): "finished",
    ("finished", "finished"): "finished",  # foreign keys have taken rows out
    ("finished", "retried"): "retried",
}
# After these the table is loaded from the beginning, so its rows have to go first.
_EMPTYING: frozenset[Event] = frozenset({"interrupted", "misread", "refused"})


class PhaseTracker(Struct):
    """Tracks the phase of one table's load, and which of its shards are loaded.

    Args:
        append: the table held rows before, which are the user's.
        journaled: the journal lists the transactions that wrote the table's rows, so it is known
            whether all of them are this restore's.
        phase: where the load begins, or is resumed.
    """

    append: bool = False
    journaled: bool = False
    phase: Phase = "loading"
    _taken: set[int] = field(default_factory=set)
    _ended: dict[int, bool] = field(default_factory=dict)
    _all_taken: bool = False

    @property
    def may_be_emptied(self) -> bool:
        """Tell whether the restore may empty the table of its own accord.

        Never if the user's rows were there before. If it may, every row still has to be its own,
        which is checked row by row in the transaction that empties it: see ``empty_own_rows``.
        """
        return self.journaled and not self.append

    @property
    def next_step(self) -> Step:
        """The next step of the load."""
        if self.phase in {"finished", "retried"}:
            return "nothing"
        if self.phase not in {"loading", "ordered"}:
            return "finish"
        if not self.is_read:
            return "load"
        return "finish" if self.boundaries_hold else "reload"

    @property
    def is_read(self) -> bool:
        """Tell whether all shards are loaded."""
        return self._all_taken and self._ended.keys() == self._taken

    @property
    def boundaries_hold(self) -> bool:
        """Tell whether each loaded shard ended where the next one begins."""
        return all(self._ended.values())

    def may(self, event: Event) -> bool:
        """Tell whether the load can go on after an event."""
        possible = (self.phase, event) in _NEXT
        return possible and (event not in _EMPTYING or self.may_be_emptied)

    def after(self, event: Event) -> Phase:
        """Return the phase after an event.

        Raises:
            AssertionError: it cannot happen in this phase, or the table would have to be emptied
                and may not be.
        """
        if not self.may(event):
            raise AssertionError(f"{event} must not happen to a table that is {self.phase}")
        return _NEXT[self.phase, event]

    def take(self, start: int, *, last: bool) -> None:
        """Note that the shard that begins at ``start`` is being loaded; ``last``: of the table."""
        self._taken.add(start)
        self._all_taken = last

    def take_none(self) -> None:
        """Note that nothing is left to load."""
        self._all_taken = True

    def end(self, start: int, *, holds: bool) -> None:
        """Note that a shard is loaded, and whether it ended where the next one begins."""
        self._taken.add(start)
        self._ended[start] = holds

    def has_ended(self, start: int) -> bool:
        """Tell whether the shard that begins at ``start`` is loaded."""
        return start in self._ended

    def forget_shards(self) -> None:
        """Note that the table was emptied."""
        self._taken.clear()
        self._ended.clear()
        self._all_taken = False
