"""Small blocking clients of the services that checks ask. Each is bounded: in time by a deadline, in size by named maxima."""
