"""What operators do to a data folder from the command line: look, verify, dump, bring in, take out, copy, repair, measure.

What needs the bytes of our own files is in `tsdb`, what needs Prometheus's in `wire`. Invariant: reading goes on beside a
running server and changes nothing; whatever writes holds the folder's lock.
"""
