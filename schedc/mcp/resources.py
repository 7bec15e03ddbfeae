"""What a client may read: the language's card and reference, and the page of each error.

Input: an address. Output: Markdown, or None. Invariant: an address is compared with those that
there are and never made a path; all of it is shipped with schedc.
"""

from __future__ import annotations

from mcp_types import Resource, ResourceTemplate

from schedc.data import MissingData, read_data
from schedc.diagnostics.codes import CODES

MARKDOWN = "text/markdown"
ERRORS = "schedc://errors/"

_PAGES = {
    "schedc://card": (
        "docs/language/card.md", "The language in two pages, with examples: read it before you "
        "write a policy.",
    ),
    "schedc://reference": (
        "docs/language/reference.md", "The language's reference: every fact, type, function and "
        "limit.",
    ),
    "schedc://recipes": (
        "docs/language/recipes.md", "How to say common things in the language.",
    ),
}  # fmt: skip

TEMPLATE = ResourceTemplate(
    uri_template=ERRORS + "{code}", name="error", title="An error code",
    description="What a code such as E0301 means, with a bad and a good example.",
    mime_type=MARKDOWN,
)  # fmt: skip


def every() -> list[Resource]:
    """Those with an address of their own, and the list of all codes."""
    pages = [
        Resource(uri=uri, name=uri.removeprefix("schedc://"), description=what, mime_type=MARKDOWN)
        for uri, (_, what) in _PAGES.items()
    ]
    index = Resource(
        uri=ERRORS.rstrip("/"), name="errors", description="All error codes, one a line.",
        mime_type=MARKDOWN,
    )  # fmt: skip
    return [*pages, index]


def read(uri: str) -> str | None:
    """The text at an address."""
    if uri in _PAGES:
        return read_data(_PAGES[uri][0])
    if uri == ERRORS.rstrip("/"):
        return "".join(f"- {one.code}: {one.title}\n" for one in CODES.values())
    code = uri.removeprefix(ERRORS).upper()
    if not uri.startswith(ERRORS) or code not in CODES:
        return None
    try:
        return read_data(f"docs/errors/{code}.md")
    except MissingData:
        return f"# {code}: {CODES[code].title}\n"
