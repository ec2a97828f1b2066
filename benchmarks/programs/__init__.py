"""What several benchmarks need of other programs: to find and start them, and to read what they cost."""
