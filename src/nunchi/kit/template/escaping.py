"""Text made safe for HTML, JavaScript and URLs, by the tables of Go's text/template. Pure."""

from urllib.parse import quote_plus

_HTML = str.maketrans({"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_JAVASCRIPT = {
    "\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D",
}  # fmt: skip


def escape_html(text: str) -> str:
    """For element text and quoted attributes."""
    return text.translate(_HTML)


def escape_javascript(text: str) -> str:
    """For inside of a quoted JavaScript string."""
    return "".join(_escaped(character) for character in text)


def escape_query(text: str) -> str:
    """For a value in the query part of a URL; a blank becomes `+`."""
    return quote_plus(text, safe="~")


def _escaped(character: str) -> str:
    found = _JAVASCRIPT.get(character)
    if found is not None:
        return found
    if ord(character) < 0x20 or not (character.isprintable() or character == " "):
        return f"\\u{ord(character):04X}"
    return character
