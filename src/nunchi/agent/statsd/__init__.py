"""StatsD: listeners, mapping of names, aggregation; its series are delivered with the rounds of the checks."""
