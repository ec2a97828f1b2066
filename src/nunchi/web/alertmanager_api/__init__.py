"""Alertmanager's HTTP API, version 2, over nunchi's own notifications: what amtool and dashboards of alerts ask."""
