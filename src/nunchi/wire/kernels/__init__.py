"""Compiled loops over bytes from outside: every read is bounds-checked, whatever the bytes say."""
