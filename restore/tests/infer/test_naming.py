"""What names say of keys, and which names columns get."""

from __future__ import annotations

import pytest

from restore.infer.naming import key_rank, may_refer, name_columns, referred_tables, words_of


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("author_id", "author id"),
        ("authorId", "author id"),
        ("AuthorID", "author id"),
        ("_id", "id"),
        ("URLId", "url id"),
        ("billing-address id2", "billing address id 2"),
        ("größe_id", "größe id"),
        ("", ""),
        ("__", ""),
    ],
)
def test_the_words_of_a_name(name: str, words: str) -> None:
    assert " ".join(words_of(name)) == words


@pytest.mark.parametrize(
    ("field", "own", "tables"),
    [
        ("author_id", "posts", ["authors"]),
        ("authorId", "posts", ["Author"]),
        ("author_id", "posts", ["blog_author"]),
        ("category_id", "products", ["categories"]),
        ("person_uuid", "posts", ["people"]),
        ("billing_address_id", "orders", ["billing_addresses", "addresses"]),
        ("boxId", "items", ["boxes"]),
        ("status_id", "items", ["statuses"]),
        ("parentId", "posts", ["posts"]),
        ("id", "posts", []),
        ("note_id", "posts", []),
    ],
)
def test_the_tables_that_a_field_may_mean(field: str, own: str, tables: list[str]) -> None:
    known = ["posts", "tags", *tables]
    assert referred_tables(field, own, known) == tables


def test_which_fields_may_be_keys() -> None:
    ranks = [key_rank(name, "users") for name in ("id", "ID", "uuid", "user_id", "userId")]
    assert ranks == [0, 0, 1, 4, 4]
    assert [key_rank(name, "users") for name in ("name", "post_id", "ids", "x_users_id")] == [
        None
    ] * 4
    assert may_refer("post_id")
    assert not may_refer("id")
    assert not may_refer("paid")


def test_a_column_has_its_fields_name_if_it_can() -> None:
    fields = ["id", "camelCase", "select", "a b", 'q"uote', "é" * 31, "xmin_", "100%"]
    assert name_columns(fields, "t", {}) == {field: field for field in fields}


def test_a_column_has_a_similar_name_else() -> None:
    long = "é" * 32
    fields = ["xmin", "xmin_", "", "field_", long, f"{long}x", "n\0ul", "é" * 31]
    assert name_columns(fields, "t", {"t.ctid": "x"}) == {
        "xmin": "xmin_2",
        "xmin_": "xmin_",
        "": "field_2",
        "field_": "field_",
        long: "é" * 31 + "_",
        f"{long}x": "é" * 30 + "_2",
        "n\0ul": "nul_",
        "é" * 31: "é" * 31,
    }


def test_a_name_that_was_given_holds() -> None:
    given = {"t.ctid": "place", "u.a": "b"}
    assert name_columns(["ctid", "a"], "t", given) == {"ctid": "place", "a": "a"}
