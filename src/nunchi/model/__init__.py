"""The nouns everybody shares: labels, matchers, series groups, batches, alerts. Pure: no clock, no I/O, no random."""
