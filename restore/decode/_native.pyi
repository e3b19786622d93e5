# What is in C (native/): records of JSON become rows of a binary COPY, or are found by their keys.

from typing import Self, TypeAlias

# A field's name, its kind (``kinds`` in values.c, of an array with [] behind that of its elements;
# None: it is not put), whether null is declined, whether its absence is (of one without a kind: its
# presence), what is put instead of an absent one, with its size before it (None: nothing), its
# rules (bits: values.h), the column's limit and digits (-1: none) and an enum's labels.
Field: TypeAlias = tuple[
    bytes, str | None, bool, bool, bytes | None, int, int, int, tuple[bytes, ...]
]

# Of the records of one shape: the columns in the order of the COPY, then the fields that are left
# out, then those that are declined. ValueError: there is no such kind, or too much of something.
class Packer:
    def __new__(cls, plan: tuple[Field, ...]) -> Self: ...

    # The rows of a JSON array; and as 64-bit numbers: where each record's row ends there, where
    # each record starts and ends in ``data``, which records were declined (they have no row), which
    # of these a COPY would be refused for, and, where some fields are left out, which of them each
    # record has, as bits; three numbers for each field that is none of the plan's: its record,
    # where the name starts and ends in ``data``; at last two for each value that a rule changed:
    # its record, and the column's place above 16 bits of the rule. None: ``data`` is no array of
    # records.
    def pack(
        self, data: bytes, /
    ) -> tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes] | None: ...

# A field of a key: its name, whether its numbers are integers, whether null or no value is looked
# for, and the values that are, as they stand in the file: in quotes or, of integers, without.
KeyField: TypeAlias = tuple[bytes, bool, bool, tuple[bytes, ...]]

# What finds records by keys; each key is the places of its fields. ValueError: there is no such
# field, or there are too many.
class Finder:
    def __new__(cls, fields: tuple[KeyField, ...], keys: tuple[tuple[int, ...], ...]) -> Self: ...

    # How many records a JSON array has; and as 64-bit numbers, three for each record that may have
    # a wanted key: its place, where it starts and where it ends in ``data``. None: as for a packer.
    def find(self, data: bytes, /) -> tuple[int, bytes] | None: ...
