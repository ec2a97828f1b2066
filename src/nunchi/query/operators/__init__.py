"""Operators: each yields what one plan node computes, whole ranges at once. Python decides per tile, kernels loop."""
