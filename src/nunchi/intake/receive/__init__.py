"""Samples sent to us: remote write and the agents' push. Bodies are bounded and decoded after authentication."""
