"""Which texts may be metric names and label names: any UTF-8 (the default since Prometheus 3), or the older ASCII rule.

Invariant: what `LEGACY` accepts, `UTF8` accepts too.
"""

import re
from enum import Enum

_LEGACY_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LEGACY_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class NameScheme(Enum):
    """`metric_name_validation_scheme` of a configuration file."""

    UTF8 = "utf8"
    LEGACY = "legacy"

    def is_label_name(self, text: str) -> bool:
        """Whether a label may be called so."""
        if self is NameScheme.LEGACY:
            return _LEGACY_LABEL.fullmatch(text) is not None
        return bool(text) and is_encodable(text)

    def is_metric_name(self, text: str) -> bool:
        """Whether a metric may be called so."""
        if self is NameScheme.LEGACY:
            return _LEGACY_METRIC.fullmatch(text) is not None
        return bool(text) and is_encodable(text)


def is_encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8: it can unless it carries lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
