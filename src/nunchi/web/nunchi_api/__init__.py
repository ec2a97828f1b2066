"""What our pages ask for and Prometheus's API does not have."""
