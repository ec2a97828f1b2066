"""The agent as a way out for others: programs hand it samples over HTTP; agents that cannot reach the server pass through."""
