"""The test kit that ships: virtual clock, series notation, contract suites. No product package imports it."""
