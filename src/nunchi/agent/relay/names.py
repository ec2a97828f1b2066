"""Names of other worlds as names of metrics and labels: what may not stand in one becomes an underscore."""

import re

NOT_IN_METRICS = re.compile(r"[^a-zA-Z0-9_:]")
NOT_IN_LABELS = re.compile(r"[^a-zA-Z0-9_]")


def metric_name(text: str) -> str:
    """A metric name of any text."""
    name = NOT_IN_METRICS.sub("_", text)
    return f"_{name}" if not name or name[0].isdigit() else name


def label_name(text: str) -> str:
    """A label name of any text; names that begin with `__` are not for others."""
    name = NOT_IN_LABELS.sub("_", text)
    name = f"_{name}" if not name or name[0].isdigit() else name
    return "_" + name.lstrip("_") if name.startswith("__") else name
