"""From alert to person: inbox, route, group, receivers; and the sender to Alertmanagers outside."""
