"""HTML and SVG as nested calls, escaped by construction: only the results of `tag` are not escaped."""

import base64
import hashlib
import html

# The page is self-contained: were a name of a hostile file ever written unescaped, it could neither run a script nor ask for an
# address.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class Html(str):
    """Text that is HTML already."""


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """`<name attributes>children</name>`; children that are not Html are escaped, None is left out.

    Attributes are written in Python's spelling: class_="x" for class, stroke_width=2 for stroke-width.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>" if name in ("img", "meta") else f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: object) -> Html:
    """The children one after the other, under the same rules as in `tag`."""
    return Html(
        "".join(
            child if isinstance(child, Html) else html.escape(str(child)) for child in children if child is not None
        )
    )


def policy_for(script: str = "") -> str:
    """The policy of a page that runs this script and no other, which its checksum names."""
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"{POLICY}; script-src 'sha256-{checksum}'" if script else POLICY


def document(title: str, style: str, *children: object, script: str = "") -> Html:
    """A whole page without external resources. `style` is trusted CSS and `script` trusted JavaScript, not escaped."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy_for(script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    code = tag("script", Html(script)) if script else None
    return Html("<!doctype html>\n" + tag("html", head, tag("body", tag("main", *children), code), lang="en"))
