"""Renders templates as one self-contained page, whose policy forbids the network.

What a page shows comes from files that others may have written: Jinja2 escapes every value, text is
cut and loses its control characters, and the page's policy runs no script and takes no style but
the ones of this folder, named by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# Longer texts are damage, or belong elsewhere.
MAX_TEXT = 500

_POLICY = (
    "default-src 'none'; style-src {style}; script-src {script}; base-uri 'none'; "
    "form-action 'none'"
)


def render(template: str, **values: object) -> str:
    """Render a template of this folder with the given values.

    Args:
        template: the name of its file, without ``.html.j2``.
        values: what it shows; all text in them is escaped.
    """
    style, script = _resource("style.css"), _resource("filter.js")
    policy = _POLICY.format(style=_hash(style), script=_hash(script))
    # Both are files of ours, and their hashes are of the text as it stands.
    own = {"style": Markup(style), "script": Markup(script), "policy": Markup(policy)}  # noqa: S704
    return environment().get_template(f"{template}.html.j2").render(**own, **values)


@cache
def environment() -> Environment:
    """Return the environment of the templates in this folder."""
    made = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["text"] = clean
    return made


def clean(text: str) -> str:
    """Cut a text of a file that is long, and replace its control characters; not escaped yet."""
    printable = "".join(each if each.isprintable() else "?" for each in text[:MAX_TEXT])
    return printable + ("…" if len(text) > MAX_TEXT else "")


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
