"""Item 6: integers beyond 64 bits, decimals with 30 digits, bigint and decimal as strings.

What a column cannot hold as it is goes to the rejects; nothing is rounded but by floats, which is
what they are for.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from restore.tests.support.cells import LOST, Refused, check

if TYPE_CHECKING:
    from restore.tests.support.target import Target

NOT_A_NUMBER = Refused(sqlstate="22P02", levels=frozenset({"literal"}))
THIRTY = "123456789012345678901234567890.123456789012345678901234567890"
HUGE = "1" + "0" * 400


def test_integers(target: Target) -> None:
    check(
        target,
        {
            "smallint": [
                *(("32767", "32767"), ("-32768", "-32768"), ('"32767"', "32767")),
                *(("32768", LOST), ('"-32769"', LOST), ("null", None)),
            ],
            "int": [
                *(("2147483647", "2147483647"), ("-2147483648", "-2147483648"), ("0", "0")),
                *(("2147483648", LOST), ('"2147483648"', LOST), ("99999999999999999999", LOST)),
                *(("-0", "0"), ("3.0", "3"), ("1e3", "1000"), ('"12"', "12"), ('"12.0"', "12")),
                *(("1.5", LOST), ('"1.5"', LOST), ("1e-3", LOST), ("1e400", LOST)),
                *(('"abc"', NOT_A_NUMBER), ('""', NOT_A_NUMBER), ("true", NOT_A_NUMBER)),
                *(("{}", Refused()), ("[1]", Refused()), ('"12 "', "12")),
            ],
            "bigint": [
                *(("9223372036854775807", "9223372036854775807"),),
                *(("-9223372036854775808", "-9223372036854775808"),),
                *(('"9223372036854775807"', "9223372036854775807"),),
                *(("9007199254740993", "9007199254740993"),),  # what a float would make even
                *(("9007199254740993.0", "9007199254740993"), ("1e18", "1" + "0" * 18)),
                *(("9223372036854775808", LOST), ('"9223372036854775808"', LOST)),
                *(("-9223372036854775809", LOST), ("1e19", LOST), ("0.1", LOST)),
                *(("9223372036854775807.5", LOST), ('"9n"', NOT_A_NUMBER)),
            ],
        },
    )


def test_decimals(target: Target) -> None:
    check(
        target,
        {
            "numeric": [
                *((THIRTY, THIRTY), (f'"{THIRTY}"', THIRTY), (f"-{THIRTY}", f"-{THIRTY}")),
                *(("18446744073709551616", "18446744073709551616"), ("1.50", "1.50")),
                *(('"1.50"', "1.50"), ("1e400", HUGE), ("1E+3", "1000"), ("1e-10", "0.0000000001")),
                *(("0.1", "0.1"), ("0", "0"), ("-0.00", "0.00"), ('"NaN"', "NaN")),
                *(('"Infinity"', "Infinity"), ('"-Infinity"', "-Infinity"), ("null", None)),
                *(('"1,5"', NOT_A_NUMBER), ('""', NOT_A_NUMBER), ("false", NOT_A_NUMBER)),
                *(("1e200000", Refused()), ("1e999999999", Refused()), ("[]", Refused())),
            ],
            "numeric(10,2)": [
                *(("12.5", "12.50"), ('"12.50"', "12.50"), ("12.500000", "12.50"), ("3", "3.00")),
                *(("99999999.99", "99999999.99"), ("1e2", "100.00"), ('"NaN"', "NaN")),
                *(("1.005", LOST), ('"1.005"', LOST), ("0.001", LOST), ("99999999.999", LOST)),
                *(("100000000", Refused()), ('"100000000.00"', Refused()), ("1e-400", LOST)),
                *(('"Infinity"', Refused()), ('"x"', Refused())),
            ],
            "numeric(5,-2)": [("12300", "12300"), ("12345", LOST), ("1e4", "10000")],
            "numeric(3,5)": [("0.00999", "0.00999"), ("0.01", Refused()), ("0.000001", LOST)],
            "numeric[]": [
                *((f"[{THIRTY}, null, 1.50]", f"{{{THIRTY},NULL,1.50}}"),),
                *(('["1.50", 2]', "{1.50,2}"), ('["x"]', Refused())),
            ],
            "money": [
                *(('"$1.50"', "$1.50"), ("1.5", "$1.50"), ('"1,000.00"', "$1,000.00")),
                *(("1.005", LOST), ('"1.005"', LOST), ('"$1.005"', LOST)),
            ],
            "numeric(4,1)[]": [("[1.5, 2]", "{1.5,2.0}"), ("[1.55]", LOST), ('["1.55"]', LOST)],
            "bigint[]": [
                *(("[9223372036854775807, -1]", "{9223372036854775807,-1}"),),
                *(('["9223372036854775807"]', "{9223372036854775807}"), ("[1.5]", LOST)),
                *(("[9223372036854775808]", LOST), ("[]", "{}"), ("null", None)),
            ],
        },
    )


def test_floats_take_the_nearest_value_but_never_infinity_or_zero(target: Target) -> None:
    check(
        target,
        {
            "float8": [
                *(("0.1", "0.1"), ("0.30000000000000004", "0.30000000000000004"), ("-0.0", "-0")),
                *(("5e-324", "5e-324"), ("1.7976931348623157e308", "1.7976931348623157e+308")),
                *(
                    ("0.1000000000000000000001", "0.1"),
                    ("9007199254740993", "9.007199254740992e+15"),
                ),
                *(("1", "1"), ('"1.5"', "1.5"), ("0", "0"), ("0e5", "0"), ('"NaN"', "NaN")),
                *(
                    ('"-Infinity"', "-Infinity"),
                    ("2.2250738585072011e-308", "2.225073858507201e-308"),
                ),
                *(("1e400", LOST), ("-1e400", LOST), ('"1e400"', LOST)),
                *(("1e-400", LOST), ('"1e-400"', LOST), ('"x"', NOT_A_NUMBER)),
            ],
            "float4": [
                *(("0.1", "0.1"), ("16777217", "1.6777216e+07"), ("1e-45", "1e-45")),
                *(("3.4028235e38", "3.4028235e+38"), ('"0.1"', "0.1"), ("-0.0", "-0")),
                *(("1e39", LOST), ("-1e39", LOST), ("1e-46", LOST), ('"1e39"', LOST)),
            ],
            "float8[]": [("[0.1, 1, null]", "{0.1,1,NULL}"), ("[1e400]", LOST), ("[1e-400]", LOST)],
        },
    )


def test_booleans(target: Target) -> None:
    no_boolean = Refused()
    check(
        target,
        {
            "boolean": [
                *(("true", "true"), ("false", "false"), ("null", None), ("1", "true")),
                *(("0", "false"), ('"true"', "true"), ('"f"', "false"), ('"yes"', "true")),
                *(('"off"', "false"), ('"1"', "true"), ("2", no_boolean), ('"maybe"', no_boolean)),
                *(('""', no_boolean), ("[]", no_boolean), ("1.5", no_boolean)),
            ],
            "boolean[]": [("[true, null, false]", "{t,NULL,f}"), ('["maybe"]', no_boolean)],
        },
    )


def test_columns_of_large_numbers_as_strings_and_as_numbers_mixed(target: Target) -> None:
    """A JavaScript backup writes strings, a Python one numbers; a merged one both."""
    target.conn.execute("CREATE TABLE n (id bigint PRIMARY KEY, d numeric)")
    chance = random.Random(7)  # noqa: S311 - no secret
    expected = []
    records = []
    for n in range(2000):
        number, decimal = chance.randint(2**53, 2**63 - 1), f"{chance.getrandbits(100)}.{n:030d}"
        quote = '"' if n % 3 else ""
        records.append(f'{{"id": {quote}{number}{quote}, "d": {quote}{decimal}{quote}}}')
        expected.append((number, decimal))
    target.write_raw({"n": records})
    target.restore()
    assert target.rows("SELECT id, d::text FROM n ORDER BY id") == sorted(expected)
