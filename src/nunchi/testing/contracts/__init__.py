"""Suites that every implementation of a contract passes: subclass one, give it the implementation, let pytest collect it."""
