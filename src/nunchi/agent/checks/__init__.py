"""One check a file; `check.py` beside this folder is their contract. The tuple below is the whole registry."""
