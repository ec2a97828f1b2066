"""Compiled loops of the kit: many datagrams a system call."""
