"""One way of finding targets a file; `mechanism.py` beside this folder is their contract."""
