"""Bytes to model and back, one format a file. No I/O: callers bring the bytes and take them away."""
