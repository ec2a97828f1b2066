"""One change to plans a file. `rewrite.py`, above, is the list."""
