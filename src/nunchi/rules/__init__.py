"""Rule files, rule groups and their evaluation; alerts leave through a sink that rules do not know."""
