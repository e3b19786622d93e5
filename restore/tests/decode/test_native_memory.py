"""Every allocation in C may fail: MemoryError then, no crash, no leak, and no other result.

Where the extension was built with ``fail.h``, which ``nox -s sanitize`` does.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import json
import os
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from restore.decode.packer import IS_BUILT

if IS_BUILT:
    from restore.decode import _native as _pack

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBERS = ("allocations_made", "failing_first", "failing_last")
_FOR_EVER = 1 << 30
# A leak of one allocation a call is more than this, which what Python keeps is not.
_CALLS, _LEAK_BYTES = 40, 40 * 16


def _injected() -> bool:
    return IS_BUILT and hasattr(ctypes.CDLL(_pack.__file__), _NUMBERS[0])


if not _injected() and os.environ.get("RESTOREBENCH_SANITIZED"):
    pytest.fail(
        "restore.decode._native is not built with fail.h, and RESTOREBENCH_SANITIZED is set"
    )
pytestmark = pytest.mark.skipif(
    not _injected(), reason="restore.decode._native is not built with fail.h"
)


class Failing:
    """Makes allocations fail: those of one call, from the ``first`` to the ``last`` one."""

    def __init__(self) -> None:
        library = ctypes.CDLL(_pack.__file__)
        self._made, self._first, self._last = (
            ctypes.c_long.in_dll(library, name) for name in _NUMBERS
        )

    def call(self, of: Callable[[], Any], first: int, last: int) -> tuple[Any, int]:
        """Return what a call does, MemoryError or a result, and how many allocations it made."""
        self._made.value, self._first.value, self._last.value = 0, first, last
        try:
            return of(), self._made.value
        except MemoryError:
            return MemoryError, self._made.value
        finally:
            self._first.value = self._last.value = 0


def check(of: Callable[[], Any], *, same: Callable[[Any, Any], bool]) -> int:
    """Let each allocation of a call fail, alone and with all behind it; return how many there are.

    Args:
        of: the call.
        same: tells whether two results are.
    """
    failing = Failing()
    expected, made = failing.call(of, 0, 0)
    for first, last in [(n, m) for n in range(1, made + 1) for m in (n, _FOR_EVER)]:
        assert failing.call(of, first, last)[0] is MemoryError, f"allocation {first} of {made}"
    assert same(failing.call(of, 0, 0)[0], expected)
    for first in range(1, made + 1):
        assert _grown(functools.partial(failing.call, of, first, first)) < _LEAK_BYTES, first
    return made


def _grown(of: Callable[[], Any]) -> int:
    """Return by how many bytes memory grows in many calls."""
    tracemalloc.start()
    try:
        for calls in (8, _CALLS):
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(calls):
                of()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def field(name: str, kind: str | None, *labels: bytes, fill: bytes | None = None) -> Any:
    return (name.encode(), kind, False, False, fill, False, -1, -1, labels)


_LONG = "x" * 90
VALUES: dict[str, Any] = {
    "bool": True,
    "bytea": "QUJD" * 20,
    "bpchar": _LONG,
    "cidr": "10.0.0.0/8",
    "citext": _LONG,
    "date": "2024-02-29",
    "enum": _LONG,
    "float4": 1.5,
    "float8": 1.5,
    "inet": "2001:db8::1",
    "int2": 1,
    "int4": 1,
    "int4[]": [None, *range(90), None],
    "int8": 1,
    "interval": "1 day 00:00:01",
    "json": {"a": [_LONG]},
    "jsonb": {"a": [_LONG]},
    "numeric": 1234567890.125,
    "text": _LONG + "\n",
    "text[]": [None, *["é" * 9] * 9, *[None] * 90],
    "time": "10:00:00",
    "timestamp": "2024-02-29T10:00:00",
    "timestamptz": "2024-02-29T10:00:00Z",
    "varchar": _LONG,
    "uuid[]": ["00000000-0000-4000-8000-000000000001"] * 9,
    "uuid": "00000000-0000-4000-8000-000000000001",
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_for_which_there_is_no_room(kind: str) -> None:
    """Columns before it, all NULL, take the room that was lent."""
    nulls = [field(f"n{n}", "int4") for n in range(200)]
    labels = (_LONG.encode(),) if kind == "enum" else ()
    packer = _pack.Packer((*nulls, field("v", kind, *labels)))
    data = json.dumps([{"v": VALUES[kind]}]).encode()
    found = packer.pack(data)
    assert found is not None
    assert found[3] == b"", "declined"
    assert check(lambda: packer.pack(data), same=tuple.__eq__) > 8


def test_what_is_put_for_an_absent_field_and_has_no_room() -> None:
    fill = b"\0\0\x10\0" + b"x" * 4096
    packer = _pack.Packer((field("n", "int4"), field("t", "text", fill=fill)))
    found = packer.pack(b'[{"n":1},{"t":"a"}]')
    assert found is not None
    assert fill in found[0]
    assert check(lambda: packer.pack(b'[{"n":1},{"t":"a"}]'), same=tuple.__eq__) > 8


def test_a_batch_whose_records_are_packed_declined_and_hopeless() -> None:
    plan = (field("a", "int4"), field("b", "text"), *(field(n, None) for n in ("c", "d")))
    packer = _pack.Packer(plan)
    records = [{}, {"a": 1, "c": 1}, {"a": "x"}, {"b": "\0"}, {"b": "x\ty", "d": []}] * 300
    records += [{"a": n, f"e{n}": n} for n in range(300)]
    data = json.dumps(records).encode()
    found = packer.pack(data)
    assert found is not None
    assert [len(numbers) // 8 for numbers in found[1:]] == [1_800, 3_600, 600, 300, 1_800, 900, 0]
    assert check(lambda: packer.pack(data), same=tuple.__eq__) > 20


def test_levels_without_room_leave_the_batch_to_msgspec() -> None:
    packer = _pack.Packer((field("a", "json"),))
    data = b'[{"a":%b}]' % (b"[" * 3000 + b"]" * 3000)
    failing = Failing()
    _, made = failing.call(lambda: packer.pack(data), 0, 0)
    found = [failing.call(lambda: packer.pack(data), n, n)[0] for n in range(1, made + 1)]
    assert found.count(None) == 3  # for 1,024, 2,048 and 4,096 levels
    assert set(found) == {None, MemoryError}


def test_a_search() -> None:
    finder = _pack.Finder(
        ((b"a", True, False, (b"1", b"2")), (b"b", False, True, (b"x",))), ((0,), (1, 0))
    )
    data = json.dumps([{"a": n % 3, "b": "x"} for n in range(900)]).encode()
    found = finder.find(data)
    assert found is not None
    assert (found[0], len(found[1])) == (900, 600 * 24)
    assert check(lambda: finder.find(data), same=tuple.__eq__) > 6


def test_what_packs_and_what_finds() -> None:
    plan = tuple(field(f"f{n}", "enum", b"a", b"b") for n in range(20))
    assert check(lambda: _pack.Packer(plan), same=lambda a, b: type(a) is type(b)) >= 5
    fields = tuple((b"f%d" % n, False, False, (b"a", b"b")) for n in range(20))
    made = check(lambda: _pack.Finder(fields, ((0, 1),)), same=lambda a, b: type(a) is type(b))
    assert made >= 6 + 2 * len(fields)


_IMPORT = f"""
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
made, first, last = (ctypes.c_long.in_dll(library, name) for name in {_NUMBERS})
for n in (1, 2, *range(1, 100)):
    made.value, first.value, last.value = 0, n, n
    try:
        import restore.decode._native
    except MemoryError:
        continue
    break
print(n, made.value)
"""


def test_the_import() -> None:
    command = [sys.executable, "-c", _IMPORT, _pack.__file__]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    tried, made = map(int, done.stdout.split())
    assert made == 4  # two types, each made and added; the locale is kept from the second try
    assert tried == made + 1


def test_the_last_of_many_calls_is_as_the_first() -> None:
    """What is kept between calls is not touched by a failure: many packers, one after the other."""
    failing = Failing()
    data = json.dumps([{"a": n} for n in range(300)]).encode()
    packer = _pack.Packer((field("a", "int4"),))
    expected = packer.pack(data)
    for first in itertools.islice(itertools.cycle(range(1, 12)), 200):
        failing.call(lambda: packer.pack(data), first, first)
        assert packer.pack(data) == expected
