"""Do the next piece of work while the last one is being used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """Yield the items; each is made in another thread while the one before it is in use.

    No more than one is made ahead. What making an item raises is raised in its place.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read") as thread:
        future = thread.submit(next, iterator, None)
        while (item := future.result()) is not None:
            future = thread.submit(next, iterator, None)
            yield item
