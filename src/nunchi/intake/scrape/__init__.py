"""Fetching expositions from targets on their schedule, with `up`, reports and staleness markers."""
