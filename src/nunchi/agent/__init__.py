"""Watches one host: checks measure, the exporter shows, the forwarder delivers. Knows nothing of the server side."""
