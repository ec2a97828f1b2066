"""Compiled loops over samples at rest: pure functions over arrays, without the GIL. Lengths from disk are checked."""
