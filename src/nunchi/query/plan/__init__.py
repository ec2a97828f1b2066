"""Plans: what is to be computed, without times and samples. Built from syntax, then changed by an ordered list of rewrites."""
