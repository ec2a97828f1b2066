"""Names in a URL's path: `U__` begins a name of which every odd character is written as `_<code point in hex>_`."""

import re

from nunchi.web.prometheus_api.errors import ApiError

PREFIX = "U__"
_WORD = re.compile(r"__|_([0-9A-Fa-f]{1,6})_|[^_]", re.DOTALL)


def unescape_name(text: str) -> str:
    """The name that a path means; a text that is no escaped name stands for itself."""
    if not text:
        raise ApiError.bad_data('invalid label name: ""')
    if not text.startswith(PREFIX):
        return text
    rest, name = text.removeprefix(PREFIX), ""
    position = 0
    while position < len(rest):
        word = _WORD.match(rest, position)
        if word is None:
            return text
        if code := word.group(1):
            if int(code, 16) > 0x10FFFF or 0xD800 <= int(code, 16) <= 0xDFFF:
                return text
            name += chr(int(code, 16))
        else:
            name += "_" if word.group() == "__" else word.group()
        position = word.end()
    return name
