"""What fuzzing has found: small files that the reader once got wrong, each with what is in it."""

from __future__ import annotations

from restore.tests.fuzz.backups import File

_FIRST = b'{"sound":100,"t":"x"}'
_LAST = b'{"sound":102,"t":"}],[{"}'


def _array(*damage: bytes) -> File:
    return File(b"[" + b",".join([_FIRST, *damage, _LAST]) + b"]", [_FIRST, _LAST])


def _lines(*damage: bytes) -> File:
    return File(b"\n".join([_FIRST, *damage, _LAST]), [_FIRST, _LAST])


FINDINGS = {
    # The line end became a comma in the text: a record was altered, and nobody knew.
    "a line end in a text": _lines(b'{"sound":-7,"t":"a\nb"}'),
    "a line end for a comma": _lines(b'{"sound":-7\n"t":"b"}'),
    "lines around a text": File(b'"\n"', []),
    # Nothing had expected an error of it: the restore ended.
    "a field that is no UTF-8": _array(b"nope", b'{"sound":-7,"i\xffn":1}'),
    "a field that is no UTF-8, first": File(b'[{"a\xff":1},{"a\xff":2}]', []),
    # What looks like the next record was not taken for one behind these.
    "a brace alone": _array(b"{"),
    "a quote alone": _array(b'"'),
    "a word with a quote": _array(b'null"'),
    "a text that is open": _array(b'"--'),
    "a field that is open": _array(b'{"sou'),
    "a list that swallows the rest": _array(b"[1"),
    "text behind a bracket": _array(b']\x00"a"'),
}

# Inputs of the other targets of ``guided.py`` that were once dealt with wrongly.
NATIVE_FINDINGS: dict[str, dict[str, bytes]] = {}
