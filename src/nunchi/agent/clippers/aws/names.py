"""Names of metrics and labels, as users of YACE know them (docs/guides/cloud.md).

`AWS/EC2`, `CPUUtilization`, `Average` is `aws_ec2_cpuutilization_average`; dimensions are `dimension_<name>`, tags
`tag_<name>`. Invariant: pure, and every name it gives is a legal one of the text exposition.
"""

import re
from functools import lru_cache

JOB = "cloudwatch"
CAMEL = re.compile(r"([a-z0-9])([A-Z])")
NO_WORD = re.compile(r"[^A-Za-z0-9_]+")
NAMES_REMEMBERED_MAX = 10_000


@lru_cache(NAMES_REMEMBERED_MAX)
def metric_name(namespace: str, metric: str, statistic: str) -> str:
    """The name of a statistic of a metric."""
    family = namespace_name(namespace)
    own = snake(metric)
    for word in family.split("_"):
        if word and own.startswith(f"{word}_"):
            own = own[len(word) + 1 :]
    return f"{family}_{own}_{snake(statistic)}"


@lru_cache(NAMES_REMEMBERED_MAX)
def namespace_name(namespace: str) -> str:
    """The beginning of the names of a namespace's metrics; it always begins with `aws`."""
    family = NO_WORD.sub("_", namespace.lower()).strip("_")
    return family if family.startswith("aws") else f"aws_{family}"


def info_name(namespace: str) -> str:
    """The info series of a namespace's resources."""
    return f"{namespace_name(namespace)}_info"


@lru_cache(NAMES_REMEMBERED_MAX)
def dimension_label(dimension: str) -> str:
    """The label of a dimension."""
    return f"dimension_{NO_WORD.sub('_', dimension)}"


@lru_cache(NAMES_REMEMBERED_MAX)
def tag_label(tag: str) -> str:
    """The label of a tag."""
    return f"tag_{NO_WORD.sub('_', tag)}"


def snake(text: str) -> str:
    """Words of camel case in lower case, with underscores between them."""
    return NO_WORD.sub("_", CAMEL.sub(r"\1_\2", text)).strip("_").lower()
