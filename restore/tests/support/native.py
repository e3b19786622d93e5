"""The restorer as on a machine that had no compiler."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from restore.decode import packer

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def not_built() -> Iterator[None]:
    """Hide the C from all that is made meanwhile, commands that are run included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packer, "IS_BUILT", False)
        yield
