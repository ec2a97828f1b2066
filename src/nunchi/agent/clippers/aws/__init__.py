"""Amazon Web Services: CloudWatch's metrics and the inventory of what they belong to."""
