"""The values of keys, in memory and in the temporary file."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore.infer.keys import KeyStore

INTEGERS = st.integers(-5, 30) | st.integers() | st.sampled_from([-(2**127), 2**127 - 1, 2**127])
LISTS = st.lists(INTEGERS, min_size=1, max_size=20) | st.integers(1, 20).map(
    lambda n: list(range(3, n + 3))
)
BATCHES = st.lists(LISTS, max_size=6)
TEXTS = st.lists(st.lists(st.text(max_size=2), min_size=1, max_size=9), max_size=6)
ROOM = st.sampled_from([0, 16 * 10, 1 << 20])


@given(batches=BATCHES | TEXTS, room=ROOM)
def test_values_are_unique_if_no_two_are_equal(batches: list[list[Any]], room: int) -> None:
    every = [value for batch in batches for value in batch]
    with contextlib.closing(KeyStore(room)) as store:
        key = store.new_key()
        for batch in batches:
            key.add(batch)
            store.make_room()
        assert key.is_unique() == (len(set(every)) == len(every))


@given(parents=BATCHES, children=BATCHES, room=ROOM)
def test_missing_values_are_counted(
    parents: list[list[int]], children: list[list[int]], room: int
) -> None:
    with contextlib.closing(KeyStore(room)) as store:
        parent, child = store.new_key(), store.new_key()
        for key, add, batches in (
            (parent, parent.add, parents),
            (child, child.add_distinct, children),
        ):
            for batch in batches:
                add(batch)
                store.make_room()
                assert key.held_bytes <= room
        missing = {v for batch in children for v in batch} - {v for b in parents for v in b}
        assert child.count_missing(parent) == len(missing)


def test_an_unbroken_run_of_integers_takes_no_room() -> None:
    with contextlib.closing(KeyStore()) as store:
        key = store.new_key()
        for start in range(1, 100_001, 1_000):
            key.add(list(range(start, start + 1_000)))
        assert key.held_bytes == 0
        assert key.is_unique()
        key.add([500])
        assert not key.is_unique()


@pytest.mark.parametrize("value", [True, 1.0, None])
def test_only_integers_and_texts_continue_a_run(value: object) -> None:
    with contextlib.closing(KeyStore()) as store:
        key = store.new_key()
        key.add([0])
        key.add([value])
        assert key.held_bytes == 16
