"""nunchi: collect, store, query, judge, notify and show, in one package.

Importing it loads nothing: an agent that imports `nunchi` pays for no part of the server.
"""

__version__ = "0.1.0"
