"""The one door to the Appender for what comes from outside: relabel, limits, append, in this order."""
