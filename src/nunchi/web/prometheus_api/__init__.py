"""Prometheus's HTTP API: one file per group of endpoints, same envelopes, error types and status codes."""
