"""nunchi: collect, store, query, judge, notify and show, in one package.

Importing it loads nothing: an agent that imports `nunchi` pays for no part of the server. What the package offers to Python
programs is found by name when it is asked for: `EXPORTS`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Name: the module that has it. `function` makes Python functions callable in PromQL, `open` reads a data folder.
EXPORTS = {"function": "nunchi.query.functions", "open": "nunchi.server.opening"}


def __getattr__(name: str) -> Any:
    """Load what is asked for (PEP 562)."""
    if name not in EXPORTS:
        raise AttributeError(f"module 'nunchi' has no attribute '{name}'")
    return getattr(import_module(EXPORTS[name]), name)


def __dir__() -> list[str]:
    """What there is, loaded or not."""
    return sorted({*globals(), *EXPORTS})
