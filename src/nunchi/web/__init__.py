"""The reading side: Prometheus's HTTP API, our own, and the pages. Shows, never decides."""
