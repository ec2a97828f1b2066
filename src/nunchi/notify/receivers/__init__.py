"""One kind of receiver a file; `receiver.py` beside this folder is their contract."""
