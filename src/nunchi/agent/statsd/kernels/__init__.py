"""Compiled loop of the aggregation."""
