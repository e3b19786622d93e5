"""What the first records of a file tell of its fields."""

from __future__ import annotations

from restore.plan.sample import sample_of


def test_fields_are_counted_in_the_order_of_their_first_record() -> None:
    sample = sample_of([b'{"b": 1, "a": null}', b'{"a": 2, "c": 3}', b'["no record"]'])

    assert list(sample.fields.items()) == [("b", 1), ("a", 2), ("c", 1)]
    assert sample.records == 2
    assert sample.has_null


def test_null_in_a_text_or_a_document_is_no_null() -> None:
    assert not sample_of([b'{"a": "null", "b": {"c": null}}']).has_null


def test_nested_fields_are_found_in_later_records_too() -> None:
    sample = sample_of(
        [
            b'{"a": {"x": 1}, "b": "{", "c": [1]}',
            b'{"a": {"x": "{}"}, "b": {"y": 2}, "c": [2]}',
            b'{"b": 3, "c": [{"z": 3}, {"w": 4}]}',
        ]
    )

    assert sample.nested == {"a": frozenset("x"), "b": frozenset("y"), "c": frozenset("z")}
