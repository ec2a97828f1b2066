"""Compiled loops over samples: pure functions over arrays that know no labels and run without the GIL."""
