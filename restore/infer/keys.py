"""The values of keys, in bounded memory: if they differ, and if others are among them.

Each value is kept as 16 bytes, an integer as it is and a text as its hash, in one of 256 buckets by
its first byte. When memory is full, the buckets go to a temporary file. Equal values are in the
same bucket, so buckets are looked at one by one, in a 256th of the memory that all would take.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from xxhash import xxh3_128_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_BUCKETS = 256
_VALUE_BYTES = 16
# All keys of a backup together may hold so much in memory.
_HELD_BYTES = 1 << 25
_LEAST, _MOST = -(2**127), 2**127 - 1


class _Portion(Struct):
    """Buckets in the temporary file: where they begin, and how long each is."""

    start: int
    sizes: list[int]


class KeyStore:
    """What all keys of a backup hold, and the temporary file that takes what is too much.

    Args:
        held_bytes: how much may be in memory.
    """

    def __init__(self, held_bytes: int = _HELD_BYTES) -> None:
        self._most = held_bytes
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._keys: list[KeyValues] = []
        self._end = 0

    def new_key(self) -> KeyValues:
        """Return a key without values."""
        self._keys.append(KeyValues(self))
        return self._keys[-1]

    def make_room(self) -> None:
        """Write all keys' values to the file if they are too many for memory."""
        if sum(key.held_bytes for key in self._keys) > self._most:
            for key in self._keys:
                key.write_out()

    def write(self, data: bytes) -> int:
        """Write to the end of the file; return where that was."""
        start = self._end
        self._file.seek(start)
        self._end += self._file.write(data)
        return start

    def read(self, start: int, size: int) -> bytes:
        """Read from the file."""
        self._file.seek(start)
        return self._file.read(size)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


class KeyValues(Struct):
    """The values of one key.

    The integers of its first unbroken run (1, 2, 3, ...) are known by their bounds alone.

    Attributes:
        held_bytes: how many bytes of memory they take.
    """

    _store: KeyStore
    held_bytes: int = 0
    _run: range | None = None
    _buckets: list[bytearray] = field(default_factory=list)
    _portions: list[_Portion] = field(default_factory=list)

    def add(self, values: Sequence[Any]) -> None:
        """Add integers, or texts, each with its repetitions."""
        if not values:
            return
        if type(values[0]) is int and self._continues_run(values):
            return
        self._add(values)

    def add_distinct(self, values: Iterable[Any]) -> None:
        """Add integers, or texts, of which repetitions do not matter."""
        self._add(set(values))

    def is_unique(self) -> bool:
        """Tell if no value was added twice."""
        for bucket in self._each_bucket():
            if len(set(bucket)) < len(bucket):
                return False
            if self._run is not None and any(map(self._is_in_run, bucket)):
                return False
        return True

    def count_missing(self, parent: KeyValues) -> int:
        """Count the distinct values of this key, which has no run, that another one lacks."""
        missing = 0
        for mine, others in zip(self._each_bucket(), parent._each_bucket(), strict=True):
            lacking = set(mine).difference(others)
            missing += len(lacking)
            if parent._run is not None:
                missing -= sum(map(parent._is_in_run, lacking))
        return missing

    def write_out(self) -> None:
        """Move what is in memory to the store's file."""
        if not self.held_bytes:
            return
        start = self._store.write(b"".join(self._buckets))
        self._portions.append(_Portion(start, [len(bucket) for bucket in self._buckets]))
        self._buckets, self.held_bytes = [], 0

    def _continues_run(self, values: Sequence[int]) -> bool:
        """Take integers that continue the run, if they do and nothing else was added."""
        if self._buckets or self._portions:
            return False
        start = values[0] if self._run is None else self._run.stop
        run = range(start, start + len(values))
        if values[0] != start or list(values) != list(run):
            return False
        self._run = run if self._run is None else range(self._run.start, run.stop)
        return True

    def _is_in_run(self, value: bytes) -> bool:
        return self._run is not None and int.from_bytes(value, "little", signed=True) in self._run

    def _add(self, values: Iterable[Any]) -> None:
        buckets = self._buckets = self._buckets or [bytearray() for _ in range(_BUCKETS)]
        digests = list(map(_digest, values))
        for digest in digests:
            buckets[digest[0]] += digest
        self.held_bytes += len(digests) * _VALUE_BYTES

    def _each_bucket(self) -> Iterator[list[bytes]]:
        """Yield the values of each bucket."""
        starts = [portion.start for portion in self._portions]
        for n in range(_BUCKETS):
            parts = [self._buckets[n]] if self._buckets else []
            for place, portion in enumerate(self._portions):
                size = portion.sizes[n]
                parts.append(bytearray(self._store.read(starts[place], size)))
                starts[place] += size
            data = b"".join(parts)
            yield [data[at : at + _VALUE_BYTES] for at in range(0, len(data), _VALUE_BYTES)]


def _digest(value: int | str) -> bytes:
    """Return 16 bytes for a value: an integer itself, if it has no more, or a hash."""
    if isinstance(value, int) and _LEAST <= value <= _MOST:
        return value.to_bytes(_VALUE_BYTES, "little", signed=True)
    return xxh3_128_digest(str(value).encode())
